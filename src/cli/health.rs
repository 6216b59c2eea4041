//! `sluis health`: asks a running gateway, over one short HTTP/1.1 exchange written by hand, inside
//! TLS where the gateway serves that. A
//! health check runs every few seconds in its own process; it should start nothing it does not
//! need.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use http::Uri;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time,
};

use super::{HealthArgs, Outcome, Place, any_certificate};
use crate::config;

/// The whole exchange, connecting included.
const PATIENCE: Duration = Duration::from_secs(2);
/// Enough of the answer to see its status, in bytes.
const HEAD: usize = "HTTP/1.1 200 ".len();

/// Asks and writes one line. Anything but a 2xx in time is ill.
pub async fn health(place: &Place, args: &HealthArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let url = match &args.url {
        Some(url) => url.clone(),
        None => {
            let listen = config::listen_of(place.path.as_deref(), &place.env, &place.overrides);
            let scheme = if config::serves_tls(place.path.as_deref()) { "https" } else { "http" };
            default_url(scheme, listen)
        }
    };
    let answer = match time::timeout(PATIENCE, ask(&url)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    match answer {
        Ok(status) if (200..300).contains(&status) => {
            writeln!(out, "{url}: {status}")?;
            Ok(Outcome::Well)
        }
        Ok(status) => {
            writeln!(out, "{url}: answered {status}")?;
            Ok(Outcome::Ill)
        }
        Err(why) => {
            writeln!(out, "{url}: {why}")?;
            Ok(Outcome::Ill)
        }
    }
}

/// An address that listens everywhere is asked on this machine.
fn default_url(scheme: &str, listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    format!("{scheme}://{}/healthz", SocketAddr::new(ip, listen.port()))
}

async fn ask(url: &str) -> Result<u16, String> {
    let uri: Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("not a URL that begins with http:// or https://".to_owned());
    };
    let host = authority.host().trim_matches(['[', ']']);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    let exchange = async {
        let port = authority.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await?;
        if scheme == "http" {
            return exchange(stream, &request).await;
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let tls = any_certificate::connector().map_err(io::Error::other)?;
        exchange(tls.connect(name, stream).await?, &request).await
    };
    let head = exchange.await.map_err(|error| error.to_string())?;
    status(&head).ok_or_else(|| "the answer is no HTTP".to_owned())
}

/// Reads no further than the status.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::with_capacity(HEAD);
    while head.len() < HEAD && stream.read_buf(&mut head).await? > 0 {}
    Ok(head)
}

/// The status of `HTTP/1.1 200 OK` (RFC 9112, section 4).
fn status(head: &[u8]) -> Option<u16> {
    let line = head.strip_prefix(b"HTTP/1.")?.get(..5)?;
    std::str::from_utf8(line).ok()?.get(2..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::{Env, Overrides};

    async fn ask_one(answer: &'static str) -> Outcome {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let overrides = Overrides { listen: listener.local_addr().ok(), probe_local: None };
        let place = Place { path: None, env: Env::of([]), overrides };
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /healthz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let mut out = Vec::new();
        let args = HealthArgs::default();
        tokio::join!(health(&place, &args, &mut out), serve).0.unwrap()
    }

    #[tokio::test]
    async fn a_2xx_is_well_and_nothing_else() {
        assert_eq!(ask_one("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await, Outcome::Well);
        assert_eq!(ask_one("HTTP/1.1 503 Service Unavailable\r\n\r\n").await, Outcome::Ill);
        assert_eq!(ask_one("hello").await, Outcome::Ill);
        assert_eq!(ask_one("").await, Outcome::Ill);
    }

    #[tokio::test]
    async fn nobody_there_is_ill() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let overrides = Overrides { listen: Some(gone), probe_local: None };
        let place = Place { path: None, env: Env::of([]), overrides };
        assert_eq!(health(&place, &HealthArgs::default(), &mut Vec::new()).await.unwrap(), Outcome::Ill);
    }

    /// A gateway with `[tls]` is asked over TLS, whatever its certificate says.
    #[tokio::test]
    async fn tls_is_asked_over_tls() {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["gateway.example".to_owned()]).unwrap();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(file("key.pem"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(file("sluis.toml"), "[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n").unwrap();
        let tls = crate::server::tls::acceptor(&file("cert.pem"), &file("key.pem")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let overrides = Overrides { listen: listener.local_addr().ok(), probe_local: None };
        let place = Place { path: Some(file("sluis.toml")), env: Env::of([]), overrides };
        let serve = async {
            let mut stream = tls.accept(listener.accept().await.unwrap().0).await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        };
        let (mut out, args) = (Vec::new(), HealthArgs::default());
        assert_eq!(tokio::join!(health(&place, &args, &mut out), serve).0.unwrap(), Outcome::Well);
        assert!(out.starts_with(b"https://127.0.0.1:"), "{}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn the_question_goes_to_this_machine() {
        assert_eq!(default_url("http", "0.0.0.0:80".parse().unwrap()), "http://127.0.0.1:80/healthz");
        assert_eq!(default_url("https", "[::]:80".parse().unwrap()), "https://[::1]:80/healthz");
    }
}
