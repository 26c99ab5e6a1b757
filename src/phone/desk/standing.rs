//! What a phone asks for and renews as long as it lives: its registration (RFC 3261 §10) and the
//! lamps that it watches (RFC 6665, RFC 4235). A state machine without sockets.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::DeskFact;
use crate::phone::digest::{Challenge, Credentials};
use crate::phone::signalling::{ALLOW, GIVE_UP, T1, T2, escape, finish, response};
use crate::phone::wire::{Incoming, Start};
use crate::sip::message::NameAddr;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Registration,
    /// The state of this lamp: `201`, `*46201`.
    Lamp(String),
}

/// Who asks, and where.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub server: SocketAddr,
    pub local: SocketAddr,
    pub credentials: Credentials,
    /// Makes tags, branches and the Call-ID unlike others.
    pub unique: String,
    /// Whether it asks again before the time is up.
    pub renews: bool,
}

/// What the shell has to do.
pub(super) enum Todo {
    Send(Vec<u8>),
    Tell(DeskFact),
}

/// One wish.
pub(super) struct Standing {
    wish: Wish,
    asker: Asker,
    sequence: u32,
    expires_s: u64,
    remote: String,
    target: String,
    pending: Option<Pending>,
    renew_at: Option<Duration>,
    todo: VecDeque<Todo>,
}

/// The request that waits for its final response.
struct Pending {
    branch: String,
    bytes: Vec<u8>,
    resend_at: Duration,
    interval: Duration,
    give_up_at: Duration,
    challenges: u8,
}

impl Standing {
    pub fn new(wish: Wish, asker: Asker) -> Self {
        let (server, user) = (asker.server, escape(&asker.credentials.user));
        let (target, remote) = match &wish {
            Wish::Registration => (format!("sip:{server}"), format!("<sip:{user}@{server}>")),
            Wish::Lamp(lamp) => {
                let uri = format!("sip:{}@{server}", escape(lamp));
                (uri.clone(), format!("<{uri}>"))
            }
        };
        Self {
            wish,
            asker,
            sequence: 0,
            expires_s: 0,
            remote,
            target,
            pending: None,
            renew_at: None,
            todo: VecDeque::new(),
        }
    }

    pub fn poll(&mut self) -> Option<Todo> {
        self.todo.pop_front()
    }

    pub fn call_id(&self) -> String {
        format!("{}@{}", self.asker.unique, self.asker.local.ip())
    }

    /// Asks for so many seconds; 0 takes it back.
    pub fn ask(&mut self, now: Duration, expires_s: u64) {
        (self.expires_s, self.renew_at) = (expires_s, None);
        self.send(now, "", 0);
    }

