//! The corpora of the fuzzers (`fuzz/`), replayed by the same functions, and damaged by chance.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use allo::fuzzing::Target;

use crate::memory::spent;
use crate::support::project;

/// No input of a corpus holds more memory than this at once.
const HELD_MAX: usize = 48 << 20;
/// Nor computes longer, in a build without optimisation.
const TOOK_MAX: Duration = Duration::from_secs(3);
/// Damaged inputs of one target compute for so long.
const DAMAGE: Duration = Duration::from_secs(2);

/// Folders with inputs that are there for another reason.
fn other_inputs(target: Target) -> &'static [&'static str] {
    match target {
        Target::SipMessage | Target::SipCall => &[
            "tests/torture/rfc4475/valid",
            "tests/torture/rfc4475/invalid",
            "tests/torture/rfc5118/wire",
        ],
        Target::Plan => &["dialplans", "dialplans/tests", "dialplans/days"],
        Target::Sdp | Target::Rtp | Target::Digest | Target::Csv | Target::Settings => &[],
    }
}

fn corpus(target: Target) -> PathBuf {
    project().join("fuzz/corpus").join(target.name())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn inputs(target: Target) -> Vec<(PathBuf, Vec<u8>)> {
    let others = other_inputs(target).iter().map(|folder| project().join(folder));
    let folders = others.chain([corpus(target)]);
    let files = folders.flat_map(|folder| files(&folder));
    files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

/// Every input, within its bounds.
fn replay(target: Target) {
    let inputs = inputs(target);
    assert!(inputs.len() > 3, "{}: {} inputs", target.name(), inputs.len());
    // What is made once does not count.
    target.run(&inputs[0].1);
    for (file, input) in inputs {
        println!("{}", file.display());
        let (held, took) = spent(|| target.run(&input));
        assert!(held <= HELD_MAX, "{}: {held} bytes", file.display());
        assert!(took <= TOOK_MAX, "{}: {took:?}", file.display());
    }
}

/// A small generator, so that a failure can be played again (Marsaglia's xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap()
    }
}

/// One to five wounds; what is put in comes from another input, or is of a kind that parsers like.
fn damage(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    const ODD: &[&[u8]] = &[
        b"\r\n",
        b"\n",
        b"\0",
        b"\xFF",
        b"\"",
        b"\\",
        b"%",
        b"%00",
        b";",
        b",",
        b"<",
        b">",
        b"=",
        b"{",
        b"}",
        b"[",
        b"]",
        b" ",
        b"\t",
        b"99999999999999999999",
        b"-1",
        b"\xE2\x80\xAE",
        b"/*",
    ];
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len() + 1);
        let until = (at + dice.roll(30)).min(bytes.len());
        match dice.roll(6) {
            0 if at < bytes.len() => bytes[at] = u8::try_from(dice.roll(256)).unwrap(),
            1 => drop(bytes.drain(at..until)),
            2 => {
                let piece = bytes[at..until].to_vec();
                let to = dice.roll(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            3 => {
                let from = dice.roll(other.len() + 1);
                let piece = other[from..(from + dice.roll(60)).min(other.len())].to_vec();
                bytes.splice(at..until, piece);
            }
            4 if dice.roll(8) == 0 => bytes.truncate(at),
            _ => drop(bytes.splice(at..at, ODD[dice.roll(ODD.len())].iter().copied())),
        }
    }
}

/// Damaged inputs for a while; each one can be made again from the seed that is printed.
fn survive_damage(target: Target) {
    let inputs = inputs(target);
    let mut dice = Dice(0x5EED_CA11);
    println!("{}: seed {:#x}", target.name(), dice.0);
    let (mut spent_so_far, mut rounds) = (Duration::ZERO, 0);
    while spent_so_far < DAMAGE && rounds < 20_000 {
        let mut input = inputs[dice.roll(inputs.len())].1.clone();
        let other = inputs[dice.roll(inputs.len())].1.clone();
        damage(&mut input, &other, &mut dice);
        let run = || {
            let (held, took) = spent(|| target.run(&input));
            assert!(held <= HELD_MAX && took <= TOOK_MAX, "{held} bytes, {took:?}");
            took
        };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
            Ok(took) => spent_so_far += took,
            Err(_) => panic!("round {rounds}: {}", input.escape_ascii()),
        }
        rounds += 1;
    }
    println!("{rounds} rounds");
    assert!(rounds > 20);
}

macro_rules! of_each_target {
    ($($name:ident: $target:ident,)*) => {
        mod replayed {
            $(#[test] fn $name() { super::replay(super::Target::$target); })*
        }

        mod damaged {
            $(#[test] fn $name() { super::survive_damage(super::Target::$target); })*
        }

        #[test]
        fn every_target_is_replayed() {
            assert_eq!([$(Target::$target),*], Target::ALL);
        }
    };
}

of_each_target! {
    sip_messages: SipMessage,
    sip_messages_during_a_call: SipCall,
    session_descriptions: Sdp,
    packets: Rtp,
    digests: Digest,
    dialplans: Plan,
    spreadsheets: Csv,
    settings: Settings,
}

#[test]
fn every_target_has_a_fuzzer_and_a_small_corpus() {
    let manifest = fs::read_to_string(project().join("fuzz/Cargo.toml")).unwrap();
    let mut bytes = 0;
    for target in Target::ALL {
        let name = target.name();
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let source = project().join(format!("fuzz/fuzz_targets/{name}.rs"));
        let source = fs::read_to_string(source).unwrap();
        assert!(source.contains(&format!("Target::{target:?}.run")), "{name}");
        bytes +=
            files(&corpus(target)).iter().map(|file| file.metadata().unwrap().len()).sum::<u64>();
    }
    assert!(bytes < 2 << 20, "the corpora have {bytes} bytes");
    let folders = fs::read_dir(project().join("fuzz/corpus")).unwrap().count();
    assert_eq!(folders, Target::ALL.len());
}
