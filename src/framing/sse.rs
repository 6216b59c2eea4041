//! Server-sent events: bytes to [`Frame`]s (WHATWG HTML, section 9.2.6, read November 2026).
//!
//! Servers spell the format in many ways (LF, CRLF or CR; with and without the space; several
//! data lines; comments; a mark of byte order), and networks cut it anywhere (rules S8, S9). Two
//! steps keep that simple: a scanner finds where an event ends, and only then is the whole event
//! read, so that no line and no character is ever judged in pieces.
//!
//! More tolerant than the standard in three points. An event that the end of the stream cuts off
//! before its blank line is still given out, by [`Framer::finish`]. A JSON object that no field
//! announces is an event's data: servers answer so where they fail before a stream of theirs, or
//! within it. And a field `error` is an event of that name, as llama.cpp's server wrote them (rule
//! E2). `id` and `retry` are dropped.
//!
//! Cost: an event that lies inside one read and is spelled the usual way takes one `memchr2` and
//! two slices of the read's bytes. One that spans reads is copied once, and no byte is scanned
//! for line ends twice, however small the reads.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr2};

use super::{BadFrame, Frame};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// An incremental reader: [`push`](Self::push) bytes, then take frames from the iterator until it
/// has none, and at the end of the stream ask [`finish`](Self::finish).
#[derive(Debug)]
pub struct Framer {
    max_frame_bytes: usize,
    /// What is left of the current read.
    read: Bytes,
    /// Reads that were pushed before the current one was used up.
    waiting: VecDeque<Bytes>,
    /// The event in progress, as far as earlier reads held it.
    held: BytesMut,
    place: Place,
    /// The last byte was a CR that ended a line of the event, so an LF now belongs to it.
    after_cr: bool,
}

/// Where in the stream the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the very start, after so many bytes of a mark of byte order.
    Bom(usize),
    /// At the start of a line, no line of an event read yet.
    Between,
    /// Inside a comment before an event.
    Comment,
    /// At the start of a line that is not an event's first.
    LineStart,
    /// Inside a line of an event.
    Line,
    /// Past an event that was too large.
    Dead,
}

// === impl Framer ===

impl Framer {
    pub fn new(max_frame_bytes: usize) -> Self {
        Self {
            max_frame_bytes,
            read: Bytes::new(),
            waiting: VecDeque::new(),
            held: BytesMut::new(),
            place: Place::Bom(0),
            after_cr: false,
        }
    }

    /// Adds what was read. Cheapest when the iterator has been used up before.
    pub fn push(&mut self, bytes: Bytes) {
        if self.place == Place::Dead || bytes.is_empty() {
            return;
        }
        if self.read.is_empty() && self.waiting.is_empty() {
            self.read = bytes;
        } else {
            self.waiting.push_back(bytes);
        }
    }

    /// The stream has ended, and the iterator has been used up: gives out an event that lacks its
    /// blank line.
    pub fn finish(&mut self) -> Option<Frame> {
        let event = std::mem::take(&mut self.held).freeze();
        self.place = Place::Dead;
        parse(&event)
    }

    /// Takes the next frame, if one is complete, from the current read.
    fn step(&mut self) -> Option<Result<Frame, BadFrame>> {
        self.skip_to_event();
        if self.read.is_empty() {
            return None;
        }
        if self.place == Place::Between
            && let Some(end) = Canonical::of(&self.read)
        {
            let raw = self.read.split_to(end.len());
            return Some(self.check(raw.len()).map(|()| end.frame(raw)));
        }
        let (len, complete) = self.scan();
        if let Err(error) = self.check(self.held.len() + len) {
            return Some(Err(error));
        }
        if !complete {
            self.held.extend_from_slice(&self.read.split_to(len));
            return None;
        }
        self.place = Place::Between;
        let event = if self.held.is_empty() {
            self.read.split_to(len)
        } else {
            self.held.extend_from_slice(&self.read.split_to(len));
            std::mem::take(&mut self.held).freeze()
        };
        parse(&event).map(Ok)
    }

    /// Passes over what may stand before an event: a mark of byte order, blank lines, comments.
    fn skip_to_event(&mut self) {
        while let Some(&byte) = self.read.first() {
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                self.read.advance(1);
                continue;
            }
            match self.place {
                Place::Bom(seen) => self.skip_bom(seen, byte),
                Place::Comment => self.skip_comment(),
                Place::Between if byte == b':' => self.place = Place::Comment,
                // So the LF of a CRLF that ended an event or a comment is passed over as well.
                Place::Between if byte == b'\n' || byte == b'\r' => self.read.advance(1),
                Place::Between | Place::LineStart | Place::Line => return,
                Place::Dead => self.read.clear(),
            }
        }
    }

    fn skip_bom(&mut self, seen: usize, byte: u8) {
        if BOM.get(seen) == Some(&byte) {
            self.read.advance(1);
            self.place = if seen + 1 == BOM.len() { Place::Between } else { Place::Bom(seen + 1) };
            return;
        }
        // No mark after all: what looked like one begins a line.
        self.held.extend_from_slice(BOM.get(..seen).unwrap_or_default());
        self.place = if seen == 0 { Place::Between } else { Place::Line };
    }

    fn skip_comment(&mut self) {
        let Some(end) = memchr2(b'\n', b'\r', &self.read) else { return self.read.clear() };
        self.read.advance(end + 1);
        self.place = Place::Between;
    }

    /// Finds how much of the current read belongs to the event in progress, and whether it is
    /// complete with that. Remembers where it stopped.
    fn scan(&mut self) -> (usize, bool) {
        let read = &self.read;
        let mut at = 0;
        if self.place == Place::Between {
            self.place = Place::Line;
        }
        loop {
            let rest = read.get(at..).unwrap_or_default();
            let Some(&first) = rest.first() else { return (at, false) };
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                at += 1;
                continue;
            }
            if self.place == Place::LineStart && (first == b'\n' || first == b'\r') {
                return (at + 1, true);
            }
            self.place = Place::Line;
            let Some(end) = memchr2(b'\n', b'\r', rest) else { return (read.len(), false) };
            self.after_cr = rest.get(end) == Some(&b'\r');
            self.place = Place::LineStart;
            at += end + 1;
        }
    }

    fn check(&mut self, frame_bytes: usize) -> Result<(), BadFrame> {
        if frame_bytes <= self.max_frame_bytes {
            return Ok(());
        }
        self.read.clear();
        self.waiting.clear();
        self.held = BytesMut::new();
        self.place = Place::Dead;
        Err(BadFrame::TooLarge { limit_bytes: self.max_frame_bytes })
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
            if let Some(frame) = self.step() {
                return Some(frame);
            }
        }
    }
}

