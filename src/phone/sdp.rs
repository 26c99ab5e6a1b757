//! The phone's offers and answers (RFC 3264, RFC 8866): one audio stream, G.711 and
//! telephone-event.

use std::net::{Ipv4Addr, SocketAddr};

use crate::domain::Codec;
use crate::domain::Direction::{self, Inactive, RecvOnly, SendOnly, SendRecv};
use crate::sip::sdp::{Connection, Description, Media};

/// What the phone can do, and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offering {
    /// In order of preference; at least one.
    pub codecs: Vec<Codec>,
    /// The payload type on which we want events; `None`: keys as tones only.
    pub event_payload_type: Option<u8>,
    pub rtp: SocketAddr,
}

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    pub codec: Codec,
    /// To send audio with.
    pub payload_type: u8,
    /// To send events with; `None`: not taken.
    pub event_payload_type: Option<u8>,
    pub remote: SocketAddr,
    /// Ours: whether we may send and shall hear something.
    pub direction: Direction,
}

impl Offering {
    /// An offer.
    pub fn to_sdp(&self, version: u32, direction: Direction) -> String {
        let formats: Vec<(u8, Codec)> =
            self.codecs.iter().map(|&codec| (codec.static_payload_type(), codec)).collect();
        self.write(version, direction, &formats, self.event_payload_type)
    }

    /// The answer to an offer that [`read_offer`] accepted.
    pub fn answer_sdp(&self, version: u32, wish: Direction, offer: &[u8]) -> String {
        let Some((offered, agreement)) =
            Offered::read(offer).and_then(|offered| Some((offered.clone(), offered.agree(self)?)))
        else {
            return self.to_sdp(version, wish);
        };
        let events = self.event_payload_type.and(offered.event_payload_type);
        let sends = wish.sends() && agreement.direction.sends();
        let receives = wish.receives() && agreement.direction.receives();
        let direction = direction_of(sends, receives);
        self.write(version, direction, &[(agreement.payload_type, agreement.codec)], events)
    }

    fn write(
        &self,
        version: u32,
        direction: Direction,
        formats: &[(u8, Codec)],
        events: Option<u8>,
    ) -> String {
        let ip = self.rtp.ip();
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        let numbers = formats.iter().map(|(number, _)| *number).chain(events);
        let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
        let mut sdp = format!(
            "v=0\r\no=phone 1 {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {} RTP/AVP {}\r\n",
            self.rtp.port(),
            numbers.join(" ")
        );
        for (number, codec) in formats {
            sdp += &format!("a=rtpmap:{number} {}/8000\r\n", codec.name());
        }
        if let Some(number) = events {
            sdp += &format!("a=rtpmap:{number} telephone-event/8000\r\na=fmtp:{number} 0-15\r\n");
        }
        sdp + &format!("a=ptime:20\r\na={}\r\n", direction_name(direction))
    }
}

/// What the answer to our offer means; `None` if there is no audio in common.
pub fn read_answer(body: &[u8], ours: &Offering) -> Option<Agreement> {
    Offered::read(body)?.agree(ours)
}

/// What we agree to when the other side offers; `None` if there is no audio in common.
pub fn read_offer(body: &[u8], ours: &Offering) -> Option<Agreement> {
    Offered::read(body)?.agree(ours)
}

/// The first audio stream of a description.
#[derive(Clone, Debug)]
struct Offered {
    codecs: Vec<(u8, Codec)>,
    event_payload_type: Option<u8>,
    remote: SocketAddr,
    direction: Direction,
}

impl Offered {
    fn read(body: &[u8]) -> Option<Self> {
        let description = Description::parse(body).ok()?;
        let audio = description.media.iter().find(|media| media.kind == "audio")?;
        let (Connection::Address(ip), 1..) =
            (audio.connection.or(description.connection)?, audio.port)
        else {
            return Self::on_hold(&description, audio);
        };
        Self::of(&description, audio, SocketAddr::new(ip, audio.port))
    }

