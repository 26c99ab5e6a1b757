//! Every section and key of `allo.toml`.
//!
//! The comments on the fields are what admins read in `allo config describe`; the values of
//! `Default` are what a server without a file runs with.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::trunk::Trunk;
use super::values::{
    DatabaseUrl, Listen, Network, Period, PortRange, Secret, text, text_list, text_option,
};
use crate::domain::{DigestChoice, Language, Region};

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    pub sip: Sip,
    pub rtp: Rtp,
    pub web: Web,
    pub database: DatabaseSettings,
    pub dialplans: Dialplans,
    pub prompts: Prompts,
    pub recordings: Recordings,
    pub crm: Crm,
    pub shutdown: Shutdown,
    #[serde(rename = "trunk", skip_serializing_if = "Vec::is_empty")]
    pub trunks: Vec<Trunk>,
}

/// Signalling: where calls arrive and whom to believe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sip {
    /// Addresses to listen on: `udp:`, `tcp:` or `tls:`, then address and port. 0.0.0.0 is every
    /// IPv4 address of this machine, `[::]` every IPv6 address. TLS is usually on port 5061.
    #[schemars(with = "Vec<String>")]
    #[serde(with = "text_list")]
    pub listen: Vec<Listen>,
    /// The address that callers reach this server at, when it stands behind NAT. It is written into
    /// Contact and SDP. Not set: the address that the caller's packets arrive at.
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_address: Option<IpAddr>,
    /// The country whose way of writing numbers is understood: 8 (916) 111-22-33 is +79161112233
    /// in RU. An ISO 3166 code.
    #[schemars(with = "String")]
    #[serde(with = "text")]
    pub region: Region,
    /// Addresses or networks of trunks whose P-Asserted-Identity and Remote-Party-ID are believed.
    /// From anybody else only From counts.
    #[schemars(with = "Vec<String>")]
    #[serde(with = "text_list")]
    pub trusted: Vec<Network>,
    /// The name in which operators' phones prove their passwords. Passwords are stored as hashes
    /// made for it: after a change every operator needs a new one.
    pub realm: String,
    /// What operators' phones prove their password by: "md5", which every phone understands,
    /// "sha-256", or "both". An operator may have a choice of their own.
    #[schemars(with = "String")]
    pub digest: DigestChoice,
    /// How often each registered phone is asked whether it is there (OPTIONS). This also keeps its
    /// way through a router open. One that does not answer is unreachable and is not rung.
    pub keepalive: Period,
    pub limits: Limits,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

impl Default for Sip {
    fn default() -> Self {
        let every_address: IpAddr = [0, 0, 0, 0].into();
        let address = SocketAddr::new(every_address, 5060);
        Self {
            listen: vec![Listen::udp(address), Listen::tcp(address)],
            public_address: None,
            region: Region::default(),
            trusted: Vec::new(),
            realm: "allo".to_owned(),
            digest: DigestChoice::default(),
            keepalive: Period::seconds(30),
            limits: Limits::default(),
            tls: None,
        }
    }
}

/// The certificate for TLS, needed if something listens on `tls:`. Changed files are read again by
/// themselves; running connections keep the certificate that they began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// A PEM file: the certificate, then those of the authorities between it and a known one.
    pub certificate: PathBuf,
    /// A PEM file: the private key of the certificate.
    pub key: PathBuf,
}

/// What is too much. Calls above a limit get 503 with Retry-After.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Calls at the same time.
    pub calls: u32,
    /// New calls in a second, from everybody together; evenly: an eighth of them, or a hundred, may come at
    /// once.
    pub calls_per_second: u32,
    /// New calls in a second from one address. Trusted addresses, and this machine
    /// itself, have only the limit above.
    pub calls_per_second_per_source: u32,
    /// TCP connections at the same time. When one more comes, one that is silent and over which neither a
    /// phone is registered nor a call is up makes room; one address keeps a quarter of such ones at most.
    pub connections: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 8000,
            calls_per_second: 4000,
            calls_per_second_per_source: 3000,
            connections: 1000,
        }
    }
}

/// Media.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rtp {
    /// UDP ports for RTP and RTCP, first and last; a call takes two. Open them in the firewall.
    #[schemars(with = "String")]
    #[serde(with = "text")]
    pub ports: PortRange,
    /// A call ends when neither RTP nor RTCP came for this long while it was not on hold.
    pub dead_after: Period,
    /// Sends the packets of all calls by one raw socket, which takes a quarter less of the processor.
    /// Needs the right CAP_NET_RAW, which root has; without it, and with `false`, each call sends by
    /// a socket of its own.
    pub raw_socket: bool,
}

impl Default for Rtp {
    fn default() -> Self {
        Self {
            ports: PortRange { first: 16_384, last: 32_767 },
            dead_after: Period::seconds(30),
            raw_socket: true,
        }
    }
}

