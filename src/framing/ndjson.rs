//! One JSON value a line (NDJSON, as Ollama streams): bytes to [`Frame`]s.
//!
//! A line ends with LF or CRLF; blank lines and a mark of byte order at the start are passed over,
//! and white space around a value does not belong to it. JSON has no line feed inside a value, so
//! nothing here reads JSON. More tolerant than the format in one point: a last line without its end
//! is still given out, by [`Framer::finish`].
//!
//! Cost: a line that lies inside one read takes one `memchr` and one slice of the read's bytes. One
//! that spans reads is copied once, and no byte is scanned twice, however small the reads.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use memchr::memchr;

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
    /// The line in progress, as far as earlier reads held it.
    held: BytesMut,
    is_first: bool,
    is_dead: bool,
}

// === impl Framer ===

impl Framer {
    pub fn new(max_frame_bytes: usize) -> Self {
        Self {
            max_frame_bytes,
            read: Bytes::new(),
            waiting: VecDeque::new(),
            held: BytesMut::new(),
            is_first: true,
            is_dead: false,
        }
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

    /// The stream has ended, and the iterator has been used up: gives out a last line that lacks
    /// its end.
    pub fn finish(&mut self) -> Option<Frame> {
        self.is_dead = true;
        let line = std::mem::take(&mut self.held).freeze();
        self.frame(&line)
    }

    /// Takes the next line from the current read, or keeps what there is of it.
    fn step(&mut self) -> Option<Result<Frame, BadFrame>> {
        let end = memchr(b'\n', &self.read);
        let len = end.map_or(self.read.len(), |end| end + 1);
        if self.held.len() + len > self.max_frame_bytes {
            self.read.clear();
            self.waiting.clear();
            self.held = BytesMut::new();
            self.is_dead = true;
            return Some(Err(BadFrame::TooLarge { limit_bytes: self.max_frame_bytes }));
        }
        let piece = self.read.split_to(len);
        if end.is_some() && self.held.is_empty() {
            return self.frame(&piece).map(Ok);
        }
        self.held.extend_from_slice(&piece);
        end?;
        let line = std::mem::take(&mut self.held).freeze();
        self.frame(&line).map(Ok)
    }

    /// A whole line without what stands around its value; `None` for a blank one.
    fn frame(&mut self, line: &Bytes) -> Option<Frame> {
        let mut value = &**line;
        if std::mem::take(&mut self.is_first) {
            value = value.strip_prefix(BOM).unwrap_or(value);
        }
        let value = value.trim_ascii();
        (!value.is_empty()).then(|| Frame { raw: None, event: None, data: line.slice_ref(value) })
    }
}

impl Iterator for Framer {
    type Item = Result<Frame, BadFrame>;

    /// The next whole line, or `None` until more bytes are pushed.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::framing::DEFAULT_MAX_FRAME_BYTES;

    /// Frames the bytes, cut into the given sizes (the rest in one piece).
    fn lines(bytes: &[u8], cuts: &[usize]) -> Vec<String> {
        let mut framer = Framer::new(DEFAULT_MAX_FRAME_BYTES);
        let mut bytes = Bytes::copy_from_slice(bytes);
        let mut frames = Vec::new();
        for &cut in cuts {
            framer.push(bytes.split_to(cut.min(bytes.len())));
            frames.extend(framer.by_ref().map(Result::unwrap));
        }
        framer.push(bytes);
        frames.extend(framer.by_ref().map(Result::unwrap));
        frames.extend(framer.finish());
        assert!(frames.iter().all(|frame| frame.raw.is_none() && frame.event.is_none()));
        frames.iter().map(|frame| String::from_utf8_lossy(&frame.data).into_owned()).collect()
    }

    #[test]
    fn a_line_shares_the_bytes_of_its_read() {
        let read = Bytes::from_static(b"{\"a\":1}\n{\"a\":2}\n");
        let mut framer = Framer::new(1024);
        framer.push(read.clone());
        assert_eq!(framer.next().unwrap().unwrap().data.as_ptr(), read.as_ptr());
        assert_eq!(framer.next().unwrap().unwrap().data.as_ptr(), read.slice(8..).as_ptr());
        assert_eq!((framer.next(), framer.finish()), (None, None));
    }

    /// S8: however the same lines are spelled, the same values come out.
    #[test]
    fn every_spelling_gives_the_same_values() {
        let usual = "{\"n\":1}\n{\"n\": 2}\n[3]\n";
        for spelling in [
            usual.to_owned(),
            usual.replace('\n', "\r\n"),
            usual.replace('\n', "\n\n \r\n"),
            usual.trim_end().to_owned(),
            format!("\u{feff}{usual}"),
            format!("\n\t{usual} "),
        ] {
            assert_eq!(lines(spelling.as_bytes(), &[]), ["{\"n\":1}", "{\"n\": 2}", "[3]"], "{spelling:?}");
        }
    }

    /// S9: a character split over reads survives, whatever the place of the cut.
    #[test]
    fn split_characters_survive() {
        let text = "\u{feff}{\"content\":\"\u{4f60}\u{1F30D}\"}\r\n";
        for cut in 0..=text.len() {
            assert_eq!(lines(text.as_bytes(), &[cut]), ["{\"content\":\"\u{4f60}\u{1F30D}\"}"]);
        }
    }

    /// S8: the limit holds for lines in one read and over many, and ends the stream.
    #[test]
    fn a_line_over_the_limit_is_an_error() {
        for reads in [&[&b"12345678\n"[..]][..], &[b"1234", b"5678", b"\n"], &[b"1\n12", b"345678"]] {
            let mut framer = Framer::new(7);
            let mut errors = 0;
            for read in reads {
                framer.push(Bytes::from_static(read));
                errors += framer.by_ref().filter(Result::is_err).count();
            }
            assert_eq!(errors, 1);
            framer.push(Bytes::from_static(b"1\n"));
            assert_eq!((framer.next(), framer.finish()), (None, None));
        }
    }

    #[test]
    fn reads_may_be_pushed_ahead() {
        let mut framer = Framer::new(1024);
        for read in ["1", "\n2", "", "\n", "3\n"] {
            framer.push(Bytes::from_static(read.as_bytes()));
        }
        let got: Vec<_> = framer.by_ref().map(|frame| frame.unwrap().data).collect();
        assert_eq!(got, ["1", "2", "3"]);
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let pieces: Vec<&[u8]> = vec![b"\n", b"\r\n", b"\r", b" ", b"x", b"{\"a\":1}", BOM, b"\xef", b"\xff"];
        prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// S8, S9: any cut of the bytes gives the same lines.
        #[test]
        fn cuts_do_not_matter(bytes in stream(), cuts in prop::collection::vec(0usize..9, 0..60)) {
            prop_assert_eq!(lines(&bytes, &cuts), lines(&bytes, &[]));
        }

        /// Arbitrary bytes never panic, never give a line past the limit, and never hold more.
        #[test]
        fn arbitrary_bytes_stay_within_the_limit(reads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut framer = Framer::new(32);
            for read in reads {
                framer.push(read.into());
                while let Some(Ok(frame)) = framer.next() {
                    prop_assert!(frame.data.len() <= 32);
                }
                prop_assert!(framer.held.len() <= 32);
            }
            framer.finish();
        }
    }
}
