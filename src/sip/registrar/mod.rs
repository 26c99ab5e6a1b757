//! Which phones an account has, and whether they answer (RFC 3261 §10.3, RFC 3327, RFC 5626).
//! Without sockets and clocks.
//!
//! - [`request`]: what a REGISTER asks for
//! - this file: the bindings, and what is told of them

pub mod request;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use self::request::{Registration, Wanted, Wish};
use super::border::SipEvent;
use super::message::{NameAddr, Params, SipUri, Uri};
use super::transport::{Flow, Link};
use crate::config::Transport;
use crate::domain::{Login, PhoneState};

/// Contacts of one account. One more takes the place of a silent one, else of the one that was
/// registered longest ago: a phone that forgets its old contacts at each start stays welcome.
pub const CONTACTS_MAX: usize = 10;

/// Names a contact for as long as it is registered; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContactId(u64);

/// Where a phone of an account is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    pub id: ContactId,
    /// The Request-URI of what is sent there.
    pub uri: Uri,
    /// The way there: where the REGISTER came from.
    pub flow: Flow,
    /// The Route of what is sent there, first hop first (RFC 3327).
    pub path: Vec<NameAddr>,
    /// The phone's preference in thousandths; 1,000 if it has none.
    pub q: u16,
}

/// A contact as the answer to a REGISTER lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub uri: SipUri,
    /// As the phone gave them, without `expires`.
    pub params: Params,
    /// Seconds, at least 1.
    pub expires_s: u64,
}

/// The REGISTER is older than what is known of its contact (RFC 3261 §10.3, step 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfOrder;

#[derive(Clone, Debug)]
struct Binding {
    id: ContactId,
    uri: SipUri,
    params: Params,
    instance: Option<Box<str>>,
    q: u16,
    /// Where the REGISTER came from.
    source: SocketAddr,
    /// The way to the phone.
    flow: Flow,
    path: Vec<NameAddr>,
    call_id: Box<str>,
    cseq: u32,
    expires_ms: u64,
    condition: Condition,
    probe_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Answering,
    Silent,
    /// Its connection is gone, and no other leads there.
    CutOff,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Registrar {
    keepalive_ms: u64,
    phones: BTreeMap<Login, Vec<Binding>>,
    owners: BTreeMap<ContactId, Login>,
    /// Contacts by the address that their REGISTER came from.
    sources: BTreeMap<IpAddr, usize>,
    /// What was told of each account; nothing: unregistered.
    told: BTreeMap<Login, (PhoneState, Option<IpAddr>)>,
    changes: Vec<SipEvent>,
    last_id: u64,
}

impl Registrar {
    /// Each contact is asked every `keepalive_ms` whether it is there.
    pub fn new(keepalive_ms: u64) -> Self {
        Self {
            keepalive_ms: keepalive_ms.max(1),
            phones: BTreeMap::new(),
            owners: BTreeMap::new(),
            sources: BTreeMap::new(),
            told: BTreeMap::new(),
            changes: Vec::new(),
            last_id: 0,
        }
    }

    /// Where the phones of an account are reached that answer, the preferred one first; of equal
    /// ones the newest.
    pub fn contacts(&self, login: &Login) -> Vec<Contact> {
        let bindings = self.phones.get(login).into_iter().flatten();
        let mut contacts: Vec<Contact> = bindings
            .filter(|binding| binding.condition == Condition::Answering)
            .map(Binding::contact)
            .collect();
        contacts.sort_by_key(|contact| std::cmp::Reverse((contact.q, contact.id)));
        contacts
    }

    /// Where this phone is reached, as long as it is registered and not cut off.
    pub fn contact(&self, id: ContactId) -> Option<Contact> {
        let bindings = self.phones.get(self.owners.get(&id)?)?;
        let binding = bindings.iter().find(|binding| binding.id == id)?;
        (binding.condition != Condition::CutOff).then(|| binding.contact())
    }

    /// Whether a phone of any account was registered from this address.
    pub fn is_registered_from(&self, ip: IpAddr) -> bool {
        self.sources.contains_key(&ip.to_canonical())
    }

    /// The ways to all phones.
    pub fn flows(&self) -> impl Iterator<Item = Flow> {
        self.phones.values().flatten().map(|binding| binding.flow)
    }

    /// Whether a phone of this account was registered from this very address and port.
    pub fn is_home(&self, login: &Login, source: SocketAddr) -> bool {
        self.phones.get(login).into_iter().flatten().any(|binding| binding.source == source)
    }

