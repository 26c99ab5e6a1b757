//! What a caller presses and when: `1,2s,0`.

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::domain::Key;

/// Longest wait between two keys.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// Most steps of a script.
const STEPS_MAX: usize = 200;

/// How keys are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum KeyBy {
    /// RFC 4733 telephone-event packets.
    #[default]
    Event,
    /// SIP INFO with `application/dtmf-relay`.
    Info,
    /// Tones in the audio.
    Tone,
}

/// One step of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStep {
    Press(Key),
    Wait(Duration),
}

/// Keys and waits in their order. `1,2s,0` presses 1, waits two seconds and presses 0; `12#`
/// presses three keys; waits are written `500ms`, `2s`, `1.5s`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyScript(pub Vec<KeyStep>);

impl FromStr for KeyScript {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match parse_wait(part)? {
                Some(wait) => steps.push(KeyStep::Wait(wait)),
                None => {
                    for c in part.chars() {
                        steps.push(KeyStep::Press(Key::try_from(c)?));
                    }
                }
            }
        }
        if steps.len() > STEPS_MAX {
            return Err(format!("at most {STEPS_MAX} keys and waits, not {}", steps.len()));
        }
        Ok(Self(steps))
    }
}

/// `None` if the part is not a wait.
fn parse_wait(part: &str) -> Result<Option<Duration>, String> {
    let (number, unit_s) = if let Some(number) = part.strip_suffix("ms") {
        (number, 0.001)
    } else if let Some(number) = part.strip_suffix('s') {
        (number, 1.0)
    } else {
        return Ok(None);
    };
    let seconds = number.trim().parse::<f64>().map_err(|_| format!("\"{part}\" is no time"))?;
    Duration::try_from_secs_f64(seconds * unit_s)
        .ok()
        .filter(|wait| *wait <= WAIT_MAX)
        .map(Some)
        .ok_or_else(|| format!("\"{part}\": waits are from 0s to {}s", WAIT_MAX.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(c: char) -> KeyStep {
        KeyStep::Press(Key::try_from(c).unwrap())
    }

    #[test]
    fn keys_and_waits_are_read_in_order() {
        let script: KeyScript = "1, 2s ,0,12#,500ms,1.5s".parse().unwrap();
        let wait = |ms| KeyStep::Wait(Duration::from_millis(ms));
        let expected = [key('1'), wait(2000), key('0'), key('1'), key('2'), key('#')];
        assert_eq!(script.0[..6], expected);
        assert_eq!(script.0[6..], [wait(500), wait(1500)]);
        assert_eq!("".parse(), Ok(KeyScript::default()));
    }

    #[test]
    fn what_is_no_key_and_no_time_is_named() {
        for bad in ["x", "-1s", "2h", "s", "1,nan s", "1e9s", "infs"] {
            assert!(bad.parse::<KeyScript>().is_err(), "{bad}");
        }
        assert!("1".repeat(201).parse::<KeyScript>().is_err());
    }
}
