//! The parts of a SIP message that the phone looks at, read by the house's message layer.

use bytes::Bytes;

use crate::sip::message::{CSeq, Header, HeaderName, Headers, NameAddr, Parsed, Via, parse};

/// A message that came.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    pub start: Start,
    /// The user part of the Request-URI, unescaped; `None` for a response.
    pub dialled: Option<String>,
    /// As they came, for a response.
    pub vias: Vec<String>,
    pub from: String,
    pub to: String,
    pub call_id: String,
    /// Number and method.
    pub cseq: (u32, String),
    /// Of the topmost Via.
    pub branch: Option<String>,
    /// The URI of the first Contact.
    pub contact: Option<String>,
    pub record_routes: Vec<String>,
    /// Everything else.
    pub headers: Headers,
    pub body: Bytes,
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    Request { method: String },
    Response { code: u16, reason: String },
}

impl Incoming {
    /// `None` if it is no message that a phone could act on.
    pub fn read(message: &Bytes) -> Option<Self> {
        match parse(message) {
            Parsed::Request(request) => {
                let start = Start::Request { method: request.method.as_str().to_owned() };
                Self::with(start, request.uri.user(), &request.headers, request.body)
            }
            Parsed::Response(response) => {
                let reason = response.reason.to_string();
                let start = Start::Response { code: response.status.code(), reason };
                Self::with(start, None, &response.headers, response.body)
            }
            Parsed::Fault(_) | Parsed::Nothing => None,
        }
    }

    fn with(start: Start, dialled: Option<String>, headers: &Headers, body: Bytes) -> Option<Self> {
        let text = |name: &HeaderName| headers.text(name).map(|value| value.into_owned());
        let cseq = CSeq::parse(&text(&HeaderName::CSeq)?).ok()?;
        let vias = headers.items(&HeaderName::Via);
        let branch = Via::parse(vias.first()?).ok()?.branch().map(str::to_owned);
        let contacts = headers.items(&HeaderName::Contact);
        let contact = contacts.first().and_then(|contact| NameAddr::parse(contact).ok());
        Some(Self {
            start,
            dialled,
            branch,
            vias,
            from: text(&HeaderName::From)?,
            to: text(&HeaderName::To)?,
            call_id: text(&HeaderName::CallId)?,
            cseq: (cseq.number, cseq.method.as_str().to_owned()),
            contact: contact.map(|contact| contact.uri.to_string()),
            record_routes: headers.items(&HeaderName::RecordRoute),
            headers: headers.clone(),
            body,
        })
    }

    /// All lines of the header of this name, however its letters are written.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = String> {
        let is_it = move |header: &&Header| header.name.as_str().eq_ignore_ascii_case(name);
        let text = |header: &Header| String::from_utf8_lossy(&header.value).into_owned();
        self.headers.iter().filter(is_it).map(text)
    }

    /// The first of them.
    pub fn line(&self, name: &str) -> Option<String> {
        self.lines(name).next()
    }
}
