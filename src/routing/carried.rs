//! What a target carries of a chat completion request, and what it cannot: `sluis check --explain
//! provider/model`, and the table in `docs/dialects.md`.
//!
//! The list of fields is data, with a sample of each; whether a field is carried is found by writing
//! the sample for the target, through the same encoder and the same vendor's rules that a call goes
//! through. So what is told here is what happens.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    prepare::Source,
    replay::{Bounds, Replay},
    table::{Route, Table},
};
use crate::{
    call::{Caller, Dialect, Estimate, Inbound, Limits, Reservation},
    config::Config,
    error::Error,
    telemetry::Endpoint,
};

macro_rules! system {
    () => {
        r#"{"role":"system","content":"Be brief."}"#
    };
}
macro_rules! question {
    () => {
        r#"{"role":"user","content":"How warm are Oslo and Rome?"}"#
    };
}
macro_rules! image {
    () => {
        r#"{"role":"user","content":[{"type":"text","text":"How warm are they?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}"#
    };
}
macro_rules! calls {
    ($reasoning:expr) => {
        concat!(
            r#"{"role":"assistant","content":null,"#,
            $reasoning,
            r#""tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}},{"id":"call_2","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Rome\"}"}}]}"#
        )
    };
}
macro_rules! results {
    () => {
        r#"{"role":"tool","tool_call_id":"call_1","content":"-3"},{"role":"tool","tool_call_id":"call_2","content":"21"}"#
    };
}
macro_rules! tools {
    () => {
        r#""parallel_tool_calls":true,"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]"#
    };
}
macro_rules! schema {
    () => {
        r#""response_format":{"type":"json_schema","json_schema":{"name":"weather","schema":{"type":"object","properties":{"oslo":{"type":"number"},"rome":{"type":"number"}},"required":["oslo","rome"],"additionalProperties":false}}}"#
    };
}