    fn method(&self) -> &'static str {
        match self.wish {
            Wish::Registration => "REGISTER",
            Wish::Lamp(_) => "SUBSCRIBE",
        }
    }

    fn send(&mut self, now: Duration, authorization: &str, challenges: u8) {
        self.sequence += 1;
        let Asker { server, local, credentials, unique, .. } = &self.asker;
        let (user, method, sequence) = (escape(&credentials.user), self.method(), self.sequence);
        let branch = format!("z9hG4bK{unique}.{sequence}");
        let about = match self.wish {
            Wish::Registration => ALLOW,
            Wish::Lamp(_) => "Event: dialog\r\nAccept: application/dialog-info+xml\r\n",
        };
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch={branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag={unique}\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {sequence} {method}\r\nContact: <sip:{user}@{local}>\r\n\
             Expires: {}\r\nUser-Agent: allo-phone\r\n{about}{authorization}",
            self.target,
            self.remote,
            self.call_id(),
            self.expires_s,
        );
        let bytes = finish(text, None);
        self.todo.push_back(Todo::Send(bytes.clone()));
        self.pending = Some(Pending {
            branch,
            bytes,
            resend_at: now + T1,
            interval: T1,
            give_up_at: now + GIVE_UP,
            challenges,
        });
    }

    pub fn next_timer(&self) -> Option<Duration> {
        let pending = self.pending.as_ref().map(|it| it.resend_at.min(it.give_up_at));
        pending.into_iter().chain(self.renew_at).min()
    }

    pub fn on_timer(&mut self, now: Duration) {
        if self.renew_at.is_some_and(|at| at <= now) {
            self.ask(now, self.expires_s);
        }
        let Some(pending) = &mut self.pending else { return };
        if pending.give_up_at <= now {
            self.pending = None;
            self.refused(408);
        } else if pending.resend_at <= now {
            pending.interval = (pending.interval * 2).min(T2);
            pending.resend_at = now + pending.interval;
            self.todo.push_back(Todo::Send(pending.bytes.clone()));
        }
    }

    /// Takes a message with our Call-ID in.
    pub fn receive(&mut self, now: Duration, message: &Incoming) {
        match &message.start {
            Start::Request { method } => self.request(message, method),
            Start::Response { code, .. } => self.response(now, message, *code),
        }
    }

    fn request(&mut self, message: &Incoming, method: &str) {
        let (Wish::Lamp(lamp), "NOTIFY") = (&self.wish, method) else {
            return self.respond(message, "481 Call/Transaction Does Not Exist");
        };
        let body = String::from_utf8_lossy(&message.body).into_owned();
        let state = state_of(&body).to_owned();
        let shown = DeskFact::LampShown { lamp: lamp.clone(), state, body };
        self.todo.push_back(Todo::Tell(shown));
        self.respond(message, "200 OK");
    }

    fn respond(&mut self, message: &Incoming, status: &str) {
        let text = response(message, status, &self.asker.unique, "");
        self.todo.push_back(Todo::Send(finish(text, None)));
    }

    fn response(&mut self, now: Duration, message: &Incoming, code: u16) {
        const CHALLENGES_MAX: u8 = 2;
        let is_ours = |it: &mut Pending| message.branch.as_deref() == Some(&*it.branch);
        if code < 200 {
            return;
        }
        let Some(pending) = self.pending.take_if(is_ours) else { return };
        if let Some(challenge) = Challenge::choose(code, message)
            && pending.challenges < CHALLENGES_MAX
        {
            let Asker { credentials, unique, .. } = &self.asker;
            let line = challenge.answer(credentials, self.method(), &self.target, unique);
            return self.send(now, &line, pending.challenges + 1);
        }
        if code < 300 { self.granted(now, message) } else { self.refused(code) }
    }

    fn granted(&mut self, now: Duration, message: &Incoming) {
        let expires_s = self.granted_s(message);
        if self.asker.renews && self.expires_s > 0 && expires_s > 0 {
            self.renew_at = Some(now + Duration::from_secs(expires_s.min(86_400)).mul_f32(0.8));
        }
        let fact = match &self.wish {
            Wish::Registration if self.expires_s == 0 => DeskFact::Unregistered,
            Wish::Registration => DeskFact::Registered { expires_s },
            Wish::Lamp(lamp) => {
                self.remote.clone_from(&message.to);
                if let Some(contact) = &message.contact {
                    self.target.clone_from(contact);
                }
                DeskFact::LampWatched { lamp: lamp.clone() }
            }
        };
        self.todo.push_back(Todo::Tell(fact));
    }

    /// Of our own contact (RFC 3261 §10.2.4), else of the message.
    fn granted_s(&self, message: &Incoming) -> u64 {
        let ours = self.asker.local.to_string();
        let contacts: Vec<String> = message.lines("Contact").collect();
        let contacts = contacts.iter().flat_map(|line| crate::sip::message::grammar::list(line));
        let mut contacts = contacts.filter_map(|contact| NameAddr::parse(contact).ok());
        let contact = contacts.find(|contact| contact.uri.to_string().contains(&ours));
        let of_contact = contact.and_then(|it| it.params.get("expires")?.parse().ok());
        let of_message = || message.line("Expires")?.trim().parse().ok();
        of_contact.or_else(of_message).unwrap_or(self.expires_s)
    }

    fn refused(&mut self, code: u16) {
        let fact = match &self.wish {
            Wish::Registration => DeskFact::RegistrationRefused { code },
            Wish::Lamp(lamp) => DeskFact::LampRefused { lamp: lamp.clone(), code },
        };
        self.todo.push_back(Todo::Tell(fact));
    }
}

/// The state of the first dialog that is not over, of a dialog-info document.
fn state_of(body: &str) -> &str {
    let elements = body.split("<state").skip(1);
    let texts = elements.filter_map(|rest| rest.split_once('>')?.1.split('<').next());
    texts.map(str::trim).find(|state| *state != "terminated").unwrap_or("terminated")
}
