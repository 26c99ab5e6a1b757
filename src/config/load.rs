//! The file and the environment → [`Config`].
//!
//! All mistakes are named at once: a wrong value is noted, taken out, and the rest is read again.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Schema;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::nearest;
use super::problem::{ConfigError, Place, Problem};
use super::sample::schema;
use super::settings::{Config, CrmSource};
use super::trunk::Trunk;
use super::values::{DatabaseUrl, Listen, Transport};

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "allo.toml";

/// More mistakes than an admin wants to read at once.
const PROBLEMS_MAX: usize = 50;

/// Settings that name a file or folder.
const PATHS: [&[&str]; 5] = [
    &["dialplans", "folder"],
    &["prompts", "folder"],
    &["recordings", "folder"],
    &["sip", "tls", "certificate"],
    &["sip", "tls", "key"],
];

/// Settings that name a database, which may be a file.
const DATABASES: [&[&str]; 2] = [&["database", "url"], &["crm", "sql", "url"]];

impl Config {
    /// Reads the settings.
    ///
    /// - The file is `path`, which must exist; without a `path` it is `allo.toml` of the working
    ///   directory, if there is one. Nothing needs to be set: every key has a default.
    /// - A relative file or folder named in the file is relative to the folder that the file is in;
    ///   defaults, and paths in the environment, are relative to the working directory.
    /// - Of `env`, `ALLO_SECTION__KEY` overrides the file: `ALLO_WEB__LISTEN=127.0.0.1:9090`,
    ///   `ALLO_CRM__SQL__URL=…`. Dashes are written `_`; a list is separated by commas or written as
    ///   in TOML. Other variables, also such that begin with `ALLO_`, are left alone.
    pub fn load(
        path: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let file = path.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read(file) {
            Ok(bytes) => utf8(file, bytes)?,
            Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                String::new()
            }
            Err(error) => return Err(whole_file(file, format!("can't be read: {error}"))),
        };
        Self::from_text(file, &text, env)
    }

    /// The same for a text that was read from `file`.
    pub fn from_text(
        file: &Path,
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut overrides: Vec<(String, String)> = env
            .into_iter()
            .filter(|(name, _)| name.strip_prefix("ALLO_").is_some_and(|key| key.contains("__")))
            .collect();
        overrides.sort();
        Reader { file, text, overrides: &overrides, schema: schema(), problems: Vec::new() }.read()
    }
}

fn utf8(file: &Path, bytes: Vec<u8>) -> Result<String, ConfigError> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|&&byte| byte == b'\n').count() + 1;
        whole_file(file, format!("line {line} is not UTF-8; save the file as UTF-8"))
    })
}

fn whole_file(file: &Path, message: String) -> ConfigError {
    let place = Place::File(file.to_owned());
    ConfigError { problems: vec![Problem { place, message, hint: None }] }
}

struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    /// Name and value. A value's place is told by a span behind the text: by `i + 1` bytes for the
    /// variable at index `i`.
    overrides: &'a [(String, String)],
    schema: Schema,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn read(mut self) -> Result<Config, ConfigError> {
        let (root, mistakes) = DeTable::parse_recoverable(self.text);
        let mut told_lines = BTreeSet::new();
        for mistake in mistakes.iter().take(PROBLEMS_MAX) {
            let span = mistake.span().unwrap_or(0..0);
            // What follows on a line that was not understood is seldom a mistake of its own.
            let start = span.start.min(self.text.len());
            let line = self.text.bytes().take(start).filter(|byte| *byte == b'\n').count();
            if told_lines.insert(line) {
                let wrong = self.text.get(span.clone()).unwrap_or_default();
                let (message, hint) = in_plain_words(mistake.message(), wrong);
                self.note(span, message, Some(hint.to_owned()));
            }
        }
        if !self.problems.is_empty() {
            return Err(self.error());
        }
        let mut table = root.into_inner();
        self.take_out_unknown_keys(&mut table);
        self.rebase_paths(&mut table);
        self.merge(&mut table);
        let config = self.deserialize(&mut table);
        if let Some(config) = &config
            && self.problems.is_empty()
        {
            self.check(config, &table);
        }
        match config {
            Some(config) if self.problems.is_empty() => Ok(config),
            Some(_) | None => Err(self.error()),
        }
    }

    fn error(mut self) -> ConfigError {
        self.problems.sort_by_key(|problem| match &problem.place {
            Place::File(_) => (0, 0, 0),
            Place::Text { line, column, .. } => (1, *line, *column),
            Place::Variable(_) => (2, 0, 0),
        });
        ConfigError { problems: self.problems }
    }

    fn note(&mut self, span: Range<usize>, message: String, hint: Option<String>) {
        let variable = span.start.checked_sub(self.text.len() + 1);
        let place = match variable.and_then(|index| self.overrides.get(index)) {
            Some((name, _)) => Place::Variable(name.clone()),
            None => Place::of(self.file, self.text, span),
        };
        self.problems.push(Problem { place, message, hint });
    }

    fn take_out_unknown_keys(&mut self, table: &mut DeTable<'a>) {
        let mut unknown = Vec::new();
        find_unknown_keys(table, &self.schema, &mut Vec::new(), &mut unknown);
        for key in unknown.into_iter().take(PROBLEMS_MAX) {
            self.note(key.span.clone(), key.message, Some(key.hint));
            remove_at(table, &key.span);
        }
    }

    fn rebase_paths(&self, table: &mut DeTable<'a>) {
        let Some(folder) = self.file.parent().filter(|folder| *folder != Path::new("")) else {
            return;
        };
        let rebase = |value: &mut DeValue<'a>, rebased: &dyn Fn(&str) -> Option<String>| {
            if let DeValue::String(text) = value
                && let Some(path) = rebased(text)
            {
                *text = path.into();
            }
        };
        let utf8 = |path: PathBuf| path.into_os_string().into_string().ok();
        for path in PATHS {
            if let Some(value) = value_at(table, path) {
                rebase(value, &|text| utf8(folder.join(text)));
            }
        }
        if let Some(DeValue::Array(trunks)) = value_at(table, &["trunk"]) {
            for trunk in trunks.iter_mut() {
                if let DeValue::Table(trunk) = trunk.get_mut()
                    && let Some(value) = value_at(trunk, &["authorities"])
                {
                    rebase(value, &|text| utf8(folder.join(text)));
                }
            }
        }
        for path in DATABASES {
            if let Some(value) = value_at(table, path) {
                rebase(value, &|text| match text.parse::<DatabaseUrl>().ok()? {
                    DatabaseUrl::Sqlite(file) => {
                        utf8(folder.join(file)).map(|file| format!("sqlite:{file}"))
                    }
                    DatabaseUrl::Postgres(_) => None,
                });
            }
        }
    }

    fn merge(&mut self, table: &mut DeTable<'a>) {
        for (index, (name, value)) in self.overrides.iter().enumerate() {
            let span = self.text.len() + index + 1;
            let span = span..span;
            let path = name["ALLO_".len()..].to_ascii_lowercase();
            let path = path.replace("__", ".").replace('_', "-");
            let path: Vec<&str> = path.split('.').collect();
            let value = match self.kind_of(&path) {
                Ok(kind) => value_from(kind, value),
                Err((message, hint)) => {
                    self.note(span, message, Some(hint));
                    continue;
                }
            };
            match value {
                Ok(value) => insert(table, &path, span, value),
                Err(message) => self.note(span, message, None),
            }
        }
    }

    /// The JSON type of a setting, or message and hint if there is no such setting.
    fn kind_of(&self, path: &[&str]) -> Result<&str, (String, String)> {
        if path[0] == "trunk" {
            let hint = "write them into the file".to_owned();
            return Err(("trunks can't be set by variables".to_owned(), hint));
        }
        let mut at = &self.schema;
        for key in path {
            let unknown = || {
                let hint = hint_for(key, at);
                (format!("there is no setting \"{}\"", path.join(".")), hint)
            };
            at = properties(at).and_then(|known| known.get(*key)).ok_or_else(unknown)?;
        }
        match type_of(at) {
            "object" => Err((
                format!("\"{}\" is a section", path.join(".")),
                "name a key of it: ALLO_SECTION__KEY".to_owned(),
            )),
            kind => Ok(kind),
        }
    }

    fn deserialize(&mut self, table: &mut DeTable<'a>) -> Option<Config> {
        for _ in 0..PROBLEMS_MAX {
            let document = Spanned::new(0..self.text.len(), table.clone());
            let mistake = match Config::deserialize(toml::de::Deserializer::from(document)) {
                Ok(config) => return Some(config),
                Err(mistake) => mistake,
            };
            let span = mistake.span().unwrap_or(0..0);
            let (message, hint) = wrong_value(mistake.message().trim());
            self.note(span.clone(), message, hint);
            if !remove_at(table, &span) {
                return None;
            }
        }
        None
    }

    /// What types can't say.
    fn check(&mut self, config: &Config, table: &DeTable<'a>) {
        let mut wrong = |path: &[&str], message: &str, hint: &str| {
            let span = span_at(table, path).unwrap_or(0..0);
            self.note(span, message.to_owned(), Some(hint.to_owned()));
        };
        if config.sip.listen.is_empty() {
            wrong(&["sip", "listen"], "nothing to listen on", "name at least \"udp:0.0.0.0:5060\"");
        }
        let is_tls = |listen: &Listen| listen.transport == Transport::Tls;
        if config.sip.listen.iter().any(is_tls) && config.sip.tls.is_none() {
            let hint = "add [sip.tls] with certificate and key";
            wrong(&["sip", "listen"], "tls needs a certificate", hint);
        }
        if config.sip.keepalive.as_ms() < 1_000 {
            let hint = "write at least \"1s\"";
            wrong(&["sip", "keepalive"], "phones would be asked without end", hint);
        }
        let limits = &config.sip.limits;
        for (key, value) in [
            ("calls", limits.calls),
            ("calls-per-second", limits.calls_per_second),
            ("calls-per-second-per-source", limits.calls_per_second_per_source),
            ("connections", limits.connections),
        ] {
            if value == 0 {
                wrong(&["sip", "limits", key], "nothing would be let in", "use at least 1");
            }
        }
        if config.crm.lookups_at_once == 0 {
            wrong(&["crm", "lookups-at-once"], "nothing could be looked up", "use at least 1");
        }
        match (&config.crm.source, &config.crm.sql) {
            (CrmSource::Sql, None) => {
                let hint = "add [crm.sql] with url and customers";
                wrong(&["crm", "source"], "source is \"sql\", but there is no [crm.sql]", hint);
            }
            (CrmSource::Sql | CrmSource::Embedded, Some(sql)) => {
                let looked_up = "$1 stands for what is looked up: … where phone = $1";
                let points = "$2 stands for the points: … set points = points + $2";
                let status = "$3 stands for the new status: … set status = $3 where number = $2";
                let queries = [
                    ("customers", Some(&sql.customers), "$1", looked_up),
                    ("orders", sql.orders.as_ref(), "$1", looked_up),
                    ("order", sql.order.as_ref(), "$1", looked_up),
                    ("bonus", sql.bonus.as_ref(), "$2", points),
                    ("order-status", sql.order_status.as_ref(), "$3", status),
                ];
                for (key, query, parameter, hint) in queries {
                    if query.is_some_and(|query| !query.contains(parameter)) {
                        let message = format!("the query has no {parameter}");
                        wrong(&["crm", "sql", key], &message, hint);
                    }
                }
                if sql.events_every.as_ms() == 0 {
                    let hint = "use at least \"1s\"";
                    wrong(&["crm", "sql", "events-every"], "no time to do anything else", hint);
                }
            }
            (CrmSource::Embedded, None) => {}
        }
        for (index, trunk) in config.trunks.iter().enumerate() {
            let number = index.to_string();
            let is_taken = config.trunks[..index].iter().any(|other| other.name == trunk.name);
            for mistake in trunk.mistakes(&config.sip, is_taken) {
                wrong(&["trunk", &number, mistake.key], mistake.message, mistake.hint);
            }
        }
        if config.trunks.len() > Trunk::COUNT_MAX {
            wrong(&["trunk"], "there are more than 32 trunks", "leave some out");
        }
    }
}