/// The fields of a chat completion (OpenAI's API reference, "Create chat completion", read November
/// 2026, and what other vendors' clients add), each with the members that show it.
pub const FIELDS: &[(&str, &str)] = &[
    ("temperature", r#""temperature":0.3"#),
    ("top_p", r#""top_p":0.3"#),
    ("top_k", r#""top_k":5"#),
    ("max_completion_tokens", r#""max_completion_tokens":50"#),
    ("stop", r#""stop":["END"]"#),
    ("seed", r#""seed":7"#),
    ("n", r#""n":2"#),
    ("presence_penalty", r#""presence_penalty":0.5"#),
    ("frequency_penalty", r#""frequency_penalty":0.5"#),
    ("logit_bias", r#""logit_bias":{"5":1}"#),
    ("logprobs", r#""logprobs":true"#),
    ("top_logprobs", r#""logprobs":true,"top_logprobs":2"#),
    ("response_format json_object", r#""response_format":{"type":"json_object"}"#),
    (
        "response_format json_schema",
        r#""response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}"#,
    ),
    (
        "tools",
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]"#,
    ),
    (
        "tools strict",
        r#""tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","properties":{},"additionalProperties":false}}}]"#,
    ),
    ("tools custom", r#""tools":[{"type":"custom","custom":{"name":"f"}}]"#),
    ("tool_choice none", r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none""#),
    ("tool_choice required", r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required""#),
    (
        "tool_choice named",
        r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"f"}}"#,
    ),
    (
        "tool_choice allowed_tools",
        r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}"#,
    ),
    ("parallel_tool_calls", r#""tools":[{"type":"function","function":{"name":"f"}}],"parallel_tool_calls":false"#),
    ("reasoning_effort", r#""reasoning_effort":"low""#),
    ("verbosity", r#""verbosity":"low""#),
    ("image by data", r#"IMAGE"image_url":{"url":"data:image/png;base64,AAAA"}"#),
    ("image by URL", r#"IMAGE"image_url":{"url":"https://example.com/a.png"}"#),
    ("image detail", r#"IMAGE"image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}"#),
    ("file by data", r#"FILE"file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}"#),
    ("file by id", r#"FILE"file":{"file_id":"file-1"}"#),
    ("audio", r#"AUDIO"input_audio":{"data":"AAAA","format":"wav"}"#),
    ("cache_control", r#"CACHE"cache_control":{"type":"ephemeral"}"#),
    ("metadata", r#""metadata":{"a":"b"}"#),
    ("user", r#""user":"u-1""#),
    ("safety_identifier", r#""safety_identifier":"u-1""#),
    ("service_tier", r#""service_tier":"default""#),
    ("prompt_cache_key", r#""prompt_cache_key":"k""#),
    ("store", r#""store":true"#),
    ("prediction", r#""prediction":{"type":"content","content":"x"}"#),
    ("web_search_options", r#""web_search_options":{}"#),
    ("modalities", r#""modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"}"#),
];

/// One conversation, part by part and then whole: what a chat client's loop of tools sends in the
/// end. `$M` is the model.
pub const CONVERSATION: &[(&str, &str)] = &[
    ("system", concat!(r#"{"model":"$M","messages":["#, system!(), ",", question!(), "]}")),
    ("image", concat!(r#"{"model":"$M","messages":["#, image!(), "]}")),
    ("parallel tools", concat!(r#"{"model":"$M","messages":["#, question!(), "],", tools!(), "}")),
    (
        "tool results",
        concat!(r#"{"model":"$M","messages":["#, question!(), ",", calls!(""), ",", results!(), "],", tools!(), "}"),
    ),
    (
        "thinking",
        concat!(
            r#"{"model":"$M","messages":["#,
            question!(),
            ",",
            calls!(r#""reasoning_content":"Two cities.","#),
            ",",
            results!(),
            "],",
            tools!(),
            r#","reasoning_effort":"low"}"#
        ),
    ),
    ("schema", concat!(r#"{"model":"$M","messages":["#, question!(), "],", schema!(), "}")),
    (
        "all together",
        concat!(
            r#"{"model":"$M","messages":["#,
            system!(),
            ",",
            image!(),
            ",",
            calls!(r#""reasoning_content":"Two cities.","#),
            ",",
            results!(),
            "],",
            tools!(),
            ",",
            schema!(),
            r#","reasoning_effort":"low"}"#
        ),
    ),
];

/// What becomes of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Carried,
    /// Left out and named in `x-sluis-dropped`; refused in strict mode.
    Dropped,
    /// A 400 that names it, since the answer would mean something else.
    Refused,
}

/// What becomes of every field at a target, in the order of [`FIELDS`]. `None` where `name` leads
/// to no target.
pub fn carried(config: &Config, name: &str) -> Option<Vec<(&'static str, Fate)>> {
    let route = route(config, name)?;
    Some(FIELDS.iter().map(|(field, sample)| (*field, fate(&route, body(name, sample)))).collect())
}

/// The same of the parts of [`CONVERSATION`].
pub fn conversation(config: &Config, name: &str) -> Option<Vec<(&'static str, Fate)>> {
    let route = route(config, name)?;
    Some(CONVERSATION.iter().map(|(part, body)| (*part, fate(&route, body.replace("$M", name)))).collect())
}

fn route(config: &Config, name: &str) -> Option<Arc<Route>> {
    let table = Table::new(Arc::new(config.clone()));
    table.plan(name, None, &Caller::anonymous()).ok()?.routes.into_iter().next()
}

fn fate(route: &Route, body: String) -> Fate {
    let replay = Arc::new(Replay::new(Bounds::default()));
    match Source::new(inbound(&route.target.label, body), replay).prepare(route) {
        Ok(prepared) if prepared.dropped.is_empty() => Fate::Carried,
        Ok(_) => Fate::Dropped,
        Err(Error::Invalid { .. }) => Fate::Refused,
        // Nothing else can happen before a socket is opened; if it does, the field is not carried.
        Err(_) => Fate::Refused,
    }
}

fn inbound(model: &str, body: String) -> Inbound {
    Inbound {
        id: Uuid::nil(),
        dialect: Dialect::OpenAiChat,
        endpoint: Endpoint::ChatCompletions,
        caller: Arc::new(Caller::anonymous()),
        model: model.into(),
        stream: false,
        include_usage: false,
        strict: false,
        pinned: None,
        origin: None,
        body: Bytes::from(body),
        headers: HeaderMap::new(),
        estimate: Estimate::default(),
        model_limits: Limits::default(),
        reservation: Reservation::default(),
        client_request_id: None,
        started: Instant::now(),
    }
}

/// A request with the sample in its place: a part of the message, or members beside it.
fn body(model: &str, sample: &str) -> String {
    let part = |kind: &str, members: &str| format!(r#"[{{"type":"text","text":"hi"}},{{"type":"{kind}",{members}}}]"#);
    let (content, members) = if let Some(image) = sample.strip_prefix("IMAGE") {
        (part("image_url", image), String::new())
    } else if let Some(file) = sample.strip_prefix("FILE") {
        (part("file", file), String::new())
    } else if let Some(audio) = sample.strip_prefix("AUDIO") {
        (part("input_audio", audio), String::new())
    } else if let Some(cache) = sample.strip_prefix("CACHE") {
        (format!(r#"[{{"type":"text","text":"hi",{cache}}}]"#), String::new())
    } else {
        (r#""hi""#.to_owned(), format!(",{sample}"))
    };
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":{content}}}]{members}}}"#)
}

// === impl Fate ===

impl Fate {
    /// A word for a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Carried => "carried",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        providers::{self, models},
        routing::testing::config,
    };

    const TEXT: &str = "[providers.openai]\napi-key = \"k\"\n[providers.anthropic]\napi-key = \"k\"\n";

    fn fates(name: &str) -> Vec<(&'static str, Fate)> {
        carried(&config(TEXT), name).unwrap()
    }

    #[test]
    fn every_sample_is_a_request() {
        for (field, sample) in FIELDS {
            let body = body("m", sample);
            assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{field}: {body}");
        }
        assert!(carried(&config(TEXT), "nobody/m").is_none());
    }

    #[test]
    fn what_is_told_is_what_happens() {
        assert!(fates("openai/gpt-4o").iter().all(|(field, fate)| *fate == Fate::Carried || *field == "top_k"));
        let anthropic = fates("anthropic/claude-haiku-4-5");
        let of = |wanted: &str| anthropic.iter().find(|(field, _)| *field == wanted).unwrap().1;
        assert_eq!([of("n"), of("logprobs")], [Fate::Refused; 2]);
        assert_eq!([of("seed"), of("metadata")], [Fate::Dropped; 2]);
        assert_eq!([of("tools"), of("image by URL"), of("cache_control")], [Fate::Carried; 3]);
    }

    /// A model of each vendor that can do most; where none is known, any.
    fn model(kind: &str) -> &'static str {
        let known = match kind {
            "azure" => "openai",
            "vertex" => "gemini",
            "azure-anthropic" => "anthropic",
            other => other,
        };
        let able = |facts: &&models::ModelFacts| {
            facts.vision == Some(true) && facts.tools == Some(true) && facts.reasoning == Some(true)
        };
        models::of_provider(known).find(able).map_or("model", |facts| facts.model)
    }

    /// A model of each vendor that embeds.
    fn embedder(kind: &str) -> &'static str {
        let known = if kind == "vertex" { "gemini" } else { kind };
        models::of_provider(known).find(|facts| facts.is_embedding()).map_or("model", |facts| facts.model)
    }

    /// Every vendor of the catalogue, configured with whatever it must be told.
    fn everybody() -> String {
        let section = |kind: &providers::Known| {
            let address = if kind.base_url.is_none() { "base-url = \"http://127.0.0.1:1/v1\"\n" } else { "" };
            let settings: String = kind
                .settings
                .into_iter()
                .flatten()
                .map(|(setting, _)| format!("{} = \"x\"\n", setting.name()))
                .collect();
            format!("[providers.{}]\napi-key = \"k\"\n{address}{settings}", kind.name)
        };
        providers::known().iter().filter(|kind| kind.name != "builtin").map(section).collect()
    }

    /// The page for users shows what every vendor makes of one conversation, and of embeddings.
    #[test]
    fn the_docs_table_is_what_happens() {
        let config = config(&everybody());
        let parts = CONVERSATION.iter().map(|(part, _)| *part).collect::<Vec<_>>().join(" | ");
        let mut table =
            format!("| provider | model | {parts} | embeddings |\n|{}\n", "---|".repeat(CONVERSATION.len() + 3));
        for kind in providers::known().iter().filter(|kind| kind.name != "builtin") {
            let model = model(kind.name);
            let fates = conversation(&config, &format!("{}/{model}", kind.name)).unwrap();
            let cells: Vec<&str> = fates.iter().map(|(_, fate)| fate.name()).collect();
            let (provider, settings) = (providers::provider(kind.name).unwrap(), &config.providers[kind.name].settings);
            let embeds = provider.embeddings(embedder(kind.name).into(), settings).is_some();
            let embeds = if embeds { "yes" } else { "no" };
            table += &format!("| {} | `{model}` | {} | {embeds} |\n", kind.name, cells.join(" | "));
        }
        let page = include_str!("../../docs/providers.md");
        assert!(page.contains(&table), "docs/providers.md should hold:\n{table}");
    }

    /// A model for each dialect that upstreams speak.
    const DIALECTS: [(&str, &str); 8] = [
        ("OpenAI chat", "openai/gpt-4o"),
        ("OpenAI Responses", "openai/gpt-5-pro"),
        ("Anthropic", "anthropic/claude-haiku-4-5"),
        ("Gemini", "gemini/gemini-2.5-flash"),
        ("Vertex Gemini", "vertex/gemini-2.5-flash"),
        ("Bedrock", "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("Cohere", "cohere/command-a-03-2025"),
        ("Ollama", "ollama/qwen3:8b"),
    ];

    /// The page for users tells what each dialect makes of each field.
    #[test]
    fn the_page_of_dialects_is_what_happens() {
        let config = config(&everybody());
        let columns: Vec<Vec<Fate>> = DIALECTS
            .iter()
            .map(|(_, model)| carried(&config, model).unwrap().into_iter().map(|(_, fate)| fate).collect())
            .collect();
        let row = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        let mut table = row([vec!["field"], DIALECTS.iter().map(|(dialect, _)| *dialect).collect()].concat());
        table += &format!("|{}\n", "---|".repeat(DIALECTS.len() + 1));
        let names: Vec<String> = DIALECTS.iter().map(|(_, model)| format!("`{model}`")).collect();
        table += &row([vec!["shown with"], names.iter().map(String::as_str).collect()].concat());
        for (at, (field, _)) in FIELDS.iter().enumerate() {
            let fates = columns.iter().map(|column| column[at].name()).collect();
            table += &row([vec![*field], fates].concat());
        }
        let page = include_str!("../../docs/dialects.md");
        assert!(page.contains(&table), "docs/dialects.md should hold:\n{table}");
    }
}
