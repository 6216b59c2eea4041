//! Blocks one at a time: canonical blocks may overlap, the items of this dialect's streams may not
//! (rule P1).
//!
//! The block that was opened first speaks; what the others say waits until it has closed. So a stream
//! whose blocks do not overlap passes at once, and parallel calls come whole, one after the other.
//!
//! Cost per event: a look into a short list; an event that has to wait is cloned.

use std::collections::VecDeque;

use crate::ir::{Delta, Event, Opening};

/// What happens to the one block that is open.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Turn {
    Open(Opening),
    Delta(Delta),
    Close,
}

/// The blocks that are not over, in the order they were opened.
#[derive(Debug, Default)]
pub(super) struct Serial {
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    index: u32,
    /// What it would have said; empty for the one that speaks.
    turns: Vec<Turn>,
    closed: bool,
}

// === impl Serial ===

impl Serial {
    /// Takes an event of a block, and hands what may be said now to `say`, in order.
    pub(super) fn take(&mut self, event: &Event, mut say: impl FnMut(Turn)) {
        match event {
            Event::Open { index, block } => {
                let mut turns = vec![Turn::Open(block.clone())];
                if self.waiting.is_empty() {
                    turns.drain(..).for_each(&mut say);
                }
                self.waiting.push_back(Waiting { index: *index, turns, closed: false });
            }
            Event::Delta { index, delta } => {
                let is_first = self.waiting.front().is_some_and(|first| first.index == *index);
                if is_first {
                    say(Turn::Delta(delta.clone()));
                } else if let Some(block) = self.waiting.iter_mut().find(|block| block.index == *index) {
                    block.turns.push(Turn::Delta(delta.clone()));
                }
            }
            Event::Close { index } => {
                if let Some(block) = self.waiting.iter_mut().find(|block| block.index == *index) {
                    block.closed = true;
                }
                self.advance(say);
            }
            Event::Start { .. }
            | Event::Annotation(_)
            | Event::Logprobs(_)
            | Event::Lost(_)
            | Event::Usage(_)
            | Event::Finish { .. } => {}
        }
    }

    /// Ends what is still open.
    pub(super) fn finish(&mut self, say: impl FnMut(Turn)) {
        self.waiting.iter_mut().for_each(|block| block.closed = true);
        self.advance(say);
    }

    /// Lets the next ones speak, as long as the first has closed.
    fn advance(&mut self, mut say: impl FnMut(Turn)) {
        while self.waiting.front().is_some_and(|first| first.closed) {
            self.waiting.pop_front();
            say(Turn::Close);
            if let Some(next) = self.waiting.front_mut() {
                next.turns.drain(..).for_each(&mut say);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(index: u32, text: &str) -> Event {
        Event::Delta { index, delta: Delta::Text(text.into()) }
    }

    /// P1: whatever overlaps comes out apart, nothing lost, each as early as it can.
    #[test]
    fn overlapping_blocks_come_apart() {
        let open = |index| Event::Open { index, block: Opening::Text };
        let close = |index| Event::Close { index };
        let mut serial = Serial::default();
        let mut said = Vec::new();
        let mut heard = Vec::new();
        for event in
            [open(0), text(0, "a"), open(1), text(1, "x"), text(0, "b"), close(1), open(2), close(0), text(2, "z")]
        {
            serial.take(&event, |turn| said.push(turn));
            heard.push(said.len());
        }
        serial.finish(|turn| said.push(turn));
        let brief: Vec<String> = said
            .iter()
            .map(|turn| match turn {
                Turn::Open(_) => "(".to_owned(),
                Turn::Delta(Delta::Text(text)) => text.clone(),
                Turn::Delta(_) => "?".into(),
                Turn::Close => ")".into(),
            })
            .collect();
        assert_eq!(brief.concat(), "(ab)(x)(z)");
        assert_eq!(heard, [1, 2, 2, 2, 3, 3, 3, 8, 9]);
    }
}
