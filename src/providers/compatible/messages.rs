//! A vendor's rules for messages: roles, names, contents, ids, order.
//!
//! Only messages that break a rule are written anew, member by member; the rest of the
//! conversation keeps its bytes, so that prompt caches still hit (rule C1).

use memchr::memmem;

use super::{fields::quoted, losses::Losses, tool_ids::NineChars};
use crate::{
    providers::catalogue::{Order, Quirks, ReasoningBack, ToolIds},
    wire::json::{Edits, Object, array},
};

/// What is done to each message on its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) developer_as_system: bool,
    pub(super) strip_name: bool,
    pub(super) flat_content: bool,
    pub(super) nine_char_ids: bool,
    /// Assistant turns get a `reasoning_content`, in a conversation with tool calls (rule R3).
    pub(super) fill_reasoning: Fill,
    /// Assistant turns go without what only other vendors' models, and this gateway, say beside them.
    pub(super) bare: bool,
}

/// Which turns lack something without any reasoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    None,
    Calls,
    All,
}

/// What a turn of another vendor's model has that this gateway told the client, and that a vendor which
/// takes nothing it does not know would refuse.
const OTHERS: [&str; 4] = ["reasoning_content", "thinking_blocks", "images", EXTRA];
/// On calls, too.
const EXTRA: &str = "extra_content";

impl Rules {
    pub(super) fn of(quirks: &Quirks, reasoning_back: Option<ReasoningBack>) -> Self {
        Self {
            developer_as_system: !quirks.developer,
            strip_name: quirks.strip_name,
            flat_content: quirks.flat_content,
            nine_char_ids: quirks.tool_ids == ToolIds::Nine,
            fill_reasoning: match reasoning_back {
                None | Some(ReasoningBack::WhereKnown) => Fill::None,
                Some(ReasoningBack::WithCalls) => Fill::Calls,
                Some(ReasoningBack::Throughout) => Fill::All,
            },
            bare: quirks.bare,
        }
    }

    /// The rules that these messages can break at all. A search for a word is a fraction of the
    /// price of reading the messages, which most conversations are thus spared.
    fn touching(self, messages: &str) -> Self {
        let holds = |word: &str| memmem::find(messages.as_bytes(), word.as_bytes()).is_some();
        Self {
            developer_as_system: self.developer_as_system && holds("\"developer\""),
            strip_name: self.strip_name && holds("\"name\""),
            flat_content: self.flat_content && holds("\"content\""),
            nine_char_ids: self.nine_char_ids && holds("\"tool_call"),
            fill_reasoning: match self.fill_reasoning {
                fill @ (Fill::Calls | Fill::All) if holds("\"tool_calls\"") => fill,
                Fill::Calls | Fill::All | Fill::None => Fill::None,
            },
            bare: self.bare && OTHERS.iter().any(|field| holds(field)),
        }
    }

    fn none(self) -> bool {
        let of_content = self.strip_name || self.flat_content || self.nine_char_ids;
        !(self.developer_as_system || of_content || self.fill_reasoning != Fill::None || self.bare)
    }
}

/// Rewrites the messages that break a rule.
pub(super) fn rewrite(rules: Rules, body: &mut Edits<'_>, losses: &mut Losses) {
    let Some(messages) = body.get("messages") else { return };
    let rules = rules.touching(messages);
    if rules.none() {
        return;
    }
    let mut ids = NineChars::default();
    let new = array::map(messages, |index, message| {
        let mut message = Object::parse_str(message).ok()?.edit();
        one(rules, index, &mut message, &mut ids, losses);
        (!message.is_empty()).then(|| message.apply())
    });
    if let Some(new) = new {
        body.set("messages", new);
    }
}

