//! SDP: read, written, answered.

use std::net::{IpAddr, Ipv4Addr};

use crate::domain::LocalMedia;
use crate::sip::offer_answer::{LocalDescription, check_offer};
use crate::sip::sdp::{BYTES_MAX, Description, MEDIA_MAX, Origin};

const IP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// An offer of a stranger; and an answer to ours.
pub(super) fn description(input: &[u8]) {
    let media = LocalMedia { ip: IP, rtp_port: 20_000 };
    let mut ours = LocalDescription::new(IP, media, 1);
    if let Ok(read) = Description::parse(input) {
        assert!(input.len() <= BYTES_MAX && read.media.len() <= MEDIA_MAX);
        let written = read.write(Origin { session_id: 1, version: 1, ip: IP });
        match Description::parse(&written) {
            Ok(again) => is_the_same(&read, &again),
            Err(why) => panic!("{why}: {}", written.escape_ascii()),
        }
    }
    let is_welcome = check_offer(input).is_ok();
    let answered = ours.answer(input);
    assert_eq!(is_welcome, answered.is_ok(), "checked and answered differ: {answered:?}");
    if let Ok((answer, session)) = answered {
        let offered = Description::parse(input).map(|offer| offer.media.len());
        let answer = Description::parse(&answer);
        // RFC 3264 §6: as many streams as were offered.
        assert_eq!(offered, answer.as_ref().map(|answer| answer.media.len()).map_err(Clone::clone));
        assert!(!session.remote_rtp.ip().is_multicast());
    }
    let mut ours = LocalDescription::new(IP, media, 1);
    let offer = ours.offer();
    assert!(check_offer(&offer).is_ok());
    let _ = ours.accept_answer(input);
    assert!(Description::parse(&ours.offer()).is_ok(), "our next offer");
}

/// Connections that can't be used are written as none.
fn is_the_same(read: &Description, again: &Description) {
    assert_eq!(read.media.len(), again.media.len());
    assert_eq!(read.attributes.len(), again.attributes.len());
    for (one, other) in read.media.iter().zip(&again.media) {
        assert_eq!(
            (&one.kind, one.port, &one.protocol),
            (&other.kind, other.port, &other.protocol)
        );
        assert!(one.formats == other.formats || one.formats.is_empty());
        assert_eq!(one.attributes, other.attributes);
        let ip = |media: &crate::sip::sdp::Media| media.connection.map(|c| c.ip());
        assert_eq!(ip(one), ip(other));
    }
}