/// HTTP: /health, /metrics and the API (docs/api.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Web {
    /// Address and port. 127.0.0.1 is this machine alone; any other address needs a token.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// What clients must show for everything but /health: the header "Authorization: Bearer TOKEN".
    /// At least 16 characters, for example from `openssl rand -hex 24`. Not set: nothing is asked for,
    /// which is allowed on 127.0.0.1 and ::1 only.
    #[schemars(with = "String")]
    #[serde(with = "text_option", skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

impl Default for Web {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), token: None }
    }
}

/// Where calls, and the customers of the embedded CRM, are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DatabaseSettings {
    /// `sqlite:FILE`, created when missing, or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. Tables
    /// are created and brought up to date at each start.
    #[schemars(with = "String")]
    #[serde(with = "text")]
    pub url: DatabaseUrl,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { url: DatabaseUrl::Sqlite("allo.db".into()) }
    }
}

/// What callers meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dialplans {
    /// Folder of the dialplans (*.kdl); their tests are in its folder `tests`. Changes are taken
    /// over while calls are up.
    pub folder: PathBuf,
}

impl Default for Dialplans {
    fn default() -> Self {
        Self { folder: "dialplans".into() }
    }
}

/// What callers hear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Prompts {
    /// Folder of the recordings: LANGUAGE/NAME.wav (8000 Hz, mono, 16 bit) and
    /// LANGUAGE/catalogue.tsv with their texts.
    pub folder: PathBuf,
    pub render: Render,
}

impl Default for Prompts {
    fn default() -> Self {
        Self { folder: "prompts".into(), render: Render::default() }
    }
}

/// Programs that speak missing texts for `allo prompts render`, one for each language. Such a
/// program reads the text (UTF-8) from its standard input and writes a WAV file to {file}. The words
/// are the program and its arguments; no shell is involved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Render {
    /// For Russian.
    #[schemars(with = "Vec<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ru: Option<Vec<String>>,
    /// For English.
    #[schemars(with = "Vec<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub en: Option<Vec<String>>,
}

impl Render {
    /// The command for a language.
    pub fn command(&self, language: Language) -> Option<&[String]> {
        match language {
            Language::Russian => self.ru.as_deref(),
            Language::English => self.en.as_deref(),
        }
    }
}

/// What callers and operators said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recordings {
    /// Folder for recorded calls.
    pub folder: PathBuf,
    /// Recordings are deleted after so many days; 0 keeps them for ever.
    pub keep_days: u16,
}

impl Default for Recordings {
    fn default() -> Self {
        Self { folder: "recordings".into(), keep_days: 90 }
    }
}

/// Where the points and orders of a caller are looked up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Crm {
    /// "embedded": the tables that `allo crm import` fills. "sql": a database of yours, see
    /// [crm.sql].
    #[schemars(with = "String")]
    pub source: CrmSource,
    /// No answer within this time counts as a failure; a dialplan may wait less. After three
    /// failures in a row the CRM is left in peace for five seconds.
    pub deadline: Period,
    /// Lookups at the same time; more than these wait, within the deadline.
    pub lookups_at_once: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<CrmSql>,
}

impl Default for Crm {
    fn default() -> Self {
        Self {
            source: CrmSource::Embedded,
            deadline: Period::seconds(4),
            lookups_at_once: 32,
            sql: None,
        }
    }
}

/// The kinds of CRM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrmSource {
    Embedded,
    Sql,
}

/// A database of yours, SQLite or PostgreSQL. Only read, but for the statements `bonus` and
/// `order-status`. Columns are found by name, in any order; columns that are not there are unknown;
/// numbers, texts and dates of any SQL type are understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CrmSql {
    /// `sqlite:FILE`, never created, or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    #[schemars(with = "String")]
    #[serde(with = "text")]
    pub url: DatabaseUrl,
    /// The customers with the phone number $1 (+79161112233). Columns: name, points, vip, manager,
    /// language, balance, card, timezone.
    pub customers: String,
    /// The orders of the phone number $1. Columns: number, status, due, sum, updated. Not set:
    /// orders are not known.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<String>,
    /// The order whose number, without dashes and spaces, is $1 (digits and capital letters). Not
    /// set: callers can't ask by number for orders that are not their own.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Gives the customer with the phone number $1 $2 points because of $3. $4 names this gift: the
    /// same $4 again is the same gift. Not set: a plan's `bonus` is only noted.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bonus: Option<String>,
    /// Sets order $2 (as the plan or the event wrote it) of the phone number $1 to status $3. $4 as
    /// for `bonus`. Not set: a plan's `order-status` is only noted.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_status: Option<String>,
    /// What happened in the shop lately. Columns: id, event (balance.low), phone; every other column
    /// is a value of the event. The same id of the same event again changes nothing, so the query
    /// may find old ones too. Not set: the database is not asked for events.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<String>,
    /// How often it is asked for events.
    #[serde(default = "CrmSql::default_events_every")]
    pub events_every: Period,
}

impl CrmSql {
    pub fn default_events_every() -> Period {
        Period::seconds(30)
    }
}

/// Stopping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Shutdown {
    /// On SIGTERM new calls are refused and running calls may go on for this long.
    pub drain: Period,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { drain: Period::seconds(30) }
    }
}
