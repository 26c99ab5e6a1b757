//! The examples of the standards.

use super::credentials::Credentials;
use super::digest::{Algorithm, response};
use crate::domain::hash;

fn credentials(text: &str) -> Credentials {
    Credentials::parse(text).unwrap()
}

#[test]
fn the_example_of_rfc_2617_section_3_5() {
    let given = credentials(
        "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, \
         nc=00000001, cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\", \
         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
    );
    assert_eq!(given.algorithm, Some(Algorithm::Md5), "MD5 when none is named");
    let ha1 = hash::md5(&["Mufasa", "testrealm@host.com", "Circle Of Life"]);
    assert_eq!(ha1, "939e7578ed9e3c518a452acee763bce9");
    assert_eq!(response(Algorithm::Md5, &ha1, given.proof(), "GET"), given.response);
}

#[test]
fn the_examples_of_rfc_7616_section_3_9_1() {
    for (name, algorithm, expected) in [
        ("MD5", Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
        (
            "SHA-256",
            Algorithm::Sha256,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ] {
        let given = credentials(&format!(
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
             uri=\"/dir/index.html\", algorithm={name}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, \
             response=\"{expected}\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        ));
        assert_eq!(given.algorithm, Some(algorithm));
        let ha1 = algorithm.hash(&["Mufasa", "http-auth@example.org", "Circle of Life"]);
        assert_eq!(response(algorithm, &ha1, given.proof(), "GET"), expected);
    }
}

#[test]
fn quoted_words_and_capitals_are_understood() {
    let given = credentials(
        "DIGEST USERNAME=\"a\\\"b\",realm=\"x, y\" , nonce=n,uri=\"sip:a,b@c\", response=R, \
         ALGORITHM=\"sha-256\", qop=\"auth\", nc=0000000A, cnonce=\"\"",
    );
    assert_eq!((given.username.as_str(), given.realm.as_str()), ("a\"b", "x, y"));
    assert_eq!((given.uri.as_str(), given.count), ("sip:a,b@c", 10));
    assert_eq!(given.algorithm, Some(Algorithm::Sha256));
    let unknown = credentials(
        "Digest username=a, realm=b, nonce=n, uri=u, response=r, algorithm=SHA-512, qop=auth, \
         nc=00000001, cnonce=c",
    );
    assert_eq!(unknown.algorithm, None);
}
