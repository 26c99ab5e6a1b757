use proptest::prelude::*;

use super::*;

const HEAD: &str = "v=0\r\no=bob 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

fn local() -> LocalDescription {
    let ip: IpAddr = "198.51.100.7".parse().unwrap();
    LocalDescription::new(ip, LocalMedia { ip: "0.0.0.0".parse().unwrap(), rtp_port: 16_384 }, 77)
}

fn offer(media: &str) -> Vec<u8> {
    format!("{HEAD}{}", media.replace('\n', "\r\n")).into_bytes()
}

fn answer_to(media: &str) -> (String, MediaSession) {
    let offer = offer(media);
    check_offer(&offer).unwrap();
    let (sdp, session) = local().answer(&offer).unwrap();
    (String::from_utf8(sdp).unwrap(), session)
}

fn session_of(media: &str) -> MediaSession {
    answer_to(media).1
}

#[test]
fn an_ordinary_offer_is_answered_to_the_letter() {
    let (sdp, session) = answer_to(
        "m=audio 4000 RTP/AVP 9 0 8 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\n",
    );
    assert_eq!(
        sdp,
        "v=0\r\no=- 77 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
         m=audio 16384 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
    assert_eq!(
        session,
        MediaSession {
            codec: Codec::Pcmu,
            send_payload_type: 0,
            receive_payload_type: 0,
            telephone_event: Some(EventPayload { send: 101, receive: 101 }),
            ptime_ms: 20,
            remote_rtp: "192.0.2.1:4000".parse().unwrap(),
            remote_rtcp: "192.0.2.1:4001".parse().unwrap(),
            rtcp_mux: false,
            direction: Direction::SendRecv,
        }
    );
}

#[test]
fn the_offerers_first_codec_of_ours_wins_with_its_number() {
    let chosen = |media: &str| {
        let session = session_of(media);
        (session.codec, session.send_payload_type)
    };
    assert_eq!(chosen("m=audio 4000 RTP/AVP 8 0\n"), (Codec::Pcma, 8));
    assert_eq!(chosen("m=audio 4000 RTP/AVP 0 8\n"), (Codec::Pcmu, 0));
    let dynamic = "m=audio 4000 RTP/AVP 96 97 0\na=rtpmap:96 opus/48000/2\na=rtpmap:97 pcma/8000\n";
    assert_eq!(chosen(dynamic), (Codec::Pcma, 97));
    // The wrong rate makes a dynamic number useless and leaves a static one what it is.
    assert_eq!(chosen("m=audio 4000 RTP/AVP 97 0\na=rtpmap:97 PCMA/16000\n"), (Codec::Pcmu, 0));
    assert_eq!(chosen("m=audio 4000 RTP/AVP 8\na=rtpmap:8 PCMA/16000\n"), (Codec::Pcma, 8));
    assert_eq!(chosen("m=audio 4000 RTP/AVP 0 8\na=rtpmap:0 GSM/8000\n"), (Codec::Pcma, 8));
}

#[test]
fn offers_without_plain_g711_are_refused() {
    for media in [
        "",
        "m=audio 4000 RTP/AVP 9 101\na=rtpmap:101 telephone-event/8000\n",
        "m=audio 0 RTP/AVP 0\n",
        "m=audio 4000 RTP/SAVP 0\n",
        "m=audio 4000 UDP/TLS/RTP/SAVPF 0\n",
        "m=video 4000 RTP/AVP 0\n",
        "m=audio 4000 RTP/AVP 264\n",
        "m=audio 4000 RTP/AVP\n",
    ] {
        assert_eq!(check_offer(&offer(media)), Err(Refusal::NoCommonCodec), "{media}");
        let mut local = local();
        assert_eq!(local.answer(&offer(media)).unwrap_err(), Refusal::NoCommonCodec, "{media}");
    }
    let torn = offer("m=audio 70000 RTP/AVP 0\n");
    assert!(matches!(check_offer(&torn), Err(Refusal::Malformed(_))));
    assert!(matches!(check_offer(b"hello"), Err(Refusal::Malformed(_))));
}

#[test]
fn other_streams_are_refused_in_their_places() {
    let (sdp, session) = answer_to(
        "m=video 5000 RTP/AVP 107 31\na=rtpmap:107 H263-1998/90000\nm=audio 4000 RTP/SAVP 0\n\
         m=audio 4002 RTP/AVPF 0\nm=audio 4004 RTP/AVP 8\nm=image 0 udptl t38\nm=x 9 y\n",
    );
    let streams: Vec<&str> = sdp.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        streams,
        [
            "m=video 0 RTP/AVP 107 31",
            "m=audio 0 RTP/SAVP 0",
            "m=audio 16384 RTP/AVPF 0",
            "m=audio 0 RTP/AVP 8",
            "m=image 0 udptl t38",
            "m=x 0 y 0",
        ]
    );
    assert_eq!(session.remote_rtp.port(), 4002);
    assert!(!sdp.contains("H263"));
}

