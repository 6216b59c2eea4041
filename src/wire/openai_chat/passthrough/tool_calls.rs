//! Streamed tool calls, made whole (rules T1, T2, T3).
//!
//! A client joins the fragments of a call by `index` and concatenates its strings, so `index`
//! must count 0, 1, 2, `id` and `name` must come once, and the joined `arguments` must be JSON.
//! Vendors leave out the index (Mistral, Gemini), the id (TGI, LocalAI) or the type, repeat or
//! empty the id and the name (DashScope, GLM), and write arguments as an object or not at all.
//! Fragments are assembled by `index`, else by `id`, else a new name begins a new call.

use serde_json::value::RawValue;

use super::splice;
use crate::wire::{
    ids,
    json::{Edits, Object, push_string},
};

/// The calls of one choice.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug)]
struct Call {
    /// The index the upstream gave it.
    wire_index: Option<u64>,
    id: String,
    /// The upstream's id, when it gave one.
    wire_id: String,
    name: String,
    /// A piece of its arguments has been sent.
    has_arguments: bool,
    /// A function's arguments are JSON; a custom tool's input is not.
    is_function: bool,
}

/// What is known where a delta stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    /// The answer's id; makes generated ids differ from those of other answers.
    pub(super) seed: &'a str,
    pub(super) choice: u64,
    /// The choice ends with this chunk, so a call without arguments will get none.
    pub(super) closing: bool,
}

/// One element of a `tool_calls` array, as far as it matters.
struct Fragment<'a> {
    edits: Edits<'a>,
    index: Option<u64>,
    id: String,
    name: String,
}

// === impl Calls ===

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The functions among the first `count` calls that were given no arguments, for which `{}`
    /// must be sent before the choice ends (rule T1). They count as served from now on.
    pub(super) fn take_bare(&mut self, count: usize) -> Vec<usize> {
        let bare = |(at, call): (usize, &mut Call)| {
            (call.is_function && !std::mem::replace(&mut call.has_arguments, true)).then_some(at)
        };
        self.0.iter_mut().take(count).enumerate().filter_map(bare).collect()
    }

    /// Reads a delta's `tool_calls` and returns their repaired form if they need one. Adds the
    /// length of the arguments to `output_bytes`.
    pub(super) fn repair(
        &mut self,
        array: &RawValue,
        around: Around<'_>,
        output_bytes: &mut u64,
    ) -> serde_json::Result<Option<String>> {
        let items: Vec<&RawValue> = serde_json::from_str(array.get())?;
        let known = self.0.len();
        let mut repaired = Vec::with_capacity(items.len());
        for item in &items {
            let mut fragment = Fragment::read(item)?;
            let at = self.place(&fragment, known);
            self.settle(at, &mut fragment, around, output_bytes)?;
            repaired.push((!fragment.edits.is_empty()).then(|| fragment.edits.apply()));
        }
        Ok(splice(&items, &repaired))
    }

    /// The position of the call a fragment belongs to; one past the last for a new call. The array
    /// being read began when `known` calls were known.
    fn place(&self, fragment: &Fragment<'_>, known: usize) -> usize {
        let fresh = self.0.len();
        let by_index = fragment.index.and_then(|index| self.0.iter().rposition(|call| call.wire_index == Some(index)));
        if let Some(at) = by_index {
            // Gemini's compatible endpoint has given parallel calls the same index.
            let is_other = |call: &Call| {
                (!fragment.id.is_empty() && fragment.id != call.wire_id && !call.wire_id.is_empty())
                    || (call.has_arguments && (fragment.name != call.name || at >= known))
            };
            let other = !fragment.name.is_empty() && self.0.get(at).is_some_and(is_other);
            return if other { fresh } else { at };
        }
        if fragment.index.is_some() {
            return fresh;
        }
        if !fragment.id.is_empty() {
            return self.0.iter().rposition(|call| call.wire_id == fragment.id).unwrap_or(fresh);
        }
        if fragment.name.is_empty() { fresh.saturating_sub(1) } else { fresh }
    }

    /// Notes what a fragment adds to its call and edits what a client would take amiss.
    fn settle(
        &mut self,
        at: usize,
        fragment: &mut Fragment<'_>,
        around: Around<'_>,
        output_bytes: &mut u64,
    ) -> serde_json::Result<()> {
        let is_new = at >= self.0.len();
        if fragment.index != Some(at as u64) {
            fragment.edits.set("index", at.to_string());
        }
        if is_new {
            self.open(at, fragment, around);
        } else if fragment.edits.object().present("id").is_some() {
            fragment.edits.remove("id");
        }
        let Some(call) = self.0.get_mut(at) else { return Ok(()) };
        let Some(function) = fragment.edits.object().present("function") else { return Ok(()) };
        let mut function = Object::parse_str(function.get())?.edit();
        if !is_new {
            let is_repeated = fragment.name.is_empty() || fragment.name == call.name || call.has_arguments;
            if !is_repeated {
                call.name.push_str(&fragment.name);
            } else if function.object().present("name").is_some() {
                function.remove("name");
            }
        }
        let may_end = around.closing && !call.has_arguments;
        let sent = settle_arguments(&mut function, is_new, may_end)?;
        call.has_arguments |= sent > 0;
        *output_bytes += sent;
        if !function.is_empty() {
            fragment.edits.set("function", function.apply());
        }
        Ok(())
    }

    /// Begins a call: an id nobody else has, a type, a name.
    fn open(&mut self, at: usize, fragment: &mut Fragment<'_>, around: Around<'_>) {
        let is_taken = self.0.iter().any(|call| call.id == fragment.id);
        let mut id = fragment.id.clone();
        if id.is_empty() || is_taken {
            id = ids::tool_call(around.seed, around.choice, at);
            fragment.edits.set("id", format!("\"{id}\""));
        }
        let object = fragment.edits.object();
        let is_function = object.present("custom").is_none();
        if object.present("type").is_none() && is_function {
            fragment.edits.set("type", "\"function\"");
        }
        self.0.push(Call {
            wire_index: fragment.index,
            id,
            wire_id: fragment.id.clone(),
            name: fragment.name.clone(),
            has_arguments: false,
            is_function,
        });
    }
}