/// What the TOML parser says of text that is no TOML, for somebody who never heard of TOML.
fn in_plain_words(message: &str, wrong: &str) -> (String, &'static str) {
    let quotes = "texts and lengths of time stand in straight quotes: \"30s\"";
    if message.starts_with("duplicate key") {
        return ("this is already set above".to_owned(), "keep one of the two");
    }
    if message.contains("must be quoted") && wrong.starts_with(['“', '”', '«', '„']) {
        return ("these quotes are not known".to_owned(), quotes);
    }
    if message.contains("must be quoted") {
        return ("a text must be quoted".to_owned(), quotes);
    }
    if message.contains("unquoted key") {
        let hint = "keys are Latin letters, digits and -; type it anew if it looks right";
        return ("this is no name of a setting".to_owned(), hint);
    }
    if message.contains("array") {
        let hint = "close the list above with ]: listen = [\"udp:0.0.0.0:5060\"]";
        return ("the list above is not closed".to_owned(), hint);
    }
    if message.contains("basic string") {
        return ("this text has no closing quote".to_owned(), "close it with \"");
    }
    (format!("this cannot be read here ({message})"), quotes)
}

/// What the types say of a value that is none of theirs: message and hint.
fn wrong_value(message: &str) -> (String, Option<String>) {
    if let Some(key) = message.strip_prefix("missing field ") {
        return (format!("{} is missing", key.replace('`', "\"")), None);
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let (word, known) = rest.split_once(", expected ").unwrap_or((rest, ""));
        let known = known.replace("one of ", "").replace('`', "\"");
        let word = word.replace('`', "\"");
        return (format!("{word} is not known here"), Some(format!("write {known}")));
    }
    let invalid = message.strip_prefix("invalid type: ");
    let invalid = invalid.or_else(|| message.strip_prefix("invalid value: "));
    let Some((found, wanted)) = invalid.and_then(|rest| rest.split_once(", expected ")) else {
        return (message.to_owned(), None);
    };
    let found = match found.split(' ').next().unwrap_or_default() {
        "string" => "a text".to_owned(),
        "integer" | "floating" => found.rsplit(' ').next().unwrap_or_default().replace('`', ""),
        "boolean" => "true or false".to_owned(),
        "sequence" => "a list".to_owned(),
        "map" => "a section".to_owned(),
        _ => found.replace('`', ""),
    };
    let (wanted, hint) = match wanted {
        "a sequence" => ("a list", "lists stand in square brackets: [\"…\", \"…\"]"),
        "a string" => ("a text", "put it in quotes; a length of time is \"30s\""),
        "socket address" => ("an address with its port", "write it like \"127.0.0.1:8080\""),
        "u16" | "u32" | "u64" | "usize" => ("a whole number", "write digits only, without quotes"),
        "a boolean" => ("yes or no", "write true or false, without quotes"),
        other => return (format!("{found} cannot stand here; wanted is {other}"), None),
    };
    (format!("{found} cannot stand here; wanted is {wanted}"), Some(hint.to_owned()))
}

