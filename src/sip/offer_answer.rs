//! Offer and answer (RFC 3264) for the one audio stream of a leg: which codec, whose payload
//! numbers, where to, and which way.
//!
//! One codec is agreed: the first of the peer's that is ours. All other streams are refused by port
//! 0, in their places.

use std::net::{IpAddr, SocketAddr};

use super::sdp::{Attribute, Connection, Description, Media, Origin};
use crate::domain::{Codec, Direction, EventPayload, LocalMedia, MediaSession};

/// Why an offer or an answer can't be agreed to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No stream of plain RTP with PCMA or PCMU: 488.
    #[error("no common codec")]
    NoCommonCodec,
    /// 400
    #[error("malformed SDP: {0}")]
    Malformed(String),
}

/// Our side of a leg's session, from the first description to the last. Session id and address
/// stay; the version counts up whenever what we say differs from what we said last (RFC 3264 §8).
#[derive(Clone, Debug)]
pub struct LocalDescription {
    ip: IpAddr,
    rtp_port: u16,
    session_id: u64,
    version: u64,
    last_said: Option<Description>,
    /// Streams never go away (RFC 3264 §8), so what was refused stays in its place.
    streams: Vec<Stream>,
    agreed: Option<MediaSession>,
}

/// One `m=` line, from our side.
#[derive(Clone, Debug)]
enum Stream {
    Audio { protocol: String },
    Refused(Media),
}

impl LocalDescription {
    /// `ip` is the address that the peer can send to; `media.ip` may be unspecified and is not used.
    pub fn new(ip: IpAddr, media: LocalMedia, session_id: u64) -> Self {
        Self {
            ip,
            rtp_port: media.rtp_port,
            session_id,
            version: 1,
            last_said: None,
            streams: vec![Stream::Audio { protocol: "RTP/AVP".to_owned() }],
            agreed: None,
        }
    }

    /// Answers an offer: the SDP to send, and what is agreed by it. A refused offer changes nothing.
    pub fn answer(&mut self, offer: &[u8]) -> Result<(Vec<u8>, MediaSession), Refusal> {
        let offer = Description::parse(offer).map_err(Refusal::Malformed)?;
        let (audio, codec) = choose_audio(&offer).ok_or(Refusal::NoCommonCodec)?;
        let stream = &offer.media[audio];
        let event = telephone_event(&offer, stream);
        let session = MediaSession {
            codec: codec.codec,
            // Both directions use the offer's numbers (RFC 3264 §6.1).
            send_payload_type: codec.payload_type,
            receive_payload_type: codec.payload_type,
            telephone_event: event.map(|event| EventPayload { send: event, receive: event }),
            ..said_of_stream(&offer, stream)
        };
        let codecs = [(session.codec, session.receive_payload_type)];
        self.streams = answered_streams(offer.media, audio);
        let said = self.describe(&codecs, &session, offer.times);
        self.agreed = Some(session.clone());
        Ok((self.say(said), session))
    }

    /// Our offer: both codecs, telephone-event, and what was refused before, in its place. What has
    /// been agreed keeps its payload numbers (RFC 3264 §8.3.2). Audio flows both ways, so an offer
    /// also ends a hold of ours, if there were one.
    pub fn offer(&mut self) -> Vec<u8> {
        let (codecs, session) = self.wanted();
        let times = self.last_said.as_ref().and_then(|said| said.times.clone());
        let said = self.describe(&codecs, &session, times);
        self.say(said)
    }

    /// Reads the peer's answer to our last [`offer`](Self::offer).
    pub fn accept_answer(&mut self, answer: &[u8]) -> Result<MediaSession, Refusal> {
        let answer = Description::parse(answer).map_err(Refusal::Malformed)?;
        let place = self.streams.iter().position(|stream| matches!(stream, Stream::Audio { .. }));
        let Some(stream) = place.and_then(|place| answer.media.get(place)) else {
            return Err(Refusal::Malformed("the answer lacks the stream that we offered".into()));
        };
        if !stream.kind.eq_ignore_ascii_case("audio") {
            return Err(Refusal::Malformed("the answer's streams are in another order".into()));
        }
        let (offered, wanted) = self.wanted();
        let (codec, receive) = answered_codec(&answer, stream, &offered)?;
        let event = wanted.telephone_event.and_then(|event| {
            let ours = |n: &u8| *n == event.receive && rtpmap(&answer, stream, *n).is_none();
            let unnamed = || payload_types(stream).find(ours);
            let send = telephone_event(&answer, stream).or_else(unnamed)?;
            Some(EventPayload { send, ..event })
        });
        let session = MediaSession {
            codec: codec.codec,
            send_payload_type: codec.payload_type,
            receive_payload_type: receive,
            telephone_event: event,
            ..said_of_stream(&answer, stream)
        };
        self.agreed = Some(session.clone());
        Ok(session)
    }

