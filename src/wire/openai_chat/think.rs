//! Reasoning that a server leaves in the text, `<think>` and `</think>` around it (rule R4).
//!
//! Off unless the operator says that an upstream does so (`think-tags`): a model may also write of
//! such a tag. Only the beginning of an answer is looked at: after any white space `<think>`, and
//! everything up to the first `</think>`, or up to the end, is reasoning. The tags' own lines belong
//! to them: the line breaks behind either tag, one before the closing tag, and the white space
//! before the opening one are neither reasoning nor text, as DeepSeek's and Qwen's templates write
//! them. A template that puts `<think>` into the prompt, so that the answer has the closing tag
//! only, is not met here: a stream would be over before anybody knew.
//!
//! Sources: the output of DeepSeek R1 and Qwen 3, as servers without a reasoning parser pass it on
//! (November 2026).
//!
//! Cost: one search per piece while reasoning, none afterwards. Of reasoning at most a partial tag
//! and a line break are held back.

use std::mem;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";
const BREAKS: [char; 2] = ['\r', '\n'];

/// Splits a text that comes in pieces. Any cut of it gives the same two texts.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    at: At,
    /// What may become a part of a tag, or the line break before one.
    held: String,
    /// White space at the very beginning.
    blank: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Start,
    /// Just behind the opening tag.
    Opened,
    Inside,
    /// Just behind the closing tag.
    Closed,
    /// Nothing is looked for any more.
    Over,
}

/// What a piece adds: first to the reasoning, then to the text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) reasoning: String,
    pub(super) text: String,
}

// === impl Splitter ===

impl Splitter {
    pub(super) fn push(&mut self, piece: String) -> Split {
        match self.at {
            At::Start => self.start(&piece),
            At::Opened => self.skip_breaks(&piece, At::Inside),
            At::Inside => self.inside(&piece),
            At::Closed => self.skip_breaks(&piece, At::Over),
            At::Over => Split { text: piece, ..Split::default() },
        }
    }

    /// Something else than text comes next, or nothing at all: what is held back is what it is.
    pub(super) fn flush(&mut self) -> Split {
        let held = mem::take(&mut self.held);
        match self.at {
            At::Start => {
                if !held.is_empty() {
                    self.at = At::Over;
                }
                Split { text: mem::take(&mut self.blank) + &held, ..Split::default() }
            }
            At::Inside => Split { reasoning: held, ..Split::default() },
            At::Opened | At::Closed | At::Over => Split::default(),
        }
    }

    fn start(&mut self, piece: &str) -> Split {
        let rest = if self.held.is_empty() { piece.trim_start() } else { piece };
        self.blank.push_str(piece.strip_suffix(rest).unwrap_or_default());
        self.held.push_str(rest);
        if let Some(inside) = self.held.strip_prefix(OPEN) {
            let inside = inside.to_owned();
            self.held.clear();
            self.blank.clear();
            self.at = At::Opened;
            return self.push(inside);
        }
        if OPEN.starts_with(&self.held) {
            return Split::default();
        }
        self.at = At::Over;
        Split { text: mem::take(&mut self.blank) + &mem::take(&mut self.held), ..Split::default() }
    }

    fn skip_breaks(&mut self, piece: &str, then: At) -> Split {
        let rest = piece.trim_start_matches(BREAKS);
        if rest.is_empty() {
            return Split::default();
        }
        self.at = then;
        self.push(rest.to_owned())
    }

    fn inside(&mut self, piece: &str) -> Split {
        self.held.push_str(piece);
        let mut said = mem::take(&mut self.held);
        if let Some((thought, rest)) = said.split_once(CLOSE) {
            self.at = At::Closed;
            let reasoning = without_break(thought).to_owned();
            return Split { reasoning, ..self.push(rest.to_owned()) };
        }
        self.held = said.split_off(said.len() - tail(&said));
        Split { reasoning: said, ..Split::default() }
    }
}

fn without_break(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}

