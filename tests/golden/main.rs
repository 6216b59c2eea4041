//! Documented traffic crossed with dialects: every folder of `tests/fixtures`, in each direction it
//! can travel, one snapshot each.
//!
//! A fixture is `tests/fixtures/<provider>/<case>/` and holds what applies of `request.json` (as a
//! chat client writes it), `response.json`, `stream.sse` or `stream.ndjson`, and `error.json` (as the
//! provider writes them; the case is then `error_<status>` or `error_<status>_<word>`). `SOURCE.md` names the page
//! the facts come from. The rules that hold for any traffic are checked here as well, whatever the
//! snapshot says ([`invariants`]).

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic: that is how it fails"
)]

mod answers;
mod complete;
mod fixtures;
mod gemini;
#[path = "../shared/gemini_stream.rs"]
mod gemini_stream;
#[path = "../shared/chat_invariants.rs"]
mod invariants;
#[path = "../shared/responses_lifecycle.rs"]
mod lifecycle;
mod messages;
#[path = "../shared/messages_lifecycle.rs"]
mod messages_lifecycle;
mod requests;
mod responses;
mod streams;

use std::fmt::Write;

use sluis::{
    call::Dialect,
    error::Error,
    wire::{self, Asked, ClientDialect},
};

use crate::fixtures::Fixture;

/// A snapshot in the making: titled parts.
#[derive(Debug, Default)]
struct Page(String);

/// E1, E2, M1, M2, M3, S1, S2, S4, S8, S9, T1, T2, T3, R1, R4, J1, C1, C2, C4, and regression cases
/// 1, 2, 3, 8, 19, 24, 25, 38, 41, 63 and 64: each fixture as the client, or the provider, gets it.
#[test]
fn every_fixture_in_every_direction() {
    for fixture in fixtures::all() {
        let page = page(&fixture);
        insta::with_settings!({
            snapshot_path => format!("snapshots/{}", fixture.provider),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(fixture.case.as_str(), page.0);
        });
    }
}

fn page(fixture: &Fixture) -> Page {
    let mut page = Page::default();
    if let Some(request) = fixture.read("request.json") {
        requests::write(fixture, &request, &mut page);
    }
    if let Some(response) = fixture.read("response.json") {
        answers::write(fixture, &response, &mut page);
    }
    if let Some(stream) = fixture.stream() {
        streams::write(fixture, &stream, &mut page);
    }
    if let Some(error) = fixture.read("error.json") {
        answers::write_error(fixture, &error, &mut page);
    }
    page
}

/// The dialect of the client.
fn client() -> &'static dyn ClientDialect {
    wire::client(Dialect::OpenAiChat).unwrap()
}

fn asked(include_usage: bool) -> Asked {
    Asked { model: "public".into(), include_usage, id: "chatcmpl-ours".into(), ..Asked::default() }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Call ids that the gateway makes up, for upstreams that give none, all read `call_made_up`.
fn without_made_up_ids(text: &str) -> String {
    let mut pieces = text.split("\"call_");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_hexdigit).count();
        let rest = if digits < 24 { piece.to_owned() } else { format!("made_up{}", &piece[digits..]) };
        out.push_str("\"call_");
        out.push_str(&rest);
    }
    out
}

/// What the client gets for an error that comes before anything else, and what is done about it.
fn told(error: &Error) -> String {
    let class = if let Error::Upstream(error) = error {
        format!("{:?}", error.class)
    } else {
        error.kind().code.unwrap_or_default()
    };
    let body = client().error(error, uuid::Uuid::nil());
    invariants::error(text(&body));
    format!("{} {class}, {:?}\n{}", error.status().as_u16(), error.verdict(), text(&body))
}

// === impl Page ===

impl Page {
    fn part(&mut self, title: &str, content: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        writeln!(self.0, "{gap}== {title}\n{}", content.trim_end()).unwrap();
    }
}
