//! The commented sample file that `allo config describe` prints.
//!
//! Order and values come from serialising [`Config`], the comments from the documentation of its
//! fields. Keys without a default stand there too, as comments.

use std::fmt::Write as _;

use schemars::generate::SchemaSettings;
use serde_json::Value as Schema;

use super::settings::{Config, CrmSql, Render, Tls};
use super::trunk::{Trunk, TrunkAddress};
use super::values::{DatabaseUrl, Transport};

const COLUMNS: usize = 96;

/// Keys, types and documentation of all settings, as a JSON schema.
pub(super) fn schema() -> Schema {
    let mut settings = SchemaSettings::default();
    settings.inline_subschemas = true;
    settings.into_generator().into_root_schema_for::<Config>().to_value()
}

impl Config {
    /// A file with every key, its documentation and its default; keys without a default are
    /// commented out (`#key`) and show an example. Read as it is, it gives [`Config::default`].
    pub fn describe() -> String {
        let defaults = toml_of(&Config::default());
        let mut text = String::from(
            "# allo.toml: every setting, with its default. What is not set here has its default.\n\
             # The environment overrides it: ALLO_WEB__LISTEN=127.0.0.1:9090\n\
             # Relative files and folders that are named here are relative to the folder of this file;\n\
             # those that are not, to the folder that allo is started in.\n",
        );
        let schema = schema();
        let mut section: Vec<String> = Vec::new();
        for line in toml_of(&with_examples()).lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_matches(['[', ']']).split('.').map(str::to_owned).collect();
                let mark = if defaults.contains(line) { "" } else { "#" };
                text.push('\n');
                comment(&mut text, &description(&schema, &section));
                let _ = writeln!(text, "{mark}{line}");
            } else if let Some((key, _)) = line.split_once(" = ") {
                let mut path = section.clone();
                path.push(key.to_owned());
                let is_default = defaults.lines().any(|default| default == line)
                    && defaults.contains(&format!("[{}]", section.join(".")));
                let mark = if is_default { "" } else { "#" };
                comment(&mut text, &description(&schema, &path));
                let _ = writeln!(text, "{mark}{line}");
            }
        }
        text
    }
}

/// The defaults, with an example for each key that has none.
fn with_examples() -> Config {
    let mut config = Config::default();
    config.sip.public_address = Some([203, 0, 113, 7].into());
    config.sip.tls = Some(Tls {
        certificate: "/etc/allo/certificate.pem".into(),
        key: "/etc/allo/key.pem".into(),
    });
    config.web.token = "an example of a token".parse().ok();
    let words = |command: &[&str]| Some(command.iter().map(ToString::to_string).collect());
    config.prompts.render = Render {
        ru: words(&[
            "text2wave",
            "-eval",
            "(voice_msu_ru_nsh_clunits)",
            "-F",
            "8000",
            "-o",
            "{file}",
        ]),
        en: words(&["text2wave", "-F", "8000", "-o", "{file}"]),
    };
    config.crm.sql = Some(CrmSql {
        url: DatabaseUrl::Postgres("postgres://reader@db.example.com/shop".to_owned()),
        customers: "select name, points, vip from clients where phone = $1".to_owned(),
        orders: Some("select number, status, due from orders where phone = $1".to_owned()),
        order: Some(
            "select number, status from orders where upper(replace(number, '-', '')) = $1"
                .to_owned(),
        ),
        bonus: Some("update clients set points = points + $2 where phone = $1".to_owned()),
        order_status: Some("update orders set status = $3 where number = $2".to_owned()),
        events: Some("select id, event, phone, balance from hotline_events".to_owned()),
        events_every: CrmSql::default_events_every(),
    });
    config.trunks = vec![Trunk {
        domain: "example.com".parse().ok(),
        transport: Transport::Tls,
        authorities: Some("/etc/allo/authorities.pem".into()),
        username: Some("shop".to_owned()),
        password: "secret".parse().ok(),
        realm: Some("example.com".to_owned()),
        register: true,
        caller_id: Some("+78003334455".to_owned()),
        label: Some("Магазин".to_owned()),
        ..Trunk::new("provider", TrunkAddress { host: "sip.example.com".to_owned(), port: None })
    }];
    config
}

fn toml_of(config: &Config) -> String {
    toml::to_string(config).expect("settings are tables of texts, numbers and lists")
}

fn description(schema: &Schema, path: &[String]) -> String {
    let mut at = schema;
    for key in path {
        let object = at["anyOf"].get(0).unwrap_or(at);
        let object = if object["items"].is_object() { &object["items"] } else { object };
        at = &object["properties"][key.as_str()];
    }
    let own = at["description"].as_str();
    own.or_else(|| at["items"]["description"].as_str()).unwrap_or_default().to_owned()
}

fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS {
            let _ = writeln!(text, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > 1 {
        let _ = writeln!(text, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A header or a key, not prose.
    fn is_toml(line: &str) -> bool {
        !line.starts_with(' ')
            && (line.contains(" = ") || line.starts_with('[') && line.ends_with(']'))
    }

    #[test]
    fn the_sample_read_back_is_the_defaults() {
        let config = Config::from_text(Path::new("allo.toml"), &Config::describe(), []);
        assert_eq!(config.map_err(|e| e.to_string()), Ok(Config::default()));
    }

    #[test]
    fn the_sample_with_its_examples_is_a_valid_file() {
        let described = Config::describe();
        let uncommented: String = described
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if is_toml(key) => key,
                _ => line,
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        let config = Config::from_text(Path::new("allo.toml"), &uncommented, []);
        let config = config.map_err(|e| e.to_string()).unwrap();
        assert_eq!(toml_of(&config), toml_of(&with_examples()));
    }

    #[test]
    fn every_key_and_section_is_documented() {
        let described = Config::describe();
        let mut before = "";
        for line in described.lines() {
            let bare = line.strip_prefix('#').unwrap_or(line);
            if is_toml(bare) {
                assert!(before.starts_with("# "), "undocumented: {line}");
            }
            before = line;
        }
        assert!(described.contains("#public-address = \"203.0.113.7\""), "{described}");
        assert!(!described.contains("secret"));
    }
}