#[test]
fn telephone_event_counts_only_with_our_clock_and_in_the_list() {
    let event = |media: &str| session_of(media).telephone_event.map(|event| event.send);
    let maps = "a=rtpmap:96 telephone-event/48000\na=rtpmap:97 Telephone-Event/8000\n";
    assert_eq!(event(&format!("m=audio 4000 RTP/AVP 0 96 97\n{maps}")), Some(97));
    assert_eq!(event(&format!("m=audio 4000 RTP/AVP 0 96\n{maps}")), None);
    assert_eq!(event("m=audio 4000 RTP/AVP 0 101\n"), None);
}

#[test]
fn hold_in_all_its_forms_stops_our_sending_and_is_mirrored() {
    for (lines, ours) in [
        ("a=sendonly\n", Direction::RecvOnly),
        ("a=recvonly\n", Direction::SendOnly),
        ("a=inactive\n", Direction::Inactive),
        ("a=sendrecv\n", Direction::SendRecv),
        ("", Direction::SendRecv),
        ("c=IN IP4 0.0.0.0\n", Direction::RecvOnly),
        ("c=IN IP6 ::\na=recvonly\n", Direction::Inactive),
        ("c=IN IP4 0.0.0.0\na=sendonly\n", Direction::RecvOnly),
        ("c=IN IP4 host.example.com\n", Direction::SendRecv),
    ] {
        let (sdp, session) = answer_to(&format!("m=audio 4000 RTP/AVP 0\n{lines}"));
        assert_eq!(session.direction, ours, "{lines}");
        assert!(sdp.contains(&format!("a={}\r\n", direction_name(ours))), "{lines}");
        let nowhere = lines.contains("c=");
        assert_eq!(session.remote_rtp.ip().is_unspecified(), nowhere, "{lines}");
    }
    let at_session_level = format!("{HEAD}a=inactive\r\nm=audio 4000 RTP/AVP 0\r\n");
    let (_, session) = local().answer(at_session_level.as_bytes()).unwrap();
    assert_eq!(session.direction, Direction::Inactive);
    let media_level_wins = format!("{at_session_level}a=sendonly\r\n");
    let (_, session) = local().answer(media_level_wins.as_bytes()).unwrap();
    assert_eq!(session.direction, Direction::RecvOnly);
}

#[test]
fn packet_time_is_one_of_ours_within_the_peers_limit() {
    for (lines, ptime_ms) in [
        ("", 20),
        ("a=ptime:30\n", 30),
        ("a=ptime:60\na=maxptime:40\n", 40),
        ("a=ptime:25\n", 20),
        ("a=maxptime:10\n", 10),
        ("a=ptime:20\na=maxptime:5\n", 10),
        ("a=ptime:nonsense\na=maxptime:\n", 20),
        ("a=ptime:40.0\n", 40),
    ] {
        let session = session_of(&format!("m=audio 4000 RTP/AVP 0\n{lines}"));
        assert_eq!(session.ptime_ms, ptime_ms, "{lines}");
    }
}

#[test]
fn rtcp_goes_where_the_peer_says() {
    for (lines, rtcp) in [
        ("", "192.0.2.1:4001"),
        ("a=rtcp:5005\n", "192.0.2.1:5005"),
        ("a=rtcp:5005 IN IP4 192.0.2.9\n", "192.0.2.9:5005"),
        ("a=rtcp:5005 IN IP4 host.example.com\n", "192.0.2.1:5005"),
        ("a=rtcp:99999\n", "192.0.2.1:4001"),
        ("a=rtcp:5005\na=rtcp-mux\n", "192.0.2.1:4000"),
    ] {
        let (sdp, session) = answer_to(&format!("m=audio 4000 RTP/AVP 0\n{lines}"));
        assert_eq!(session.remote_rtcp, rtcp.parse().unwrap(), "{lines}");
        assert_eq!(session.rtcp_mux, sdp.contains("a=rtcp-mux\r\n"));
    }
    let last = session_of("m=audio 65535 RTP/AVP 0\n");
    assert_eq!(last.remote_rtcp.port(), 0);
}