struct UnknownKey {
    span: Range<usize>,
    message: String,
    hint: String,
}

fn find_unknown_keys(
    table: &DeTable<'_>,
    schema: &Schema,
    path: &mut Vec<String>,
    unknown: &mut Vec<UnknownKey>,
) {
    let Some(known) = properties(schema) else { return };
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let Some(schema) = known.get(name) else {
            let section = path.join(".");
            let message = match (value.get_ref().is_table(), section.as_str()) {
                (true, "") => format!("unknown section [{name}]"),
                (_, "") => format!("unknown key \"{name}\" outside of any section"),
                (_, section) => format!("unknown key \"{name}\" in [{section}]"),
            };
            unknown.push(UnknownKey { span: key.span(), message, hint: hint_for(name, schema) });
            continue;
        };
        path.push(name.to_owned());
        match value.get_ref() {
            DeValue::Table(inner) => find_unknown_keys(inner, schema, path, unknown),
            DeValue::Array(items) => {
                for inner in items.iter().filter_map(|item| item.get_ref().as_table()) {
                    find_unknown_keys(inner, &schema["items"], path, unknown);
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
        path.pop();
    }
}

fn hint_for(key: &str, schema: &Schema) -> String {
    let known: Vec<&str> =
        properties(schema).into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    match nearest(key, known.iter().copied()) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

fn properties(schema: &Schema) -> Option<&serde_json::Map<String, Schema>> {
    // What may be absent is either of two: an object, or null.
    let object = schema["anyOf"].get(0).unwrap_or(schema);
    object["properties"].as_object()
}

fn type_of(schema: &Schema) -> &str {
    match &schema["type"] {
        Schema::String(name) => name,
        Schema::Array(names) => names.first().and_then(Schema::as_str).unwrap_or("object"),
        Schema::Null | Schema::Bool(_) | Schema::Number(_) | Schema::Object(_) => "object",
    }
}

/// The value of a variable, by the type of its setting.
fn value_from<'a>(kind: &str, value: &'a str) -> Result<DeValue<'a>, String> {
    match kind {
        "string" => Ok(DeValue::String(value.into())),
        "array" if !value.trim_start().starts_with('[') => {
            let mut list = DeArray::new();
            for item in value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
                list.push(Spanned::new(0..0, DeValue::String(item.into())));
            }
            Ok(DeValue::Array(list))
        }
        _ => match DeValue::parse(value.trim()) {
            Ok(value) => Ok(value.into_inner()),
            Err(_) => Err(format!(
                "\"{value}\" is not {}",
                if kind == "integer" { "a whole number" } else { "a value of this setting" }
            )),
        },
    }
}

