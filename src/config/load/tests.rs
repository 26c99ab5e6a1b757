use super::*;

fn read(text: &str, env: &[(&str, &str)]) -> Result<Config, String> {
    let env = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Config::from_text(Path::new("allo.toml"), text, env).map_err(|error| error.to_string())
}

#[test]
fn nothing_needs_to_be_set() {
    assert_eq!(read("", &[]), Ok(Config::default()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("allo.toml");
    let error = Config::load(Some(&file), []).unwrap_err().to_string();
    assert!(error.contains("allo.toml: can't be read"), "{error}");
}

#[test]
fn all_mistakes_are_named_at_once_with_their_places() {
    let text = "[sip]\n\
                    lisen = [\"udp:0.0.0.0:5060\"]\n\
                    trusted = [\"10.0.0.0/8\", \"ten\"]\n\
                    [rtp]\n\
                    dead-after = 30\n\
                    ports = \"1-2\"\n\
                    [wbe]\n\
                    listen = \"x\"\n\
                    [crm]\n\
                    source = \"oracle\"\n";
    insta::assert_snapshot!(read(text, &[]).unwrap_err(), @r#"
        allo.toml:2:1: unknown key "lisen" in [sip]
          |
        2 | lisen = ["udp:0.0.0.0:5060"]
          | ^^^^^
          = did you mean "listen"?
        allo.toml:3:11: "ten" is not an address or network; write "10.0.0.0/8"
          |
        3 | trusted = ["10.0.0.0/8", "ten"]
          |           ^^^^^^^^^^^^^^^^^^^^^
        allo.toml:5:14: 30 cannot stand here; wanted is a text
          |
        5 | dead-after = 30
          |              ^^
          = put it in quotes; a length of time is "30s"
        allo.toml:6:9: "1-2" holds ports below 1024, which belong to the system
          |
        6 | ports = "1-2"
          |         ^^^^^
        allo.toml:7:2: unknown section [wbe]
          |
        7 | [wbe]
          |  ^^^
          = did you mean "web"?
        allo.toml:10:10: "oracle" is not known here
           |
        10 | source = "oracle"
           |          ^^^^^^^^
           = write "embedded" or "sql"
        "#);
}

#[test]
fn a_syntax_mistake_has_its_place() {
    insta::assert_snapshot!(read("[rtp]\ndead-after = 30s\n", &[]).unwrap_err(), @r#"
        allo.toml:2:14: a text must be quoted
          |
        2 | dead-after = 30s
          |              ^^^
          = texts and lengths of time stand in straight quotes: "30s"
        "#);
}

#[test]
fn what_does_not_fit_together_is_named() {
    let text = "[sip]\nlisten = []\n[crm]\nsource = \"sql\"\n\
                    [[trunk]]\nname = \"a\"\naddress = \"sip.example.com\"\nregister = true\n\
                    [[trunk]]\nname = \"a\"\naddress = \"sip.example.com\"\ncaller-id = \"me\"\n";
    insta::assert_snapshot!(read(text, &[]).unwrap_err(), @r#"
        allo.toml:2:10: nothing to listen on
          |
        2 | listen = []
          |          ^^
          = name at least "udp:0.0.0.0:5060"
        allo.toml:4:10: source is "sql", but there is no [crm.sql]
          |
        4 | source = "sql"
          |          ^^^^^
          = add [crm.sql] with url and customers
        allo.toml:8:12: nobody registers without a username
          |
        8 | register = true
          |            ^^^^
          = add username
        allo.toml:10:8: two trunks have this name
           |
        10 | name = "a"
           |        ^^^
           = name each differently
        allo.toml:12:13: not a phone number
           |
        12 | caller-id = "me"
           |             ^^^^
           = write it like "+78003334455"
        "#);
    let text = "[crm.sql]\nurl = \"sqlite:a.db\"\ncustomers = \"select 1\"\n";
    insta::assert_snapshot!(read(text, &[]).unwrap_err(), @r#"
        allo.toml:3:13: the query has no $1
          |
        3 | customers = "select 1"
          |             ^^^^^^^^^^
          = $1 stands for what is looked up: … where phone = $1
        "#);
}

#[test]
fn what_can_not_work_at_a_trunk_is_named_at_its_key() {
    let trunk = |keys: &str| {
        let head = "[[trunk]]\nname = \"a\"\naddress = \"sip.example.com\"\n";
        read(&format!("{head}{keys}\n"), &[])
    };
    let long = format!("label = \"{}\"", "я".repeat(33));
    for (keys, message) in [
        ("password = \"x\"", "a password needs a username"),
        ("realm = \"x\"", "there is no password to prove"),
        ("from = \"username\"", "there is no username"),
        ("from = \"label\"", "\"label\" can't stand in From"),
        (long.as_str(), "longer than 32 characters"),
        ("max-calls = 0", "nobody could be called"),
        ("starts-per-second = 0", "nobody could be called"),
        ("keepalive = \"1s\"", "asked without end"),
        ("number-format = \"+7\"", "no way to write numbers"),
        ("transport = \"sctp\"", "is not spoken"),
        ("authorities = \"a.pem\"", "only tls has certificates"),
        ("domain = \"a b\"", "is no host"),
    ] {
        let error = trunk(keys).unwrap_err();
        assert!(error.starts_with("allo.toml:4:") && error.contains(message), "{error}");
    }
    let listen = "[sip]\nlisten = [\"udp:0.0.0.0:5060\"]\n[[trunk]]\nname = \"a\"\n";
    let tcp = format!("{listen}address = \"a\"\ntransport = \"tcp\"\n");
    assert!(read(&tcp, &[]).unwrap_err().contains("nothing in [sip] listen speaks it"));
    let tls = trunk("transport = \"tls\"\nauthorities = \"/etc/a.pem\"\nkeepalive = \"0s\"");
    assert_eq!(tls.unwrap().trunks[0].keepalive.as_ms(), 0);
}

#[test]
fn a_section_that_lacks_a_key_is_named() {
    let text = "[crm]\nsource = \"sql\"\n[crm.sql]\nurl = \"sqlite:a.db\"\n[[trunk]]\nname=\"x\"\n";
    insta::assert_snapshot!(read(text, &[]).unwrap_err(), @r#"
        allo.toml:3:1: "customers" is missing
          |
        3 | [crm.sql]
          | ^^^^^^^^^
        allo.toml:5:1: "address" is missing
          |
        5 | [[trunk]]
          | ^^^^^^^^^
        "#);
}

#[test]
fn the_environment_overrides_the_file() {
    let config = read(
        "[web]\nlisten = \"127.0.0.1:1\"\n[crm]\nlookups-at-once = 3\n",
        &[
            ("ALLO_WEB__LISTEN", "127.0.0.1:9090"),
            ("ALLO_SIP__LISTEN", "udp:127.0.0.1:5070, tcp:127.0.0.1:5070"),
            ("ALLO_SIP__TRUSTED", "[\"10.0.0.0/8\"]"),
            ("ALLO_SIP__LIMITS__CALLS_PER_SECOND", "7"),
            ("ALLO_CRM__SQL__URL", "sqlite:shop.db"),
            ("ALLO_CRM__SQL__CUSTOMERS", "select $1"),
            ("ALLO_LOG", "json"),
            ("HOME", "/root"),
        ],
    )
    .unwrap();
    assert_eq!(config.web.listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.sip.listen[1].to_string(), "tcp:127.0.0.1:5070");
    assert_eq!(config.sip.trusted[0].to_string(), "10.0.0.0/8");
    assert_eq!(config.sip.limits.calls_per_second, 7);
    assert_eq!(config.crm.lookups_at_once, 3);
    assert_eq!(config.crm.sql.unwrap().url, DatabaseUrl::Sqlite("shop.db".into()));
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let env = [
        ("ALLO_WEB__LISTN", "127.0.0.1:9090"),
        ("ALLO_SIP__LISTEN", "udp:127.0.0.1:5070,5060"),
        ("ALLO_SIP__LIMITS__CALLS", "many"),
        ("ALLO_SIP__LIMITS__CONNECTIONS", "\"7\""),
        ("ALLO_CRM__SQL", "x"),
        ("ALLO_TRUNK__NAME", "x"),
    ];
    insta::assert_snapshot!(read("", &env).unwrap_err(), @r#"
        ALLO_CRM__SQL: "crm.sql" is a section; name a key of it: ALLO_SECTION__KEY
        ALLO_SIP__LIMITS__CALLS: "many" is not a whole number
        ALLO_TRUNK__NAME: trunks can't be set by variables; write them into the file
        ALLO_WEB__LISTN: there is no setting "web.listn"; did you mean "listen"?
        ALLO_SIP__LIMITS__CONNECTIONS: a text cannot stand here; wanted is a whole number; write digits only, without quotes
        ALLO_SIP__LISTEN: "5060" is not an address to listen on; write "udp:0.0.0.0:5060"
        "#);
}

proptest::proptest! {
    #[test]
    fn any_file_is_either_settings_or_mistakes(
        start in 0_usize..4000,
        removed in 0_usize..40,
        put in "[a-z\\[\\]\"=#.,\n0-9ж{}-]{0,12}",
    ) {
        let sample = Config::describe().replace("\n#[", "\n[").replace("\n#c", "\nc");
        let characters = sample.chars().collect::<Vec<_>>();
        let start = start.min(characters.len());
        let end = (start + removed).min(characters.len());
        let mut text: String = characters[..start].iter().collect();
        text.push_str(&put);
        text.extend(&characters[end..]);
        if let Err(mistakes) = read(&text, &[]) {
            proptest::prop_assert!(mistakes.contains("allo.toml"), "{mistakes}");
        }
    }
}

#[test]
fn paths_of_the_file_are_relative_to_its_folder() {
    let text = "[database]\nurl = \"sqlite:data/a.db\"\n[prompts]\nfolder = \"/srv/prompts\"\n\
                    [dialplans]\nfolder = \"plans\"\n";
    let env = [("ALLO_RECORDINGS__FOLDER".to_owned(), "rec".to_owned())];
    let config = Config::from_text(Path::new("/etc/allo/my.toml"), text, env).unwrap();
    assert_eq!(config.database.url, DatabaseUrl::Sqlite("/etc/allo/data/a.db".into()));
    assert_eq!(config.prompts.folder, Path::new("/srv/prompts"));
    assert_eq!(config.dialplans.folder, Path::new("/etc/allo/plans"));
    assert_eq!(config.recordings.folder, Path::new("rec"));
    let config = Config::from_text(Path::new("/etc/allo/my.toml"), "", []).unwrap();
    assert_eq!(config, Config::default());
}
