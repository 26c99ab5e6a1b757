//! What a REGISTER asks for (RFC 3261 §10.2, §10.3).

use super::super::message::{
    HeaderName, Headers, Malformed, NameAddr, Params, SipUri, Uri, grammar,
};
use super::super::transport::Flow;
use super::CONTACTS_MAX;

/// A shorter registration is refused with 423, seconds.
pub const EXPIRES_MIN_S: u32 = 60;
/// A longer registration is granted for so long; also what a phone gets that asks for nothing,
/// seconds.
pub const EXPIRES_MAX_S: u32 = 300;
/// The longest Contact or Path that is kept, bytes.
const ADDRESS_MAX: usize = 512;
/// Proxies between a phone and here.
const PATH_MAX: usize = 8;

/// A REGISTER that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    pub call_id: Box<str>,
    pub cseq: u32,
    /// The way that it came on.
    pub flow: Flow,
    pub path: Vec<NameAddr>,
    pub wish: Wish,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// What is registered?
    Query,
    /// `Contact: *` with Expires 0.
    RemoveAll,
    /// At most [`CONTACTS_MAX`].
    Change(Vec<Wanted>),
}

/// One contact that is to be registered, or removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub uri: SipUri,
    /// Without `expires`.
    pub params: Params,
    /// `+sip.instance` with `reg-id`.
    pub instance: Option<Box<str>>,
    /// Thousandths.
    pub q: u16,
    /// 0: remove it; else [`EXPIRES_MIN_S`] to [`EXPIRES_MAX_S`].
    pub expires_s: u32,
}

/// Why a REGISTER can't be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// 400
    Malformed(Malformed),
    /// 403: more than [`CONTACTS_MAX`] contacts at once.
    TooMany,
    /// 423 with Min-Expires: less than [`EXPIRES_MIN_S`].
    TooBrief,
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl Registration {
    pub fn read(headers: &Headers, flow: Flow) -> Result<Self, Refused> {
        let path = headers.addresses(&HeaderName::Path)?;
        let length: usize = headers.lines(&HeaderName::Path).map(|line| line.len()).sum();
        if path.len() > PATH_MAX || length > ADDRESS_MAX {
            return Err(Malformed("Path too long").into());
        }
        let cseq = headers.cseq()?.number;
        let wish = read_wish(headers)?;
        Ok(Self { call_id: headers.call_id()?.into(), cseq, flow, path, wish })
    }
}

fn read_wish(headers: &Headers) -> Result<Wish, Refused> {
    let items = headers.items(&HeaderName::Contact);
    let expires = headers.text(&HeaderName::Expires);
    if items.is_empty() {
        return Ok(Wish::Query);
    }
    if items.iter().any(|item| item == "*") {
        let is_removal = expires.as_deref().map(str::trim) == Some("0") && items.len() == 1;
        let wrong = Malformed("Contact: * stands alone and with Expires: 0");
        return if is_removal { Ok(Wish::RemoveAll) } else { Err(wrong.into()) };
    }
    if items.len() > CONTACTS_MAX {
        return Err(Refused::TooMany);
    }
    let default_s = expires.map_or(EXPIRES_MAX_S, |text| seconds(&text));
    let wanted = items.iter().map(|item| read_contact(item, default_s));
    Ok(Wish::Change(wanted.collect::<Result<_, _>>()?))
}

fn read_contact(text: &str, default_s: u32) -> Result<Wanted, Refused> {
    if text.len() > ADDRESS_MAX {
        return Err(Malformed("Contact too long").into());
    }
    let address = NameAddr::parse(text)?;
    let Uri::Sip(uri) = address.uri else {
        return Err(Malformed("Contact is no SIP address").into());
    };
    let mut params = address.params;
    let expires_s = match params.get("expires").map_or(default_s, seconds) {
        0 => 0,
        1..EXPIRES_MIN_S => return Err(Refused::TooBrief),
        asked => asked.min(EXPIRES_MAX_S),
    };
    params.remove("expires");
    let q = params.get("q").map_or(Some(1_000), thousandths).ok_or(Malformed("bad q"))?;
    let instance = params.get("+sip.instance").map(|instance| {
        let number = params.get("reg-id").unwrap_or("");
        format!("{instance};{number}").into()
    });
    Ok(Wanted { uri, params, instance, q, expires_s })
}

/// RFC 3261 §20.19: what is no number means an hour. What no 32 bits hold is more than an hour.
fn seconds(text: &str) -> u32 {
    let digits = text.trim();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return EXPIRES_MAX_S;
    }
    grammar::number(digits).unwrap_or(EXPIRES_MAX_S)
}

/// `0.25` → 250 (RFC 3261 §25.1: at most three decimals, at most 1).
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || decimals.len() > 3 {
        return None;
    }
    let decimals = grammar::number::<u16>(&format!("{decimals:0<3}"))?;
    let q = if whole == "1" { 1_000 + decimals } else { decimals };
    (q <= 1_000).then_some(q)
}

/// RFC 3261 §19.1.4, as far as it tells phones apart: scheme, user, host, port and transport.
pub fn is_same_address(one: &SipUri, other: &SipUri) -> bool {
    let user = |uri: &SipUri| uri.user.as_deref().map(grammar::unescape);
    let transport = |uri: &SipUri| uri.params.get("transport").map(str::to_ascii_lowercase);
    one.is_sips() == other.is_sips()
        && user(one) == user(other)
        && one.host.eq_ignore_ascii_case(&other.host)
        && one.port == other.port
        && transport(one) == transport(other)
}
