//! Who calls (RFC 3261 §20.20, RFC 3323, RFC 3325).

use super::super::message::{HeaderName, NameAddr, Request, grammar};
use crate::domain::{CallerId, CallerName, PhoneNumber, Region, shortened};

/// The longest name that is kept whole of a caller without a number, in characters.
const USER_MAX: usize = 256;

/// The caller of an INVITE and the name beside the number: what a trusted peer asserts, else what
/// From says. Who withholds the number shows no name either.
pub fn caller(request: &Request, trusted: bool, region: Region) -> (CallerId, Option<CallerName>) {
    let headers = &request.headers;
    let privacy = headers.text(&HeaderName::Privacy).unwrap_or_default().to_ascii_lowercase();
    let withheld =
        privacy.split([';', ',']).any(|kind| matches!(kind.trim(), "id" | "user" | "header"));
    if withheld {
        return (CallerId::Anonymous, None);
    }
    let asserted = if trusted { asserted(request) } else { None };
    let from = headers.from().ok();
    let Some(address) = asserted.as_ref().or(from.as_ref()) else {
        return (CallerId::Anonymous, None);
    };
    match identify(address, region) {
        CallerId::Anonymous => (CallerId::Anonymous, None),
        caller => (caller, name(address).or_else(|| name(from.as_ref()?))),
    }
}

/// The display name (RFC 3261 §25.1), without its quotes and their escapes.
fn name(address: &NameAddr) -> Option<CallerName> {
    CallerName::new(&grammar::readable(address.display.as_deref()?))
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
        None => CallerId::Other(shortened(user, USER_MAX)),
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::super::message::{Parsed, parse};
    use super::*;

    fn caller(from: &str, extra: &str, trusted: bool) -> String {
        both(from, extra, trusted).0.full().to_owned()
    }

    fn name(from: &str, extra: &str, trusted: bool) -> Option<String> {
        both(from, extra, trusted).1.map(|name| name.full().to_owned())
    }

    fn both(from: &str, extra: &str, trusted: bool) -> (CallerId, Option<CallerName>) {
        let text = format!(
            "INVITE sip:100@a SIP/2.0\r\nVia: SIP/2.0/UDP b;branch=z9hG4bK1\r\nFrom: {from};tag=1\r\n\
             To: <sip:100@a>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n{extra}\r\n"
        );
        let Parsed::Request(request) = parse(&Bytes::from(text)) else { panic!("bad request") };
        super::caller(&request, trusted, Region::default())
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
    fn the_name_beside_the_number_is_kept_as_it_was_meant() {
        for (display, kept) in [
            ("\"Anna \\\"Anja\\\" O\\\\K\" ", Some("Anna \"Anja\" O\\K")),
            ("Anna Petrova ", Some("Anna Petrova")),
            ("\"Анна\"", Some("Анна")),
            ("\"a\u{1b}[2J\u{202e}b\" ", Some("a%1B[2J%E2%80%AEb")),
            ("\"<script>'; drop table calls; --\" ", Some("<script>'; drop table calls; --")),
            ("\"  \" ", None),
            ("", None),
        ] {
            let from = format!("{display}<sip:+79161112233@b>");
            assert_eq!(name(&from, "", false).as_deref(), kept, "{display}");
        }
        let long = format!("\"{}\" <sip:+79161112233@b>", "я".repeat(10_000));
        assert_eq!(name(&long, "", false), Some(format!("{}…", "я".repeat(255))));
    }

    #[test]
    fn a_name_belongs_to_the_identity_that_counts() {
        let from = "\"Theirs\" <sip:anna@b>";
        let asserted = "P-Asserted-Identity: \"Ours\" <sip:+79161112233@b>\r\n";
        assert_eq!(name(from, asserted, true).as_deref(), Some("Ours"));
        assert_eq!(name(from, asserted, false).as_deref(), Some("Theirs"));
        let nameless = "P-Asserted-Identity: <sip:+79161112233@b>\r\n";
        assert_eq!(name(from, nameless, true).as_deref(), Some("Theirs"));
        for (from, extra) in
            [(from, "Privacy: user\r\n"), ("\"Anna\" <sip:anonymous@anonymous.invalid>", "")]
        {
            assert_eq!(name(from, extra, true), None, "{from} {extra}");
        }
    }

    #[test]
    fn a_name_is_kept_to_a_limit() {
        let named = |length: usize| caller(&format!("<sip:{}@b>", "x".repeat(length)), "", false);
        assert_eq!(named(256), "x".repeat(256));
        assert_eq!(named(10_000), format!("{}…", "x".repeat(255)));
    }
}
