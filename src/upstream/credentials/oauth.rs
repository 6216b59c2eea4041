//! What the token servers of Google and Microsoft have in common: OAuth's forms, answers and
//! errors (RFC 6749 sections 4 and 5; RFC 7523; RFC 8693).
//!
//! A server's own words never get into an error of ours (rule X4): of what it says only names from
//! the standards' lists are repeated.

use std::{
    fmt::Write,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::Wire;
use crate::call::Connection;

/// Nobody waits longer for one answer; the caller's own clock is usually shorter.
const PATIENCE: Duration = Duration::from_secs(10);
/// A token whose server does not say how long it lives is taken to live so long.
const UNTOLD_LIFE: u64 = 300;

/// The error names of RFC 6749 section 5.2 and RFC 8693 section 2.2.2, and two of Google's.
const NAMES: [&str; 11] = [
    "invalid_grant",
    "invalid_client",
    "unauthorized_client",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "unsupported_grant_type",
    "access_denied",
    "server_error",
    "temporarily_unavailable",
    "internal_failure",
];

/// A token as servers answer it.
#[derive(Deserialize)]
pub(super) struct Answer {
    access_token: String,
    /// A number, or its digits in a string as Microsoft's machines write it.
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
}

// === impl Answer ===

impl Answer {
    pub(super) fn expires(&self) -> SystemTime {
        SystemTime::now() + Duration::from_secs(self.expires_in.unwrap_or(UNTOLD_LIFE))
    }

    pub(super) fn into_token(self) -> SecretString {
        self.access_token.into()
    }
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
    }
    Ok(match Option::<Either>::deserialize(from)? {
        Some(Either::Number(number)) => Some(number),
        Some(Either::Text(text)) => text.trim().parse().ok(),
        None => None,
    })
}

/// Sends a form and reads a token.
pub(super) async fn post(by: &Wire<'_>, to: &str, form: &[(&str, &str)]) -> Result<Answer, String> {
    let mut request = request(Method::POST, to, Bytes::from(encode(form)))?;
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(header::CONTENT_TYPE, form);
    token(&send(by, request).await?, to)
}

/// Asks for a token, or anything else, with these headers.
pub(super) async fn get(by: &Wire<'_>, from: &str, headers: &[(&'static str, &str)]) -> Result<Bytes, String> {
    let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), *value));
    get_with(by, from, headers.collect()).await
}

/// The same with headers of a file's choice.
pub(super) async fn get_with(by: &Wire<'_>, from: &str, headers: Vec<(HeaderName, &str)>) -> Result<Bytes, String> {
    let mut request = request(Method::GET, from, Bytes::new())?;
    for (name, value) in headers {
        let mut value = HeaderValue::try_from(value).map_err(|_| format!("no usable `{name}` header"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    send(by, request).await
}

/// Sends JSON under a token.
pub(super) async fn post_json(by: &Wire<'_>, to: &str, bearer: &str, body: String) -> Result<Bytes, String> {
    let mut request = request(Method::POST, to, body.into())?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {bearer}")).map_err(|_| "no usable token".to_owned())?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    send(by, request).await
}

pub(super) fn token(body: &[u8], from: &str) -> Result<Answer, String> {
    serde_json::from_slice(body).map_err(|_| format!("{} answered without a token", host(from)))
}

/// `key=value&...`, as HTML forms are encoded.
pub(super) fn encode(form: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (key, value) in form {
        let separator = if text.is_empty() { "" } else { "&" };
        let _ = write!(text, "{separator}{}={}", escape(key), escape(value));
    }
    text
}

pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// Whether secrets may be sent there: over TLS, or without leaving the machine and its host.
pub(super) fn is_safe(address: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let is_here = match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback(),
        Err(_) => host == "localhost",
    };
    uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && is_here)
}

fn request(method: Method, to: &str, body: Bytes) -> Result<http::Request<Bytes>, String> {
    let uri: Uri = to.parse().map_err(|_| "the address of the token server is not one".to_owned())?;
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    Ok(request)
}

async fn send(by: &Wire<'_>, request: http::Request<Bytes>) -> Result<Bytes, String> {
    let to = host(&request.uri().to_string());
    // A token server speaks what it negotiates, whatever the provider behind it was told to.
    let connection = Connection { http2_prior_knowledge: false, ..by.connection.clone() };
    match by.clients.fetch(&connection, request, PATIENCE).await {
        Ok((status, body)) if status.is_success() => Ok(body),
        Ok((status, body)) => Err(refusal(&to, status, &body)),
        Err(error) => Err(format!("{to} could not be asked ({})", error.label())),
    }
}

/// Why a server refused, as far as its words are known ones.
fn refusal(from: &str, status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        error: Option<String>,
        error_description: Option<String>,
    }
    let said: Option<Said> = serde_json::from_slice(body).ok();
    let name = said.as_ref().and_then(|said| NAMES.into_iter().find(|name| said.error.as_deref() == Some(name)));
    let number = said.as_ref().and_then(|said| entra_number(said.error_description.as_deref()?));
    let mut why = format!("{from} answered {}", status.as_u16());
    for detail in [name, number.as_deref()].into_iter().flatten() {
        let _ = write!(why, ", {detail}");
    }
    if name == Some("invalid_grant") {
        why.push_str("; the key or token may be revoked, or this machine's clock wrong");
    }
    why
}

