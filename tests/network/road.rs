//! A bad network between a phone and the server, in both directions. What happens to which packet is
//! decided by a seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::caller::socket;

/// How bad it is; shares are of one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    pub loss: f64,
    pub repeats: f64,
    /// Each packet is late by 0 to so much; what overtakes what follows from it.
    pub jitter: Duration,
}

/// What happened on the way to the server.
#[derive(Debug, Default)]
pub struct Toll {
    pub lost: AtomicU64,
    is_blocked: AtomicBool,
}

/// The road. Dropped, it is closed.
pub struct Road {
    /// Where the phone sends to instead of the server.
    pub far: SocketAddr,
    /// What the SDP of the phone is to name.
    pub near: SocketAddr,
    pub toll: Arc<Toll>,
    server: Arc<Mutex<Option<SocketAddr>>>,
    tasks: [JoinHandle<()>; 2],
}

impl Road {
    /// In front of the phone with this address.
    pub async fn open(phone: SocketAddr, weather: Weather, seed: u64) -> Self {
        println!("seed of the road: {seed}");
        let (far, near) = (socket("127.0.0.1").await, socket("127.0.0.1").await);
        let server = Arc::<Mutex<Option<SocketAddr>>>::default();
        let toll = Arc::<Toll>::default();
        let there = Lane {
            from: far.clone(),
            by: near.clone(),
            to: server.clone(),
            weather,
            random: StdRng::seed_from_u64(seed),
            toll: toll.clone(),
        };
        let back_toll = Arc::new(Toll::default());
        let back = Lane {
            from: near.clone(),
            by: far.clone(),
            to: Arc::new(Mutex::new(Some(phone))),
            weather,
            random: StdRng::seed_from_u64(seed ^ 1),
            toll: back_toll,
        };
        let (far, near) = (far.local_addr().unwrap(), near.local_addr().unwrap());
        let blocked = toll.clone();
        let tasks = [tokio::spawn(there.run(blocked.clone())), tokio::spawn(back.run(blocked))];
        Self { far, near, toll, server, tasks }
    }

    /// Leads to this port of the server.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.server.lock().unwrap() = Some(server);
    }

    /// Nothing passes any more, or does again.
    pub fn block(&self, is_blocked: bool) {
        self.toll.is_blocked.store(is_blocked, Ordering::Relaxed);
    }

    pub fn lost(&self) -> u64 {
        self.toll.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// One direction.
struct Lane {
    from: Arc<UdpSocket>,
    by: Arc<UdpSocket>,
    to: Arc<Mutex<Option<SocketAddr>>>,
    weather: Weather,
    random: StdRng,
    toll: Arc<Toll>,
}

impl Lane {
    async fn run(mut self, blocked: Arc<Toll>) {
        let mut under_way = BinaryHeap::new();
        let (mut buffer, mut number) = ([0; 2048], 0_u64);
        loop {
            let next =
                under_way.peek().map(|Reverse((at, _, _)): &Reverse<(Instant, u64, Vec<u8>)>| *at);
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = due => {
                    if let Some(Reverse((_, _, packet))) = under_way.pop() {
                        self.deliver(&packet).await;
                    }
                }
                received = self.from.recv_from(&mut buffer) => {
                    let Ok((length, _)) = received else { return };
                    let copies = self.copies(blocked.is_blocked.load(Ordering::Relaxed));
                    for _ in 0..copies {
                        number += 1;
                        let late = self.weather.jitter.mul_f64(self.random.random());
                        let packet = buffer[..length].to_vec();
                        under_way.push(Reverse((Instant::now() + late, number, packet)));
                    }
                }
            }
        }
    }

    /// How often a packet arrives.
    fn copies(&mut self, is_blocked: bool) -> u32 {
        let is_lost = self.random.random_bool(self.weather.loss) || is_blocked;
        if is_lost {
            self.toll.lost.fetch_add(1, Ordering::Relaxed);
            return 0;
        }
        1 + u32::from(self.random.random_bool(self.weather.repeats))
    }

    async fn deliver(&self, packet: &[u8]) {
        let to = *self.to.lock().unwrap();
        if let Some(to) = to {
            let _ = self.by.send_to(packet, to).await;
        }
    }
}
