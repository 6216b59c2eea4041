//! Sources an answer rests on, as the annotations of a chat client.
//!
//! The vendor counts in bytes of the answer's text, OpenAI in characters. A source that no passage
//! names is cited for the whole answer. Passages copied from somewhere (`citationMetadata`) are cited
//! like those found by a search.
//!
//! Source: "Grounding with Google Search" and "CitationMetadata" (ai.google.dev, read November 2026).

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ir::Annotation;

/// What an answer rests on.
#[derive(Debug, Default)]
pub(super) struct Grounding {
    metadata: Metadata,
    citations: Vec<Citation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    grounding_chunks: Vec<Found>,
    grounding_supports: Vec<Support>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Found {
    web: Option<Web>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Web {
    uri: String,
    title: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Support {
    segment: Segment,
    grounding_chunk_indices: Vec<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Segment {
    start_index: usize,
    end_index: usize,
}

/// `citationSources` of the vendor's own endpoint, `citations` of Vertex AI.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CitationMetadata {
    #[serde(alias = "citations")]
    citation_sources: Vec<Citation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Citation {
    start_index: usize,
    end_index: usize,
    uri: String,
    title: Option<String>,
}

// === impl Grounding ===

impl Grounding {
    /// `None` where nothing is told. What cannot be read cites nothing.
    pub(super) fn read(metadata: Option<&RawValue>, citations: Option<&RawValue>) -> Option<Self> {
        let metadata: Metadata = metadata.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let citations: CitationMetadata =
            citations.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let citations = citations.citation_sources;
        let says = !metadata.grounding_chunks.is_empty() || !citations.is_empty();
        says.then_some(Self { metadata, citations })
    }

    /// Takes what came later. Sources and passages come together, and whole.
    pub(super) fn overwrite(&mut self, later: Self) {
        if !later.metadata.grounding_chunks.is_empty() {
            self.metadata = later.metadata;
        }
        if !later.citations.is_empty() {
            self.citations = later.citations;
        }
    }

    /// The annotations of an answer of this text.
    pub(super) fn annotations(&self, text: &str) -> Vec<Annotation> {
        let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        // The characters before a byte; one within a character belongs to it.
        let chars = |byte: usize| starts.partition_point(|at| *at < byte) as u64;
        let web = |at: &usize| self.metadata.grounding_chunks.get(*at)?.web.as_ref().filter(|web| !web.uri.is_empty());
        let mut out = Vec::new();
        for support in &self.metadata.grounding_supports {
            let (start, end) = (chars(support.segment.start_index), chars(support.segment.end_index));
            let cited = support.grounding_chunk_indices.iter().filter_map(web);
            out.extend(cited.map(|web| Annotation { url: web.uri.clone(), title: web.title.clone(), start, end }));
        }
        let end = chars(text.len());
        let supports = self.metadata.grounding_supports.iter();
        let named: HashSet<usize> = supports.flat_map(|support| &support.grounding_chunk_indices).copied().collect();
        let unnamed = (0..self.metadata.grounding_chunks.len()).filter(|at| !named.contains(at));
        for web in unnamed.filter_map(|at| web(&at)) {
            out.push(Annotation { url: web.uri.clone(), title: web.title.clone(), start: 0, end });
        }
        out.extend(self.citations.iter().filter(|citation| !citation.uri.is_empty()).map(|citation| Annotation {
            url: citation.uri.clone(),
            title: citation.title.clone(),
            start: chars(citation.start_index),
            end: chars(citation.end_index),
        }));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.into()).unwrap()
    }

    #[test]
    fn bytes_become_characters() {
        let metadata = raw(
            r#"{"webSearchQueries":["q"],"groundingChunks":[{"web":{"uri":"https://a.example","title":"A"}},{"web":{"uri":"https://b.example"}},{"maps":{}}],
                "groundingSupports":[{"segment":{"startIndex":3,"endIndex":9,"text":"x"},"groundingChunkIndices":[0,2,7]}]}"#,
        );
        let citations =
            raw(r#"{"citationSources":[{"startIndex":0,"endIndex":900,"uri":"https://c.example","license":""}]}"#);
        let grounding = Grounding::read(Some(&metadata), Some(&citations)).unwrap();
        let cited = |url: &str, title: Option<&str>, start, end| Annotation {
            url: url.into(),
            title: title.map(Into::into),
            start,
            end,
        };
        assert_eq!(
            grounding.annotations("\u{4f60}\u{597d} abcdef"),
            [
                cited("https://a.example", Some("A"), 1, 5),
                cited("https://b.example", None, 0, 9),
                cited("https://c.example", None, 0, 9),
            ]
        );
        for nothing in ["null", "{}", r#"{"groundingChunks":5}"#] {
            assert!(Grounding::read(Some(&raw(nothing)), None).is_none());
        }
    }
}
