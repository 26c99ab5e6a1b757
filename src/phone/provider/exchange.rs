//! The task that owns the provider's SIP socket: it lets calls in and leads each message to its call.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::customer::Customer;
use super::lock::{Lock, Proof};
use super::script::Script;
use super::tally::{Book, CALLS_MAX, Registered, TakenCall};
use super::{OnRegister, ProviderCall, ProviderOptions};
use crate::phone::signalling::{ALLOW, finish, response};
use crate::phone::timeline::{Ending, PhoneEvent};
use crate::phone::wire::{Incoming, Start};
use crate::sip::message::NameAddr;

/// Largest UDP datagram.
const DATAGRAM_MAX: usize = 65_535;
/// Messages that wait for one call; what comes beyond gets lost, as on the way.
const MESSAGES_MAX: usize = 32;

/// What a provider is told.
pub(super) enum Command {
    Otherwise(Script),
    Number(String, VecDeque<Script>),
    OnRegister(OnRegister),
    Deafen(bool),
    ChangeNonce,
    Stop,
}

/// The provider.
pub(super) struct Exchange {
    socket: Arc<UdpSocket>,
    book: Arc<Book>,
    otherwise: Script,
    /// For each number what becomes of its next calls; the last one stays.
    numbers: BTreeMap<String, VecDeque<Script>>,
    lock: Option<Lock>,
    challenges_invites: bool,
    on_register: OnRegister,
    is_deaf: bool,
    /// By Call-ID.
    calls: BTreeMap<String, mpsc::Sender<Incoming>>,
    /// Call-ID and number of each INVITE that came; no more than [`CALLS_MAX`] are let in.
    seen: BTreeSet<(String, u32)>,
    tasks: JoinSet<()>,
}