// === impl Fragment ===

impl<'a> Fragment<'a> {
    fn read(item: &'a RawValue) -> serde_json::Result<Self> {
        let object = Object::parse_str(item.get())?;
        let function = object.present("function").and_then(|function| Object::parse_str(function.get()).ok());
        Ok(Self {
            index: object.get("index").and_then(|index| index.get().parse().ok()),
            id: object.get("id").map(text).unwrap_or_default(),
            name: function.and_then(|function| function.get("name").map(text)).unwrap_or_default(),
            edits: object.edit(),
        })
    }
}

/// Makes `arguments` a string (rule T3) and tells its length. A new call has one even if empty, as
/// OpenAI's do; with `may_end` an empty one is the whole, which is `{}` (rule T1).
fn settle_arguments(function: &mut Edits<'_>, is_new: bool, may_end: bool) -> serde_json::Result<u64> {
    let arguments = function.object().get("arguments").map(RawValue::get).unwrap_or_default();
    match arguments {
        "" | "null" | "\"\"" if may_end => {
            function.set("arguments", r#""{}""#);
            Ok(2)
        }
        "" | "null" if is_new => {
            function.set("arguments", "\"\"");
            Ok(0)
        }
        "null" => {
            function.remove("arguments");
            Ok(0)
        }
        text if text.starts_with('"') || text.is_empty() => Ok(text.len().saturating_sub(2) as u64),
        json => {
            let mut string = String::with_capacity(json.len() + 16);
            push_string(&mut string, json);
            function.set("arguments", string);
            Ok(json.len() as u64)
        }
    }
}

/// A whole answer's calls: complete, each with an id of its own, a type and string arguments.
pub(super) fn repair_whole(
    array: &RawValue,
    around: Around<'_>,
    output_bytes: &mut u64,
) -> serde_json::Result<Option<String>> {
    let items: Vec<&RawValue> = serde_json::from_str(array.get())?;
    let mut calls = Calls::default();
    let mut repaired = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let mut fragment = Fragment::read(item)?;
        calls.open(at, &mut fragment, around);
        if let Some(function) = fragment.edits.object().present("function") {
            let mut function = Object::parse_str(function.get())?.edit();
            *output_bytes += settle_arguments(&mut function, true, true)?;
            if !function.is_empty() {
                fragment.edits.set("function", function.apply());
            }
        }
        repaired.push((!fragment.edits.is_empty()).then(|| fragment.edits.apply()));
    }
    Ok(splice(&items, &repaired))
}

/// A JSON string's text or a number's; anything else is empty.
fn text(value: &RawValue) -> String {
    let json = value.get();
    if json.starts_with(|first: char| first.is_ascii_digit()) {
        return json.into();
    }
    serde_json::from_str(json).unwrap_or_default()
}
