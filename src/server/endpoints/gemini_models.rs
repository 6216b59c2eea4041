//! The list of models in Gemini's form, page by page ("Models", ai.google.dev/api, read November 2026).
//!
//! What nobody knows is left out. A model that makes embeddings is said to do that, every other one what
//! the gateway does for any of them: answers, streams included, and counts of tokens.

use bytes::Bytes;
use serde::Serialize;

use super::{anthropic_models::unescaped, models::json};
use crate::{
    error::{Error, Result},
    server::ModelEntry,
};

/// How many a page has when nobody asks, and at most.
const USUAL: usize = 50;
const MOST: usize = 1000;
const ANSWERS: &[&str] = &["generateContent", "countTokens"];
const EMBEDS: &[&str] = &["embedContent", "batchEmbedContents"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    models: Vec<Model<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Model<'a> {
    name: String,
    display_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_token_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_token_limit: Option<u64>,
    supported_generation_methods: &'static [&'static str],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    thinking: bool,
}

pub(super) fn one(entries: &[ModelEntry]) -> Result<Bytes> {
    json(&entries.first().map(Model::of))
}

/// A page's token is the name of the last model before it, so that a list which has changed meanwhile
/// is gone on with all the same.
pub(super) fn page(entries: &[ModelEntry], query: Option<&str>) -> Result<Bytes> {
    let (size, after) = window(query.unwrap_or_default())?;
    let place = |id: &String| entries.iter().position(|entry| entry.id == *id);
    let start = match &after {
        None => 0,
        Some(id) => {
            1 + place(id)
                .ok_or_else(|| Error::invalid("The page token is none of this list's.", "pageToken", "invalid_value"))?
        }
    };
    let rest = entries.get(start..).unwrap_or_default();
    let kept = rest.get(..size).unwrap_or(rest);
    let next_page_token = kept.last().filter(|_| kept.len() < rest.len()).map(|entry| entry.id.as_str());
    json(&Page { models: kept.iter().map(Model::of).collect(), next_page_token })
}

fn window(query: &str) -> Result<(usize, Option<String>)> {
    let (mut size, mut after) = (USUAL, None);
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match key {
            "pageSize" | "page_size" => {
                let asked: Option<i64> = value.parse().ok().filter(|size| *size >= 0);
                let asked = asked.ok_or_else(|| {
                    Error::invalid("pageSize: must be a number that is not negative.", "pageSize", "invalid_value")
                })?;
                // None at all is the vendor's word for its usual number.
                size = if asked == 0 { USUAL } else { usize::try_from(asked).unwrap_or(MOST).min(MOST) };
            }
            "pageToken" | "page_token" if !value.is_empty() => after = Some(unescaped(value)),
            _ => {}
        }
    }
    Ok((size, after))
}

// === impl Model ===

impl<'a> Model<'a> {
    fn of(entry: &'a ModelEntry) -> Self {
        let can = |ability: &str| entry.capabilities.iter().any(|known| known == ability);
        Self {
            name: format!("models/{}", entry.id),
            display_name: &entry.id,
            input_token_limit: entry.context_window,
            output_token_limit: entry.max_output_tokens,
            supported_generation_methods: if can("embeddings") { EMBEDS } else { ANSWERS },
            thinking: can("reasoning"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let entries = ["a", "b/x:y", "c"].map(|id| ModelEntry { id: id.into(), ..ModelEntry::default() });
        let listed = |query: &str| {
            let page: Value = serde_json::from_slice(&page(&entries, Some(query)).unwrap()).unwrap();
            let names: Vec<&str> =
                page["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
            (names.join(" "), page["nextPageToken"].as_str().map(str::to_owned))
        };
        for (query, names, next) in [
            ("", "models/a models/b/x:y models/c", None),
            ("pageSize=2", "models/a models/b/x:y", Some("b/x:y")),
            ("pageSize=2&pageToken=b%2Fx%3Ay", "models/c", None),
            ("page_size=1&pageToken=a", "models/b/x:y", Some("b/x:y")),
            ("pageSize=0&pageToken=", "models/a models/b/x:y models/c", None),
        ] {
            assert_eq!(listed(query), (names.to_owned(), next.map(str::to_owned)), "{query}");
        }
        for query in ["pageSize=-1", "pageSize=x", "pageToken=gone"] {
            assert!(page(&entries, Some(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn a_model_tells_what_is_known() {
        let entry = ModelEntry {
            id: "lab/m".into(),
            context_window: Some(9),
            max_output_tokens: Some(5),
            capabilities: vec!["reasoning".into()],
            ..ModelEntry::default()
        };
        let written = one(&[entry]).unwrap();
        assert_eq!(
            written,
            r#"{"name":"models/lab/m","displayName":"lab/m","inputTokenLimit":9,"outputTokenLimit":5,"supportedGenerationMethods":["generateContent","countTokens"],"thinking":true}"#
        );
    }
}
