use std::net::{IpAddr, SocketAddr};

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;
use crate::domain::LocalMedia;
use crate::sip::settings::Limits;
use crate::sip::{SipCommand, SipEvent, SipSettings, SipStack};

/// Writes a new certificate and its key; gives the certificate.
fn write_certificate(folder: &TempDir) -> (Tls, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = Tls { certificate: folder.path().join("c.pem"), key: folder.path().join("k.pem") };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    (files, made.cert.der().clone())
}

async fn connect(address: SocketAddr, trusted: CertificateDer<'static>) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap()
}

async fn read_until(stream: &mut (impl AsyncRead + Unpin), wanted: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(wanted) {
        let read = timeout(Duration::from_secs(5), stream.read(&mut buffer));
        let length = read.await.unwrap().unwrap();
        assert_ne!(length, 0, "closed after {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    text
}

fn request(method: &str, scheme: &str, number: u32) -> String {
    format!(
        "{method} {scheme}:100@localhost SIP/2.0\r\n\
         Via: SIP/2.0/TLS phone.invalid;branch=z9hG4bK{number}\r\n\
         From: <{scheme}:a@localhost>;tag=a\r\nTo: <{scheme}:100@localhost>\r\n\
         Call-ID: c{number}\r\nCSeq: 1 {method}\r\n\
         Contact: <{scheme}:a@phone.invalid;transport=tls>\r\nContent-Length: 0\r\n\r\n"
    )
}

#[tokio::test]
async fn a_call_over_tls_is_answered_with_a_contact_that_stays_on_tls() {
    let folder = TempDir::new().unwrap();
    let (files, trusted) = write_certificate(&folder);
    let listen = vec!["tls:127.0.0.1:0".parse().unwrap()];
    let settings = SipSettings { listen, tls: Some(files), ..SipSettings::default() };
    let (sender, mut events) = mpsc::channel(8);
    let stack = SipStack::start(settings, sender).await.unwrap();
    let address = stack.bound()[0].address;
    let mut stream = connect(address, trusted).await;
    for (number, scheme, contact) in [
        (1, "sip", format!("Contact: <sip:allo@{address};transport=tls>")),
        (2, "sips", format!("Contact: <sips:allo@{address}>")),
    ] {
        stream.write_all(request("INVITE", scheme, number).as_bytes()).await.unwrap();
        let Some(SipEvent::Offered(offer)) = events.recv().await else { panic!("no offer") };
        let media = LocalMedia { ip: IpAddr::from([127, 0, 0, 1]), rtp_port: 20_000 };
        stack.handle().send(SipCommand::Answer { leg: offer.leg, media }).await.unwrap();
        let text = read_until(&mut stream, "a=rtpmap").await;
        assert!(text.contains("SIP/2.0/TLS phone.invalid"), "{text}");
        assert!(text.contains(&contact), "{text}");
    }
    stack.shutdown().await;
}

#[tokio::test]
async fn who_finishes_no_handshake_keeps_no_phone_out() {
    let folder = TempDir::new().unwrap();
    let (files, trusted) = write_certificate(&folder);
    let listen = vec!["tls:127.0.0.1:0".parse().unwrap()];
    let limits = Limits { connections_max: 8, half_message_ms: 60_000, ..Limits::default() };
    let settings = SipSettings { listen, tls: Some(files), limits, ..SipSettings::default() };
    let (sender, _events) = mpsc::channel(8);
    let stack = SipStack::start(settings, sender).await.unwrap();
    let address = stack.bound()[0].address;
    // More than there may be connections at all.
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let gone = timeout(Duration::from_secs(5), silent[0].read(&mut [0; 16])).await;
    assert_eq!(gone.expect("the oldest goes at once").unwrap_or(0), 0);
    let mut phone = connect(address, trusted).await;
    phone.write_all(request("OPTIONS", "sip", 1).as_bytes()).await.unwrap();
    read_until(&mut phone, "SIP/2.0 200").await;
    drop(silent);
    stack.shutdown().await;
}

#[tokio::test]
async fn tls_without_a_certificate_does_not_start() {
    let listen = vec!["tls:127.0.0.1:0".parse().unwrap()];
    let settings = SipSettings { listen, ..SipSettings::default() };
    let (sender, _events) = mpsc::channel(8);
    let error = SipStack::start(settings, sender).await.unwrap_err().to_string();
    assert!(error.ends_with("tls needs a certificate; set certificate and key in [sip.tls]"));
}

#[tokio::test]
async fn what_is_wrong_with_the_files_is_named() {
    let folder = TempDir::new().unwrap();
    let (files, _) = write_certificate(&folder);
    let other = TempDir::new().unwrap();
    let (other, _) = write_certificate(&other);
    for (certificate, key, expected) in [
        ("/nowhere/c.pem".into(), files.key.clone(), "/nowhere/c.pem can't be read"),
        (files.key.clone(), files.key.clone(), "holds no certificate"),
        (files.certificate.clone(), files.certificate.clone(), "holds no private key"),
        (files.certificate.clone(), other.key.clone(), "can't be used together"),
    ] {
        let error = Certificate::load(&Tls { certificate, key }).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_new_certificate_is_taken_over_and_a_broken_one_is_not() {
    let folder = TempDir::new().unwrap();
    let (files, _) = write_certificate(&folder);
    let certificate = Certificate::load(&files).await.unwrap();
    let mut seen = certificate.stamps().await;
    let first = certificate.current.load_full();
    for (text, is_taken_over) in [("no certificate", false), ("", true)] {
        if text.is_empty() {
            write_certificate(&folder);
        } else {
            std::fs::write(&files.certificate, text).unwrap();
        }
        certificate.look(&mut seen).await;
        assert_eq!(!Arc::ptr_eq(&certificate.current.load(), &first), is_taken_over);
    }
}
