//! The servers of a provider by DNS (RFC 3263 §4): SRV, then A and AAAA; a port or an address in the
//! settings leaves SRV out. Each provider has a task of its own that looks again when an answer has
//! grown old: no call ever waits for DNS.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{RData, Record};
use tokio::sync::mpsc;

use super::super::transport::Inbound;
use super::pause::pause_ms;
use super::servers::Server;
use crate::config::{Transport, Trunk};

/// An answer counts for so long at least and at most, seconds, whatever DNS says.
const VALID_S: std::ops::RangeInclusive<u32> = 30..=3_600;
/// All questions about one provider together must be answered within this time.
const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN_FIRST_MS: u64 = 2_000;
const AGAIN_LONGEST_MS: u64 = 120_000;

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    pub host: String,
}

/// Records, none if there are none, and for how many seconds they hold.
pub type Answer<T> = Result<(Vec<T>, u32), NetError>;

/// What is asked of DNS.
pub trait Dns: Send + Sync + 'static {
    fn srv(&self, name: &str) -> impl Future<Output = Answer<Srv>> + Send;
    fn addresses(&self, host: &str) -> impl Future<Output = Answer<IpAddr>> + Send;
}

/// The DNS of this machine: its resolv.conf and hosts file.
#[derive(Clone)]
pub struct SystemDns(TokioResolver);

impl SystemDns {
    /// An error says what is wrong with the machine's DNS settings.
    pub fn new() -> Result<Self, NetError> {
        Ok(Self(TokioResolver::builder_tokio()?.build()?))
    }
}

impl Dns for SystemDns {
    async fn srv(&self, name: &str) -> Answer<Srv> {
        let found = self.0.srv_lookup(name).await;
        records(found.as_ref().map(|lookup| lookup.answers()).map_err(Clone::clone), |data| {
            let RData::SRV(srv) = data else { return None };
            let host = srv.target.to_ascii();
            Some(Srv { priority: srv.priority, weight: srv.weight, port: srv.port, host })
        })
    }

    async fn addresses(&self, host: &str) -> Answer<IpAddr> {
        let found = self.0.lookup_ip(host).await;
        let found = found.as_ref().map(|lookup| lookup.as_lookup().answers());
        records(found.map_err(Clone::clone), |data| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        })
    }
}

fn records<T>(found: Result<&[Record], NetError>, read: impl Fn(&RData) -> Option<T>) -> Answer<T> {
    match found {
        Ok(found) => {
            let valid_s = found.iter().map(|record| record.ttl).min();
            Ok((found.iter().filter_map(|r| read(&r.data)).collect(), valid_s.unwrap_or(0)))
        }
        Err(error) if error.is_no_records_found() => Ok((Vec::new(), 0)),
        Err(error) => Err(error),
    }
}

/// Tells all news of a provider's servers, for as long as somebody hears them.
pub async fn follow(dns: impl Dns, number: usize, trunk: Trunk, to: mpsc::Sender<Inbound>) {
    let mut known = Vec::new();
    let mut failures = 0;
    loop {
        let located = match tokio::time::timeout(PATIENCE, locate(&dns, &trunk)).await {
            Ok(located) => located,
            Err(_) => Err("no answer".to_owned()),
        };
        let pause = match located {
            Ok((servers, valid_s)) => {
                failures = 0;
                if servers != known {
                    known.clone_from(&servers);
                    if to.send(Inbound::Located { trunk: number, servers }).await.is_err() {
                        return;
                    }
                }
                Duration::from_secs(valid_s.clamp(*VALID_S.start(), *VALID_S.end()).into())
            }
            Err(why) => {
                failures += 1;
                if failures == 1 {
                    // What was known before goes on being used.
                    tracing::warn!(trunk = trunk.name, why, "DNS does not say where a trunk is");
                }
                let pause = pause_ms(AGAIN_FIRST_MS, AGAIN_LONGEST_MS, failures, rand::random());
                Duration::from_millis(pause)
            }
        };
        tokio::time::sleep(pause).await;
        if to.is_closed() {
            return;
        }
    }
}

/// The servers of a provider, and for how many seconds that holds. At most [`Server::COUNT_MAX`].
pub async fn locate(dns: &impl Dns, trunk: &Trunk) -> Result<(Vec<Server>, u32), String> {
    let host = trunk.address.host.as_str();
    if trunk.address.port.is_none() {
        let (service, carrier) = match trunk.transport {
            Transport::Udp => ("sip", "udp"),
            Transport::Tcp => ("sip", "tcp"),
            Transport::Tls => ("sips", "tcp"),
        };
        // Without SRV, or if its lookup fails, the host itself is the server (RFC 3263 §4.2).
        let name = format!("_{service}._{carrier}.{}.", host.trim_end_matches('.'));
        match dns.srv(&name).await {
            Ok((records, valid_s)) if !records.is_empty() => {
                return by_srv(dns, records, valid_s).await;
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(trunk = trunk.name, %error, "no SRV"),
        }
    }
    let port = trunk.address.port.unwrap_or_else(|| default_port(trunk.transport));
    let (ips, valid_s) = dns.addresses(host).await.map_err(|error| error.to_string())?;
    let servers = ips.into_iter().map(|ip| Server::equal(SocketAddr::new(ip, port)));
    some(servers.collect(), valid_s)
}

/// 5060, and 5061 for TLS.
pub fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => 5060,
        Transport::Tls => 5061,
    }
}

