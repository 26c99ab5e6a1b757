//! Who calls (RFC 3261 §20.20, RFC 3323, RFC 3325).

use super::super::message::{HeaderName, NameAddr, Request};
use crate::domain::{CallerId, PhoneNumber, Region};

/// The longest name that is kept whole of a caller without a number, in characters. Of a longer one
/// the beginning is kept, and `…`.
const NAME_MAX: usize = 256;

/// The caller of an INVITE: what a trusted peer asserts, else what From says.
pub fn caller_id(request: &Request, trusted: bool, region: Region) -> CallerId {
    let headers = &request.headers;
    let privacy = headers.text(&HeaderName::Privacy).unwrap_or_default().to_ascii_lowercase();
    let withheld =
        privacy.split([';', ',']).any(|kind| matches!(kind.trim(), "id" | "user" | "header"));
    if withheld {
        return CallerId::Anonymous;
    }
    let asserted = if trusted { asserted(request) } else { None };
    let from = asserted.map_or_else(|| headers.from().ok(), Some);
    from.map_or(CallerId::Anonymous, |address| identify(&address, region))
}

/// The first identity that holds a user; P-Asserted-Identity goes before Remote-Party-ID.
fn asserted(request: &Request) -> Option<NameAddr> {
    [HeaderName::PAssertedIdentity, HeaderName::RemotePartyId].iter().find_map(|name| {
        let addresses = request.headers.addresses(name).ok()?;
        addresses.into_iter().find(|address| {
            let calling = address.params.get("party").is_none_or(|party| party == "calling");
            calling && address.uri.user().is_some()
        })
    })
}

fn identify(address: &NameAddr, region: Region) -> CallerId {
    // Remote-Party-ID tells of withheld numbers itself.
    if matches!(address.params.get("privacy"), Some("full" | "uri" | "name;uri")) {
        return CallerId::Anonymous;
    }
    let host = address.uri.sip().map(|uri| uri.host.to_ascii_lowercase());
    let Some(user) = address.uri.user() else { return CallerId::Anonymous };
    let user = without_parameters(&user);
    let nobody = ["", "anonymous", "unavailable", "restricted", "unknown", "private", "withheld"];
    if nobody.iter().any(|name| user.trim().eq_ignore_ascii_case(name))
        || host.as_deref().is_some_and(|host| host == "anonymous.invalid")
    {
        return CallerId::Anonymous;
    }
    match PhoneNumber::parse(user, region) {
        Some(number) => CallerId::Number(number),
        None => CallerId::Other(kept(user)),
    }
}

/// Parameters of a telephone number may stand in the user part (RFC 3261 §19.1.6:
/// `+78003334455;npdi`), and are no part of the number; other users are kept whole.
pub(super) fn without_parameters(user: &str) -> &str {
    let is_number =
        |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b"+-.()*#".contains(&b));
    match user.split_once(';') {
        Some((before, _)) if is_number(before) => before,
        Some(_) | None => user,
    }
}

fn kept(name: &str) -> String {
    match name.char_indices().nth(NAME_MAX) {
        None => name.to_owned(),
        Some(_) => name.chars().take(NAME_MAX - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::super::message::{Parsed, parse};
    use super::*;

    fn caller(from: &str, extra: &str, trusted: bool) -> String {
        let text = format!(
            "INVITE sip:100@a SIP/2.0\r\nVia: SIP/2.0/UDP b;branch=z9hG4bK1\r\nFrom: {from};tag=1\r\n\
             To: <sip:100@a>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n{extra}\r\n"
        );
        let Parsed::Request(request) = parse(&Bytes::from(text)) else { panic!("bad request") };
        caller_id(&request, trusted, Region::default()).full().to_owned()
    }

    #[test]
    fn numbers_are_known_in_every_spelling() {
        for from in [
            "<sip:+79161112233@b>",
            "<sip:89161112233@b;user=phone>",
            "<sip:8%20(916)%20111-22-33@b>",
            "<tel:+7-916-111-22-33>",
            "<sip:+79161112233;phone-context=x@b>",
        ] {
            assert_eq!(caller(from, "", false), "+79161112233", "{from}");
        }
    }

    #[test]
    fn withheld_numbers_are_anonymous() {
        for (from, extra) in [
            ("\"Anonymous\" <sip:anonymous@anonymous.invalid>", ""),
            ("<sip:+79161112233@b>", "Privacy: id\r\n"),
            ("<sip:b>", ""),
            ("<sip:c8oqz84zk7z@anonymous.invalid>", ""),
        ] {
            assert_eq!(caller(from, extra, true), "anonymous", "{from}");
        }
    }

    #[test]
    fn only_a_trusted_peer_may_assert_an_identity() {
        let asserted = "P-Asserted-Identity: \"A\" <sip:+79161112233@b>, <tel:+79160000000>\r\n";
        assert_eq!(caller("<sip:anna@b>", asserted, true), "+79161112233");
        assert_eq!(caller("<sip:anna@b>", asserted, false), "anna");
        let party = "Remote-Party-ID: <sip:+79161112233@b>;party=calling;privacy=off\r\n";
        assert_eq!(caller("<sip:anna@b>", party, true), "+79161112233");
    }

    #[test]
    fn names_are_kept_as_they_came_and_do_no_harm() {
        for (user, kept) in [
            ("anna%0d%0a", "anna%0D%0A"),
            ("a'%3b%20drop%20table%20calls%3b--", "a'; drop table calls;--"),
            ("%1b[2J", "%1B[2J"),
            ("%00%ff", "%00%FF"),
            ("..%2f..%2fetc", "../../etc"),
        ] {
            assert_eq!(caller(&format!("<sip:{user}@b>"), "", false), kept);
        }
    }

    #[test]
    fn a_name_is_kept_to_a_limit() {
        let named = |length: usize| caller(&format!("<sip:{}@b>", "x".repeat(length)), "", false);
        assert_eq!(named(256), "x".repeat(256));
        assert_eq!(named(10_000), format!("{}…", "x".repeat(255)));
    }
}
