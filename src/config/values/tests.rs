use super::*;

#[test]
fn periods_are_read_and_written_back() {
    for (text, ms) in [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000)] {
        let period: Period = text.parse().unwrap();
        assert_eq!(period.as_ms(), ms, "{text}");
        assert_eq!(period.to_string().parse(), Ok(period), "{text}");
    }
    for text in ["", "30", "s", "30 s", "-1s", "1.5s", "99999999999999999999s", "9999h", "30S"] {
        assert!(text.parse::<Period>().is_err(), "{text}");
    }
}

#[test]
fn listen_addresses_name_transport_address_and_port() {
    for text in ["udp:0.0.0.0:5060", "tcp:[::]:5061", "udp:127.0.0.1:0", "tls:0.0.0.0:5061"] {
        assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
    }
    for text in ["", "5060", "0.0.0.0:5060", "udp:5060", "wss:0.0.0.0:5061", "udp:[::]"] {
        assert!(text.parse::<Listen>().is_err(), "{text}");
    }
}

#[test]
fn a_port_range_holds_at_least_one_pair() {
    assert_eq!("16384-32767".parse(), Ok(PortRange { first: 16_384, last: 32_767 }));
    assert!("20000-20001".parse::<PortRange>().is_ok());
    for text in ["", "20000", "20001-20002", "20002-20000", "80-90", "1-99999", "a-b"] {
        assert!(text.parse::<PortRange>().is_err(), "{text}");
    }
}

#[test]
fn a_network_knows_its_addresses() {
    let contains = |network: &str, address: &str| {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    };
    assert!(contains("10.0.0.0/8", "10.255.1.2"));
    assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert!(!contains("10.0.0.0/8", "11.0.0.1"));
    assert!(contains("192.0.2.7", "192.0.2.7"));
    assert!(!contains("192.0.2.7", "192.0.2.8"));
    assert!(contains("2001:db8::/32", "2001:db8:1::1"));
    assert!(contains("0.0.0.0/0", "198.51.100.1"));
    assert!(contains("::/0", "2001:db8::1"));
    assert!(!contains("0.0.0.0/0", "2001:db8::1"));
    for text in ["", "10.0.0.0/33", "::/129", "ten", "10.0.0.0/"] {
        assert!(text.parse::<Network>().is_err(), "{text}");
    }
}

#[test]
fn a_database_shows_no_password() {
    let shown = |url: &str| format!("{:?}", url.parse::<DatabaseUrl>().unwrap());
    assert_eq!(shown("sqlite:allo.db"), "sqlite:allo.db");
    assert_eq!(shown("sqlite:///var/lib/allo.db"), "sqlite:/var/lib/allo.db");
    assert_eq!(shown("postgres://anna:p@ss/w@db:5432/shop"), "postgres://anna:•••@db:5432/shop");
    assert_eq!(shown("postgresql://anna@db/shop"), "postgresql://anna@db/shop");
    assert_eq!(shown("postgres:///shop?user=a&password=b&host=/run"), {
        "postgres:///shop?user=a&password=•••&host=/run"
    });
    for text in ["", "allo.db", "mysql://x", "sqlite:", "sqlite::memory:", "sqlite:a.db?mode=ro"] {
        assert!(text.parse::<DatabaseUrl>().is_err(), "{text}");
    }
    assert_eq!(format!("{:?}", "hunter2".parse::<Secret>().unwrap()), "•••");
}
