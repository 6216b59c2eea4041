//! The blocks of an answer whose vendor streams prose without saying where a block begins or ends:
//! pieces of one kind in a row are one block, and a piece of another kind ends it.

use crate::ir::{Delta, Event, Opening};

/// What has been opened so far.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// The next block's index.
    next: u32,
    /// The block that pieces of one kind are being added to, and which part of the answer it is,
    /// where the vendor numbers them.
    prose: Option<(Prose, u64, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prose {
    Text,
    Reasoning,
    Refusal,
}

// === impl Blocks ===

impl Blocks {
    pub(super) fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// The kind of prose whose block is open.
    pub(super) fn speaking(&self) -> Option<Prose> {
        self.prose.map(|(kind, ..)| kind)
    }

    /// Begins a block that is not prose, or is not to be added to; its index.
    pub(super) fn open(&mut self, block: Opening, out: &mut Vec<Event>) -> u32 {
        let index = self.next;
        self.next += 1;
        out.push(Event::Open { index, block });
        index
    }

    /// A block that is complete at once. It ends open prose.
    pub(super) fn whole(&mut self, block: Opening, delta: Option<Delta>, out: &mut Vec<Event>) {
        self.close_prose(out);
        let index = self.open(block, out);
        out.extend(delta.map(|delta| Event::Delta { index, delta }));
        out.push(Event::Close { index });
    }

    /// Adds a piece of prose. An empty one is none.
    pub(super) fn say(&mut self, kind: Prose, text: String, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let index = self.prose(kind, out);
        let delta = match kind {
            Prose::Text => Delta::Text(text),
            Prose::Reasoning => Delta::Reasoning(text),
            Prose::Refusal => Delta::Refusal(text),
        };
        out.push(Event::Delta { index, delta });
    }

    /// The open block of this kind; begins one when there is none.
    pub(super) fn prose(&mut self, kind: Prose, out: &mut Vec<Event>) -> u32 {
        self.part(kind, 0, out).0
    }

    /// The same for a numbered part of the answer, and whether it has just begun.
    pub(super) fn part(&mut self, kind: Prose, part: u64, out: &mut Vec<Event>) -> (u32, bool) {
        if let Some((.., index)) = self.prose.filter(|(open, of, _)| *open == kind && *of == part) {
            return (index, false);
        }
        self.close_prose(out);
        let opening = match kind {
            Prose::Text => Opening::Text,
            Prose::Reasoning => Opening::Reasoning,
            Prose::Refusal => Opening::Refusal,
        };
        let index = self.open(opening, out);
        self.prose = Some((kind, part, index));
        (index, true)
    }

    pub(super) fn close_prose(&mut self, out: &mut Vec<Event>) {
        if let Some((.., index)) = self.prose.take() {
            out.push(Event::Close { index });
        }
    }
}