fn version(sdp: &[u8]) -> u64 {
    let text = std::str::from_utf8(sdp).unwrap();
    let origin = text.lines().find_map(|line| line.strip_prefix("o=")).unwrap();
    let words: Vec<&str> = origin.split(' ').collect();
    assert_eq!((words[0], words[1]), ("-", "77"));
    words[2].parse().unwrap()
}

#[test]
fn the_version_counts_up_only_when_what_we_say_changes() {
    let mut local = local();
    let talk = offer("m=audio 4000 RTP/AVP 8\n");
    let moved = offer("m=audio 4008 RTP/AVP 8\n");
    let hold = offer("m=audio 4008 RTP/AVP 8\na=sendonly\n");
    let mut answer = |sdp: &[u8]| version(&local.answer(sdp).unwrap().0);
    assert_eq!(answer(&talk), 1);
    assert_eq!(answer(&talk), 1);
    assert_eq!(answer(&moved), 1);
    assert_eq!(answer(&hold), 2);
    assert_eq!(answer(&moved), 3);
    assert!(local.answer(b"nonsense").is_err());
    assert_eq!(version(&local.answer(&moved).unwrap().0), 3);
}

#[test]
fn an_offer_of_ours_is_agreed_by_the_answer() {
    let mut local = local();
    let sdp = String::from_utf8(local.offer()).unwrap();
    assert!(sdp.contains("m=audio 16384 RTP/AVP 8 0 101\r\n"), "{sdp}");
    assert_eq!(version(&local.offer()), 1);
    let answer = offer(
        "m=audio 4000 RTP/AVP 9 0 96\na=rtpmap:96 telephone-event/8000\na=recvonly\na=ptime:30\n",
    );
    let session = local.accept_answer(&answer).unwrap();
    assert_eq!((session.codec, session.send_payload_type), (Codec::Pcmu, 0));
    assert_eq!(session.telephone_event, Some(EventPayload { send: 96, receive: 101 }));
    assert_eq!((session.direction, session.ptime_ms), (Direction::SendOnly, 30));
    for (bad, refusal) in [
        ("m=audio 0 RTP/AVP 8\n", Some(Refusal::NoCommonCodec)),
        ("m=audio 4000 RTP/AVP 9\n", Some(Refusal::NoCommonCodec)),
        ("m=audio 4000 RTP/SAVP 8\n", Some(Refusal::NoCommonCodec)),
        ("m=video 4000 RTP/AVP 8\n", None),
        ("", None),
    ] {
        let refused = local.accept_answer(&offer(bad)).unwrap_err();
        assert_eq!(refusal.unwrap_or_else(|| refused.clone()), refused, "{bad}");
    }
}

#[test]
fn a_later_offer_keeps_places_and_numbers() {
    let mut local = local();
    let first = offer(
        "m=video 5000 RTP/AVP 31\nm=audio 4000 RTP/AVP 97 0 101 98\na=rtpmap:97 PCMA/8000\n\
         a=rtpmap:98 telephone-event/8000\n",
    );
    let (_, session) = local.answer(&first).unwrap();
    let sdp = String::from_utf8(local.offer()).unwrap();
    let streams: Vec<&str> = sdp.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(streams, ["m=video 0 RTP/AVP 31", "m=audio 16384 RTP/AVP 97 0 98"]);
    // The answer may leave out what our numbers mean.
    let answer = offer("m=video 0 RTP/AVP 31\nm=audio 4000 RTP/AVP 97 98\n");
    assert_eq!(local.accept_answer(&answer).unwrap(), session);
}

#[test]
fn a_number_is_never_offered_with_two_meanings() {
    let mut local = local();
    let odd = "m=audio 4000 RTP/AVP 8 0\na=rtpmap:8 PCMU/8000\na=rtpmap:0 telephone-event/8000\n";
    local.answer(&offer(odd)).unwrap();
    let sdp = String::from_utf8(local.offer()).unwrap();
    assert!(sdp.contains("m=audio 16384 RTP/AVP 8 0\r\n"), "{sdp}");
    assert!(!sdp.contains("PCMA"), "{sdp}");
}