    /// Whether a phone of this account was registered from this address, whatever the port.
    pub fn has_phone_at(&self, login: &Login, ip: IpAddr) -> bool {
        let mut bindings = self.phones.get(login).into_iter().flatten();
        bindings.any(|binding| binding.source.ip().to_canonical() == ip.to_canonical())
    }

    /// Whose phone this is, as long as it is registered.
    pub fn owner(&self, id: ContactId) -> Option<&Login> {
        self.owners.get(&id)
    }

    pub fn is_empty(&self) -> bool {
        self.phones.is_empty()
    }

    /// All that is registered for the account.
    pub fn listed(&self, now_ms: u64, login: &Login) -> Vec<Listed> {
        let bindings = self.phones.get(login).into_iter().flatten();
        let listed = bindings.map(|binding| Listed {
            uri: binding.uri.clone(),
            params: binding.params.clone(),
            expires_s: binding.expires_ms.saturating_sub(now_ms).div_ceil(1000).max(1),
        });
        listed.collect()
    }

    /// Does what a REGISTER asks for, all of it or nothing.
    pub fn register(
        &mut self,
        now_ms: u64,
        login: &Login,
        registration: &Registration,
    ) -> Result<(), OutOfOrder> {
        let mut bindings = self.phones.get(login).cloned().unwrap_or_default();
        let is_late = |binding: &Binding| {
            *binding.call_id == *registration.call_id && binding.cseq >= registration.cseq
        };
        match &registration.wish {
            Wish::Query => return Ok(()),
            Wish::RemoveAll => {
                if bindings.iter().any(is_late) {
                    return Err(OutOfOrder);
                }
                bindings.clear();
            }
            Wish::Change(wanted) => {
                for wanted in wanted {
                    let known = bindings.iter().position(|binding| binding.is_of(wanted));
                    if known.is_some_and(|at| is_late(&bindings[at])) {
                        return Err(OutOfOrder);
                    }
                    let known = known.map(|at| bindings.remove(at));
                    if wanted.expires_s > 0 {
                        if bindings.len() >= CONTACTS_MAX {
                            make_room(&mut bindings);
                        }
                        bindings.push(self.bind(now_ms, registration, wanted, known));
                    }
                }
            }
        }
        self.replace(login, bindings);
        Ok(())
    }

    /// A binding that is registered anew keeps its id and its place among the keep-alives.
    fn bind(
        &mut self,
        now_ms: u64,
        registration: &Registration,
        wanted: &Wanted,
        known: Option<Binding>,
    ) -> Binding {
        let (id, probe_ms) = match known {
            Some(known) => (known.id, known.probe_ms),
            None => {
                self.last_id += 1;
                // Neighbours get far-off places in the period.
                let place = self.last_id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
                (ContactId(self.last_id), now_ms + 1 + place % self.keepalive_ms)
            }
        };
        Binding {
            id,
            uri: wanted.uri.clone(),
            params: wanted.params.clone(),
            instance: wanted.instance.clone(),
            q: wanted.q,
            source: registration.flow.remote,
            flow: way_to(&wanted.uri, registration),
            path: registration.path.clone(),
            call_id: registration.call_id.clone(),
            cseq: registration.cseq,
            expires_ms: now_ms + u64::from(wanted.expires_s) * 1000,
            condition: Condition::Answering,
            probe_ms,
        }
    }

    /// The phone gave a final answer to a request of ours.
    pub fn answered(&mut self, id: ContactId) {
        self.set_condition(id, Condition::Answering);
    }

    /// The phone gave no answer at all to a request of ours: it counts as unreachable until it
    /// answers or registers again.
    pub fn failed(&mut self, id: ContactId) {
        self.set_condition(id, Condition::Silent);
    }

    fn set_condition(&mut self, id: ContactId, condition: Condition) {
        let Some(login) = self.owners.get(&id).cloned() else { return };
        let bindings = self.phones.get_mut(&login).into_iter().flatten();
        for binding in bindings.filter(|binding| binding.id == id) {
            if binding.condition != Condition::CutOff {
                binding.condition = condition;
            }
        }
        self.tell(&login);
    }

    /// A connection is gone: what was registered over it is unreachable until it registers again.
    pub fn link_closed(&mut self, link: Link) {
        let mut touched = Vec::new();
        for (login, bindings) in &mut self.phones {
            for binding in bindings.iter_mut().filter(|binding| binding.flow.link == link) {
                binding.condition = Condition::CutOff;
                touched.push(login.clone());
            }
        }
        for login in touched {
            self.tell(&login);
        }
    }