/// `AADSTS` and the digits behind it, by which Microsoft's pages explain an error.
fn entra_number(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("AADSTS")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).take(9).collect();
    (!digits.is_empty()).then(|| format!("AADSTS{digits}"))
}

fn host(address: &str) -> String {
    let uri: Option<Uri> = address.parse().ok();
    uri.and_then(|uri| uri.host().map(ToOwned::to_owned)).unwrap_or_else(|| "the token server".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_escaped() {
        let form = [("scope", "https://a.b/.default"), ("assertion", "a+b/c=&é")];
        assert_eq!(encode(&form), "scope=https%3A%2F%2Fa.b%2F.default&assertion=a%2Bb%2Fc%3D%26%C3%A9");
    }

    #[test]
    fn lives_come_as_numbers_and_as_digits() {
        let life = |json: &str| serde_json::from_str::<Answer>(json).unwrap().expires_in;
        assert_eq!(life(r#"{"access_token":"t","expires_in":3599}"#), Some(3599));
        assert_eq!(life(r#"{"access_token":"t","expires_in":"86399","resource":"r"}"#), Some(86399));
        assert_eq!(life(r#"{"access_token":"t"}"#), None);
        assert!(token(b"{}", "https://login.test/x").is_err_and(|why| why == "login.test answered without a token"));
    }

    /// X4: of a refusal only words from the standards are repeated, and Microsoft's number.
    #[test]
    fn a_refusal_is_told_in_known_words() {
        let say = |body: &str| refusal("login.test", StatusCode::BAD_REQUEST, body.as_bytes());
        let text = say(r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid secret canary."}"#);
        assert_eq!(text, "login.test answered 400, invalid_client, AADSTS7000215");
        assert!(say(r#"{"error":"invalid_grant"}"#).contains("clock"));
        for body in [
            "canary",
            r#"{"error":"canary"}"#,
            r#"{"error":{"message":"canary"}}"#,
            r#"{"error_description":"AADSTS canary"}"#,
        ] {
            assert_eq!(say(body), "login.test answered 400");
        }
    }

    #[test]
    fn secrets_go_over_tls_or_stay_here() {
        for (address, safe) in [
            ("https://oauth2.googleapis.com/token", true),
            ("http://127.0.0.1:9/token", true),
            ("http://[::1]:9/token", true),
            ("http://localhost/token", true),
            ("http://169.254.169.254/metadata", true),
            ("http://oauth2.googleapis.com/token", false),
            ("http://127.0.0.1.evil.test/token", false),
            ("ftp://x/", false),
            ("token", false),
        ] {
            assert_eq!(is_safe(address), safe, "{address}");
        }
    }
}
