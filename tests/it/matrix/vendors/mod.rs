//! Those who answer: one driver per upstream dialect, written from the vendors' descriptions. Each
//! says a small neutral answer in the vendor's own words, and reads what it was asked.

mod bedrock;
mod chat;
mod claude;
mod cohere;
mod gemini;
mod ollama;
mod responses;

use serde_json::Value;

use super::{
    feature::Feature,
    neutral::{Heard, Part, Say, Trouble},
};
use crate::support::{Script, http, upstream::Request};

/// A vendor of one dialect.
pub(super) trait Vendor: Sync {
    /// The dialect, as the table's column says it.
    fn name(&self) -> &'static str;
    /// The provider's table; its server is at `base`, below which every vendor has a path of its own.
    fn config(&self, base: &str) -> String;
    /// What a client of this dialect asks for, and whether it wants JSON.
    fn model(&self, client: &str, schema: bool) -> &'static str;
    /// The head of a stream.
    fn head(&self) -> Script {
        Script::sse()
    }
    fn whole(&self, say: &Say) -> Value;
    /// A whole stream, event by event.
    fn events(&self, say: &Say) -> Vec<Vec<u8>>;
    /// The same up to the first piece of its text.
    fn begun(&self, say: &Say) -> Vec<Vec<u8>> {
        let mut events = self.events(say);
        let piece = say.text.expect("a text")[0].as_bytes();
        let at = events.iter().position(|event| http::find(event, piece).is_some()).expect("a first piece");
        events.truncate(at + 1);
        events
    }
    /// An error within a stream.
    fn failure(&self, words: &str) -> Vec<u8>;
    fn refusal(&self, trouble: Trouble, words: &str) -> Script;
    /// Its words for a prompt that is too long.
    fn overflow(&self) -> &'static str;
    /// Seconds that its 429 says to wait; `None` where it says nothing.
    fn wait(&self) -> Option<&'static str> {
        Some("7")
    }
    fn heard(&self, request: &Request) -> Heard;
    /// What must come back of a turn; `kept` is whether the client has kept its reasoning.
    fn replayed(&self, say: &Say, kept: bool) -> Vec<Part>;
    /// Whether it says something in the turn of its calls.
    fn speaks_with_calls(&self) -> bool {
        true
    }
    /// What of it there is to show; all, unless it stands for a rule of its own.
    fn features(&self) -> &'static [Feature] {
        &Feature::ALL
    }
    /// Whether a tool may be called so.
    fn takes_name(&self, name: &str) -> bool {
        name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    }
    /// Whose models it has, where somebody else has them too.
    fn maker(&self) -> &'static str {
        ""
    }
    /// Whether it says that a policy ended an answer.
    fn filters(&self) -> bool {
        true
    }
    /// Whether it says how much of its answer was thought.
    fn counts_reasoning(&self) -> bool {
        true
    }
    /// Whether it says what came from a cache.
    fn counts_cached(&self) -> bool {
        true
    }
}

/// Who is asked first where there is a fallback.
pub(super) const FIRST: &dyn Vendor = &claude::ANTHROPIC;

/// In the order of the table's rows.
pub(super) const VENDORS: [&dyn Vendor; 12] = [
    &chat::OPEN,
    &responses::Responses,
    &claude::ANTHROPIC,
    &claude::VERTEX,
    &claude::BEDROCK,
    &bedrock::Converse,
    &gemini::GEMINI,
    &gemini::VERTEX,
    &cohere::Cohere,
    &ollama::Ollama,
    &chat::DEEPSEEK,
    &chat::BARE,
];

/// Whose conversations are taken up by others: three that prove their reasoning, each in its own way,
/// and one that does not.
pub(super) const ORIGINS: [&dyn Vendor; 4] = [&chat::OPEN, &responses::Responses, &claude::ANTHROPIC, &gemini::GEMINI];

/// A provider under a key.
pub(super) fn provider(name: &str, kind: &str, url: &str) -> String {
    format!("[providers.{name}]\ntype = \"{kind}\"\nbase-url = \"{url}\"\napi-key = \"sk-{name}\"\n")
}

/// The parts of a turn: reasoning, text, calls.
fn in_order(reasoning: impl IntoIterator<Item = Part>, say: &Say, prefix: &str) -> Vec<Part> {
    let calls = say.made(prefix).into_iter().map(Part::Call);
    reasoning.into_iter().chain(Part::text(&say.whole_text())).chain(calls).collect()
}

fn bytes(events: Vec<String>) -> Vec<Vec<u8>> {
    events.into_iter().map(String::into_bytes).collect()
}
