//! The hashes that SIP accounts are made of.

use md5::Md5;
use sha2::Sha256;
use sha2::digest::Digest;

/// MD5 of the parts with colons between them, hexadecimal in small letters.
pub fn md5(parts: &[&str]) -> String {
    hexadecimal::<Md5>(parts)
}

/// SHA-256 of the parts with colons between them, hexadecimal in small letters.
pub fn sha256(parts: &[&str]) -> String {
    hexadecimal::<Sha256>(parts)
}

fn hexadecimal<H: Digest>(parts: &[&str]) -> String {
    let hash = H::digest(parts.join(":"));
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