    /// Forgets what has expired, and all accounts that `is_kept` denies.
    pub fn sweep(&mut self, now_ms: u64, is_kept: impl Fn(&Login) -> bool) {
        let touched: Vec<Login> = self
            .phones
            .iter()
            .filter(|(login, bindings)| {
                !is_kept(login) || bindings.iter().any(|binding| binding.expires_ms <= now_ms)
            })
            .map(|(login, _)| login.clone())
            .collect();
        for login in touched {
            let mut bindings = self.phones.get(&login).cloned().unwrap_or_default();
            bindings.retain(|binding| is_kept(&login) && binding.expires_ms > now_ms);
            self.replace(&login, bindings);
        }
    }

    /// The contacts whose turn it is to be asked whether they are there.
    pub fn due_probes(&mut self, now_ms: u64) -> Vec<Contact> {
        let keepalive_ms = self.keepalive_ms;
        let bindings = self.phones.values_mut().flatten();
        let due = bindings
            .filter(|binding| binding.probe_ms <= now_ms && binding.condition != Condition::CutOff);
        due.map(|binding| {
            binding.probe_ms = now_ms + keepalive_ms;
            binding.contact()
        })
        .collect()
    }

    /// What has changed since it was last asked, each change once.
    pub fn take_changes(&mut self) -> Vec<SipEvent> {
        std::mem::take(&mut self.changes)
    }

    fn replace(&mut self, login: &Login, bindings: Vec<Binding>) {
        for old in self.phones.remove(login).into_iter().flatten() {
            self.owners.remove(&old.id);
            let source = old.source.ip().to_canonical();
            if let Some(count) = self.sources.get_mut(&source) {
                *count -= 1;
                if *count == 0 {
                    self.sources.remove(&source);
                }
            }
        }
        for new in &bindings {
            self.owners.insert(new.id, login.clone());
            *self.sources.entry(new.source.ip().to_canonical()).or_default() += 1;
        }
        if !bindings.is_empty() {
            self.phones.insert(login.clone(), bindings);
        }
        self.tell(login);
    }

    fn tell(&mut self, login: &Login) {
        let bindings = self.phones.get(login).map_or(&[][..], |bindings| bindings);
        let answering = bindings.iter().rev().find(|b| b.condition == Condition::Answering);
        let state = match (answering, bindings) {
            (Some(_), _) => PhoneState::Reachable,
            (None, [_, ..]) => PhoneState::Unreachable,
            (None, []) => PhoneState::Unregistered,
        };
        let shown = answering.or(bindings.last());
        let now = (state, shown.map(|binding| binding.flow.local.ip().to_canonical()));
        let before = self.told.get(login).copied().unwrap_or_default();
        if now == before {
            return;
        }
        if state == PhoneState::Unregistered {
            self.told.remove(login);
        } else {
            self.told.insert(login.clone(), now);
        }
        let (state, local) = now;
        self.changes.push(SipEvent::PhoneChanged { login: login.clone(), state, local });
    }
}

impl Binding {
    fn contact(&self) -> Contact {
        Contact {
            id: self.id,
            uri: Uri::Sip(self.uri.clone()),
            flow: self.flow,
            path: self.path.clone(),
            q: self.q,
        }
    }

    /// The same phone: by its instance (RFC 5626 §6), else by its address (RFC 3261 §19.1.4).
    fn is_of(&self, wanted: &Wanted) -> bool {
        let same_instance = self.instance.is_some() && self.instance == wanted.instance;
        same_instance || request::is_same_address(&self.uri, &wanted.uri)
    }
}

fn make_room(bindings: &mut Vec<Binding>) {
    let silent = bindings.iter().position(|binding| binding.condition != Condition::Answering);
    bindings.remove(silent.unwrap_or(0));
}

/// Where the phone listens. It is reached where its REGISTER came from, as that passes every NAT;
/// but a phone that names another port at that very address sends and listens at two.
fn way_to(uri: &SipUri, registration: &Registration) -> Flow {
    let flow = registration.flow;
    let is_direct = flow.transport() == Transport::Udp && registration.path.is_empty();
    match uri.ip().filter(|ip| is_direct && *ip == flow.remote.ip()) {
        Some(ip) => Flow { remote: SocketAddr::new(ip, uri.port.unwrap_or(5060)), ..flow },
        None => flow,
    }
}
