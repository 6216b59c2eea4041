//! The events of InvokeModelWithResponseStream: a model's own, wrapped.
//!
//! Each message of the event stream is a `chunk` whose payload holds the base64 of one JSON event in
//! the model's own dialect. Claude's are the Anthropic dialect's, so that what remains to be done is
//! unwrapping: the frames that come out are those a stream of server-sent events would have given.
//! The count of tokens that the service adds to the last one is not the dialect's and is left where
//! it is: nobody there knows it.
//!
//! Cost: per event the decoded bytes and one borrowed look for their type.
//!
//! Source: "InvokeModelWithResponseStream" (docs.aws.amazon.com/bedrock, read November 2026).

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;

use super::error;
use crate::{
    error::{Error, Result},
    framing::Frame,
};

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    bytes: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
}

/// The model's own event in a message of the event stream. An exception of the service is an error
/// (rule E2).
pub fn unwrap(frame: &Frame) -> Result<Frame> {
    if let Some(error) = error::in_stream(frame) {
        return Err(error);
    }
    let unreadable = || Error::BadReply { message: "The upstream sent an event that cannot be read.".into() };
    let chunk: Chunk<'_> = serde_json::from_slice(&frame.data).map_err(|_| unreadable())?;
    let data = STANDARD.decode(chunk.bytes.as_bytes()).map_err(|_| unreadable())?;
    let tag: Tag<'_> = serde_json::from_slice(&data).map_err(|_| unreadable())?;
    let event = (!tag.kind.is_empty()).then(|| Bytes::from(tag.kind.into_owned()));
    Ok(Frame { raw: None, event, data: data.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(event: &'static str, data: impl Into<Bytes>) -> Frame {
        Frame { raw: None, event: Some(Bytes::from_static(event.as_bytes())), data: data.into() }
    }

    #[test]
    fn a_models_own_event_comes_out() {
        let own = r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":9}}"#;
        let chunk = serde_json::json!({"bytes": STANDARD.encode(own), "p": "abc"}).to_string();
        let out = unwrap(&frame("chunk", chunk)).unwrap();
        assert_eq!(out, Frame { raw: None, event: Some("message_stop".into()), data: own.into() });
    }

    /// E2, M2.
    #[test]
    fn what_is_none_is_an_error() {
        let error = unwrap(&frame("exception:throttlingException", r#"{"message":"Slow down."}"#)).unwrap_err();
        assert_eq!((error.status().as_u16(), error.message().as_str()), (429, "Slow down."));
        for data in ["", "{}", "null", r#"{"bytes":"*"}"#, r#"{"bytes":"bm8="}"#] {
            assert!(matches!(unwrap(&frame("chunk", data)), Err(Error::BadReply { .. })), "{data}");
        }
    }
}
