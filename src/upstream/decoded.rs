//! Answers that come compressed although nobody asked for it. What leaves here is plain, and its
//! head no longer says otherwise (rule S10). A stream stays a stream: whatever the decoder can give
//! for the bytes so far, it gives at once.

use std::{io, pin::Pin};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{header, response::Parts};
use http_body::{Body, Frame};
use http_body_util::{BodyDataStream, StreamBody};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::error::{Error, Result};

/// A compression a server may have applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Deflate,
    Gzip,
    Zstd,
}

/// Takes the compression out of a head. Fails on one that nobody here can undo.
pub(super) fn take(head: &mut Parts) -> Result<Option<Coding>> {
    let Some(coding) = head.headers.remove(header::CONTENT_ENCODING) else { return Ok(None) };
    let coding = match coding.as_bytes().to_ascii_lowercase().as_slice() {
        b"" | b"identity" => return Ok(None),
        b"br" => Coding::Brotli,
        b"deflate" => Coding::Deflate,
        b"gzip" | b"x-gzip" => Coding::Gzip,
        b"zstd" => Coding::Zstd,
        _ => {
            let message = "The upstream's answer is compressed in a way the gateway does not know.";
            return Err(Error::BadReply { message: message.into() });
        }
    };
    head.headers.remove(header::CONTENT_LENGTH);
    Ok(Some(coding))
}

/// The plain body.
pub(super) fn decode<B>(body: B, coding: Coding) -> impl Body<Data = Bytes, Error = io::Error> + Send + 'static
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let reader = StreamReader::new(Box::pin(BodyDataStream::new(body).map_err(io::Error::other)));
    let plain: Pin<Box<dyn AsyncRead + Send>> = match coding {
        Coding::Brotli => Box::pin(BrotliDecoder::new(reader)),
        Coding::Deflate => Box::pin(ZlibDecoder::new(reader)),
        Coding::Gzip => {
            let mut decoder = GzipDecoder::new(reader);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        Coding::Zstd => Box::pin(ZstdDecoder::new(reader)),
    };
    StreamBody::new(ReaderStream::new(plain).map_ok(Frame::data))
}