    /// What our offer asks for: codecs with the numbers that we want to receive, by preference, and
    /// the rest in the form of a session.
    fn wanted(&self) -> (Vec<(Codec, u8)>, MediaSession) {
        let nowhere = SocketAddr::new(Connection::Unusable.ip(), 0);
        let mut wanted = self.agreed.clone().unwrap_or(MediaSession {
            codec: Codec::Pcma,
            send_payload_type: Codec::Pcma.static_payload_type(),
            receive_payload_type: Codec::Pcma.static_payload_type(),
            telephone_event: None,
            ptime_ms: PTIME_DEFAULT_MS,
            remote_rtp: nowhere,
            remote_rtcp: nowhere,
            rtcp_mux: false,
            direction: Direction::SendRecv,
        });
        let mut codecs = vec![(wanted.codec, wanted.receive_payload_type)];
        let in_use =
            [Some(wanted.receive_payload_type), wanted.telephone_event.map(|event| event.receive)];
        // The peer may have given our other codec's static number to something else.
        let others = Codec::ALL.into_iter().filter(|codec| {
            *codec != wanted.codec && !in_use.contains(&Some(codec.static_payload_type()))
        });
        codecs.extend(others.map(|codec| (codec, codec.static_payload_type())));
        let taken = |n: u8| codecs.iter().any(|(_, payload_type)| *payload_type == n);
        let free = (EVENT_DEFAULT..=127).find(|n| !taken(*n)).unwrap_or(EVENT_DEFAULT);
        wanted.telephone_event.get_or_insert(EventPayload { send: free, receive: free });
        wanted.direction = Direction::SendRecv;
        (codecs, wanted)
    }

    fn describe(
        &self,
        codecs: &[(Codec, u8)],
        session: &MediaSession,
        times: Option<String>,
    ) -> Description {
        let media = self.streams.iter().map(|stream| match stream {
            Stream::Refused(media) => media.clone(),
            Stream::Audio { protocol } => self.describe_audio(protocol, codecs, session),
        });
        Description {
            connection: Some(Connection::Address(self.ip)),
            times,
            attributes: Vec::new(),
            media: media.collect(),
        }
    }

    fn describe_audio(
        &self,
        protocol: &str,
        codecs: &[(Codec, u8)],
        session: &MediaSession,
    ) -> Media {
        let mut formats = Vec::new();
        let mut attributes = Vec::new();
        for (codec, payload_type) in codecs {
            formats.push(payload_type.to_string());
            let value = format!("{payload_type} {}/8000", codec.name());
            attributes.push(Attribute::new("rtpmap", value));
        }
        if let Some(EventPayload { receive, .. }) = session.telephone_event {
            formats.push(receive.to_string());
            attributes.push(Attribute::new("rtpmap", format!("{receive} telephone-event/8000")));
            attributes.push(Attribute::new("fmtp", format!("{receive} 0-15")));
        }
        attributes.push(Attribute::new("ptime", session.ptime_ms.to_string()));
        attributes.push(Attribute::new(direction_name(session.direction), ""));
        if session.rtcp_mux {
            attributes.push(Attribute::new("rtcp-mux", ""));
        }
        Media {
            kind: "audio".to_owned(),
            port: self.rtp_port,
            protocol: protocol.to_owned(),
            formats,
            connection: None,
            attributes,
        }
    }

    fn say(&mut self, said: Description) -> Vec<u8> {
        if self.last_said.as_ref().is_some_and(|last| *last != said) {
            self.version = self.version.saturating_add(1);
        }
        let origin = Origin { session_id: self.session_id, version: self.version, ip: self.ip };
        let bytes = said.write(origin);
        self.last_said = Some(said);
        bytes
    }
}

