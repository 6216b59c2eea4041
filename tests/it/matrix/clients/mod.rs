//! Those who ask: one driver per client dialect, written from the vendors' descriptions and from
//! what their SDKs do. None knows what the gateway is made of.

mod chat;
mod completions;
mod gemini;
mod messages;
mod responses;

use serde_json::Value;

use super::neutral::{Ask, Told, Trouble};

/// A client of one dialect.
pub(super) trait Client: Sync {
    fn name(&self) -> &'static str;
    fn path(&self, ask: &Ask) -> String;
    fn request(&self, ask: &Ask) -> Value;
    /// Reads a whole answer.
    fn whole(&self, body: &Value) -> Told;
    /// Reads a whole stream, which must keep the dialect's rules.
    fn stream(&self, text: &str) -> Told;
    /// A turn as a client keeps it that knows nothing of reasoning.
    fn forgetful(&self, turn: Value) -> Value;
    /// The kind of an error and its words.
    fn error(&self, body: &Value) -> (String, String);
    /// Makes a request what the dialect's best known agent sends, and returns its headers.
    fn agent(&self, body: &mut Value) -> Vec<(&'static str, &'static str)>;
    /// Whether it can say which texts end an answer.
    fn has_stop(&self) -> bool {
        true
    }
    /// Whether it can say that a call failed.
    fn has_errors(&self) -> bool {
        false
    }
    /// Whether vendors of OpenAI's chat have an endpoint for it.
    fn is_legacy(&self) -> bool {
        false
    }
    /// The status and kind in which a vendor's refusal must arrive.
    fn expects(&self, trouble: Trouble) -> (u16, &'static str);
}

/// The client whose answers are stored.
pub(super) const STORING: &str = "OpenAI Responses, stored";

/// In the order of the table's columns.
pub(super) const CLIENTS: [&dyn Client; 6] = [
    &chat::Chat,
    &completions::Completions,
    &responses::KEEPING,
    &responses::STORED,
    &messages::Messages,
    &gemini::Gemini,
];

/// OpenAI's form of an error; the code says more than the type, where there is one.
fn openai_error(body: &Value) -> (String, String) {
    let error = body.get("error").unwrap_or_else(|| panic!("no error: {body}"));
    for member in ["message", "type", "param", "code"] {
        assert!(error.get(member).is_some(), "M1: {member} is missing: {error}");
    }
    let kind = error["code"].as_str().or(error["type"].as_str()).expect("a kind");
    (kind.into(), error["message"].as_str().expect("words").into())
}

fn openai_expects(trouble: Trouble) -> (u16, &'static str) {
    match trouble {
        Trouble::Busy => (429, "rate_limit_exceeded"),
        Trouble::Wrong => (400, "invalid_request_error"),
        Trouble::Key => (502, "upstream_credentials"),
        Trouble::Missing => (404, "model_not_found"),
        Trouble::Overflow => (400, "context_length_exceeded"),
        Trouble::Overloaded => (503, "server_is_overloaded"),
        Trouble::Down => (500, "server_error"),
    }
}
