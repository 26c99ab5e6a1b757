//! What a leg costs: the RTP engine alone, without signalling, beside the floor of this machine.
//!
//! The far side is a process of its own, so that what is measured here is the engine's. The floor
//! is bare `sendto` (and `recvfrom`) of packets of 172 bytes, just as many at the same times, from
//! as many sockets and threads, in the same run.
//!
//! `cargo bench --bench media` runs all; `-- playback 3000`, `-- bridged 500`, `-- setup 4000` one
//! of them with so many calls.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and waits")]

mod floor;
mod house;
mod phones;
mod usage;

use std::time::{Duration, Instant};

use floor::Floor;
use house::House;
use phones::{Heard, Phones};
use usage::{engine_cpu, process_cpu, recorder_cpu, resident_kb};

/// How long a stream is measured.
const MEASURED: Duration = Duration::from_secs(5);
/// Before that: the streams begin.
const SETTLING: Duration = Duration::from_secs(2);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<usize>().expect("a number of calls");
    match arguments[..] {
        [phones::ROLE, sockets] => phones::run(number(sockets)),
        ["playback", calls] => playback(number(calls), false),
        ["talking", calls] => playback(number(calls), true),
        ["bridged", calls] => bridged(number(calls), false),
        ["recorded", calls] => bridged(number(calls), true),
        ["setup", calls] => setup(number(calls)),
        _ => {
            [1_000, 3_000, 5_000].into_iter().for_each(|calls| playback(calls, false));
            playback(3_000, true);
            bridged(300, false);
            bridged(1_000, false);
            bridged(1_000, true);
            setup(4_000);
        }
    }
}

/// Calls that hear a prompt and are silent themselves, or talk.
fn playback(calls: usize, talking: bool) {
    let mut phones = Phones::start();
    let floor = Floor::sends(calls, phones.addresses());
    let before_kb = resident_kb();
    let house = House::start(calls);
    let legs: Vec<_> = (0..calls).map(|number| house.call(phones.address(number))).collect();
    legs.iter().for_each(|leg| house.play(leg.id));
    if talking {
        phones.talk(&legs);
    }
    let (cpu, heard) = measure(&mut phones);
    let resident = resident_kb() - before_kb;
    let title = if talking { "playback to callers who talk" } else { "playback" };
    let packets = calls as u64 * 50 * MEASURED.as_secs();
    let per_packet_us = cpu.as_secs_f64() * 1e6 / packets as f64;
    println!(
        "{title}, {calls} calls: {:.2} × floor, {per_packet_us:.2} µs per packet (floor {floor:.2}), \
         {:.4} % of a core per call, {:.1} kB per call",
        per_packet_us / floor,
        cpu.as_secs_f64() / MEASURED.as_secs_f64() * 100.0 / calls as f64,
        resident as f64 / calls as f64
    );
    report(&heard, packets);
    house.stop();
}

/// Pairs of legs whose phones both talk.
fn bridged(calls: usize, recorded: bool) {
    let mut phones = Phones::start();
    let floor = Floor::relays(2 * calls, &mut phones);
    let house = House::start(2 * calls);
    let legs: Vec<_> = (0..2 * calls).map(|number| house.call(phones.address(number))).collect();
    let folder = recorded.then(|| tempfile::tempdir().expect("a folder"));
    for pair in legs.chunks(2) {
        house.bridge(pair[0].id, pair[1].id);
        if let Some(folder) = &folder {
            house.record(pair[0].id, pair[1].id, folder.path());
        }
    }
    phones.talk(&legs);
    let (cpu, heard) = measure(&mut phones);
    let writing = recorder_cpu();
    let title = if recorded { "bridged and recorded" } else { "bridged" };
    let packets = 2 * calls as u64 * 50 * MEASURED.as_secs();
    let per_packet_us = cpu.as_secs_f64() * 1e6 / packets as f64;
    println!(
        "{title}, {calls} calls: {:.2} × floor, {per_packet_us:.2} µs per relayed packet (floor \
         {floor:.2})",
        per_packet_us / floor
    );
    report(&heard, packets);
    let incomplete = house.stop();
    if recorded {
        let share = writing.as_secs_f64() / (MEASURED + SETTLING).as_secs_f64() * 100.0;
        println!("    incomplete recordings: {incomplete}; writing took {share:.1} % of a core");
    }
}

/// Legs that are opened, agreed on, played to and closed a little later, 2,000 a second.
fn setup(calls: usize) {
    const EVERY: Duration = Duration::from_micros(500);
    let phones = Phones::start();
    let mut house = House::start(calls);
    let before_kb = resident_kb();
    let (began, cpu) = (Instant::now(), process_cpu());
    let mut open = std::collections::VecDeque::new();
    for number in 0..calls {
        let due = EVERY * u32::try_from(number).expect("few calls");
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let leg = house.call(phones.address(number));
        house.play(leg.id);
        open.push_back(leg);
        if open.len() > 20 {
            open.pop_front().into_iter().for_each(|leg| house.close(leg.id));
        }
        house.drain();
    }
    let (took, workers, all) = (began.elapsed(), engine_cpu(), process_cpu() - cpu);
    let [workers_us, all_us] = [workers, all].map(|cpu| cpu.as_secs_f64() * 1e6 / calls as f64);
    println!(
        "set-up, {calls} calls: {all_us:.1} µs per leg, {workers_us:.1} of them by the workers; \
         {:.0} legs/s, {} kB more",
        calls as f64 / took.as_secs_f64(),
        resident_kb().saturating_sub(before_kb)
    );
    house.stop();
}

/// CPU of the engine's threads, and what the phones heard meanwhile.
fn measure(phones: &mut Phones) -> (Duration, Heard) {
    std::thread::sleep(SETTLING);
    phones.begin();
    let before = engine_cpu();
    std::thread::sleep(MEASURED);
    let cpu = engine_cpu() - before;
    (cpu, phones.end())
}

fn report(heard: &Heard, expected: u64) {
    let Heard { packets, p50_us, p99_us, p999_us, max_us } = *heard;
    let [p50, p99, p999, max] = [p50_us, p99_us, p999_us, max_us].map(|us| us as f64 / 1000.0);
    println!(
        "    heard {:.2} %, gaps ms: p50 {p50:.2}, p99 {p99:.2}, p99.9 {p999:.2}, max {max:.1}",
        packets as f64 * 100.0 / expected as f64
    );
}
