//! A request's body as plain bytes, bounded twice: as sent and as decompressed (rule P3).
//!
//! The content type must be JSON. That is not pedantry: a web page may post any other type to a
//! loopback address without asking first, so a gateway without keys would do the bidding of every
//! page its user looks at (the Fetch standard's "CORS-safelisted request-header").
//!
//! Cost: none in the plain case when the body came in one read, its bytes are shared; else one
//! copy into one buffer. Base64 payloads are never looked into (rule L5).

use std::time::Duration;

use async_compression::{
    tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder},
    zstd::DParameter,
};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT},
};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

use crate::error::{Error, Result};

/// How long a client may pause in the middle of its body.
const BODY_PAUSE: Duration = Duration::from_secs(60);
/// How long the rest of a refused body is read before the answer, and how long waited for more of it;
/// nginx lingers about as long.
const DISCARD: Duration = Duration::from_secs(30);
const DISCARD_PAUSE: Duration = Duration::from_secs(2);
/// How many times the limit it may have, to be read at all.
const DISCARD_TIMES: u64 = 16;
/// 8 MiB, the largest window a content coding may use (RFC 9659 section 3).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The content codings we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Brotli,
    Zstd,
    /// The zlib format, which HTTP calls deflate (RFC 9110 section 8.4.1.2).
    Deflate,
}

/// Chunks on their way to be one body.
#[derive(Default)]
struct Gather {
    /// The only chunk so far.
    first: Bytes,
    /// All chunks, when there are more than one.
    whole: BytesMut,
}

/// Reads a JSON request's body.
pub(super) async fn json_body(headers: &HeaderMap, body: Body, limit: u64) -> Result<Bytes> {
    let coding = match expect_json(headers).and_then(|()| Coding::of(headers)) {
        Ok(coding) => coding,
        Err(error) => return Err(refused(headers, body, limit, error).await),
    };
    let raw = read(headers, body, limit).await?;
    match coding {
        Coding::Identity => Ok(raw),
        Coding::Gzip => {
            let mut decoder = GzipDecoder::new(&*raw);
            decoder.multiple_members(true);
            inflate(decoder, limit).await
        }
        Coding::Brotli => inflate(BrotliDecoder::new(&*raw), limit).await,
        Coding::Zstd => {
            let window = [DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX)];
            inflate(ZstdDecoder::with_params(&*raw, &window), limit).await
        }
        Coding::Deflate => inflate(ZlibDecoder::new(&*raw), limit).await,
    }
}

/// Refuses a request whose body nobody has read: what is left of it is thrown away, within bounds. Most
/// clients write everything before they read. A connection that is closed on their unread bytes, and a
/// stream of HTTP/2 that is reset, would destroy the answer on its way.
pub(super) async fn refused(headers: &HeaderMap, body: Body, limit: u64, error: Error) -> Error {
    // A client that asks first gets its answer instead of sending.
    if !body.is_end_stream() && !headers.contains_key(EXPECT) {
        // Apart, so that what is usual does not carry the room for it.
        Box::pin(discard(body, limit.saturating_mul(DISCARD_TIMES))).await;
    }
    error
}

fn expect_json(headers: &HeaderMap) -> Result<()> {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim();
    let (_, subtype) = essence.split_once('/').unwrap_or_default();
    if subtype.eq_ignore_ascii_case("json") || subtype.to_ascii_lowercase().ends_with("+json") {
        return Ok(());
    }
    Err(Error::UnsupportedMedia { message: "The request must have the content-type application/json.".into() })
}

async fn read(headers: &HeaderMap, mut body: Body, limit: u64) -> Result<Bytes> {
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_large = Error::BodyTooLarge { limit_bytes: limit };
    if declared.is_some_and(|length| length > limit) {
        return Err(refused(headers, body, limit, too_large).await);
    }
    let mut gather = Gather::default();
    while let Some(chunk) = next(&mut body).await? {
        if (gather.len() + chunk.len()) as u64 > limit {
            drop(gather);
            // What was asked for has been granted.
            return Err(refused(&HeaderMap::new(), body, limit, too_large).await);
        }
        gather.push(chunk, declared);
        if body.is_end_stream() {
            break;
        }
    }
    Ok(gather.into_bytes())
}

