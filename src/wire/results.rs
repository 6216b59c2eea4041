//! What tools returned: in the order in which they were called (rule T4), since several vendors know a
//! result by its place alone and clients send results as they come in; and in words what a dialect has no
//! place for: a failure, an image.

use crate::ir::{Block, Message};

/// Puts the results of a turn into the order of the calls of the turn before, ahead of anything else
/// in it; the others stay as they came.
pub(super) fn order(before: Option<&Message>, blocks: &mut [Block]) {
    if !blocks.iter().any(|block| block.answers().is_some()) {
        return;
    }
    let call = |block: &Block| if let Block::ToolCall { id, .. } = block { Some(id.clone()) } else { None };
    let calls: Vec<String> = before.into_iter().flat_map(|turn| &turn.blocks).filter_map(call).collect();
    let place = |id: &str| calls.iter().position(|call| call == id).unwrap_or(calls.len());
    blocks.sort_by_key(|block| block.answers().map_or(usize::MAX, place));
}

/// Stands for what is shown behind a result, where it can hold text alone: one that says nothing would be
/// taken for that, and several servers refuse it.
pub(super) const SHOWN_BEHIND: &str = "[shown below]";

/// Stands for an image in the result of a tool, where the model reads none.
pub(super) const UNREAD: &str = "[an image, which you cannot see]";

/// The words of a call that failed.
pub(super) fn failed(words: &str) -> String {
    if words.is_empty() { "Error".into() } else { format!("Error: {words}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Role, ToolKind};

    fn call(id: &str) -> Block {
        let (id, name, arguments) = (id.into(), "f".into(), "{}".into());
        Block::ToolCall { id, name, arguments, kind: ToolKind::Function, cache: None }
    }

    fn result(id: &str) -> Block {
        Block::ToolResult { id: id.into(), content: Vec::new(), is_error: false, cache: None }
    }

    #[test]
    fn results_follow_their_calls() {
        let before = Message::new(Role::Assistant, vec![call("a"), Block::text("x"), call("b")]);
        let mut blocks = [Block::text("so?"), result("b"), result("unknown"), result("a")];
        order(Some(&before), &mut blocks);
        assert_eq!(blocks, [result("a"), result("b"), result("unknown"), Block::text("so?")]);
        let mut blocks = [Block::text("1"), Block::text("2")];
        order(None, &mut blocks);
        assert_eq!(blocks, [Block::text("1"), Block::text("2")]);
    }
}
