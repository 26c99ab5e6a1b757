//! Phone numbers in E.164, caller IDs, and the mask that keeps them out of logs.

use std::fmt;
use std::str::FromStr;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};
use serde::{Deserialize, Serialize};

/// A number in E.164: `+` and 7 to 15 digits. Made only by [`PhoneNumber::parse`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PhoneNumber(String);

/// The country whose national format is understood: an ISO 3166 code such as `RU`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    code: [u8; 2],
    country: rlibphonenumber::Region,
}

impl Default for Region {
    fn default() -> Self {
        Self { code: *b"RU", country: rlibphonenumber::Region::RU }
    }
}

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let country = rlibphonenumber::Region::from_str(text).ok();
        let code = <[u8; 2]>::try_from(text.as_bytes()).ok();
        country
            .zip(code)
            .map(|(country, code)| Self { code, country })
            .ok_or_else(|| format!("\"{text}\" is not a country code such as RU"))
    }
}

/// The code that [`FromStr`] reads.
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.iter().try_for_each(|&letter| write!(f, "{}", char::from(letter)))
    }
}

impl PhoneNumber {
    /// Reads a number as people and trunks write it: `8 (916) 111-22-33`, `+7 916 1112233` and
    /// `79161112233` give the same E.164 number. Short internal numbers and anything that is no
    /// number at all give `None`. A number with `+` need not be one that its country has given
    /// out: plans and tests may use such.
    pub fn parse(text: &str, region: Region) -> Option<Self> {
        const LONGEST: usize = 32;
        let text = text.trim();
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let only_number_marks = text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '+' | ' ' | '(' | ')' | '-' | '.'));
        if text.len() > LONGEST || digits < 7 || !only_number_marks {
            return None;
        }
        let national = PHONE_NUMBER_UTIL.parse(text, Some(region.country)).ok();
        if let Some(number) = national.filter(|number| PHONE_NUMBER_UTIL.is_valid_number(number)) {
            return Self::from_parsed(&number);
        }
        // Trunks often drop the `+`: `79161112233`.
        let bare: String = text.chars().filter(char::is_ascii_digit).collect();
        let international = PHONE_NUMBER_UTIL.parse(format!("+{bare}"), None).ok()?;
        let is_trusted = text.starts_with('+') || PHONE_NUMBER_UTIL.is_valid_number(&international);
        is_trusted.then(|| Self::from_parsed(&international)).flatten()
    }

    fn from_parsed(number: &rlibphonenumber::PhoneNumber) -> Option<Self> {
        let e164 = PHONE_NUMBER_UTIL.format(number, PhoneNumberFormat::E164).to_string();
        (8..=16).contains(&e164.len()).then_some(Self(e164))
    }

    /// Whether the country has numbers of this length: a digit lost or doubled in typing shows.
    pub fn has_possible_length(&self) -> bool {
        let parsed = PHONE_NUMBER_UTIL.parse(&self.0, None);
        parsed.is_ok_and(|number| PHONE_NUMBER_UTIL.is_possible_number(&number))
    }

    /// Whether the country has given this number out. Countries that share a calling code are told
    /// apart: `+7727…` is not of RU.
    pub fn is_of(&self, region: Region) -> bool {
        let country = PHONE_NUMBER_UTIL
            .parse(&self.0, None)
            .ok()
            .and_then(|number| PHONE_NUMBER_UTIL.get_region_for_number(&number));
        country == Some(region.country)
    }

    /// Whether a call costs what calls to people and shops cost: landlines, mobiles, telephones on
    /// the internet, and numbers that are free. Not so premium and shared-cost numbers, pagers,
    /// personal and company numbers, and such as no country has given out.
    pub fn is_ordinary(&self) -> bool {
        let kind = PHONE_NUMBER_UTIL
            .parse(&self.0, None)
            .ok()
            .map(|number| PHONE_NUMBER_UTIL.get_number_type(&number));
        matches!(
            kind,
            Some(
                PhoneNumberType::FixedLine
                    | PhoneNumberType::Mobile
                    | PhoneNumberType::FixedLineOrMobile
                    | PhoneNumberType::VoIP
                    | PhoneNumberType::TollFree
            )
        )
    }

    /// The digits that are dialled in a country: `89161112233` in RU, `810…` for abroad.
    pub fn as_dialled_in(&self, region: Region) -> String {
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect();
        match PHONE_NUMBER_UTIL.parse(&self.0, None) {
            Ok(number) => {
                let country = region.country;
                digits(&PHONE_NUMBER_UTIL.format_out_of_country_calling_number(&number, country))
            }
            Err(_) => digits(&self.0),
        }
    }

    /// The whole number, for dialling and for the database; never for a log.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The mask, so that a number in a debug print tells nothing either.
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Pii(self).fmt(f)
    }
}

/// Who calls, as far as the network says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallerId {
    /// A public number.
    Number(PhoneNumber),
    /// The caller withheld the number, or none was given.
    Anonymous,
    /// Something that is no public number: an extension, a SIP name. At most 256 characters; what
    /// can't be shown is escaped (`%0D`).
    Other(String),
}

impl CallerId {
    /// The public number, if there is one.
    pub fn number(&self) -> Option<&PhoneNumber> {
        match self {
            Self::Number(number) => Some(number),
            Self::Anonymous | Self::Other(_) => None,
        }
    }

