//! The hashes of a digest (RFC 7616 §3.4.1). MD5 is what RFC 2617 and every phone have; it holds as
//! long as passwords can't be guessed.

use crate::domain::hash;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    /// The session variants are never asked for, so they are not known.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256].into_iter().find(|one| one.name().eq_ignore_ascii_case(name))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// The hash of the parts with colons between them, hexadecimal in small letters.
    pub fn hash(self, parts: &[&str]) -> String {
        match self {
            Self::Md5 => hash::md5(parts),
            Self::Sha256 => hash::sha256(parts),
        }
    }
}

/// What a password is proven with, besides the password.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    pub nonce: &'a str,
    pub nc: &'a str,
    pub cnonce: &'a str,
    pub uri: &'a str,
}

/// What `response` must be for `qop=auth`.
pub fn response(algorithm: Algorithm, ha1: &str, proof: Proof<'_>, method: &str) -> String {
    let Proof { nonce, nc, cnonce, uri } = proof;
    let ha2 = algorithm.hash(&[method, uri]);
    algorithm.hash(&[ha1, nonce, nc, cnonce, "auth", &ha2])
}
