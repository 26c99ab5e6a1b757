//! The messages of RFC 4475 and RFC 5118 with the answers that their manifests find right, and damage
//! to them by chance. The tests read them, and the benchmarks.

#![allow(dead_code, reason = "each reader uses a part of this")]

use std::path::Path;
use std::{fs, io};

/// A message, and what is answered to it.
pub struct Case {
    pub name: String,
    /// Answers that are right, and those that never are: `2xx,404,none`.
    pub accept: String,
    pub never: String,
    /// How it ends over TCP.
    pub tcp: String,
    pub bytes: Vec<u8>,
}

/// All of them.
pub fn cases() -> io::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for suite in ["rfc4475", "rfc5118"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture").join(suite);
        for line in fs::read_to_string(folder.join("manifest.tsv"))?.lines().skip(1) {
            let columns: Vec<&str> = line.split('\t').collect();
            cases.push(Case {
                name: columns[1].to_owned(),
                accept: columns[7].to_owned(),
                never: columns[8].to_owned(),
                tcp: columns[9].to_owned(),
                bytes: fs::read(folder.join(columns[0]))?,
            });
        }
    }
    assert_eq!(cases.len(), 61);
    Ok(cases)
}

/// Whether a list such as `2xx,401,none` names this status.
pub fn names(list: &str, code: u16) -> bool {
    list.split(',').any(|item| {
        item == code.to_string() || item.strip_suffix("xx") == Some(&(code / 100).to_string())
    })
}

/// A small generator, so that a failure can be played again (Marsaglia's xorshift64).
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

/// One of the messages with one to five wounds.
pub fn damaged(cases: &[Case], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = cases[dice.roll(cases.len())].bytes.clone();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len());
        let until = (at + dice.roll(30)).min(bytes.len());
        match dice.roll(6) {
            0 => bytes[at] = dice.roll(256) as u8,
            1 => drop(bytes.drain(at..until)),
            2 => {
                let piece = bytes[at..until].to_vec();
                let to = dice.roll(bytes.len());
                bytes.splice(to..to, piece);
            }
            3 => bytes.insert(at, b"\r\n \t;,<>\"@:=\0\xFF"[dice.roll(14)]),
            4 => bytes.truncate(at.max(1)),
            _ => drop(bytes.splice(at..at, b"99999999999999999999".iter().copied())),
        }
        if bytes.is_empty() {
            bytes.push(b'x');
        }
    }
    bytes
}
