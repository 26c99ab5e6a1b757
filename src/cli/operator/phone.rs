//! Passwords, and what a softphone must be set to.

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context as _;
use rand::Rng as _;

use crate::config::Config;
use crate::domain::Login;
use crate::sip::transport::local::LocalAddress;

/// Letters and digits that nobody confuses: no i, l, o, 0, 1. 31 of them: 24 are 118 bits, which
/// nobody guesses, whichever digest the phone speaks.
const ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
const LENGTH: usize = 24;
/// What may be given by `--password-stdin`, in characters.
const SHORTEST: usize = 12;
const LONGEST: usize = 128;

/// A password on its way into hashes. Shown only where it is meant to be.
pub(super) struct Password {
    text: String,
    is_made: bool,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Password {
    /// The first line of stdin, or a new one.
    pub(super) fn given_or_made(from_stdin: bool) -> anyhow::Result<Self> {
        if !from_stdin {
            return Ok(Self::made());
        }
        let mut line = String::new();
        io::stdin().read_line(&mut line).context("the password can't be read from stdin")?;
        let text = line.trim_end_matches(['\r', '\n']);
        Self::given(text).map_err(anyhow::Error::msg)
    }

    /// One that somebody thought of.
    pub(super) fn given(text: &str) -> Result<Self, String> {
        let length = text.chars().count();
        if !(SHORTEST..=LONGEST).contains(&length) {
            return Err(format!("a password has {SHORTEST} to {LONGEST} characters"));
        }
        if text.chars().any(char::is_control) {
            return Err("a password holds no control characters".to_owned());
        }
        Ok(Self { text: text.to_owned(), is_made: false })
    }

    /// A new one, from the generator of the system.
    pub(super) fn made() -> Self {
        let mut random = rand::rng();
        let letter = || char::from(ALPHABET[random.random_range(0..ALPHABET.len())]);
        Self { text: std::iter::repeat_with(letter).take(LENGTH).collect(), is_made: true }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether nobody knows it yet.
    pub(super) fn is_made(&self) -> bool {
        self.is_made
    }
}

/// What to type into the phone. A password that was given is not repeated.
pub(super) fn print_settings(
    out: &mut impl Write,
    config: &Config,
    login: &Login,
    password: &Password,
) -> io::Result<()> {
    writeln!(out, "Settings of the phone:")?;
    writeln!(out, "  server    {}", server(config))?;
    writeln!(out, "  user      {login}")?;
    if password.is_made() {
        writeln!(out, "  password  {}", password.text())?;
        writeln!(out, "The password is shown this once; it is stored only as a hash.")?;
    } else {
        writeln!(out, "  password  as given")?;
    }
    Ok(())
}

/// Where phones find the server: `192.168.1.10:5060 (UDP or TCP)`.
pub(super) fn server(config: &Config) -> String {
    let Some(first) = config.sip.listen.first() else {
        return "none: [sip] listen is empty".into();
    };
    let ip = match config.sip.public_address {
        Some(public) => public,
        None if first.address.ip().is_unspecified() => own_address(first.address),
        None => first.address.ip(),
    };
    let address = SocketAddr::new(ip, first.address.port());
    let same_port = config.sip.listen.iter().filter(|l| l.address.port() == address.port());
    let mut transports: Vec<&str> = same_port.map(|listen| listen.transport.token()).collect();
    transports.dedup();
    format!("{address} ({})", transports.join(" or "))
}

/// The address that this machine sends from to the network; without one, its loopback.
fn own_address(listen: SocketAddr) -> IpAddr {
    let (elsewhere, loopback): (SocketAddr, IpAddr) = match listen {
        SocketAddr::V4(_) => ((Ipv4Addr::new(192, 0, 2, 1), 9).into(), Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(_) => {
            let documentation = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
            ((documentation, 9).into(), Ipv6Addr::LOCALHOST.into())
        }
    };
    let found = LocalAddress::new(listen).towards(elsewhere).ip();
    if found.is_unspecified() { loopback } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_passwords_are_long_and_can_be_read_aloud() {
        let (one, other) = (Password::made(), Password::made());
        assert_ne!(one.text(), other.text());
        assert_eq!(one.text().len(), 24);
        assert!(one.text().bytes().all(|byte| ALPHABET.contains(&byte)));
        assert!(!format!("{one:?}").contains(one.text()));
    }

    #[test]
    fn a_password_that_is_too_short_is_refused() {
        assert!(Password::given("12345678901").is_err());
        assert!(Password::given("123456789012").is_ok());
        assert!(Password::given("123456\u{7}789012").is_err());
    }
}