fn one(rules: Rules, index: usize, message: &mut Edits<'_>, ids: &mut NineChars, losses: &mut Losses) {
    if rules.developer_as_system && message.get("role") == Some(r#""developer""#) {
        message.set("role", r#""system""#);
    }
    if rules.strip_name && message.get("name").is_some() {
        if message.get("name") != Some("null") {
            losses.hint(format!("messages[{index}].name"));
        }
        message.remove("name");
    }
    if rules.flat_content {
        flatten(index, message, losses);
    }
    if rules.nine_char_ids {
        map_ids(message, ids);
    }
    if rules.bare && message.get("role") == Some(r#""assistant""#) {
        strip_others(index, message, losses);
    }
    let lacks = match rules.fill_reasoning {
        Fill::None => false,
        Fill::Calls => message.get("tool_calls").is_some_and(|calls| calls.starts_with('[')),
        Fill::All => message.get("role") == Some(r#""assistant""#),
    };
    if lacks && message.get("reasoning_content").is_none_or(|said| said == "null") {
        message.set("reasoning_content", r#""""#);
    }
}

/// A conversation that another vendor's model began may go on here.
fn strip_others(index: usize, message: &mut Edits<'_>, losses: &mut Losses) {
    for field in OTHERS {
        let Some(value) = message.get(field) else { continue };
        if value != "null" {
            losses.hint(format!("messages[{index}].{field}"));
        }
        message.remove(field);
    }
    let calls = message.get("tool_calls").and_then(|calls| {
        array::map(calls, |_, call| {
            let mut call = Object::parse_str(call).ok()?.edit();
            call.get(EXTRA)?;
            call.remove(EXTRA);
            losses.hint(format!("messages[{index}].{EXTRA}"));
            Some(call.apply())
        })
    });
    if let Some(calls) = calls {
        message.set("tool_calls", calls);
    }
}

/// Makes one string of a content whose parts are all text. What else a part carried (a cache mark)
/// has no place in a string.
fn flatten(index: usize, message: &mut Edits<'_>, losses: &mut Losses) {
    let Some(parts) = message.get("content").and_then(array::elements) else { return };
    let mut texts = Vec::with_capacity(parts.len());
    let mut lost = Vec::new();
    for (part, json) in parts.iter().enumerate() {
        let Ok(object) = Object::parse_str(json.get()) else { return };
        if object.get("type").is_none_or(|kind| kind.get() != r#""text""#) {
            return;
        }
        let text = object.get("text").and_then(|text| serde_json::from_str::<String>(text.get()).ok());
        let Some(text) = text else { return };
        texts.push(text);
        let others = object.members().iter().filter(|member| member.key != "type" && member.key != "text");
        lost.extend(others.map(|member| format!("messages[{index}].content[{part}].{}", member.key)));
    }
    message.set("content", quoted(&texts.join("\n")));
    for field in lost {
        losses.hint(field);
    }
}

/// Gives a call and its result an id the vendor takes (rule T7).
fn map_ids(message: &mut Edits<'_>, ids: &mut NineChars) {
    if let Some(id) = mapped(message.get("tool_call_id"), ids) {
        message.set("tool_call_id", id);
    }
    let calls = message.get("tool_calls").and_then(|calls| {
        array::map(calls, |_, call| {
            let mut call = Object::parse_str(call).ok()?.edit();
            let id = mapped(call.get("id"), ids)?;
            call.set("id", id);
            Some(call.apply())
        })
    });
    if let Some(calls) = calls {
        message.set("tool_calls", calls);
    }
}

fn mapped(id: Option<&str>, ids: &mut NineChars) -> Option<String> {
    let id: String = serde_json::from_str(id?).ok()?;
    ids.map(&id).map(|id| quoted(&id))
}

// === order ===

/// Brings the messages into an order the vendor's chat template takes: the system messages are
/// joined at the front, and for strict turns neighbours of one role become one. Messages whose
/// content is not plain text are never joined, only moved apart from them.
pub(super) fn order(order: Order, body: &mut Edits<'_>) {
    if order == Order::Any {
        return;
    }
    let Some(messages) = body.get("messages").and_then(array::elements) else { return };
    let turns: Vec<Turn> = messages.iter().map(|message| Turn::read(message.get())).collect();
    let system = |turn: &Turn| turn.role.as_deref() == Some("system");
    let misplaced = turns.iter().skip(1).any(system);
    let repeated = order == Order::Alternating
        && turns.windows(2).any(|pair| matches!(pair, [first, second] if first.joins(second)));
    if !misplaced && !repeated {
        return;
    }
    let (first, rest): (Vec<Turn>, Vec<Turn>) = turns.into_iter().partition(system);
    let mut ordered = join(first, |_, _| true);
    ordered.extend(join(rest, |one, other| order == Order::Alternating && one.joins(other)));
    let texts: Vec<String> = ordered.into_iter().map(|turn| turn.json).collect();
    body.set("messages", format!("[{}]", texts.join(",")));
}

/// A message with what deciding its place takes.
#[derive(Debug)]
struct Turn {
    json: String,
    role: Option<String>,
    /// The content, when it is a string or an array of nothing but texts, and nothing else
    /// (a call, a name) hangs on the message.
    text: Option<String>,
}

impl Turn {
    fn read(json: &str) -> Self {
        let object = Object::parse_str(json).ok();
        let member = |key: &str| object.as_ref().and_then(|object| object.get(key)).map(|value| value.get());
        let plain = object.as_ref().is_some_and(|object| {
            object.members().iter().all(|member| matches!(member.key.as_ref(), "role" | "content"))
        });
        Self {
            json: json.into(),
            role: member("role").and_then(|role| serde_json::from_str(role).ok()),
            text: member("content").filter(|_| plain).and_then(plain_text),
        }
    }

    /// Whether the two are neighbours of one role that can be one message.
    fn joins(&self, next: &Self) -> bool {
        self.role == next.role
            && matches!(self.role.as_deref(), Some("user" | "assistant"))
            && self.text.is_some()
            && next.text.is_some()
    }
}

fn plain_text(content: &str) -> Option<String> {
    if let Ok(text) = serde_json::from_str(content) {
        return Some(text);
    }
    let texts: Option<Vec<String>> = array::elements(content)?
        .into_iter()
        .map(|part| {
            let part = Object::parse_str(part.get()).ok()?;
            (part.get("type")?.get() == r#""text""#).then_some(())?;
            serde_json::from_str(part.get("text")?.get()).ok()
        })
        .collect();
    texts.map(|texts| texts.join("\n"))
}

/// Joins neighbours, where `may` allows it and both are text, with a blank line between.
fn join(turns: Vec<Turn>, may: impl Fn(&Turn, &Turn) -> bool) -> Vec<Turn> {
    let mut out: Vec<Turn> = Vec::with_capacity(turns.len());
    for turn in turns {
        let Some(last) = out.last_mut().filter(|last| may(last, &turn)) else {
            out.push(turn);
            continue;
        };
        let (Some(one), Some(other)) = (&last.text, &turn.text) else {
            out.push(turn);
            continue;
        };
        let text = format!("{one}\n\n{other}");
        let role = last.role.as_deref().unwrap_or("system");
        last.json = format!(r#"{{"role":{},"content":{}}}"#, quoted(role), quoted(&text));
        last.text = Some(text);
    }
    out
}

/// Puts an instruction before the conversation: at the end of the first message when that is a
/// system message in plain text, else in a system message of its own.
pub(super) fn instruct(instruction: &str, body: &mut Edits<'_>) {
    let Some(messages) = body.get("messages").and_then(array::elements) else { return };
    let mut texts: Vec<String> = messages.iter().map(|message| message.get().into()).collect();
    let first = texts.first().map(|message| Turn::read(message)).filter(|turn| turn.role.as_deref() == Some("system"));
    let text = first.and_then(|turn| turn.text);
    let own = text.is_none();
    let text = text.map_or_else(|| instruction.into(), |text| format!("{text}\n\n{instruction}"));
    let message = format!(r#"{{"role":"system","content":{}}}"#, quoted(&text));
    match texts.first_mut() {
        Some(first) if !own => *first = message,
        Some(_) | None => texts.insert(0, message),
    }
    body.set("messages", format!("[{}]", texts.join(",")));
}
