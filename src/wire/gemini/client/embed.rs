//! Google's `embedContent` and `batchEmbedContents` as clients speak them: turned into a request of
//! OpenAI's, which every vendor's part is made of, and its answer turned back.
//!
//! A text may come in several parts; they are lines of one. What is said for each text of a batch
//! (`taskType`, `outputDimensionality`) has to be the same for all of them, since elsewhere it is said
//! once. Numbers keep their digits (rule N1).
//!
//! Source: "Embeddings" (ai.google.dev/api, read November 2026).

use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use serde_json::value::RawValue;

use super::fields::{Fields, camel, each};
use crate::{
    error::{Error, Result},
    ir::Vector,
    wire::{
        embeddings::Format,
        json::{self, Document},
        read::Path,
    },
};

/// What a text is embedded for, and how.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Wish {
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
}

#[derive(Serialize)]
struct Question<'a> {
    model: &'a str,
    input: Vec<String>,
    #[serde(flatten)]
    wish: Wish,
}

#[derive(Serialize)]
struct Embedding<'a> {
    values: &'a RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Answer<'a> {
    Embedding(Embedding<'a>),
    Embeddings(Vec<Embedding<'a>>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    #[serde(flatten)]
    answer: Answer<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<Counts>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    prompt_token_count: u64,
}

const KNOWN: &[&str] = &["model", "content", "taskType", "title", "outputDimensionality", "embedContentConfig"];

/// Reads a request for one text.
pub fn one(body: &[u8], model: &str) -> Result<Bytes> {
    let document = Document::parse(body)?;
    let (text, wish) = text(&Fields::root(&document))?;
    Ok(write(&Question { model, input: vec![text], wish }))
}

/// Reads a request for many.
pub fn many(body: &[u8], model: &str) -> Result<Bytes> {
    let document = Document::parse(body)?;
    let root = Fields::root(&document);
    let requests = root.require("requests")?;
    let (mut input, mut wishes) = (Vec::new(), Vec::new());
    each(&requests, |node| {
        let (text, wish) = text(&Fields::of(&node)?)?;
        input.push(text);
        wishes.push(wish);
        Ok(())
    })?;
    let Some(wish) = wishes.pop() else {
        return Err(Error::invalid("`requests` must hold at least one request.", "requests", "empty_array"));
    };
    if wishes.iter().any(|other| *other != wish) {
        let message = "All requests of a batch must ask for the same kind of embedding.";
        return Err(Error::invalid(message, "requests", "unsupported_parameter"));
    }
    Ok(write(&Question { model, input, wish }))
}

/// Writes the answer, out of one of OpenAI's.
pub fn answer(body: &[u8], is_batch: bool) -> Result<Bytes> {
    let told = Format::OpenAi.decode(&HeaderMap::new(), body)?;
    let values = |vector: &Vector| match vector {
        Vector::Numbers(numbers) => RawValue::from_string(numbers.clone()).ok(),
        Vector::Base64(_) => None,
    };
    let all: Option<Vec<Box<RawValue>>> = told.vectors.iter().map(values).collect();
    let all = all.ok_or_else(no_vectors)?;
    let mut embeddings = all.iter().map(|values| Embedding { values });
    let answer = if is_batch {
        Answer::Embeddings(embeddings.collect())
    } else {
        Answer::Embedding(embeddings.next().ok_or_else(no_vectors)?)
    };
    let usage_metadata = told.usage.map(|usage| Counts { prompt_token_count: usage.prompt() });
    Ok(write(&Whole { answer, usage_metadata }))
}

fn no_vectors() -> Error {
    Error::BadReply { message: "The upstream's answer holds no embeddings.".into() }
}

fn write(document: &impl Serialize) -> Bytes {
    let mut out = Vec::with_capacity(256);
    json::line(document, &mut out);
    out.into()
}

fn text(request: &Fields<'_, '_>) -> Result<(String, Wish)> {
    refuse_unknown(request)?;
    let mut lines = Vec::new();
    let content = request.require("content")?;
    let content = Fields::of(&content)?;
    each(&content.require("parts")?, |node| {
        let part = Fields::of(&node)?;
        let text = part.get("text").ok_or_else(|| {
            let path = part.path().to_string();
            Error::invalid("Only texts can be embedded here.", path, "unsupported_parameter")
        })?;
        lines.push(text.string()?);
        Ok(())
    })?;
    let mut wish = wish(request)?;
    if let Some(config) = request.get("embedContentConfig") {
        let config = Fields::of(&config)?;
        refuse_unknown(&config)?;
        let inner = self::wish(&config)?;
        wish = Wish {
            dimensions: inner.dimensions.or(wish.dimensions),
            task_type: inner.task_type.or(wish.task_type),
            title: inner.title.or(wish.title),
        };
    }
    Ok((lines.join("\n"), wish))
}

/// Google refuses them as well.
fn refuse_unknown(holder: &Fields<'_, '_>) -> Result<()> {
    let unknown = holder.members().find(|(key, value)| !KNOWN.contains(&&*camel(key)) && value.text() != "null");
    let Some((key, _)) = unknown else { return Ok(()) };
    let path = Path::Key(holder.path(), key).to_string();
    Err(Error::invalid(format!("`{path}` is not supported here."), path, "unsupported_parameter"))
}

fn wish(holder: &Fields<'_, '_>) -> Result<Wish> {
    Ok(Wish {
        dimensions: holder.count("outputDimensionality")?,
        task_type: holder.word("taskType")?,
        title: holder.string("title")?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn texts_go_and_vectors_come_back() {
        let body = br#"{"model":"models/m","content":{"parts":[{"text":"a"},{"text":"b"}]},"task_type":"RETRIEVAL_QUERY","outputDimensionality":2,"title":null}"#;
        assert_eq!(
            said(&one(body, "lab/m").unwrap()),
            r#"{"model":"lab/m","input":["a\nb"],"dimensions":2,"task_type":"RETRIEVAL_QUERY"}"#
        );
        let body = br#"{"requests":[{"content":{"parts":{"text":"a"}}},{"content":{"parts":[{"text":"b"}]},"taskType":"TASK_TYPE_UNSPECIFIED"}]}"#;
        assert_eq!(said(&many(body, "m").unwrap()), r#"{"model":"m","input":["a","b"]}"#);
        let openais = br#"{"data":[{"index":1,"embedding":[1.50]},{"index":0,"embedding":[-0.0]}],"usage":{"prompt_tokens":7,"total_tokens":7}}"#;
        assert_eq!(
            said(&answer(openais, true).unwrap()),
            r#"{"embeddings":[{"values":[-0.0]},{"values":[1.50]}],"usageMetadata":{"promptTokenCount":7}}"#
        );
        let openais = br#"{"data":[{"index":0,"embedding":[0.1]}]}"#;
        assert_eq!(said(&answer(openais, false).unwrap()), r#"{"embedding":{"values":[0.1]}}"#);
    }

    #[test]
    fn what_cannot_be_embedded_is_refused() {
        for body in [
            "{}",
            r#"{"content":{"parts":[{"text":"a"}]},"autoTruncate":true}"#,
            r#"{"content":{"parts":[{"inlineData":{}}]}}"#,
            r#"{"requests":[]}"#,
            r#"{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]},"taskType":"CLUSTERING"}]}"#,
        ] {
            assert!(one(body.as_bytes(), "m").is_err() && many(body.as_bytes(), "m").is_err(), "{body}");
        }
        assert!(answer(br#"{"data":[]}"#, false).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in "[ -~]{0,60}") {
            let _ = (one(body.as_bytes(), "m"), many(body.as_bytes(), "m"), answer(body.as_bytes(), true));
        }
    }
}
