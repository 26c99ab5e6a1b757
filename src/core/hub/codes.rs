//! The codes that operators dial: a plain telephone is enough for the work.

use crate::domain::Extension;

/// What a code asks for. A group is its name, or its number in the operator's own list, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// `*45`, `*45*GROUP`: logs in, or out when logged in.
    Attend {
        group: Option<String>,
    },
    /// `*46`, `*46*REASON`: pauses, or ends the pause.
    Pause {
        reason: String,
    },
    /// `*47`: pauses the recording, or goes on with it.
    Recording,
    /// `*48`: 30 seconds more of wrap-up.
    ExtendWrapUp,
    /// `*49`: wrap-up is done.
    EndWrapUp,
    /// `*44*TOPIC`: what the last conversation was about.
    Topic {
        code: String,
    },
    /// `*33EXTENSION`: listens in; then 1 listens, 2 whispers, 3 joins in.
    Monitor {
        extension: Extension,
    },
    Unknown,
}

impl Code {
    /// Reads what was dialled; `None` unless it begins with a star.
    pub fn parse(dialled: &str) -> Option<Self> {
        let text = dialled.strip_prefix('*')?.trim_end_matches('#');
        let (number, argument) = match text.split_once('*') {
            Some((number, argument)) => (number, Some(argument)),
            None => (text, None),
        };
        let code = match (number, argument) {
            ("45", group) => Self::Attend { group: group.map(str::to_owned) },
            ("46", reason) => Self::Pause { reason: reason.unwrap_or_default().to_owned() },
            ("47", None) => Self::Recording,
            ("48", None) => Self::ExtendWrapUp,
            ("49", None) => Self::EndWrapUp,
            ("44", Some(code)) => Self::Topic { code: code.to_owned() },
            (number, None) => match number.strip_prefix("33").map(str::parse) {
                Some(Ok(extension)) => Self::Monitor { extension },
                Some(Err(_)) | None => Self::Unknown,
            },
            (_, Some(_)) => Self::Unknown,
        };
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_they_are_dialled() {
        let group = |text: &str| Code::Attend { group: Some(text.to_owned()) };
        for (dialled, code) in [
            ("*45", Code::Attend { group: None }),
            ("*45*support", group("support")),
            ("*45*2#", group("2")),
            ("*46", Code::Pause { reason: String::new() }),
            ("*46*lunch", Code::Pause { reason: "lunch".to_owned() }),
            ("*47", Code::Recording),
            ("*48", Code::ExtendWrapUp),
            ("*49", Code::EndWrapUp),
            ("*44*12", Code::Topic { code: "12".to_owned() }),
            ("*33201", Code::Monitor { extension: "201".parse().unwrap() }),
            ("*33", Code::Unknown),
            ("*99", Code::Unknown),
            ("*", Code::Unknown),
            ("*48*1", Code::Unknown),
        ] {
            assert_eq!(Code::parse(dialled), Some(code), "{dialled}");
        }
        assert_eq!(Code::parse("201"), None);
    }
}