async fn next(body: &mut Body) -> Result<Option<Bytes>> {
    let broken = |message: &str| Error::Invalid { message: message.into(), param: None, code: Some("incomplete_body") };
    loop {
        let frame = match timeout(BODY_PAUSE, body.frame()).await {
            Err(_) => return Err(broken("The request body stopped coming.")),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(broken("The request body broke off.")),
            Ok(Some(Ok(frame))) => frame,
        };
        // Trailers are nothing to us.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

async fn discard(mut body: Body, mut left: u64) {
    let drain = async {
        while let Ok(Some(Ok(frame))) = timeout(DISCARD_PAUSE, body.frame()).await {
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            let Some(rest) = left.checked_sub(length) else { return };
            left = rest;
        }
    };
    let _ = timeout(DISCARD, drain).await;
}

/// Decompresses up to `limit` bytes; a bomb is refused as soon as it passes that.
async fn inflate(decoder: impl AsyncRead + Unpin, limit: u64) -> Result<Bytes> {
    let mut out = BytesMut::with_capacity(16 * 1024);
    // One byte more than allowed tells too much from just enough.
    let mut decoder = decoder.take(limit.saturating_add(1));
    loop {
        out.reserve(16 * 1024);
        let read = decoder.read_buf(&mut out).await.map_err(|_| Error::Invalid {
            message: "The request body does not decompress as its content-encoding says.".into(),
            param: None,
            code: Some("invalid_content_encoding"),
        })?;
        if out.len() as u64 > limit {
            return Err(Error::BodyTooLarge { limit_bytes: limit });
        }
        if read == 0 {
            return Ok(out.freeze());
        }
        // The decoder never waits by itself; others shall have their turn all the same.
        tokio::task::coop::consume_budget().await;
    }
}

// === impl Coding ===

impl Coding {
    fn of(headers: &HeaderMap) -> Result<Self> {
        let mut codings = headers.get_all(CONTENT_ENCODING).iter();
        let Some(first) = codings.next() else { return Ok(Self::Identity) };
        let name = first.to_str().unwrap_or("?").trim().to_ascii_lowercase();
        let coding = match name.as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            "deflate" => Some(Self::Deflate),
            _ => None,
        };
        coding.filter(|_| codings.next().is_none()).ok_or_else(|| Error::UnsupportedMedia {
            message: "The content-encoding must be one of gzip, br, zstd, deflate or identity.".into(),
        })
    }
}

// === impl Gather ===

impl Gather {
    fn len(&self) -> usize {
        if self.whole.is_empty() { self.first.len() } else { self.whole.len() }
    }

    fn push(&mut self, chunk: Bytes, declared: Option<u64>) {
        if self.len() == 0 {
            self.first = chunk;
            return;
        }
        if self.whole.is_empty() {
            // A declared length has been held against the limit already.
            let expected = declared.and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
            self.whole.reserve(expected.max(self.first.len() + chunk.len()));
            self.whole.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.whole.extend_from_slice(&chunk);
    }

    fn into_bytes(self) -> Bytes {
        if self.whole.is_empty() { self.first } else { self.whole.freeze() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
    use futures_util::stream;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json; charset=utf-8".parse().unwrap());
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn chunks(chunks: &[&'static [u8]]) -> Body {
        let items: Vec<std::io::Result<Bytes>> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
        Body::from_stream(stream::iter(items))
    }

    pub(in crate::server) async fn compressed(coding: &str, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            "gzip" => GzipEncoder::new(plain).read_to_end(&mut out).await,
            "br" => BrotliEncoder::new(plain).read_to_end(&mut out).await,
            "zstd" => ZstdEncoder::new(plain).read_to_end(&mut out).await,
            "deflate" => ZlibEncoder::new(plain).read_to_end(&mut out).await,
            other => panic!("{other}"),
        }
        .unwrap();
        out
    }

    #[tokio::test]
    async fn one_chunk_is_shared_and_several_are_joined() {
        let whole = Bytes::from_static(b"{\"a\":1}");
        let body = json_body(&headers(&[]), Body::from(whole.clone()), 100).await.unwrap();
        assert_eq!((body.as_ptr(), body.len()), (whole.as_ptr(), whole.len()));
        let body = json_body(&headers(&[]), chunks(&[b"{\"a\"", b"", b":", b"1}"]), 100).await.unwrap();
        assert_eq!(body, whole);
        assert_eq!(json_body(&headers(&[]), Body::empty(), 100).await.unwrap(), "");
    }

    /// Regression 23: the limit holds with and without a declared length, to the byte.
    #[tokio::test]
    async fn the_limit_holds_to_the_byte() {
        assert!(json_body(&headers(&[]), chunks(&[b"12345", b"67890"]), 10).await.is_ok());
        let result = json_body(&headers(&[]), chunks(&[b"12345", b"678901"]), 10).await;
        assert!(matches!(result, Err(Error::BodyTooLarge { limit_bytes: 10 })));
        let result = json_body(&headers(&[("content-length", "11")]), Body::from("12345678901"), 10).await;
        assert!(matches!(result, Err(Error::BodyTooLarge { .. })));
        assert!(json_body(&headers(&[("content-length", "10")]), Body::from("1234567890"), 10).await.is_ok());
    }

    /// No more is read than what tells the body too large, and a bounded rest so that the client
    /// gets to read the answer.
    #[tokio::test]
    async fn an_endless_body_is_left_unread() {
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 10])));
        let result = json_body(&headers(&[]), Body::from_stream(endless), 1000).await;
        assert!(matches!(result, Err(Error::BodyTooLarge { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_coming_is_given_up() {
        let body = Body::from_stream(stream::pending::<std::io::Result<Bytes>>());
        let result = json_body(&headers(&[]), body, 100).await;
        assert!(matches!(result, Err(Error::Invalid { code: Some("incomplete_body"), .. })));
    }

    /// P3: every coding is read, and a bomb is stopped at the limit.
    #[tokio::test]
    async fn every_coding_is_read_within_the_limit() {
        let plain = format!("{{\"model\":\"m\",\"pad\":\"{}\"}}", "ab".repeat(50_000));
        let bomb = vec![b' '; 4 << 20];
        for coding in ["gzip", "br", "zstd", "deflate"] {
            let headers = headers(&[("content-encoding", coding)]);
            let body = Body::from(compressed(coding, plain.as_bytes()).await);
            assert_eq!(json_body(&headers, body, 200_000).await.unwrap(), plain, "{coding}");
            let small = compressed(coding, &bomb).await;
            assert!(small.len() < 100_000, "{coding}");
            let result = json_body(&headers, Body::from(small), 1 << 20).await;
            assert!(matches!(result, Err(Error::BodyTooLarge { .. })), "{coding}");
            let result = json_body(&headers, Body::from("not compressed at all"), 1 << 20).await;
            assert!(matches!(result, Err(Error::Invalid { code: Some("invalid_content_encoding"), .. })), "{coding}");
            let mut cut = compressed(coding, plain.as_bytes()).await;
            cut.truncate(cut.len() / 2);
            assert!(json_body(&headers, Body::from(cut), 1 << 20).await.is_err(), "{coding}");
        }
    }

    #[tokio::test]
    async fn unknown_codings_and_types_are_refused() {
        for pairs in [
            &[("content-encoding", "compress")][..],
            &[("content-encoding", "gzip, br")],
            &[("content-encoding", "gzip"), ("content-encoding", "br")],
        ] {
            let result = json_body(&headers(pairs), Body::from("{}"), 100).await;
            assert!(matches!(result, Err(Error::UnsupportedMedia { .. })), "{pairs:?}");
        }
        for (media, fits) in [
            ("application/json", true),
            ("Application/JSON;charset=utf-8", true),
            ("application/vnd.x+json", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("multipart/form-data; boundary=json", false),
        ] {
            let mut headers = headers(&[]);
            headers.insert(CONTENT_TYPE, media.parse().unwrap());
            assert_eq!(json_body(&headers, Body::from("{}"), 100).await.is_ok(), fits, "{media}");
        }
        assert!(json_body(&HeaderMap::new(), Body::from("{}"), 100).await.is_err());
    }
}