async fn by_srv(
    dns: &impl Dns,
    mut records: Vec<Srv>,
    mut valid_s: u32,
) -> Result<(Vec<Server>, u32), String> {
    // RFC 2782: "." says that there is no such service here.
    records.retain(|srv| srv.host != ".");
    records.sort_by_key(|srv| srv.priority);
    let mut servers = Vec::new();
    for srv in records.into_iter().take(Server::COUNT_MAX) {
        // A server whose address is not found is one that is not there; the others are.
        let Ok((ips, host_valid_s)) = dns.addresses(&srv.host).await else { continue };
        valid_s = valid_s.min(host_valid_s);
        servers.extend(ips.into_iter().map(|ip| Server {
            address: SocketAddr::new(ip, srv.port),
            priority: srv.priority,
            weight: srv.weight,
        }));
    }
    some(servers, valid_s)
}

fn some(mut servers: Vec<Server>, valid_s: u32) -> Result<(Vec<Server>, u32), String> {
    servers.truncate(Server::COUNT_MAX);
    // The order in which DNS tells equals changes from answer to answer, and is no news.
    servers.sort_by_key(|server| (server.priority, server.weight, server.address));
    servers.dedup();
    if servers.is_empty() {
        return Err("there is no such host".to_owned());
    }
    Ok((servers, valid_s))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Default)]
    struct Zone {
        srv: BTreeMap<&'static str, Vec<Srv>>,
        addresses: BTreeMap<&'static str, Vec<IpAddr>>,
        srv_fails: bool,
    }

    impl Dns for Zone {
        async fn srv(&self, name: &str) -> Answer<Srv> {
            if self.srv_fails {
                return Err(NetError::Timeout);
            }
            Ok((self.srv.get(name).cloned().unwrap_or_default(), 300))
        }

        async fn addresses(&self, host: &str) -> Answer<IpAddr> {
            let known = self.addresses.get(host).cloned();
            known.map(|ips| (ips, 60)).ok_or(NetError::Timeout)
        }
    }

    fn srv(priority: u16, weight: u16, host: &str) -> Srv {
        Srv { priority, weight, port: 5070, host: host.to_owned() }
    }

    fn zone() -> Zone {
        let ip = |last: u8| vec![IpAddr::from([192, 0, 2, last])];
        let srv = vec![srv(20, 1, "c."), srv(10, 5, "b."), srv(10, 5, "a."), srv(10, 5, "gone.")];
        Zone {
            srv: [("_sip._udp.sip.example.com.", srv)].into(),
            addresses: [("a.", ip(1)), ("b.", ip(2)), ("c.", ip(3)), ("sip.example.com", ip(9))]
                .into(),
            srv_fails: false,
        }
    }

    async fn located(zone: &Zone, address: &str) -> Result<Vec<(String, u16)>, String> {
        let trunk = Trunk::new("a", address.parse().unwrap());
        let (servers, _) = locate(zone, &trunk).await?;
        Ok(servers.into_iter().map(|s| (s.address.to_string(), s.priority)).collect())
    }

    #[tokio::test]
    async fn servers_come_by_priority_and_one_without_address_is_left_out() {
        let expected = [("192.0.2.1:5070", 10), ("192.0.2.2:5070", 10), ("192.0.2.3:5070", 20)];
        let expected = expected.map(|(address, priority)| (address.to_owned(), priority));
        assert_eq!(located(&zone(), "sip.example.com").await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_port_leaves_srv_out_and_a_host_without_srv_is_the_server() {
        let direct = |port| Ok(vec![(format!("192.0.2.9:{port}"), 0)]);
        assert_eq!(located(&zone(), "sip.example.com:5080").await, direct(5080));
        let without = Zone { srv: BTreeMap::new(), ..zone() };
        assert_eq!(located(&without, "sip.example.com").await, direct(5060));
        let broken = Zone { srv_fails: true, ..zone() };
        assert_eq!(located(&broken, "sip.example.com").await, direct(5060));
    }

    #[tokio::test]
    async fn a_service_that_is_denied_or_unknown_is_an_error() {
        let denied = [("_sip._udp.sip.example.com.", vec![srv(0, 0, ".")])].into();
        let denied = Zone { srv: denied, ..zone() };
        assert!(located(&denied, "sip.example.com").await.is_err());
        assert!(located(&zone(), "nowhere.example.com").await.is_err());
    }

    #[tokio::test]
    async fn what_is_found_is_told_with_the_place_of_its_trunk() {
        let (sender, mut news) = mpsc::channel(4);
        let trunk = Trunk::new("a", "sip.example.com".parse().unwrap());
        let following = tokio::spawn(follow(zone(), 7, trunk, sender));
        let Some(Inbound::Located { trunk: 7, servers }) = news.recv().await else {
            panic!("nothing was found")
        };
        assert_eq!(servers.len(), 3);
        following.abort();
    }
}
