//! The folders of `tests/fixtures`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use http::StatusCode;
use sluis::{
    call::{Dialect, ProviderSettings},
    error::Error,
    providers::{self, Provider},
    wire::{self, Facts, Memo, UpstreamDialect},
};

use crate::client;

/// A model each dialect is asked for when the fixture's own belongs to another.
const OPENAI_MODEL: &str = "gpt-5-mini";
const ANTHROPIC_MODEL: &str = "claude-haiku-4-5";

#[derive(Debug)]
pub(crate) struct Fixture {
    /// The provider by its catalogue name.
    pub(crate) provider: String,
    pub(crate) case: String,
    path: PathBuf,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// All fixtures, by provider and case.
pub(crate) fn all() -> Vec<Fixture> {
    let mut all = Vec::new();
    for (provider, path) in entries(&root()) {
        all.extend(entries(&path).into_iter().map(|(case, path)| Fixture { provider: provider.clone(), case, path }));
    }
    assert!(all.len() > 100, "the fixtures are elsewhere");
    all
}

/// What a folder holds, by name.
pub(crate) fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .collect();
    entries.sort();
    entries
}

/// One event a line, `name payload`, as Amazon's binary messages.
fn binary(lines: &str) -> Bytes {
    let mut bytes = Vec::new();
    for (name, payload) in lines.lines().filter_map(|line| line.split_once(' ')) {
        let header = |name: &'static str, value: &str| Header::new(name, HeaderValue::String(value.to_owned().into()));
        let (kind, name) = name.split_once(':').unwrap_or(("event", name));
        let name = if kind == "event" { header(":event-type", name) } else { header(":exception-type", name) };
        let message = Message::new(payload.to_owned()).add_header(name).add_header(header(":message-type", kind));
        write_message_to(&message, &mut bytes).unwrap();
    }
    bytes.into()
}

// === impl Fixture ===

impl Fixture {
    pub(crate) fn read(&self, file: &str) -> Option<Bytes> {
        fs::read(self.path.join(file)).ok().map(Into::into)
    }

    /// The provider's stream as it stands on the wire.
    pub(crate) fn stream(&self) -> Option<Bytes> {
        let text = self.read("stream.sse").or_else(|| self.read("stream.ndjson"));
        text.or_else(|| self.read("stream.events").map(|lines| binary(crate::text(&lines))))
    }

    pub(crate) fn files(&self) -> Vec<String> {
        entries(&self.path).into_iter().map(|(name, _)| name).collect()
    }

    pub(crate) fn vendor(&self) -> &'static dyn Provider {
        providers::provider(&self.provider).unwrap_or_else(|| panic!("{self:?}: no such provider"))
    }

    /// The dialect the provider speaks: its first, unless the case names another.
    pub(crate) fn dialect(&self) -> Dialect {
        if self.case.starts_with("responses_") {
            return Dialect::OpenAiResponses;
        }
        self.vendor().speaks("", &ProviderSettings::default())[0]
    }

    pub(crate) fn upstream(&self) -> &'static dyn UpstreamDialect {
        wire::upstream(self.dialect())
    }

    /// The model to ask for in `dialect`: the request's own where it is the provider's.
    pub(crate) fn model(&self, dialect: Dialect, request: &str) -> String {
        match dialect {
            _ if dialect == self.dialect() => request.into(),
            Dialect::OpenAiChat | Dialect::OpenAiResponses => OPENAI_MODEL.into(),
            Dialect::Anthropic => ANTHROPIC_MODEL.into(),
            // Only ever asked of its own fixtures.
            Dialect::OpenAiCompletions
            | Dialect::Ollama
            | Dialect::Gemini
            | Dialect::Cohere
            | Dialect::BedrockConverse => request.into(),
        }
    }

    /// What the answer must remember of the request, if the fixture has one.
    pub(crate) fn memo(&self) -> Memo {
        let Some(request) = self.read("request.json") else { return Memo::default() };
        let request = client().decode(&request).unwrap();
        let model = self.model(self.dialect(), &request.model);
        let has_custom_tools = self.vendor().has_custom_tools();
        let facts = Facts { model: &model, stream: request.stream, has_custom_tools, ..Facts::default() };
        self.upstream().encode(&request, &facts).unwrap().memo
    }

    /// An error under a success status, as the provider's own codes correct its reading.
    pub(crate) fn refined(&self, error: Error) -> Error {
        if let Error::Upstream(error) = error { self.vendor().refine(*error).into() } else { error }
    }

    /// The status an error came with, from the case's name.
    pub(crate) fn status(&self) -> StatusCode {
        let status = self.case.split('_').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("{self:?}: the case of an error is `error_<status>`"))
    }
}
