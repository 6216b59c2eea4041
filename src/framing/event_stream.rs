//! Amazon's event stream: binary messages to [`Frame`]s (`application/vnd.amazon.eventstream`;
//! "Event stream encoding" of the AWS SDK's documentation, read November 2026).
//!
//! A message is a prelude (its length, the length of its headers, a checksum of the two), typed
//! headers, a payload and a checksum of everything before. Messages have nothing to do with the
//! pieces a network delivers. Both checksums are verified, the first before its lengths are
//! believed; a message that fails one is the end of the stream, for nobody knows where the next
//! would begin.
//!
//! Of the headers a frame keeps what decoders ask for, as its `event`:
//!
//! | `:message-type` | `event` | `data` |
//! |---|---|---|
//! | `event` | `:event-type` as it stands | the payload |
//! | `exception` | `exception:` and the `:exception-type` | the payload, JSON as a rule |
//! | `error` | `error:` and the `:error-code` | the `:error-message`, plain text |
//!
//! Names of events hold no colon. `raw` is always `None`: no client reads this format.
//!
//! Cost: per message the two checksums. One that lies inside one read shares its memory; one that
//! spans reads is copied once.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::{BadFrame, Frame};

const PRELUDE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;
const LEAST_BYTES: usize = PRELUDE_BYTES + CHECKSUM_BYTES;
/// The format's own bound on the headers of a message.
const MAX_HEADER_BYTES: usize = 128 * 1024;

/// An incremental reader: [`push`](Self::push) bytes, then take frames from the iterator until it
/// has none.
#[derive(Debug)]
pub struct Framer {
    max_frame_bytes: usize,
    /// What is left of the current read.
    read: Bytes,
    /// Reads that were pushed before the current one was used up.
    waiting: VecDeque<Bytes>,
    /// The message in progress, as far as earlier reads held it.
    held: BytesMut,
    is_dead: bool,
}

/// One header of a message, its value undecoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    pub name: &'a [u8],
    /// The value's type, as the format numbers them.
    pub kind: u8,
    /// Without the length before a string or byte array.
    pub value: &'a [u8],
}

/// The headers of a message, in their order. Ends after the first that cannot be read.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

/// What a frame takes from the headers.
#[derive(Debug, Default)]
struct Named<'a> {
    message_type: Option<&'a [u8]>,
    event_type: Option<&'a [u8]>,
    exception_type: Option<&'a [u8]>,
    error_code: Option<&'a [u8]>,
    error_message: Option<&'a [u8]>,
}

// === impl Framer ===

impl Framer {
    pub fn new(max_frame_bytes: usize) -> Self {
        Self { max_frame_bytes, read: Bytes::new(), waiting: VecDeque::new(), held: BytesMut::new(), is_dead: false }
    }

    /// Adds what was read. Cheapest when the iterator has been used up before.
    pub fn push(&mut self, bytes: Bytes) {
        if self.is_dead || bytes.is_empty() {
            return;
        }
        if self.read.is_empty() && self.waiting.is_empty() {
            self.read = bytes;
        } else {
            self.waiting.push_back(bytes);
        }
    }

    /// The stream has ended: half a message is none, and whether the answer was whole without it is
    /// for its decoder to say.
    pub fn finish(&mut self) -> Option<Frame> {
        self.held = BytesMut::new();
        self.is_dead = true;
        None
    }

    /// Takes the message in progress, if it is complete with what has been read.
    fn step(&mut self) -> Result<Option<Bytes>, BadFrame> {
        if self.held.is_empty() {
            if let Some(length) = length(&self.read, self.max_frame_bytes)?
                && length <= self.read.len()
            {
                return Ok(Some(self.read.split_to(length)));
            }
            self.held.extend_from_slice(&std::mem::take(&mut self.read));
            return Ok(None);
        }
        self.fill(PRELUDE_BYTES);
        let Some(length) = length(&self.held, self.max_frame_bytes)? else { return Ok(None) };
        self.fill(length);
        let is_complete = self.held.len() == length;
        Ok(is_complete.then(|| std::mem::take(&mut self.held).freeze()))
    }

    /// Adds to what is held until it has `length` bytes or the read is used up.
    fn fill(&mut self, length: usize) {
        let missing = length.saturating_sub(self.held.len()).min(self.read.len());
        self.held.extend_from_slice(&self.read.split_to(missing));
    }

