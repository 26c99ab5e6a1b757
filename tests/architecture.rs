//! Who may know whom. Reads the `crate::…` paths of all sources and compares them with the table
//! in `src/lib.rs`, so that a wall falls only on purpose.
//!
//! Tests at a file's end (`mod tests`) may reach further than the code they test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each top-level module and the modules that it may name besides itself.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("speech", &["domain"]),
    ("dialplan", &["domain", "speech"]),
    ("core", &["domain", "speech", "dialplan"]),
    ("sim", &["domain", "speech", "dialplan", "core"]),
    ("config", &["domain"]),
    ("sip", &["domain", "config"]),
    ("media", &["domain", "config"]),
    ("database", &["domain", "config"]),
    ("spreadsheet", &["config"]),
    ("crm", &["domain", "config", "database", "spreadsheet"]),
    ("store", &["domain", "config", "database"]),
    ("web", &["domain", "config"]),
    ("phone", &["domain", "sip", "media"]),
    ("fuzzing", &["domain", "speech", "dialplan", "config", "sip", "media", "crm", "spreadsheet"]),
    (
        "app",
        &[
            "domain", "speech", "dialplan", "core", "sim", "config", "sip", "media", "crm",
            "database", "store", "web",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "speech",
            "dialplan",
            "core",
            "sim",
            "config",
            "sip",
            "media",
            "crm",
            "database",
            "spreadsheet",
            "store",
            "web",
            "phone",
            "app",
        ],
    ),
];

/// Modules that are pure: same input, same output, no world.
const PURE: &[&str] = &["domain", "speech", "dialplan", "core", "sim"];

/// What pure code does not name. Addresses (`std::net::IpAddr`) are values and allowed.
const WORLDLY: &[&str] = &[
    "tokio::",
    "sqlx::",
    "axum::",
    "mio::",
    "socket2::",
    "rand::",
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "std::io::stdin",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "Uuid::now",
    "Uuid::new_v4",
];

struct Source {
    /// Relative to the project: `src/core/flow.rs`.
    path: PathBuf,
    /// The top-level module it belongs to; `lib` and `main` for the two roots.
    module: String,
    /// Without comments and without the tests at its end.
    code: String,
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    collect_rust_files(&project().join("src"), &mut files);
    assert!(!files.is_empty(), "no sources under src/");
    files.into_iter().map(read_source).collect()
}

fn collect_rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

fn read_source(file: PathBuf) -> Source {
    let text = fs::read_to_string(&file).unwrap();
    let path = file.strip_prefix(project()).unwrap().to_owned();
    let below_src = path.strip_prefix("src").unwrap();
    let first = below_src.components().next().unwrap().as_os_str().to_string_lossy();
    let module = first.trim_end_matches(".rs").to_owned();
    let is_test_file = path.file_stem().is_some_and(|stem| stem == "tests");
    let code = if is_test_file { String::new() } else { code_only(&text) };
    Source { path, module, code }
}

/// The text without line comments and without the test module that ends it.
fn code_only(text: &str) -> String {
    let mut code = String::new();
    let mut is_after_cfg_test = false;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim_end();
        let is_test_module = is_after_cfg_test
            && line.contains("mod ")
            && line.ends_with('{')
            && !line.starts_with(' ');
        if is_test_module {
            break;
        }
        is_after_cfg_test = line == "#[cfg(test)]";
        code.push_str(line);
        code.push('\n');
    }
    code
}

/// The top-level modules that `crate::…` paths lead to: `crate::sip::Offer`, `crate::{sip, media::x}`.
fn named_modules(code: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for (at, start) in code.match_indices("crate::") {
        let is_dollar_or_word = code[..at]
            .chars()
            .next_back()
            .is_some_and(|before| before.is_alphanumeric() || before == '_');
        if is_dollar_or_word {
            continue;
        }
        let rest = &code[at + start.len()..];
        match rest.strip_prefix('{') {
            Some(group) => modules.extend(group_members(group)),
            None => modules.extend(identifier(rest)),
        }
    }
    modules
}

/// First path segments of the members of a `{…}` group whose opening brace is already read.
fn group_members(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut members = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(String::new()),
            _ if depth == 0 => members.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    members.iter().filter_map(|member| identifier(member.trim_start())).collect()
}

fn identifier(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// Whether `word` stands in `line` as a word of its own: `rand::`, not `Operand::`.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[test]
fn every_module_names_only_the_modules_it_may_know() {
    let known: BTreeSet<&str> = MAY_KNOW.iter().map(|(module, _)| *module).collect();
    let mut findings = Vec::new();
    for source in sources() {
        if source.module == "lib" || source.module == "main" {
            continue;
        }
        let Some((_, allowed)) = MAY_KNOW.iter().find(|(module, _)| *module == source.module)
        else {
            findings.push(format!("{}: not in the table", source.path.display()));
            continue;
        };
        for named in named_modules(&source.code) {
            let is_module = known.contains(named.as_str());
            if is_module && named != source.module && !allowed.contains(&named.as_str()) {
                findings.push(format!("{} names crate::{named}", source.path.display()));
            }
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn pure_modules_name_nothing_of_the_world() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| PURE.contains(&source.module.as_str())) {
        for (number, line) in source.code.lines().enumerate() {
            for word in WORLDLY.iter().filter(|word| names(line, word)) {
                findings.push(format!("{}:{} names {word}", source.path.display(), number + 1));
            }
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn only_the_message_layer_names_rsip() {
    let findings: Vec<String> = sources()
        .iter()
        .filter(|source| !source.path.starts_with("src/sip/message"))
        .filter(|source| source.code.contains("rsip::"))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn the_map_of_the_house_is_short_enough_to_be_read() {
    let map = fs::read_to_string(project().join("ARCHITECTURE.md")).unwrap();
    assert!(map.lines().count() <= 150, "ARCHITECTURE.md has {} lines", map.lines().count());
}

#[test]
fn every_folder_of_the_sources_is_in_the_table() {
    let modules: BTreeSet<String> = sources().into_iter().map(|source| source.module).collect();
    for (module, _) in MAY_KNOW {
        assert!(modules.contains(*module), "{module} is in the table, but not under src/");
    }
}

#[test]
fn only_the_test_module_at_the_end_is_left_out() {
    let text =
        "#[cfg(test)]\nmod tests;\nuse a; // b\n#[cfg(test)]\npub(super) mod tests {\n    c\n}";
    assert_eq!(code_only(text), "#[cfg(test)]\nmod tests;\nuse a;\n#[cfg(test)]\n");
}

#[test]
fn paths_are_found_in_all_their_forms() {
    let named = named_modules(
        "use crate::domain::{Key, LegId};\npub(crate) fn f() -> crate::core::Event {}\n\
         use crate::{\n  media::{g711, dtmf},\n  sip,\n};\nuse othercrate::web;",
    );
    let expected = ["core", "domain", "media", "sip"].map(String::from);
    assert_eq!(named, BTreeSet::from(expected));
}