/// How many bytes at the end may be the beginning of a closing tag and the line break before it.
fn tail(text: &str) -> usize {
    let part = (1..CLOSE.len()).rev().find_map(|length| text.strip_suffix(CLOSE.get(..length)?));
    let kept = without_break(part.unwrap_or(text));
    let kept = if part.is_none() { kept.strip_suffix('\r').unwrap_or(kept) } else { kept };
    text.len() - kept.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The two texts of an answer that comes in these pieces.
    fn split<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Split {
        let mut splitter = Splitter::default();
        let mut whole = Split::default();
        let mut take = |split: Split| {
            assert!(split.reasoning.is_empty() || whole.text.is_empty(), "no reasoning after text");
            whole.reasoning.push_str(&split.reasoning);
            whole.text.push_str(&split.text);
        };
        for piece in pieces {
            take(splitter.push(piece.to_owned()));
            assert!(splitter.held.len() < CLOSE.len() + 2, "{splitter:?}");
        }
        take(splitter.flush());
        whole
    }

    /// R4, case 37.
    #[test]
    fn tags_at_the_beginning_are_split_off() {
        for (text, reasoning, rest) in [
            ("<think>x</think>y", "x", "y"),
            (" \n<think>\nx\n\nz\n</think>\n\ny\n", "x\n\nz", "y\n"),
            ("<think>\r\nx\r\n</think>\r\ny", "x", "y"),
            ("<think></think>y", "", "y"),
            ("<think>\n\n</think>\n\ny", "", "y"),
            ("<think>x", "x", ""),
            ("<think>x\n</thi", "x\n</thi", ""),
            ("<think>a</b></thin </think>y", "a</b></thin ", "y"),
            ("<think>x</think>y<think>z</think>", "x", "y<think>z</think>"),
            ("<think>x</think><think>z</think>", "x", "<think>z</think>"),
            ("y<think>x</think>", "", "y<think>x</think>"),
            ("<thinking>x", "", "<thinking>x"),
            ("  <th", "", "  <th"),
            ("  y", "", "  y"),
            ("x</think>y", "", "x</think>y"),
            ("\n", "", "\n"),
            ("", "", ""),
            ("<think>é</think>ü", "é", "ü"),
        ] {
            let expected = Split { reasoning: reasoning.into(), text: rest.into() };
            assert_eq!(split([text]), expected, "{text:?}");
        }
    }

    /// Text is not kept waiting: what can be no tag goes on at once.
    #[test]
    fn only_what_may_be_a_tag_is_held_back() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.push("<think>ab".into()).reasoning, "ab");
        assert_eq!(splitter.push("c <".into()).reasoning, "c ");
        assert_eq!(splitter.push("/d".into()).reasoning, "</d");
        assert_eq!(splitter.push("</think>y".into()).text, "y");
        assert_eq!(splitter.push("<".into()).text, "<");
    }

    /// A call between two pieces lets go of what was held; the reasoning goes on behind it.
    #[test]
    fn what_is_held_is_let_go_in_place() {
        let mut splitter = Splitter::default();
        splitter.push("<think>x\n".into());
        assert_eq!(splitter.flush().reasoning, "\n");
        let split = splitter.push("z</think>y".into());
        assert_eq!((split.reasoning.as_str(), split.text.as_str()), ("z", "y"));
        let mut splitter = Splitter::default();
        splitter.push("\n<th".into());
        assert_eq!(splitter.flush().text, "\n<th");
        assert_eq!(splitter.push("<think>".into()).text, "<think>");
    }

    proptest! {
        /// R4: any cut of the text gives the same split as the whole.
        #[test]
        fn cuts_do_not_matter(
            pieces in prop::collection::vec(
                prop::sample::select(vec!["<think>", "</think>", "<", "/", "think", ">", "\n", "\r\n", "\r", " ", "é", "x"]),
                0..16,
            ),
            opened in any::<bool>(),
            cuts in prop::collection::vec(1usize..4, 0..60),
        ) {
            let text = format!("{}{}", if opened { "<think>" } else { "" }, pieces.concat());
            let letters: Vec<char> = text.chars().collect();
            let (mut cut, mut rest) = (Vec::new(), letters.as_slice());
            for size in cuts {
                let (piece, behind) = rest.split_at(size.min(rest.len()));
                cut.push(piece.iter().collect::<String>());
                rest = behind;
            }
            cut.push(rest.iter().collect());
            prop_assert_eq!(split(cut.iter().map(String::as_str)), split([text.as_str()]));
        }
    }
}