// === reading one event ===

/// Reads a whole event. `None` when it has no data, as with a lone `event:` line.
fn parse(event: &Bytes) -> Option<Frame> {
    if let Some(frame) = parse_canonical(event) {
        return Some(frame);
    }
    let mut name = None;
    let mut data = Data::default();
    for line in lines(event) {
        let (field, value) = split_field(line);
        match &*field {
            b"data" => data.add(value),
            b"event" => name = Some(value).filter(|name| !name.is_empty()),
            b"error" => {
                name = Some(Bytes::from_static(b"error"));
                data.add(value);
            }
            _ => {}
        }
    }
    match data.finish() {
        Some(data) => Some(Frame { raw: None, event: name, data }),
        None => bare(event),
    }
}

/// A JSON object where an event should be.
fn bare(event: &Bytes) -> Option<Frame> {
    if !event.starts_with(b"{") {
        return None;
    }
    let mut data = Data::default();
    lines(event).for_each(|line| data.add(line));
    let data = data.finish()?;
    let data = data.slice_ref(data.trim_ascii_end());
    data.ends_with(b"}").then_some(Frame { raw: None, event: None, data })
}

/// The lines of an event, however they end.
fn lines(event: &Bytes) -> impl Iterator<Item = Bytes> {
    let mut rest = event.clone();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr2(b'\n', b'\r', &rest).unwrap_or(rest.len());
        let line = rest.split_to(end);
        let line_end = if rest.starts_with(b"\r\n") { 2 } else { rest.len().min(1) };
        rest.advance(line_end);
        Some(line)
    })
}

/// An event that spanned reads and is spelled the usual way after all.
fn parse_canonical(event: &Bytes) -> Option<Frame> {
    let canonical = Canonical::of(event).filter(|canonical| canonical.len() == event.len())?;
    Some(canonical.frame(event.clone()))
}

/// An event spelled the usual way: `event: ` and a name, if any, `data: ` and a payload, all LF.
struct Canonical {
    /// Where the name ends; 0 when there is none.
    name_end: usize,
    data_end: usize,
}

impl Canonical {
    /// The one that `bytes` begin with, if they hold it whole.
    fn of(bytes: &[u8]) -> Option<Self> {
        let name_end = match bytes.strip_prefix(b"event: ") {
            None => 0,
            Some(rest) => 7 + memchr2(b'\n', b'\r', rest).filter(|len| *len > 0)?,
        };
        let line = if name_end == 0 { bytes } else { bytes.get(name_end..)?.strip_prefix(b"\n")? };
        let data_start = bytes.len() - line.strip_prefix(b"data: ")?.len();
        let data_end = data_start + memchr2(b'\n', b'\r', bytes.get(data_start..)?)?;
        (bytes.get(data_end..data_end + 2)? == b"\n\n").then_some(Self { name_end, data_end })
    }

    fn len(&self) -> usize {
        self.data_end + 2
    }

    fn frame(&self, raw: Bytes) -> Frame {
        let event = (self.name_end > 0).then(|| raw.slice(7..self.name_end));
        let data_start = if self.name_end > 0 { self.name_end + 7 } else { 6 };
        Frame { event, data: raw.slice(data_start..self.data_end), raw: Some(raw) }
    }
}

/// A line's field name and value; a line without a colon is a field without a value.
fn split_field(mut line: Bytes) -> (Bytes, Bytes) {
    let Some(colon) = memchr(b':', &line) else { return (line, Bytes::new()) };
    let field = line.split_to(colon);
    line.advance(if line.starts_with(b": ") { 2 } else { 1 });
    (field, line)
}

/// The data lines of an event; one line is kept as it is, more are joined in a buffer.
#[derive(Default)]
struct Data {
    first: Option<Bytes>,
    joined: BytesMut,
}

impl Data {
    fn add(&mut self, line: Bytes) {
        let Some(first) = &self.first else {
            self.first = Some(line);
            return;
        };
        if self.joined.is_empty() {
            self.joined.extend_from_slice(first);
        }
        self.joined.extend_from_slice(b"\n");
        self.joined.extend_from_slice(&line);
    }

    fn finish(self) -> Option<Bytes> {
        if self.joined.is_empty() { self.first } else { Some(self.joined.freeze()) }
    }
}

#[cfg(test)]
mod tests;
