//! Items, parts and the members of their events as they stand on the wire.
//!
//! Source: "The response object" and "Streaming events" (OpenAI's API reference, specification 2.3.0;
//! November 2026).

use serde::Serialize;

use crate::ir::{Annotation, Logprob};

/// JSON that is written already.
#[derive(Debug, Clone, Copy)]
pub(super) struct List<'a>(&'a [u8]);

pub(super) fn json_list(items: &[u8]) -> List<'_> {
    List(items)
}

impl Serialize for List<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = [b"[", self.0, b"]"].concat();
        let raw: &serde_json::value::RawValue = serde_json::from_slice(&text).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Shown<'a> {
    Message {
        id: &'a str,
        status: &'static str,
        role: &'static str,
        content: List<'a>,
    },
    FunctionCall {
        id: &'a str,
        status: &'static str,
        call_id: &'a str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
        arguments: &'a str,
    },
    CustomToolCall {
        id: &'a str,
        status: &'static str,
        call_id: &'a str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
        input: &'a str,
    },
    ImageGenerationCall {
        id: &'a str,
        status: &'static str,
        result: Option<&'a str>,
    },
    Reasoning {
        id: &'a str,
        summary: Vec<SummaryText<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<&'a str>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ShownPart<'a> {
    OutputText { text: &'a str, annotations: Vec<Citation<'a>>, logprobs: Vec<Token<'a>> },
    Refusal { refusal: &'a str },
}

#[derive(Serialize)]
pub(super) struct Citation<'a> {
    pub(super) r#type: &'static str,
    pub(super) start_index: u64,
    pub(super) end_index: u64,
    pub(super) url: &'a str,
    pub(super) title: &'a str,
}

impl<'a> Citation<'a> {
    pub(super) fn of(annotation: &'a Annotation) -> Self {
        Self {
            r#type: "url_citation",
            start_index: annotation.start,
            end_index: annotation.end,
            url: &annotation.url,
            title: annotation.title.as_deref().unwrap_or_default(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Token<'a> {
    pub(super) token: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) logprob: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_logprobs: Option<Vec<Token<'a>>>,
}

impl<'a> Token<'a> {
    pub(super) fn of(token: &'a Logprob) -> Self {
        Self { top_logprobs: Some(token.top.iter().map(Self::likely).collect()), ..Self::likely(token) }
    }

    pub(super) fn likely(token: &'a Logprob) -> Self {
        let bytes = token.bytes.as_deref().unwrap_or(token.token.as_bytes());
        Self { token: &token.token, bytes, logprob: token.logprob, top_logprobs: None }
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct SummaryText<'a> {
    pub(super) r#type: &'static str,
    pub(super) text: &'a str,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) output_index: u64,
    pub(super) content_index: u64,
}

impl Place {
    pub(super) fn of(self, item_id: &str) -> At<'_> {
        At { item_id, output_index: self.output_index, content_index: self.content_index }
    }
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct At<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: u64,
    pub(super) content_index: u64,
}

#[derive(Serialize)]
pub(super) struct ItemOf<'a> {
    pub(super) output_index: u64,
    pub(super) item: &'a Shown<'a>,
}

#[derive(Serialize)]
pub(super) struct PartOf<'a, P: Serialize> {
    #[serde(flatten)]
    pub(super) at: At<'a>,
    pub(super) part: P,
}

#[derive(Serialize)]
pub(super) struct TextDelta<'a> {
    #[serde(flatten)]
    pub(super) at: At<'a>,
    pub(super) delta: &'a str,
    pub(super) logprobs: [(); 0],
}

#[derive(Serialize)]
pub(super) struct PartDelta<'a> {
    #[serde(flatten)]
    pub(super) at: At<'a>,
    pub(super) delta: &'a str,
}

#[derive(Serialize)]
pub(super) struct TextDone<'a> {
    #[serde(flatten)]
    pub(super) at: At<'a>,
    pub(super) text: &'a str,
    pub(super) logprobs: Vec<Token<'a>>,
}

#[derive(Serialize)]
pub(super) struct RefusalDone<'a> {
    #[serde(flatten)]
    pub(super) at: At<'a>,
    pub(super) refusal: &'a str,
}

#[derive(Serialize)]
pub(super) struct Cited<'a> {
    #[serde(flatten)]
    pub(super) at: At<'a>,
    pub(super) annotation_index: u64,
    pub(super) annotation: Citation<'a>,
}

#[derive(Serialize)]
pub(super) struct OfItem<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: u64,
}

#[derive(Serialize)]
pub(super) struct CallDelta<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: u64,
    pub(super) delta: &'a str,
}

#[derive(Serialize)]
pub(super) struct ArgumentsDone<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: u64,
    pub(super) arguments: &'a str,
}

#[derive(Serialize)]
pub(super) struct InputDone<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: u64,
    pub(super) input: &'a str,
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct Summary<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: u64,
    pub(super) summary_index: u64,
}

#[derive(Serialize)]
pub(super) struct SummaryPart<'a> {
    #[serde(flatten)]
    pub(super) at: Summary<'a>,
    pub(super) part: SummaryText<'a>,
}

#[derive(Serialize)]
pub(super) struct SummaryDelta<'a> {
    #[serde(flatten)]
    pub(super) at: Summary<'a>,
    pub(super) delta: &'a str,
}

#[derive(Serialize)]
pub(super) struct SummaryDone<'a> {
    #[serde(flatten)]
    pub(super) at: Summary<'a>,
    pub(super) text: &'a str,
}
