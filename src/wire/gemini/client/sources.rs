//! What an answer cites, as Google grounds it: a list of pages, and the passages that rest on them.
//!
//! The canonical form counts in characters of the whole text, Google in bytes.
//!
//! Source: "Grounding with Google Search" (ai.google.dev/gemini-api/docs, read November 2026).

use serde::Serialize;

use crate::ir::Annotation;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Grounding<'a> {
    grounding_chunks: Vec<Found<'a>>,
    grounding_supports: Vec<Support<'a>>,
}

#[derive(Debug, Serialize)]
struct Found<'a> {
    web: Web<'a>,
}

#[derive(Debug, Serialize)]
struct Web<'a> {
    uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Support<'a> {
    segment: Segment<'a>,
    grounding_chunk_indices: [usize; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Segment<'a> {
    start_index: usize,
    end_index: usize,
    text: &'a str,
}

// === impl Grounding ===

impl<'a> Grounding<'a> {
    /// `None` where nothing is cited.
    pub(super) fn of(annotations: &'a [Annotation], text: &'a str) -> Option<Self> {
        if annotations.is_empty() {
            return None;
        }
        let byte = |at: u64| {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte)
        };
        let mut grounding = Self { grounding_chunks: Vec::new(), grounding_supports: Vec::new() };
        for annotation in annotations {
            let known = grounding.grounding_chunks.iter().position(|found| found.web.uri == annotation.url);
            let index = known.unwrap_or_else(|| {
                let web = Web { uri: &annotation.url, title: annotation.title.as_deref() };
                grounding.grounding_chunks.push(Found { web });
                grounding.grounding_chunks.len() - 1
            });
            let (start_index, end_index) = (byte(annotation.start), byte(annotation.end));
            let text = text.get(start_index..end_index).unwrap_or_default();
            let segment = Segment { start_index, end_index, text };
            grounding.grounding_supports.push(Support { segment, grounding_chunk_indices: [index] });
        }
        Some(grounding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_become_bytes() {
        let cite = |url: &str, start, end| Annotation { url: url.into(), title: None, start, end };
        let all = [cite("https://a.example", 0, 2), cite("https://b.example", 3, 4), cite("https://a.example", 3, 99)];
        let text = "\u{4f60}\u{597d} abc";
        let written = serde_json::to_value(Grounding::of(&all, text)).unwrap();
        assert_eq!(written["groundingChunks"].as_array().unwrap().len(), 2);
        let segments: Vec<String> = written["groundingSupports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|support| format!("{} {}", support["segment"], support["groundingChunkIndices"]))
            .collect();
        assert_eq!(
            segments,
            [
                "{\"startIndex\":0,\"endIndex\":6,\"text\":\"\u{4f60}\u{597d}\"} [0]",
                r#"{"startIndex":7,"endIndex":8,"text":"a"} [1]"#,
                r#"{"startIndex":7,"endIndex":10,"text":"abc"} [0]"#,
            ]
        );
        assert!(Grounding::of(&[], text).is_none());
    }
}