    /// Unmasked, for the database and for `--full` listings.
    pub fn full(&self) -> &str {
        match self {
            Self::Number(number) => number.as_str(),
            Self::Anonymous => "anonymous",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Pii<&CallerId> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CallerId::Number(number) => Pii(number).fmt(f),
            CallerId::Anonymous => f.write_str("anonymous"),
            CallerId::Other(name) => Pii(name.as_str()).fmt(f),
        }
    }
}

impl fmt::Debug for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Pii(self).fmt(f)
    }
}

/// The name that the network or the phone shows beside the caller's number. Whoever calls may have
/// written it: it proves nothing. Masked wherever a number is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallerName(Box<str>);

impl CallerName {
    /// The longest name that is kept whole, in characters. Of a longer one the beginning is kept,
    /// and `…`.
    pub const LENGTH_MAX: usize = 256;

    /// `None`: there is nothing but blanks. What can't be shown is escaped already (`%0D`).
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(shortened(text, Self::LENGTH_MAX).into()))
    }

    /// Unmasked, for the database and for `--full` listings.
    pub fn full(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pii<&CallerName> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Pii(self.0.full()).fmt(f)
    }
}

impl fmt::Debug for CallerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Pii(self).fmt(f)
    }
}

/// At most `most` characters; `…` stands for what is left out.
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// A text of somebody else's for the log, in which there may be telephone numbers: each digit of
/// five and more in a row becomes a dot, so that what stands below it still does.
pub fn without_numbers(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut digits = 0;
    for c in text.chars().map(Some).chain([None]) {
        if c.is_some_and(|c| c.is_ascii_digit()) {
            digits += 1;
        } else if digits >= 5 {
            masked.truncate(masked.len() - digits);
            masked.extend(std::iter::repeat_n('•', digits));
            digits = 0;
        } else {
            digits = 0;
        }
        masked.extend(c);
    }
    masked
}

/// Something personal. Shows and logs only a mask: `+7916•••4567`, `a•••`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pii<T>(pub T);

impl fmt::Display for Pii<&PhoneNumber> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.as_str();
        // E.164 is ASCII by construction, so byte positions are character positions.
        let head = number.len().saturating_sub(7).min(5);
        let tail = number.len().saturating_sub(4).max(head);
        write!(f, "{}•••{}", &number[..head], &number[tail..])
    }
}

impl fmt::Display for Pii<&str> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.chars().next().filter(|c| c.is_alphanumeric()) {
            Some(first) => write!(f, "{first}•••"),
            None => f.write_str("•••"),
        }
    }
}

impl<T> fmt::Debug for Pii<T>
where
    Self: fmt::Display,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<String> {
        PhoneNumber::parse(text, Region::default()).map(|n| n.as_str().to_owned())
    }

    #[test]
    fn the_ways_to_write_a_russian_mobile_number_are_one_number() {
        for text in [
            "8 (916) 111-22-33",
            "+7 916 111 22 33",
            "79161112233",
            "89161112233",
            "+79161112233",
            "9161112233",
        ] {
            assert_eq!(parse(text).as_deref(), Some("+79161112233"), "{text}");
        }
    }

    #[test]
    fn a_free_hotline_number_keeps_its_eight_hundred() {
        for text in ["88003334455", "8 (800) 333-44-55", "+78003334455", "78003334455"] {
            assert_eq!(parse(text).as_deref(), Some("+78003334455"), "{text}");
        }
    }

    #[test]
    fn foreign_numbers_keep_their_country() {
        assert_eq!(parse("+12125550123").as_deref(), Some("+12125550123"));
        assert_eq!(parse("+4930901820").as_deref(), Some("+4930901820"));
    }

    #[test]
    fn a_number_is_dialled_as_its_country_and_ours_want_it() {
        let dialled = |text| PhoneNumber::parse(text, Region::default()).unwrap();
        for (number, digits) in [
            ("+79161112233", "89161112233"),
            ("+78003334455", "88003334455"),
            ("+4930901820", "8104930901820"),
            ("+12125550123", "81012125550123"),
        ] {
            assert_eq!(dialled(number).as_dialled_in(Region::default()), digits);
        }
    }

    #[test]
    fn numbers_abroad_and_dear_ones_are_told_from_those_of_people_here() {
        let number = |text| PhoneNumber::parse(text, Region::default()).unwrap();
        let is_here = |text| (number(text).is_of(Region::default()), number(text).is_ordinary());
        for text in ["+79161112233", "+74951112233", "+78003334455"] {
            assert_eq!(is_here(text), (true, true), "{text}");
        }
        // Kazakhstan has the same calling code; the Caribbean and satellites are favourites.
        for text in ["+77272223344", "+12125550123", "+18765551234", "+882161234567"] {
            assert_eq!(is_here(text), (false, true), "{text}");
        }
        for text in ["+78095551234", "+70001112233", "+19005551234"] {
            assert!(!number(text).is_ordinary(), "{text}");
        }
    }

    #[test]
    fn what_is_no_public_number_is_none() {
        for text in ["", "100", "anna", "+", "1'; drop table", "anonymous", "+7916\r\n1112233"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_in_the_texts_of_others_are_masked() {
        assert_eq!(
            without_numbers("for bigint: \"+79161112233\"\n(code 2200), 12345"),
            "for bigint: \"+•••••••••••\"\n(code 2200), •••••"
        );
    }

    #[test]
    fn a_number_is_masked_wherever_it_is_shown() {
        let number = PhoneNumber::parse("+79161234567", Region::default()).unwrap();
        assert_eq!(Pii(&number).to_string(), "+7916•••4567");
        assert_eq!(format!("{number:?}"), "+7916•••4567");
        assert_eq!(Pii("anna").to_string(), "a•••");
    }
}
