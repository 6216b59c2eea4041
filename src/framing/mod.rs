//! Bytes to frames. Pure: no clock, no socket, no JSON.
//!
//! A [`Frame`] is the transport unit of a stream: one server-sent event, one line of JSON, one
//! message of a binary stream. Its bytes are shared with the network read they came in, never
//! copied unless a frame spans two reads.
//!
//! How an upstream frames its streams is its dialect's to say ([`Framing`]); who reads the bytes
//! asks that for a [`Framer`] and need not know which one it got.

pub mod event_stream;
pub mod ndjson;
pub mod sse;

use std::fmt;

use bytes::Bytes;

/// The largest frame that is read, unless configured otherwise (rule S8).
pub const DEFAULT_MAX_FRAME_BYTES: usize = 64 * 1024 * 1024;

/// One unit of an upstream's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The frame as it stood on the wire, terminator included, when those bytes may be sent to a
    /// client as they are (`data: ...`, before it `event: ...` if it is
    /// named, and a blank line, with LF ends and nothing else). `None` when
    /// it was spelled another way (CRLF, no space, several lines, `id:`), so that whoever forwards
    /// it must write it anew (rule S8).
    pub raw: Option<Bytes>,
    /// The event's name; `None` for an unnamed one.
    pub event: Option<Bytes>,
    /// The payload; of a server-sent event, its data lines joined by a line feed.
    pub data: Bytes,
}

impl Frame {
    /// Something came that is no frame yet, or a comment: a sign of life.
    pub const SIGN: Self = Self { raw: None, event: None, data: Bytes::new() };

    /// Whether it says nothing, and no more than that somebody is there.
    pub fn is_sign(&self) -> bool {
        self.data.is_empty() && self.event.is_none()
    }
}

/// How a stream of bytes is cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// One JSON value a line.
    Ndjson,
    /// Amazon's binary messages.
    EventStream,
}

/// The incremental reader of any [`Framing`]: push bytes, then take frames from the iterator until
/// it has none, and at the end of the stream ask [`finish`](Self::finish).
///
/// Cost over the framer inside: one branch per call.
#[derive(Debug)]
pub enum Framer {
    Sse(sse::Framer),
    Ndjson(ndjson::Framer),
    EventStream(event_stream::Framer),
}

/// The stream cannot be cut into frames any further; nothing more comes from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadFrame {
    /// A frame grew past the limit.
    TooLarge { limit_bytes: usize },
    /// The lengths of a binary message contradict each other.
    Lengths,
    /// A checksum is not that of the bytes.
    Checksum,
    /// The headers of a binary message do not fill their room, or one is of no known type.
    Headers,
}

// === impl Framing ===

impl Framing {
    /// A reader for a new stream.
    pub fn framer(self, max_frame_bytes: usize) -> Framer {
        match self {
            Self::Sse => Framer::Sse(sse::Framer::new(max_frame_bytes)),
            Self::Ndjson => Framer::Ndjson(ndjson::Framer::new(max_frame_bytes)),
            Self::EventStream => Framer::EventStream(event_stream::Framer::new(max_frame_bytes)),
        }
    }
}

// === impl Framer ===

impl Framer {
    /// Adds what was read. Cheapest when the iterator has been used up before.
    pub fn push(&mut self, bytes: Bytes) {
        match self {
            Self::Sse(framer) => framer.push(bytes),
            Self::Ndjson(framer) => framer.push(bytes),
            Self::EventStream(framer) => framer.push(bytes),
        }
    }

    /// The stream has ended, and the iterator has been used up: gives out a last frame that lacks
    /// its terminator.
    pub fn finish(&mut self) -> Option<Frame> {
        match self {
            Self::Sse(framer) => framer.finish(),
            Self::Ndjson(framer) => framer.finish(),
            Self::EventStream(framer) => framer.finish(),
        }
    }
}

impl Iterator for Framer {
    type Item = Result<Frame, BadFrame>;

    /// The next whole frame, or `None` until more bytes are pushed.
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Sse(framer) => framer.next(),
            Self::Ndjson(framer) => framer.next(),
            Self::EventStream(framer) => framer.next(),
        }
    }
}

// === impl BadFrame ===

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit_bytes } => {
                write!(f, "a stream event is larger than the limit of {limit_bytes} bytes")
            }
            Self::Lengths => f.write_str("a stream event has impossible lengths"),
            Self::Checksum => f.write_str("a stream event does not match its checksum"),
            Self::Headers => f.write_str("a stream event has headers that cannot be read"),
        }
    }
}

impl std::error::Error for BadFrame {}