    fn die(&mut self) {
        self.is_dead = true;
        self.read = Bytes::new();
        self.waiting = VecDeque::new();
        self.held = BytesMut::new();
    }
}

impl Iterator for Framer {
    type Item = Result<Frame, BadFrame>;

    /// The next whole frame, or `None` until more bytes are pushed.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.read.is_empty() {
                self.read = self.waiting.pop_front()?;
            }
            let frame = match self.step() {
                Ok(None) => continue,
                Ok(Some(message)) => parse(&message),
                Err(bad) => Err(bad),
            };
            if frame.is_err() {
                self.die();
            }
            return Some(frame);
        }
    }
}

// === impl Header, Headers ===

impl<'a> Header<'a> {
    const STRING: u8 = 7;

    fn text(&self) -> Option<&'a [u8]> {
        (self.kind == Self::STRING).then_some(self.value)
    }
}

impl<'a> Headers<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn read(&mut self) -> Option<Header<'a>> {
        let name_bytes = self.take(1)?.first().copied()?;
        let name = self.take(name_bytes.into())?;
        let kind = self.take(1)?.first().copied()?;
        let value_bytes = match kind {
            0 | 1 => 0,
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            6 | 7 => self.take(2)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            9 => 16,
            _ => return None,
        };
        Some(Header { name, kind, value: self.take(value_bytes)? })
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<Header<'a>, BadFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let header = self.read();
        if header.is_none() {
            self.rest = &[];
        }
        Some(header.ok_or(BadFrame::Headers))
    }
}

// === impl Named ===

impl<'a> Named<'a> {
    fn new(headers: Headers<'a>) -> Result<Self, BadFrame> {
        let mut named = Self::default();
        for header in headers {
            let header = header?;
            let slot = match header.name {
                b":message-type" => &mut named.message_type,
                b":event-type" => &mut named.event_type,
                b":exception-type" => &mut named.exception_type,
                b":error-code" => &mut named.error_code,
                b":error-message" => &mut named.error_message,
                _ => continue,
            };
            // The format allows no name twice.
            if slot.is_some() {
                return Err(BadFrame::Headers);
            }
            *slot = Some(header.text().ok_or(BadFrame::Headers)?);
        }
        Ok(named)
    }

    fn frame(&self, message: &Bytes, payload: Bytes) -> Frame {
        let word = |prefix: &[u8], word: Option<&[u8]>| Some([prefix, word.unwrap_or_default()].concat().into());
        let (event, data) = match self.message_type {
            Some(b"exception") => (word(b"exception:", self.exception_type), payload),
            Some(b"error") => {
                let text = self.error_message.map(|text| message.slice_ref(text));
                (word(b"error:", self.error_code), text.unwrap_or_default())
            }
            _ => (self.event_type.map(|name| message.slice_ref(name)), payload),
        };
        Frame { raw: None, event, data }
    }
}

// === reading one message ===

/// How long the message is that `bytes` begins; `None` before its prelude is whole.
fn length(bytes: &[u8], limit_bytes: usize) -> Result<Option<usize>, BadFrame> {
    let Some(prelude) = bytes.get(..PRELUDE_BYTES) else { return Ok(None) };
    if number(prelude, 8) != checksum(prelude, 8) {
        return Err(BadFrame::Checksum);
    }
    let (total, headers) = (number(prelude, 0) as usize, number(prelude, 4) as usize);
    if total < LEAST_BYTES || headers > total - LEAST_BYTES || headers > MAX_HEADER_BYTES {
        return Err(BadFrame::Lengths);
    }
    if total > limit_bytes {
        return Err(BadFrame::TooLarge { limit_bytes });
    }
    Ok(Some(total))
}

/// Reads a message of the length its prelude says.
fn parse(message: &Bytes) -> Result<Frame, BadFrame> {
    let end = message.len() - CHECKSUM_BYTES;
    if number(message, end) != checksum(message, end) {
        return Err(BadFrame::Checksum);
    }
    let headers_end = PRELUDE_BYTES + number(message, 4) as usize;
    let headers = message.get(PRELUDE_BYTES..headers_end).ok_or(BadFrame::Lengths)?;
    Ok(Named::new(Headers::new(headers))?.frame(message, message.slice(headers_end..end)))
}

/// The big-endian number at `at`; what is not there counts as zero.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).unwrap_or_default().iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// CRC-32 of what stands before `end`.
fn checksum(bytes: &[u8], end: usize) -> u32 {
    crc32fast::hash(bytes.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests;
