//! Whole answers and error responses as the chat client gets them.

use bytes::Bytes;
use http::HeaderMap;
use sluis::{
    call::Dialect,
    error::Error,
    wire::{Tally, openai_chat},
};

use crate::{Page, asked, client, fixtures::Fixture, invariants, text, told, without_made_up_ids};

pub(crate) fn write(fixture: &Fixture, response: &Bytes, page: &mut Page) {
    let passes = fixture.dialect() == Dialect::OpenAiChat;
    let passed = fixture.upstream().accepts_whole(response);
    let passed = passed.and_then(|()| if passes { openai_chat::unary(response).map(Some) } else { Ok(None) });
    let passed = match passed {
        Ok(passed) => passed,
        Err(error) => return page.part("answer", &told(&fixture.refined(error))),
    };
    if let Some((bytes, tally)) = passed {
        invariants::answer(text(&bytes));
        let body = if *bytes == *response.trim_ascii() { "as it came" } else { text(&bytes) };
        page.part("answer, passed on", &format!("{body}\n{}", counted(&tally)));
    }
    let answer = fixture.upstream().decode(response, &fixture.memo()).unwrap();
    let bytes = client().encode(&answer, &asked(true));
    invariants::answer(text(&bytes));
    page.part("answer, translated", &without_made_up_ids(text(&bytes)));
}

pub(crate) fn write_error(fixture: &Fixture, error: &[u8], page: &mut Page) {
    let error = fixture.upstream().error(fixture.status(), &HeaderMap::new(), error);
    page.part("error", &told(&Error::from(fixture.vendor().refine(error))));
}

pub(crate) fn counted(tally: &Tally) -> String {
    let usage = tally.usage.map_or_else(|| "none".into(), |usage| format!("{usage:?}"));
    format!("finish: {:?}; {} bytes of output; usage: {usage}", tally.finish, tally.output_bytes)
}
