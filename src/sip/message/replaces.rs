//! `Replaces: 98732@x;from-tag=r33th4x0r;to-tag=ff87ff` (RFC 3891 §6.1): a dialog by its ids.

use super::grammar::{self, Malformed, Params};
use super::uri::SipUri;

/// The dialog that a new call takes the place of, as the one who is asked sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    pub call_id: Box<str>,
    pub to_tag: Box<str>,
    pub from_tag: Box<str>,
    /// Only if it is not picked up yet.
    pub early_only: bool,
}

impl Replaces {
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (call_id, params) = text.split_at(text.find(';').unwrap_or(text.len()));
        let call_id = call_id.trim();
        let params = Params::parse(params)?;
        let tag = |name| params.get(name).filter(|tag| !tag.is_empty());
        let (Some(to_tag), Some(from_tag)) = (tag("to-tag"), tag("from-tag")) else {
            return Err(Malformed("Replaces without both tags"));
        };
        if call_id.is_empty() || call_id.contains([' ', '\t']) {
            return Err(Malformed("Replaces without a Call-ID"));
        }
        Ok(Self {
            call_id: call_id.into(),
            to_tag: to_tag.into(),
            from_tag: from_tag.into(),
            early_only: params.has("early-only"),
        })
    }

    /// The one in the headers of a Refer-To URI: `sip:bob@b?Replaces=425928%40b%3Bto-tag%3D…`.
    pub fn of_uri(uri: &SipUri) -> Result<Option<Self>, Malformed> {
        let headers = uri.headers.as_deref().unwrap_or("").split('&');
        let mut named = headers.filter_map(|header| header.split_once('='));
        match named.find(|(name, _)| name.eq_ignore_ascii_case("replaces")) {
            Some((_, value)) => Self::parse(&grammar::unescape(value)).map(Some),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::uri::Uri;
    use super::*;

    #[test]
    fn a_dialog_is_named_by_its_three_ids() {
        let named = Replaces::parse("98732@x ;from-tag=r33 ; to-tag=ff87;early-only").unwrap();
        assert_eq!((&*named.call_id, &*named.to_tag, &*named.from_tag), ("98732@x", "ff87", "r33"));
        assert!(named.early_only);
        for text in
            ["", "98732", "98732;to-tag=1", ";to-tag=1;from-tag=2", "a b;to-tag=1;from-tag=2"]
        {
            assert!(Replaces::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_headers_of_a_uri_may_hold_one() {
        let of = |text: &str| Replaces::of_uri(Uri::parse(text).unwrap().sip().unwrap());
        let text = "sip:b@c?X=1&Replaces=4%40b%3Bto-tag%3D7%3Bfrom-tag%3D6";
        assert_eq!(of(text), Replaces::parse("4@b;to-tag=7;from-tag=6").map(Some));
        assert_eq!(of("sip:b@c"), Ok(None));
        assert!(of("sip:b@c?Replaces=4").is_err());
    }
}
