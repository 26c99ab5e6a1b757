//! What options and CSV cells say of an operator: the same words in both.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::crm::fields::{short_text, yes_or_no};
use crate::domain::{Account, DigestChoice, Extension, Operator, Role};

/// The most groups that one operator has, and the most skills.
const ENTRIES_MAX: usize = 50;

/// What is to be changed of an operator; `None`: stays as it is.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) name: Option<String>,
    pub(super) extension: Option<ExtensionOrNone>,
    pub(super) groups: Option<Groups>,
    pub(super) skills: Option<Skills>,
    pub(super) role: Option<Role>,
    pub(super) auto_answer: Option<YesOrNo>,
    pub(super) whisper: Option<YesOrNo>,
    pub(super) digest: Option<DigestOrDefault>,
}

impl Change {
    pub(super) fn apply(self, operator: &mut Operator, account: &mut Account) {
        if let Some(name) = self.name {
            operator.name = name;
        }
        if let Some(extension) = self.extension {
            operator.extension = extension.0;
        }
        if let Some(groups) = self.groups {
            operator.groups = groups.0;
        }
        if let Some(skills) = self.skills {
            operator.skills = skills.0;
        }
        if let Some(role) = self.role {
            operator.role = role;
        }
        if let Some(auto_answer) = self.auto_answer {
            operator.auto_answer = auto_answer.0;
        }
        if let Some(whisper) = self.whisper {
            operator.whisper = whisper.0;
        }
        if let Some(digest) = self.digest {
            account.digest = digest.0;
        }
    }
}

/// `Анна Петрова`: at most 200 characters.
pub(super) fn name(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("the name is empty".to_owned()),
        text => short_text(text).map_err(|why| format!("the name is {why}")),
    }
}

/// An extension; empty: none.
#[derive(Clone, Debug, Default)]
pub(super) struct ExtensionOrNone(pub(super) Option<Extension>);

impl FromStr for ExtensionOrNone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(Self(None)) } else { Ok(Self(Some(text.parse()?))) }
    }
}

/// `support,orders`, also with semicolons; each once, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups(pub(super) Vec<String>);

impl FromStr for Groups {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut groups: Vec<String> = Vec::new();
        for group in entries(text)? {
            let group = short_text(group)?;
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        Ok(Self(groups))
    }
}

/// `orders=8,english=5`, also with semicolons.
#[derive(Clone, Debug, Default)]
pub(super) struct Skills(pub(super) BTreeMap<String, u8>);

impl FromStr for Skills {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut skills = BTreeMap::new();
        for entry in entries(text)? {
            let wrong =
                || format!("\"{entry}\" is not a skill with a level from 1 to 10: orders=8");
            let (skill, level) = entry.split_once('=').ok_or_else(wrong)?;
            let level: u8 = level.trim().parse().map_err(|_| wrong())?;
            let skill = short_text(skill.trim())?;
            if skill.is_empty() || !(1..=10).contains(&level) {
                return Err(wrong());
            }
            if skills.insert(skill, level).is_some() {
                return Err(format!("\"{entry}\": this skill is there twice"));
            }
        }
        Ok(Self(skills))
    }
}

/// The parts of a list that are not empty.
fn entries(text: &str) -> Result<Vec<&str>, String> {
    let entries: Vec<&str> =
        text.split([',', ';']).map(str::trim).filter(|entry| !entry.is_empty()).collect();
    match entries.len() > ENTRIES_MAX {
        true => Err(format!("more than {ENTRIES_MAX}")),
        false => Ok(entries),
    }
}

/// `yes`, `no`
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct YesOrNo(pub(super) bool);

impl FromStr for YesOrNo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        yes_or_no(text).map(Self).map_err(str::to_owned)
    }
}

/// A digest; empty or `default`: what the settings say for all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DigestOrDefault(pub(super) Option<DigestChoice>);

impl FromStr for DigestOrDefault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" | "default" => Ok(Self(None)),
            choice => Ok(Self(Some(choice.parse()?))),
        }
    }
}

/// `Анна Петрова, extension 201, groups support, orders`
pub(super) fn described(operator: &Operator) -> String {
    let mut text = operator.name.clone();
    if let Some(extension) = &operator.extension {
        text += &format!(", extension {extension}");
    }
    text += &match operator.groups.as_slice() {
        [] => ", no groups".to_owned(),
        [group] => format!(", group {group}"),
        groups => format!(", groups {}", groups.join(" and ")),
    };
    if !operator.skills.is_empty() {
        text += &format!(", skills {}", skills(&operator.skills));
    }
    match operator.role {
        Role::Operator => text,
        Role::Supervisor => text + ", supervisor",
    }
}

/// `english=5, orders=8`
pub(super) fn skills(skills: &BTreeMap<String, u8>) -> String {
    let each: Vec<String> =
        skills.iter().map(|(skill, level)| format!("{skill}={level}")).collect();
    each.join(", ")
}
