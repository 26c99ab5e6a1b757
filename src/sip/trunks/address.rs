//! How numbers and identities are written for a provider.

use super::super::message::uri::host_text;
use super::super::message::{NameAddr, Params, SipUri, Uri, grammar};
use crate::config::{NumberFormat, Trunk, TrunkFrom};
use crate::domain::{PhoneNumber, Region};

/// Who calls, as From and P-Asserted-Identity say it.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    pub from: NameAddr,
    pub asserted: NameAddr,
}

/// `sip:+79161112233@sip.example.com`
pub fn of_number(trunk: &Trunk, number: &PhoneNumber, region: Region) -> Uri {
    at(trunk, Some(&written(trunk.number_format, number, region)))
}

/// `sip:sip.example.com`: the provider itself.
pub fn of_provider(trunk: &Trunk) -> Uri {
    at(trunk, None)
}

/// The address of our account, for REGISTER; also what we are called in OPTIONS.
pub fn of_account(trunk: &Trunk) -> Uri {
    at(trunk, Some(trunk.username.as_deref().unwrap_or("allo")))
}

/// The user part under which a provider that we register at sends us calls.
pub fn contact_user(trunk: &Trunk) -> String {
    let user = trunk.caller_id.as_deref().or(trunk.username.as_deref());
    grammar::escape_user(user.unwrap_or("allo"))
}

/// The number `shown`, or that of the trunk if it is empty, with `display` or the label beside it.
pub fn identity(trunk: &Trunk, shown: &str, display: Option<&str>, region: Region) -> Identity {
    let shown = if shown.is_empty() { trunk.caller_id.as_deref().unwrap_or("") } else { shown };
    let number = match PhoneNumber::parse(shown, region) {
        Some(number) => written(trunk.number_format, &number, region),
        None => shown.to_owned(),
    };
    let username = trunk.username.as_deref();
    let number = if number.is_empty() { username.unwrap_or("anonymous") } else { &number };
    let display = display.or(trunk.label.as_deref());
    let display = display.and_then(|text| one_line(text, Trunk::LABEL_MAX));
    let named = |user: &str| {
        let uri = at(trunk, Some(user));
        NameAddr { display: display.clone(), uri, params: Params::default() }
    };
    let from = match (trunk.from, username) {
        (TrunkFrom::Username, Some(username)) => named(username),
        (TrunkFrom::CallerId | TrunkFrom::Username, _) => named(number),
    };
    Identity { from, asserted: named(number) }
}

/// One printable line of at most so many characters; `None`: nothing is left.
pub fn one_line(text: &str, characters_max: usize) -> Option<Box<str>> {
    let printable: String = text.chars().filter(|c| !c.is_control()).take(characters_max).collect();
    let printable = printable.trim();
    (!printable.is_empty()).then(|| printable.into())
}

fn written(format: NumberFormat, number: &PhoneNumber, region: Region) -> String {
    let e164 = number.as_str();
    match format {
        NumberFormat::E164 => e164.to_owned(),
        NumberFormat::Digits => e164.trim_start_matches('+').to_owned(),
        NumberFormat::National => number.as_dialled_in(region),
    }
}

fn at(trunk: &Trunk, user: Option<&str>) -> Uri {
    let place = trunk.domain.as_ref().unwrap_or(&trunk.address);
    let host = place.ip().map_or_else(|| place.host.as_str().into(), host_text);
    let any = std::net::IpAddr::from([0, 0, 0, 0]);
    let user = user.map(grammar::escape_user);
    Uri::Sip(SipUri { host, port: place.port, ..SipUri::new(user.as_deref(), any, 0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk(address: &str) -> Trunk {
        Trunk {
            caller_id: Some("+78003334455".into()),
            ..Trunk::new("a", address.parse().unwrap())
        }
    }

    fn number() -> PhoneNumber {
        PhoneNumber::parse("+79161112233", Region::default()).unwrap()
    }

    #[test]
    fn numbers_are_written_as_the_provider_wants_them() {
        let region = Region::default();
        for (format, user) in [
            (NumberFormat::E164, "+79161112233"),
            (NumberFormat::Digits, "79161112233"),
            (NumberFormat::National, "89161112233"),
        ] {
            let trunk = Trunk { number_format: format, ..trunk("sip.example.com:5070") };
            let uri = of_number(&trunk, &number(), region).to_string();
            assert_eq!(uri, format!("sip:{user}@sip.example.com:5070"));
        }
        let proxied = Trunk { domain: "ims.example.com".parse().ok(), ..trunk("192.0.2.7:5070") };
        let uri = of_number(&proxied, &number(), region).to_string();
        assert_eq!(uri, "sip:+79161112233@ims.example.com");
        assert_eq!(of_provider(&trunk("[2001:db8::7]")).to_string(), "sip:[2001:db8::7]");
    }

    #[test]
    fn the_plan_s_number_and_label_go_before_those_of_the_trunk() {
        let own = Trunk { label: Some("Магазин".into()), ..trunk("a") };
        let region = Region::default();
        let shown = identity(&own, "", None, region);
        assert_eq!(shown.from.to_string(), "\"Магазин\" <sip:+78003334455@a>");
        assert_eq!(shown.asserted, shown.from);
        let long = "я".repeat(40);
        let shown = identity(&own, "+74951234567", Some(&long), region);
        let label = "я".repeat(32);
        assert_eq!(shown.from.to_string(), format!("\"{label}\" <sip:+74951234567@a>"));
    }

    #[test]
    fn a_provider_may_want_its_account_in_from() {
        let username = Some("shop 1".to_owned());
        let own = Trunk { username, from: TrunkFrom::Username, ..trunk("a") };
        let shown = identity(&own, "", None, Region::default());
        assert_eq!(shown.from.to_string(), "<sip:shop%201@a>");
        assert_eq!(shown.asserted.to_string(), "<sip:+78003334455@a>");
        let nobody = Trunk { caller_id: None, ..trunk("a") };
        let shown = identity(&nobody, "", None, Region::default());
        assert_eq!(shown.from.to_string(), "<sip:anonymous@a>");
    }
}