impl Exchange {
    pub fn new(options: ProviderOptions, socket: Arc<UdpSocket>, book: Arc<Book>) -> Self {
        let algorithms = options.algorithms;
        Self {
            socket,
            book,
            otherwise: options.otherwise,
            numbers: BTreeMap::new(),
            lock: options.credentials.map(|who| Lock::new(who, algorithms)),
            challenges_invites: options.challenges_invites,
            on_register: options.on_register,
            is_deaf: false,
            calls: BTreeMap::new(),
            seen: BTreeSet::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Lives until it is told to stop or nobody holds the provider any more.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            tokio::select! {
                // What the test says holds for everything that comes after it.
                biased;
                command = commands.recv() => match command {
                    None | Some(Command::Stop) => break,
                    Some(command) => self.obey(command),
                },
                received = self.socket.recv_from(&mut buffer) => {
                    // An ICMP error of an earlier datagram is no message.
                    if let Ok((length, source)) = received
                        && !self.is_deaf
                        && let Some(message) = Incoming::read(&Bytes::copy_from_slice(&buffer[..length]))
                    {
                        self.receive(message, source).await;
                    }
                }
            }
        }
        self.tasks.shutdown().await;
        // Before the commands, whose end says that the socket is closed.
        drop(self);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Otherwise(script) => self.otherwise = script,
            Command::Number(number, scripts) => {
                self.numbers.insert(number, scripts);
            }
            Command::OnRegister(on_register) => self.on_register = on_register,
            Command::Deafen(is_deaf) => self.is_deaf = is_deaf,
            Command::ChangeNonce => {
                if let Some(lock) = &mut self.lock {
                    lock.change();
                }
            }
            Command::Stop => {}
        }
    }

    async fn receive(&mut self, message: Incoming, source: SocketAddr) {
        let Start::Request { method } = &message.start else {
            return self.lead(message);
        };
        match method.as_str() {
            "INVITE" if !self.is_known(&message) => self.invited(message, source).await,
            "INVITE" => {
                self.book.write(|tally| tally.repeated += 1);
                self.lead(message);
            }
            "REGISTER" => self.asked_to_register(&message, source).await,
            "OPTIONS" if !self.calls.contains_key(&message.call_id) => {
                self.book.write(|tally| tally.options += 1);
                self.reply(&message, source, "200 OK", ALLOW).await;
            }
            "ACK" => self.lead(message),
            _ if self.calls.contains_key(&message.call_id) => self.lead(message),
            _ => self.reply(&message, source, "481 Call/Transaction Does Not Exist", "").await,
        }
    }

    /// Whether the INVITE is repeated, or of a call that is up.
    fn is_known(&self, message: &Incoming) -> bool {
        self.calls.contains_key(&message.call_id)
            || self.seen.contains(&(message.call_id.clone(), message.cseq.0))
    }

    fn lead(&mut self, message: Incoming) {
        let Some(call) = self.calls.get(&message.call_id) else { return };
        // Too many messages get lost, as on the way; those of a call that is over are not missed.
        let _ = call.try_send(message);
    }

    async fn invited(&mut self, message: Incoming, source: SocketAddr) {
        if self.challenges_invites && !self.is_let_in(&message, source).await {
            return;
        }
        if self.seen.len() >= CALLS_MAX {
            return self.reply(&message, source, "503 Service Unavailable", "").await;
        }
        self.seen.insert((message.call_id.clone(), message.cseq.0));
        self.calls.retain(|_, call| !call.is_closed());
        while self.tasks.try_join_next().is_some() {}
        let number = message.dialled.clone().unwrap_or_default();
        let script = self.script_of(&number);
        let is_lost = script.is_lost();
        let call = self.book.write(|tally| {
            let call = ProviderCall(tally.calls.len());
            tally.calls.push(TakenCall::read(call, number, &message));
            if !is_lost {
                tally.at_once += 1;
                tally.at_once_max = tally.at_once_max.max(tally.at_once);
            }
            call
        });
        if is_lost {
            return;
        }
        let (socket, book) = (self.socket.clone(), self.book.clone());
        match Customer::new(call, script, &message, socket, source, book).await {
            Some(customer) => {
                let (sender, messages) = mpsc::channel(MESSAGES_MAX);
                self.calls.insert(message.call_id, sender);
                self.tasks.spawn(customer.run(messages));
            }
            None => {
                self.book.tell(call, Instant::now(), &PhoneEvent::Ended { why: Ending::Failed });
                self.reply(&message, source, "503 Service Unavailable", "").await;
            }
        }
    }

    fn script_of(&mut self, number: &str) -> Script {
        let Some(scripts) = self.numbers.get_mut(number) else { return self.otherwise.clone() };
        let next = if scripts.len() > 1 { scripts.pop_front() } else { scripts.front().cloned() };
        next.unwrap_or_else(|| self.otherwise.clone())
    }

    async fn is_let_in(&self, message: &Incoming, source: SocketAddr) -> bool {
        let Some(lock) = &self.lock else { return true };
        let proof = lock.examine(message, "Proxy-Authorization", "INVITE");
        match proof {
            Proof::Right => return true,
            Proof::Missing | Proof::Stale => {
                self.book.write(|tally| tally.challenged += 1);
                let asks = lock.challenge("Proxy-Authenticate", proof == Proof::Stale);
                self.reply(message, source, "407 Proxy Authentication Required", &asks).await;
            }
            Proof::Wrong => {
                self.book.write(|tally| tally.forbidden += 1);
                self.reply(message, source, "403 Forbidden", "").await;
            }
        }
        false
    }

    async fn asked_to_register(&self, message: &Incoming, source: SocketAddr) {
        let expires_max_s = match self.on_register {
            OnRegister::Ignore => return,
            OnRegister::Refuse(code) => {
                return self.reply(message, source, &format!("{code} No"), "").await;
            }
            OnRegister::Grant { expires_max_s } => expires_max_s,
        };
        if let Some(lock) = &self.lock {
            let proof = lock.examine(message, "Authorization", "REGISTER");
            match proof {
                Proof::Right => {}
                Proof::Missing | Proof::Stale => {
                    let asks = lock.challenge("WWW-Authenticate", proof == Proof::Stale);
                    return self.reply(message, source, "401 Unauthorized", &asks).await;
                }
                Proof::Wrong => return self.reply(message, source, "403 Forbidden", "").await,
            }
        }
        let registered = registered(message, expires_max_s);
        let Registered { contact, expires_s, .. } = &registered;
        let extra = format!("Contact: <{contact}>;expires={expires_s}\r\nExpires: {expires_s}\r\n");
        self.book.write(|tally| {
            if tally.registered.len() < CALLS_MAX {
                tally.registered.push(registered);
            }
        });
        self.reply(message, source, "200 OK", &extra).await;
    }

    async fn reply(&self, message: &Incoming, to: SocketAddr, status: &str, extra: &str) {
        let bytes = finish(response(message, status, "provider", extra), None);
        // A datagram that can't be sent is one that got lost; SIP repeats it.
        let _ = self.socket.send_to(&bytes, to).await;
    }
}

fn registered(message: &Incoming, expires_max_s: u64) -> Registered {
    let contact = message.line("Contact").and_then(|line| NameAddr::parse(&line).ok());
    let of_contact = contact.as_ref().and_then(|it| it.params.get("expires")?.parse().ok());
    let of_message = || message.line("Expires")?.trim().parse().ok();
    let asked_s: u64 = of_contact.or_else(of_message).unwrap_or(expires_max_s);
    Registered {
        user: NameAddr::parse(&message.to).ok().and_then(|to| to.uri.user()).unwrap_or_default(),
        contact: message.contact.clone().unwrap_or_default(),
        expires_s: asked_s.min(expires_max_s),
        at: Instant::now(),
    }
}