/// Whether [`LocalDescription::answer`] would agree to this offer.
pub fn check_offer(offer: &[u8]) -> Result<(), Refusal> {
    let offer = Description::parse(offer).map_err(Refusal::Malformed)?;
    choose_audio(&offer).map(|_| ()).ok_or(Refusal::NoCommonCodec)
}

/// A codec of ours, and the peer's number for it.
#[derive(Clone, Copy, Debug)]
struct NumberedCodec {
    codec: Codec,
    payload_type: u8,
}

/// The first stream that we can take, and the first codec in it that is ours.
fn choose_audio(offer: &Description) -> Option<(usize, NumberedCodec)> {
    offer.media.iter().enumerate().find_map(|(place, stream)| {
        let usable = stream.kind.eq_ignore_ascii_case("audio")
            && stream.port != 0
            && is_plain_rtp(&stream.protocol);
        Some((place, usable.then(|| first_codec(offer, stream))??))
    })
}

/// AVPF allows feedback but asks for none (RFC 4585 §3.6), so it is answered like AVP.
fn is_plain_rtp(protocol: &str) -> bool {
    ["RTP/AVP", "RTP/AVPF"].iter().any(|plain| protocol.eq_ignore_ascii_case(plain))
}

/// The audio stream in its place, all others refused with what they offered (RFC 3264 §6).
fn answered_streams(offered: Vec<Media>, audio: usize) -> Vec<Stream> {
    let streams = offered.into_iter().enumerate().map(|(place, media)| {
        if place == audio {
            return Stream::Audio { protocol: media.protocol };
        }
        Stream::Refused(Media { port: 0, connection: None, attributes: Vec::new(), ..media })
    });
    streams.collect()
}

fn payload_types(stream: &Media) -> impl Iterator<Item = u8> {
    stream.formats.iter().filter_map(|format| format.parse().ok()).filter(|n| *n <= 127)
}

fn first_codec(description: &Description, stream: &Media) -> Option<NumberedCodec> {
    payload_types(stream).find_map(|payload_type| {
        let codec = codec_of(description, stream, payload_type)?;
        Some(NumberedCodec { codec, payload_type })
    })
}

/// What this number means. An `rtpmap` that names our codec with another clock rate counts as not
/// written: a static number then keeps its meaning (RFC 3551 §6).
fn codec_of(description: &Description, stream: &Media, payload_type: u8) -> Option<Codec> {
    let fixed = || Codec::ALL.into_iter().find(|c| c.static_payload_type() == payload_type);
    let Some(map) = rtpmap(description, stream, payload_type) else { return fixed() };
    let codec = Codec::ALL.into_iter().find(|c| map.name.eq_ignore_ascii_case(c.name()))?;
    if map.is_8000_mono() { Some(codec) } else { fixed() }
}

/// The number of telephone-event with the clock of our codecs (RFC 4733 §2.5.1.1).
fn telephone_event(description: &Description, stream: &Media) -> Option<u8> {
    payload_types(stream).find(|payload_type| {
        rtpmap(description, stream, *payload_type).is_some_and(|map| {
            map.name.eq_ignore_ascii_case("telephone-event") && map.is_8000_mono()
        })
    })
}

/// `a=rtpmap:101 telephone-event/8000/1`
#[derive(Clone, Copy, Debug)]
struct RtpMap<'a> {
    name: &'a str,
    rate: &'a str,
    channels: Option<&'a str>,
}

impl RtpMap<'_> {
    fn is_8000_mono(&self) -> bool {
        self.rate.trim() == "8000" && self.channels.is_none_or(|n| n.trim() == "1")
    }
}

fn rtpmap<'a>(
    description: &'a Description,
    stream: &'a Media,
    payload_type: u8,
) -> Option<RtpMap<'a>> {
    let mut attributes = stream.attributes.iter().chain(&description.attributes);
    attributes.find_map(|attribute| {
        let (number, encoding) = attribute.value.split_once(char::is_whitespace)?;
        if attribute.name != "rtpmap" || number.parse() != Ok(payload_type) {
            return None;
        }
        let mut parts = encoding.trim().splitn(3, '/');
        let name = parts.next()?;
        Some(RtpMap { name, rate: parts.next().unwrap_or("8000"), channels: parts.next() })
    })
}