    /// The hold of RFC 2543: an address that is nowhere.
    fn on_hold(description: &Description, audio: &Media) -> Option<Self> {
        let connection = audio.connection.or(description.connection)?;
        if connection != Connection::Hold || audio.port == 0 {
            return None;
        }
        let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), audio.port);
        Self::of(description, audio, nowhere)
    }

    fn of(description: &Description, audio: &Media, remote: SocketAddr) -> Option<Self> {
        let numbers: Vec<u8> = audio.formats.iter().filter_map(|n| n.parse().ok()).collect();
        let name_of = |number: u8| {
            let maps = audio.attributes.iter().filter(|attribute| attribute.name == "rtpmap");
            let mut names = maps.filter_map(|map| map.value.split_once(' '));
            let is_it = |(mapped, _): &(&str, &str)| mapped.parse() == Ok(number);
            names.find(is_it).map(|(_, name)| name.trim().to_ascii_uppercase())
        };
        let codec_of = |number: u8| {
            Codec::ALL.into_iter().find(|codec| match name_of(number) {
                Some(name) => name.starts_with(&format!("{}/8000", codec.name())),
                None => codec.static_payload_type() == number,
            })
        };
        let is_event = |number: &u8| name_of(*number).is_some_and(|n| n == "TELEPHONE-EVENT/8000");
        let directions = [SendRecv, SendOnly, RecvOnly, Inactive];
        let is_named = |d: &Direction| description.attribute(audio, direction_name(*d)).is_some();
        Some(Self {
            codecs: numbers.iter().filter_map(|&n| Some((n, codec_of(n)?))).collect(),
            event_payload_type: numbers.iter().copied().find(is_event),
            remote,
            direction: directions.into_iter().find(is_named).unwrap_or(SendRecv),
        })
    }

    /// The first of their codecs that we speak. RFC 3264 §6.1: what they want to receive is what
    /// we send with.
    fn agree(&self, ours: &Offering) -> Option<Agreement> {
        let (payload_type, codec) =
            *self.codecs.iter().find(|(_, codec)| ours.codecs.contains(codec))?;
        let is_nowhere = self.remote.ip().is_unspecified();
        let direction =
            direction_of(self.direction.receives() && !is_nowhere, self.direction.sends());
        Some(Agreement {
            codec,
            payload_type,
            event_payload_type: ours.event_payload_type.and(self.event_payload_type),
            remote: self.remote,
            direction,
        })
    }
}

fn direction_of(sends: bool, receives: bool) -> Direction {
    match (sends, receives) {
        (true, true) => SendRecv,
        (true, false) => SendOnly,
        (false, true) => RecvOnly,
        (false, false) => Inactive,
    }
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        SendRecv => "sendrecv",
        SendOnly => "sendonly",
        RecvOnly => "recvonly",
        Inactive => "inactive",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(codecs: &[Codec], event_payload_type: Option<u8>) -> Offering {
        let rtp = "127.0.0.1:4000".parse().unwrap();
        Offering { codecs: codecs.to_vec(), event_payload_type, rtp }
    }

    #[test]
    fn an_answer_names_codec_events_and_address() {
        let answer = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n\
            m=audio 5004 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=sendonly\r\n\
            m=video 0 RTP/AVP 31\r\nc=IN IP4 10.0.0.9\r\n";
        let agreement = read_answer(answer.as_bytes(), &offering(&Codec::ALL, Some(101))).unwrap();
        assert_eq!(agreement.codec, Codec::Pcmu);
        assert_eq!(agreement.event_payload_type, Some(96));
        assert_eq!(agreement.remote, "10.0.0.2:5004".parse().unwrap());
        assert_eq!(agreement.direction, Direction::RecvOnly);
    }

    #[test]
    fn our_own_offer_is_answered_with_its_numbers() {
        let theirs = offering(&[Codec::Pcmu], Some(110)).to_sdp(1, Direction::SendOnly);
        let ours = offering(&Codec::ALL, Some(101));
        let answer = ours.answer_sdp(1, Direction::SendRecv, theirs.as_bytes());
        assert!(answer.contains("m=audio 4000 RTP/AVP 0 110\r\n"), "{answer}");
        assert!(answer.contains("a=recvonly\r\n"), "{answer}");
    }

    #[test]
    fn without_a_common_codec_there_is_no_agreement() {
        let theirs = offering(&[Codec::Pcmu], None).to_sdp(1, Direction::SendRecv);
        assert_eq!(read_offer(theirs.as_bytes(), &offering(&[Codec::Pcma], None)), None);
        for torn in ["", "v", "m=audio x RTP/AVP 0", "m=audio 0 RTP/AVP 0\r\nc=IN IP4 1.2.3.4"] {
            assert_eq!(read_offer(torn.as_bytes(), &offering(&Codec::ALL, None)), None, "{torn}");
        }
    }
}
