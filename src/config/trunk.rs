//! `[[trunk]]`: a provider of telephone numbers.

mod mistakes;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Period, Secret, Transport, text, text_option};

/// A provider of telephone numbers, by which numbers outside are dialled. One `[[trunk]]` for each;
/// the first that works is taken, unless the plan names another (docs/trunks.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Trunk {
    /// What this trunk is called in dialplans, logs and metrics.
    pub name: String,
    /// Host, or host:port, of the provider. A name without a port is looked up in DNS by SRV and
    /// then by address; all servers found there are used.
    #[schemars(with = "String")]
    #[serde(with = "text")]
    pub address: TrunkAddress,
    /// The provider's domain as it stands in addresses, where it is not the host above (sip:…@DOMAIN
    /// behind a proxy). Not set: the host.
    #[schemars(with = "String")]
    #[serde(default, with = "text_option", skip_serializing_if = "Option::is_none")]
    pub domain: Option<TrunkAddress>,
    /// "udp", "tcp" or "tls".
    #[schemars(with = "String")]
    #[serde(default = "Trunk::default_transport", with = "text")]
    pub transport: Transport,
    /// For tls: a PEM file with the authorities by which the provider's certificate is known. Not
    /// set: those that browsers know.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// User name of the account.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password of the account.
    #[schemars(with = "String")]
    #[serde(default, with = "text_option", skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The realm in which the provider asks for the password, as its challenges spell it. Not set: the
    /// first in which it takes the password. Nothing is proven in any other realm.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// Whether to register at the provider. Calls from the provider then arrive at the number
    /// caller-id, or if there is none at the username.
    #[serde(default)]
    pub register: bool,
    /// Calls out at the same time.
    #[serde(default = "Trunk::default_max_calls")]
    pub max_calls: u32,
    /// New calls out in a second, evenly spread.
    #[serde(default = "Trunk::default_starts_per_second")]
    pub starts_per_second: u32,
    /// The number that called people see, unless the plan names another.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<String>,
    /// What called people see beside the number where networks pass it on, at most 32 characters.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How the provider wants numbers written: "e164" (+79161112233), "digits" (79161112233) or
    /// "national" (89161112233, as dialled in the region of `[sip]`; abroad 810…).
    #[schemars(with = "String")]
    #[serde(default, with = "text")]
    pub number_format: NumberFormat,
    /// What stands in From: "caller-id", or "username" for providers that let only the account call;
    /// the number shown then stands in P-Asserted-Identity alone.
    #[schemars(with = "String")]
    #[serde(default, with = "text")]
    pub from: TrunkFrom,
    /// How often the provider is asked whether it is there (OPTIONS). "0s" for a provider that does
    /// not answer: then only calls show whether it is.
    #[serde(default = "Trunk::default_keepalive")]
    pub keepalive: Period,
}

impl Trunk {
    /// A provider at a host, or host:port, with nothing else set.
    pub fn at(name: &str, address: TrunkAddress) -> Self {
        Self {
            name: name.to_owned(),
            address,
            domain: None,
            transport: Self::default_transport(),
            authorities: None,
            username: None,
            password: None,
            realm: None,
            register: false,
            max_calls: Self::default_max_calls(),
            starts_per_second: Self::default_starts_per_second(),
            caller_id: None,
            label: None,
            number_format: NumberFormat::default(),
            from: TrunkFrom::default(),
            keepalive: Self::default_keepalive(),
        }
    }

    /// Trunks that there may be.
    pub const COUNT_MAX: usize = 32;
    /// The longest label, in characters.
    pub const LABEL_MAX: usize = 32;

    /// With the defaults of everything that has one.
    pub fn new(name: &str, address: TrunkAddress) -> Self {
        Self {
            name: name.to_owned(),
            address,
            domain: None,
            transport: Self::default_transport(),
            authorities: None,
            username: None,
            password: None,
            realm: None,
            register: false,
            max_calls: Self::default_max_calls(),
            starts_per_second: Self::default_starts_per_second(),
            caller_id: None,
            label: None,
            number_format: NumberFormat::default(),
            from: TrunkFrom::default(),
            keepalive: Self::default_keepalive(),
        }
    }

    fn default_transport() -> Transport {
        Transport::Udp
    }

    fn default_max_calls() -> u32 {
        30
    }

    fn default_starts_per_second() -> u32 {
        5
    }

    fn default_keepalive() -> Period {
        Period::seconds(30)
    }
}

/// Where a provider is: `sip.example.com`, `192.0.2.7:5070`, `[2001:db8::7]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkAddress {
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    pub port: Option<u16>,
}

impl TrunkAddress {
    /// The host, if it is an address.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for TrunkAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("\"{text}\" is no host; write \"sip.example.com\" or \"192.0.2.7:5060\"");
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
                (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
            }
            None => {
                let (host, port) = text.split_once(':').unwrap_or((text, ""));
                (host, (!text.ends_with(':')).then_some(port))
            }
        };
        let port = match port.ok_or_else(wrong)? {
            "" => None,
            digits => Some(digits.parse::<u16>().ok().filter(|&n| n > 0).ok_or_else(wrong)?),
        };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let is_host = text.starts_with('[') || (!host.is_empty() && host.bytes().all(fits));
        let is_short = host.len() <= 253;
        (is_host && is_short).then(|| Self { host: host.to_owned(), port }).ok_or_else(wrong)
    }
}

impl fmt::Display for TrunkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// How a provider wants numbers written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberFormat {
    /// `+79161112233`
    #[default]
    E164,
    /// `79161112233`
    Digits,
    /// `89161112233`
    National,
}

impl NumberFormat {
    const ALL: [Self; 3] = [Self::E164, Self::Digits, Self::National];
}

impl fmt::Display for NumberFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::E164 => "e164",
            Self::Digits => "digits",
            Self::National => "national",
        })
    }
}

impl FromStr for NumberFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|format| format.to_string() == text);
        known.ok_or_else(|| {
            format!(
                "\"{text}\" is no way to write numbers; write \"e164\", \"digits\" or \"national\""
            )
        })
    }
}

/// What stands in From.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrunkFrom {
    #[default]
    CallerId,
    Username,
}

impl fmt::Display for TrunkFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CallerId => "caller-id",
            Self::Username => "username",
        })
    }
}

impl FromStr for TrunkFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::CallerId, Self::Username].into_iter();
        let mut known = known.filter(|from| from.to_string() == text);
        known.next().ok_or_else(|| {
            format!("\"{text}\" can't stand in From; write \"caller-id\" or \"username\"")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_providers_are_names_or_addresses_with_or_without_a_port() {
        for (text, host, port) in [
            ("sip.example.com", "sip.example.com", None),
            ("sip.example.com:5070", "sip.example.com", Some(5070)),
            ("192.0.2.7", "192.0.2.7", None),
            ("[2001:db8::7]", "2001:db8::7", None),
            ("[2001:db8::7]:5061", "2001:db8::7", Some(5061)),
        ] {
            let address: TrunkAddress = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string(), text);
        }
        for text in ["", " ", "a b", "a:", "a:0", "a:70000", "sip:a", "[::1", "[x]", "a;b", "::1"] {
            assert!(text.parse::<TrunkAddress>().is_err(), "{text}");
        }
    }
}