/// The first codec of an answer that we offered, and the number that we gave it.
fn answered_codec(
    answer: &Description,
    stream: &Media,
    offered: &[(Codec, u8)],
) -> Result<(NumberedCodec, u8), Refusal> {
    if stream.port == 0 || !is_plain_rtp(&stream.protocol) {
        return Err(Refusal::NoCommonCodec);
    }
    let found = payload_types(stream).find_map(|payload_type| {
        // Some answer with our dynamic number and do not repeat what it means.
        let by_number = || {
            let ours = |(_, number): &&(Codec, u8)| *number == payload_type;
            let unmapped = rtpmap(answer, stream, payload_type).is_none();
            offered.iter().find(ours).filter(|_| unmapped).map(|(codec, _)| *codec)
        };
        let codec = codec_of(answer, stream, payload_type).or_else(by_number)?;
        let (_, receive) = offered.iter().find(|(offered, _)| *offered == codec)?;
        Some((NumberedCodec { codec, payload_type }, *receive))
    });
    found.ok_or(Refusal::NoCommonCodec)
}

/// What the peer says of its stream, apart from payload numbers: those are filled in by the caller.
fn said_of_stream(description: &Description, stream: &Media) -> MediaSession {
    let connection = stream.connection.or(description.connection);
    let connection = connection.unwrap_or(Connection::Unusable);
    let remote_rtp = SocketAddr::new(connection.ip(), stream.port);
    let rtcp_mux = description.attribute(stream, "rtcp-mux").is_some();
    MediaSession {
        codec: Codec::Pcma,
        send_payload_type: 0,
        receive_payload_type: 0,
        telephone_event: None,
        ptime_ms: ptime(description, stream),
        remote_rtp,
        remote_rtcp: if rtcp_mux { remote_rtp } else { rtcp_of(description, stream, remote_rtp) },
        rtcp_mux,
        direction: our_direction(description, stream, connection),
    }
}

/// RTCP goes to the next port, or where `a=rtcp:53020 IN IP4 126.16.64.4` says (RFC 3605 §2.1).
/// Port 0: nowhere.
fn rtcp_of(description: &Description, stream: &Media, rtp: SocketAddr) -> SocketAddr {
    let next = SocketAddr::new(rtp.ip(), rtp.port().checked_add(1).unwrap_or(0));
    let mut words = description.attribute(stream, "rtcp").unwrap_or("").split_whitespace();
    let Some(port) = words.next().and_then(|port| port.parse().ok()) else { return next };
    match words.nth(2).map(Connection::parse_address) {
        Some(Connection::Address(ip)) => SocketAddr::new(ip, port),
        Some(Connection::Hold | Connection::Unusable) | None => SocketAddr::new(rtp.ip(), port),
    }
}

const PTIMES_MS: [u16; 5] = [10, 20, 30, 40, 60];
const PTIME_DEFAULT_MS: u16 = 20;
/// The number that most phones use for telephone-event.
const EVENT_DEFAULT: u8 = 101;

/// The packet time that the peer asks for, if it is one of ours; within its `maxptime`.
fn ptime(description: &Description, stream: &Media) -> u16 {
    let milliseconds = |name| -> Option<u16> {
        let value = description.attribute(stream, name)?;
        value.split(['.', ' ']).next()?.parse().ok()
    };
    let asked = milliseconds("ptime").filter(|ms| PTIMES_MS.contains(ms));
    let asked = asked.unwrap_or(PTIME_DEFAULT_MS);
    let most = milliseconds("maxptime").unwrap_or(u16::MAX);
    let fitting = PTIMES_MS.into_iter().filter(|ms| *ms <= asked.min(most));
    fitting.max().unwrap_or(PTIMES_MS[0])
}

/// The mirror of the peer's direction (RFC 3264 §6.1); nothing is sent to a held address.
fn our_direction(description: &Description, stream: &Media, connection: Connection) -> Direction {
    let mut attributes = stream.attributes.iter().chain(&description.attributes);
    let mirrored = attributes.find_map(|attribute| match attribute.name.as_str() {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::RecvOnly),
        "recvonly" => Some(Direction::SendOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    });
    match (mirrored.unwrap_or(Direction::SendRecv), connection) {
        (Direction::SendRecv, Connection::Hold) => Direction::RecvOnly,
        (Direction::SendOnly, Connection::Hold) => Direction::Inactive,
        (direction, _) => direction,
    }
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}

#[cfg(test)]
mod tests;
