//! A telephone network for tests and the demo: a SIP trunk behind which every number has a phone that
//! does what its script says. It counts who was called, how often and how many at once.
//!
//! ```no_run
//! # async fn test() {
//! use std::time::Duration;
//! use allo::phone::{Provider, ProviderOptions, Script};
//!
//! let provider = Provider::start(ProviderOptions::default()).await.unwrap();
//! let rated = Script::picks_up(Duration::from_millis(300)).play(&"2s,5".parse().unwrap());
//! provider.on_call("+79161112233", [Script::refuses(486), rated]).await;
//! let second = provider.nth_call("+79161112233", 2).await.unwrap();
//! provider.ended(second.call).await.unwrap();
//! assert_eq!(provider.tally().up_max, 1);
//! # }
//! ```
//!
//! - this file: [`Provider`], the hand on it
//! - [`script`]: what a called phone does
//! - [`tally`]: what was counted and kept
//! - `exchange`: the task that owns the SIP socket; `customer`: one call
//! - `lock`: who may call

mod customer;
mod exchange;
mod lock;
pub mod script;
pub mod tally;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

pub use script::{First, Script, Step, Then};
pub use tally::{NotCounted, Registered, TakenCall, Tally};

pub use super::digest::{Algorithm, Credentials};
use super::playout::Playout;
use super::timeline::Ending;
use exchange::{Command, Exchange};
use tally::Book;

const COMMANDS_MAX: usize = 64;
/// How long a test waits, unless it says otherwise.
const WAIT: Duration = Duration::from_secs(10);

/// A call of one provider, in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProviderCall(usize);

/// What is done with REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRegister {
    /// For as long as was asked, up to a limit.
    Grant {
        expires_max_s: u64,
    },
    Refuse(u16),
    Ignore,
}

/// A network.
#[derive(Clone, Debug)]
pub struct ProviderOptions {
    /// Any free port of 127.0.0.1 unless said otherwise.
    pub listen: SocketAddr,
    /// What becomes of calls to numbers without a script of their own: picked up at once unless
    /// said otherwise.
    pub otherwise: Script,
    /// The account of those who call and register; anybody unless said otherwise.
    pub credentials: Option<Credentials>,
    /// What is offered, in this order; SHA-256 and MD5 unless said otherwise.
    pub algorithms: Vec<Algorithm>,
    /// Whether the account is asked for at each INVITE (407), not only at REGISTER; it is unless
    /// said otherwise.
    pub challenges_invites: bool,
    /// Granted for up to 600 s unless said otherwise.
    pub on_register: OnRegister,
}

impl Default for ProviderOptions {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            otherwise: Script::picks_up(Duration::ZERO),
            credentials: None,
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            challenges_invites: true,
            on_register: OnRegister::Grant { expires_max_s: 600 },
        }
    }
}

/// A network that lives. Dropped, it dies without a word, with all its calls.
pub struct Provider {
    address: SocketAddr,
    commands: mpsc::Sender<Command>,
    book: Arc<Book>,
}

impl Provider {
    pub async fn start(options: ProviderOptions) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(options.listen).await?);
        let (address, book) = (socket.local_addr()?, Arc::new(Book::new()));
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        tokio::spawn(Exchange::new(options, socket, book.clone()).run(queue));
        Ok(Self { address, commands, book })
    }

    /// Where the trunk is reached by UDP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    // ---- manners

    /// What becomes of calls from now on to numbers without a script of their own.
    pub async fn otherwise(&self, script: Script) {
        self.send(Command::Otherwise(script)).await;
    }

    /// What becomes of the next calls to this number, one after the other; the last script stays.
    pub async fn on_call(&self, number: &str, scripts: impl IntoIterator<Item = Script>) {
        let scripts = scripts.into_iter().collect();
        self.send(Command::Number(number.to_owned(), scripts)).await;
    }

    pub async fn on_register(&self, on_register: OnRegister) {
        self.send(Command::OnRegister(on_register)).await;
    }

    /// Hears nothing in SIP until it is told otherwise: the trunk is down. Audio goes on, and the
    /// socket stays open.
    pub async fn be_deaf(&self, is_deaf: bool) {
        self.send(Command::Deafen(is_deaf)).await;
    }

    /// Answers to earlier challenges are stale from now on.
    pub async fn change_nonce(&self) {
        self.send(Command::ChangeNonce).await;
    }

    /// All sockets are closed when this returns; nothing is sent. What comes gets ICMP errors.
    pub async fn die(&self) {
        self.send(Command::Stop).await;
        self.commands.closed().await;
    }

    // ---- what happened

    /// Everything so far.
    pub fn tally(&self) -> Tally {
        self.book.tally()
    }

    /// Waits up to 10 s until `find` finds something.
    pub async fn until<T>(&self, find: impl Fn(&Tally) -> Option<T>) -> Result<T, NotCounted> {
        self.until_within(WAIT, find).await
    }

    pub async fn until_within<T>(
        &self,
        within: Duration,
        find: impl Fn(&Tally) -> Option<T>,
    ) -> Result<T, NotCounted> {
        self.book.until(within, find).await
    }

    /// Waits for the nth call to this number, from 1.
    pub async fn nth_call(&self, number: &str, nth: usize) -> Result<TakenCall, NotCounted> {
        self.until(|tally| tally.calls_to(number).nth(nth.checked_sub(1)?).cloned()).await
    }

    /// Waits until the call is over.
    pub async fn ended(&self, call: ProviderCall) -> Result<Ending, NotCounted> {
        self.until(|tally| tally.get(call)?.ending()).await
    }

    /// Waits until the call is over, and returns what was heard in it if its script keeps audio (of
    /// the last 32 calls).
    pub async fn heard(&self, call: ProviderCall) -> Result<Playout, NotCounted> {
        self.book.playout(call, WAIT).await
    }

    async fn send(&self, command: Command) {
        // A provider that is dead does nothing.
        let _ = self.commands.send(command).await;
    }
}
