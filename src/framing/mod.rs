//! Bytes to frames. Pure: no clock, no socket, no JSON.
//!
//! A [`Frame`] is the transport unit of a stream: one server-sent event. Its bytes are shared
//! with the network read they came in, never copied unless an event spans two reads.

pub mod sse;

use bytes::Bytes;

/// One unit of an upstream's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The frame as it stood on the wire, terminator included, when those bytes may be sent to a
    /// client as they are (`data: ...` and a blank line with LF ends, nothing else). `None` when
    /// it was spelled another way (CRLF, no space, several lines, `id:`), so that whoever forwards
    /// it must write it anew (rule S8).
    pub raw: Option<Bytes>,
    /// The event's name; `None` for an unnamed one.
    pub event: Option<Bytes>,
    /// The payload, data lines joined by a line feed.
    pub data: Bytes,
}
