//! The list of models in Anthropic's form, page by page ("List Models", "Get a Model",
//! platform.claude.com/docs, read November 2026).
//!
//! What nobody knows is said the way that misleads least: no model is of a certain day, and each one
//! that is listed can be called.

use bytes::Bytes;
use serde::Serialize;

use super::models::json;
use crate::{
    error::{Error, Result},
    server::ModelEntry,
};

/// How many a page has when nobody asks, and at most.
const USUAL: usize = 20;
const MOST: usize = 1000;
/// The day of a model of which none is known.
const UNKNOWN_DAY: &str = "1970-01-01T00:00:00Z";

#[derive(Serialize)]
struct Page<'a> {
    data: Vec<Model<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Model<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
    lifecycle: &'static str,
    max_input_tokens: Option<u64>,
    max_tokens: Option<u64>,
}

/// What of the list is asked for.
#[derive(Debug, Default, PartialEq)]
struct Window {
    limit: Option<usize>,
    after: Option<String>,
    before: Option<String>,
}

pub(super) fn one(entries: &[ModelEntry]) -> Result<Bytes> {
    json(&entries.first().map(Model::of))
}

pub(super) fn page(entries: &[ModelEntry], query: Option<&str>) -> Result<Bytes> {
    let window = Window::of(query.unwrap_or_default())?;
    let place = |id: &String| entries.iter().position(|entry| entry.id == *id);
    // A place that is not in the list any more is none.
    let start = window.after.as_ref().and_then(place).map_or(0, |at| at + 1);
    let end = window.before.as_ref().and_then(place).unwrap_or(entries.len()).max(start);
    let between = entries.get(start..end).unwrap_or_default();
    let limit = window.limit.unwrap_or(USUAL).min(between.len());
    let kept = match window.before {
        Some(_) => between.get(between.len() - limit..),
        None => between.get(..limit),
    };
    let data: Vec<Model<'_>> = kept.unwrap_or_default().iter().map(Model::of).collect();
    let (first_id, last_id) = (data.first().map(|model| model.id), data.last().map(|model| model.id));
    json(&Page { has_more: limit < between.len(), first_id, last_id, data })
}

// === impl Model ===

impl<'a> Model<'a> {
    fn of(entry: &'a ModelEntry) -> Self {
        Self {
            r#type: "model",
            id: &entry.id,
            display_name: &entry.id,
            created_at: UNKNOWN_DAY,
            lifecycle: "active",
            max_input_tokens: entry.context_window,
            max_tokens: entry.max_output_tokens,
        }
    }
}

// === impl Window ===

impl Window {
    fn of(query: &str) -> Result<Self> {
        let mut window = Self::default();
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                    let message = format!("limit: must be between 1 and {MOST}.");
                    window.limit = Some(limit.ok_or_else(|| Error::invalid(message, "limit", "invalid_value"))?);
                }
                "after_id" => window.after = Some(unescaped(value)),
                "before_id" => window.before = Some(unescaped(value)),
                _ => {}
            }
        }
        Ok(window)
    }
}

/// A value of a query string as it was meant (RFC 3986 section 2.1); a broken escape stays as it is.
pub(super) fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn listed(query: &str) -> (String, bool) {
        let entries = ["a", "b/x:y", "c", "d"].map(|id| ModelEntry { id: id.into(), ..ModelEntry::default() });
        let page: Value = serde_json::from_slice(&page(&entries, Some(query)).unwrap()).unwrap();
        let ids: Vec<&str> =
            page["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
        assert_eq!((page["first_id"].as_str(), page["last_id"].as_str()), (ids.first().copied(), ids.last().copied()));
        assert!(page["data"].as_array().unwrap().iter().all(|model| model["lifecycle"] == "active"));
        (ids.join(" "), page["has_more"] == true)
    }

    #[test]
    fn pages_go_both_ways() {
        for (query, ids, more) in [
            ("", "a b/x:y c d", false),
            ("limit=1000", "a b/x:y c d", false),
            ("limit=2", "a b/x:y", true),
            ("limit=2&after_id=b%2Fx%3Ay", "c d", false),
            ("limit=1&before_id=d", "c", true),
            ("before_id=c&limit=9", "a b/x:y", false),
            ("after_id=d", "", false),
            ("after_id=gone&x=1", "a b/x:y c d", false),
        ] {
            assert_eq!(listed(query), (ids.to_owned(), more), "{query}");
        }
        for query in ["limit=0", "limit=1001", "limit=x"] {
            assert!(page(&[], Some(query)).is_err(), "{query}");
        }
    }
}