#[test]
fn an_answer_takes_over_the_times_of_the_offer() {
    let scheduled = "v=0\nt=3338481189 3370017201\nm=audio 4000 RTP/AVP 0\n";
    let (sdp, session) = local().answer(scheduled.as_bytes()).unwrap();
    assert!(String::from_utf8(sdp).unwrap().contains("t=3338481189 3370017201\r\n"));
    // No c= line at all: nowhere, until packets show where the caller is.
    assert!(session.remote_rtp.ip().is_unspecified() && session.direction.sends());
}

#[test]
fn the_answer_names_our_ipv6_address() {
    let ip = "2001:db8::7".parse().unwrap();
    let mut local = LocalDescription::new(ip, LocalMedia { ip, rtp_port: 16_384 }, 77);
    let (sdp, _) = local.answer(&offer("m=audio 4000 RTP/AVP 0\n")).unwrap();
    let sdp = String::from_utf8(sdp).unwrap();
    assert!(sdp.contains("o=- 77 1 IN IP6 2001:db8::7\r\n"));
    assert!(sdp.contains("c=IN IP6 2001:db8::7\r\n"));
}

/// The situations of RFC 5118 §4.6, §4.8 and §4.9.
#[test]
fn ipv6_in_an_offer_is_understood() {
    let codecs = "m=audio 6000 RTP/AVP 2 0\na=rtpmap:2 G726-32/8000\nm=video 6024 RTP/AVP 107\n";
    for (address, remote) in
        [("2001:db8::20", "[2001:db8::20]:6000"), ("::ffff:192.0.2.2", "192.0.2.2:6000")]
    {
        let sdp =
            format!("v=0\no=a 1 0 IN IP6 {address}\ns=x\nc=IN IP6 {address}\nt=1 2\n{codecs}");
        let (_, session) = local().answer(sdp.as_bytes()).unwrap();
        assert_eq!(session.remote_rtp, remote.parse().unwrap());
    }
    let both = "v=0\no=bob 1 1 IN IP4 host.example.com\ns=\nt=0 0\nm=audio 22334 RTP/AVP 0\n\
                c=IN IP4 192.0.2.1\nm=video 6024 RTP/AVP 107\nc=IN IP6 2001:db8::1\n";
    let (_, session) = local().answer(both.as_bytes()).unwrap();
    assert_eq!(session.remote_rtp, "192.0.2.1:22334".parse().unwrap());
}

/// Lines that come close to being right.
fn hostile_line() -> impl Strategy<Value = String> {
    prop_oneof![
        "(m|c|a|t|o|v)=[ -~]{0,40}",
        "m=(audio|video) [0-9]{1,6}(/[0-9]{0,3})? (RTP/AVP|RTP/AVPF|RTP/SAVP)( [0-9]{1,3}){0,5}",
        "a=(rtpmap|fmtp|rtcp|ptime|maxptime):[0-9]{1,6} ?(PCMA|PCMU|telephone-event)?/?(8000)?",
        "a=(sendonly|recvonly|inactive|rtcp-mux|sendrecv)",
        "c=IN IP(4|6) ([0-9]{1,3}\\.){3}[0-9]{1,3}(/[0-9]{1,3})?",
        "\\PC{0,20}",
    ]
}

proptest! {
    #[test]
    fn no_bytes_break_us(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = check_offer(&bytes);
        let _ = local().answer(&bytes);
        let _ = local().accept_answer(&bytes);
    }

    #[test]
    fn an_answer_has_a_line_for_each_of_the_offer(
        lines in proptest::collection::vec(hostile_line(), 0..20),
        answer in proptest::collection::vec(hostile_line(), 0..6),
    ) {
        let offer = format!("v=0\nm=audio 4000 RTP/AVP 0 8\n{}", lines.join("\n"));
        let mut local = local();
        prop_assert_eq!(check_offer(offer.as_bytes()).is_ok(), local.answer(offer.as_bytes()).is_ok());
        if let Ok((sdp, _)) = local.answer(offer.as_bytes()) {
            let offered = Description::parse(offer.as_bytes()).unwrap();
            for said in [sdp, local.offer()] {
                let said = Description::parse(&said).unwrap();
                prop_assert_eq!(said.media.len(), offered.media.len());
                prop_assert_eq!(said.media.iter().filter(|media| media.port != 0).count(), 1);
            }
        }
        let _ = local.accept_answer(format!("v=0\n{}", answer.join("\n")).as_bytes());
    }
}