fn insert<'a>(table: &mut DeTable<'a>, path: &[&str], span: Range<usize>, value: DeValue<'a>) {
    let [section @ .., key] = path else { return };
    let mut table = table;
    for name in section {
        let name = Spanned::new(span.clone(), (*name).to_owned().into());
        let empty = || Spanned::new(span.clone(), DeValue::Table(DeTable::new()));
        match table.entry(name).or_insert_with(empty).get_mut() {
            DeValue::Table(inner) => table = inner,
            // A section that is no table is named as a mistake anyway.
            _ => return,
        }
    }
    let mut value = Spanned::new(span.clone(), value);
    if let DeValue::Array(items) = value.get_mut() {
        for item in items.iter_mut() {
            *item = Spanned::new(span.clone(), item.get_ref().clone());
        }
    }
    let key = (*key).to_owned();
    table.remove(key.as_str());
    table.insert(Spanned::new(span, key.into()), value);
}

fn value_at<'t, 'a>(table: &'t mut DeTable<'a>, path: &[&str]) -> Option<&'t mut DeValue<'a>> {
    let (key, rest) = path.split_first()?;
    let value = table.get_mut(*key)?.get_mut();
    if rest.is_empty() {
        return Some(value);
    }
    match value {
        DeValue::Table(inner) => value_at(inner, rest),
        _ => None,
    }
}

/// The place of a value, or of the nearest section around it that is there.
fn span_at(table: &DeTable<'_>, path: &[&str]) -> Option<Range<usize>> {
    let (key, rest) = path.split_first()?;
    let value = table.get(*key)?;
    let inner = match (value.get_ref(), rest) {
        (DeValue::Table(inner), [_, ..]) => span_at(inner, rest),
        (DeValue::Array(items), [index, rest @ ..]) => {
            let item = items.get(index.parse::<usize>().ok()?)?;
            let inner = item.get_ref().as_table().and_then(|table| span_at(table, rest));
            inner.or(Some(item.span()))
        }
        _ => None,
    };
    inner.or(Some(value.span()))
}

/// Takes the innermost key or value at this place out; false if there is none.
fn remove_at(table: &mut DeTable<'_>, place: &Range<usize>) -> bool {
    let holds = |span: Range<usize>| span.start <= place.start && place.end <= span.end;
    for (_, value) in table.iter_mut() {
        let removed = match value.get_mut() {
            DeValue::Table(inner) => remove_at(inner, place),
            DeValue::Array(items) => items.iter_mut().any(|item| match item.get_mut() {
                DeValue::Table(inner) => remove_at(inner, place),
                _ => false,
            }),
            _ => false,
        };
        if removed {
            return true;
        }
    }
    let found = table.iter().find(|(key, value)| {
        let in_item = || match value.get_ref() {
            DeValue::Array(items) => items.iter().any(|item| holds(item.span())),
            _ => false,
        };
        holds(key.span()) || holds(value.span()) || in_item()
    });
    match found.map(|(key, _)| key.get_ref().to_string()) {
        Some(key) => table.remove(key.as_str()).is_some(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
