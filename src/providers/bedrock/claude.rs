//! A Messages request as InvokeModel takes it: the model is in the path, whether to stream is too,
//! the version is a field, and beta flags are one as well, for the service reads no such header.
//!
//! Flags that the service does not know are refused by it, so only those it documents go on (rule
//! A3); none is ever added.
//!
//! Source: "Anthropic Claude Messages API" (docs.aws.amazon.com/bedrock, read November 2026).

use bytes::Bytes;

use crate::{
    error::Result,
    wire::json::{Edits, Object},
};

const VERSION: &str = r#""bedrock-2023-05-31""#;

const HEADER: &str = "anthropic-beta";

/// The flags the service documents, by their names without a date.
const FLAGS: [&str; 12] = [
    "computer-use",
    "context-1m",
    "context-management",
    "compact",
    "dev-full-thinking",
    "effort",
    "fine-grained-tool-streaming",
    "interleaved-thinking",
    "output-128k",
    "token-efficient-tools",
    "tool-examples",
    "tool-search-tool",
];

/// What differs in the body whatever the headers say.
pub(super) fn adjust(body: &mut Edits<'_>) {
    body.remove("model");
    body.remove("stream");
    body.set("anthropic_version", VERSION.to_owned());
}

/// Moves the flags from the header into the body.
pub(super) fn complete(request: &mut http::Request<Bytes>) -> Result<()> {
    let values = request.headers().get_all(HEADER).iter().filter_map(|value| value.to_str().ok());
    let flags: Vec<&str> =
        values.flat_map(|value| value.split(',')).map(str::trim).filter(|flag| !flag.is_empty()).collect();
    let flags = (!flags.is_empty()).then(|| serde_json::to_string(&flags).unwrap_or_default());
    request.headers_mut().remove(HEADER);
    request.headers_mut().remove("anthropic-version");
    let Some(flags) = flags else { return Ok(()) };
    let mut body = Object::parse(request.body())?.edit();
    // A client that knows the service may have written them there itself.
    if body.get("anthropic_beta").is_none() {
        body.set("anthropic_beta", flags);
        let changed = body.into_bytes(request.body());
        *request.body_mut() = changed;
    }
    Ok(())
}

/// Whether the service documents a flag: `interleaved-thinking-2025-05-14` is
/// `interleaved-thinking`.
pub(super) fn takes_beta(flag: &str) -> bool {
    let bare = flag.len().checked_sub("-2025-05-14".len()).and_then(|end| flag.get(..end)).unwrap_or(flag);
    FLAGS.contains(&bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &'static str, flags: &[&'static str]) -> http::Request<Bytes> {
        let mut request = http::Request::new(Bytes::from_static(body.as_bytes()));
        for flag in flags {
            request.headers_mut().append(HEADER, flag.parse().unwrap());
        }
        request
    }

    /// S2: model and stream go, the version comes, and every other byte stays.
    #[test]
    fn the_body_keeps_its_bytes() {
        let body = Bytes::from_static(br#"{"model":"m","max_tokens":5, "x":1.0e2,"stream":true,"messages":[ ]}"#);
        let mut edits = Object::parse(&body).unwrap().edit();
        adjust(&mut edits);
        let changed = edits.into_bytes(&body);
        let value: serde_json::Value = serde_json::from_slice(&changed).unwrap();
        assert_eq!(value["anthropic_version"], "bedrock-2023-05-31");
        assert!(value.get("model").is_none() && value.get("stream").is_none());
        assert!(std::str::from_utf8(&changed).unwrap().contains(r#""max_tokens":5, "x":1.0e2"#), "{changed:?}");
    }

    /// A3: flags move into the body, and none is added.
    #[test]
    fn flags_move_into_the_body() {
        let flags = ["interleaved-thinking-2025-05-14, compact-2026-01-12", "context-1m-2025-08-07"];
        let mut asked = request("{\"messages\":[]}", &flags);
        complete(&mut asked).unwrap();
        let body: serde_json::Value = serde_json::from_slice(asked.body()).unwrap();
        let expected = ["interleaved-thinking-2025-05-14", "compact-2026-01-12", "context-1m-2025-08-07"];
        assert_eq!(body["anthropic_beta"], serde_json::json!(expected));
        assert!(!asked.headers().contains_key(HEADER));

        let mut none = request("{\"messages\":[]}", &[]);
        complete(&mut none).unwrap();
        assert_eq!(none.body(), "{\"messages\":[]}");
        let mut own = request("{\"anthropic_beta\":[\"x\"]}", &["context-1m-2025-08-07"]);
        complete(&mut own).unwrap();
        assert_eq!(own.body(), "{\"anthropic_beta\":[\"x\"]}");
    }

    #[test]
    fn only_documented_flags_are_taken() {
        assert!(takes_beta("context-1m-2025-08-07") && takes_beta("effort-2025-11-24"));
        assert!(!takes_beta("message-threads-2026-08-12") && !takes_beta("") && !takes_beta("x"));
    }
}
