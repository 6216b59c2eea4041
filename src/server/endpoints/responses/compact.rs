//! `POST /v1/responses/compact`: a long conversation in few words, for any provider.
//!
//! The model itself sums up what was said, in a call like any other, admitted and charged. The sum
//! comes back as an item of type `compaction`, which stands for all that came before it wherever an
//! input may hold items. Its `encrypted_content` is readable: it holds nothing that its client does
//! not know. A vendor's own compaction can only be read by that vendor, and goes back to it.
//!
//! Source: "Compact a response" (OpenAI's API reference, specification 2.3.0, read November 2026).

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{Request, State},
    response::Response,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use memchr::memmem;
use serde_json::{Value, json, value::RawValue};
use tower::ServiceExt;

use super::{ENDPOINT, create, fold::array, ids, items, wish::Wish};
use crate::{
    call::{Answer, AnswerBody, Failure, Inbound},
    error::{Error, Result},
    server::{
        Server,
        endpoints::{PlaceResult, exchange::Exchange},
        probe::Head,
    },
    wire::json::Object,
};

/// In front of a sum of ours.
const TAG: &str = "sluis-sum1.";
/// What the model is asked.
const ASK: &str = "Sum up this conversation so that it can be continued from your summary alone. Keep every goal, decision, \
    constraint, name, number, file, result and open question that may still matter, and say what was to be done next. \
    Answer with the summary and nothing else.";
/// What stands in front of the sum when a model reads it.
const LEAD: &str = "Summary of the conversation so far:\n\n";

pub(in crate::server) async fn compact(
    State(server): State<Arc<Server>>,
    found: PlaceResult,
    request: Request,
) -> Response {
    let exchange = Exchange::begin(&ENDPOINT, Arc::clone(&server), request.headers());
    let inbound = match exchange.read(found, request).await {
        Ok(inbound) => inbound,
        Err(error) => return exchange.refuse(error),
    };
    match question(&server, inbound).await {
        Ok(inbound) => exchange.serve(false, Box::pin(sum_up(server, inbound))).await,
        Err(error) => exchange.refuse(error),
    }
}

/// The call that asks for the sum.
async fn question(server: &Server, mut inbound: Inbound) -> Result<Inbound> {
    inbound.body = expanded(&inbound.body)?;
    let wish = Wish::read(&inbound.body)?;
    let history = create::history(server, &inbound.caller.name, &wish).await?.0;
    let mut all: Vec<String> = history.iter().map(|item| items::said_again(&item.json)).collect();
    all.extend(items::resolved(&wish.items, &history)?);
    if all.is_empty() {
        return Err(Error::invalid("There is nothing to sum up.", "input", "missing_required_parameter"));
    }
    all.push(json!({"type": "message", "role": "user", "content": ASK}).to_string());
    let asked = Object::parse(&inbound.body)?;
    let mut body = json!({"model": inbound.model, "store": false});
    for field in ["instructions", "prompt_cache_key", "service_tier"] {
        if let (Some(value), Some(members)) = (asked.present(field), body.as_object_mut()) {
            members.insert(field.into(), serde_json::from_str(value.get()).unwrap_or_default());
        }
    }
    let text = body.to_string();
    let mut edits = Object::parse_str(&text).map_err(|error| Error::Internal { message: error.to_string() })?.edit();
    edits.set("input", array(&all));
    inbound.body = edits.apply().into();
    inbound.stream = false;
    inbound.estimate = (ENDPOINT.probe)(&Head { headers: &inbound.headers, id: None }, &inbound.body)?.estimate;
    create::unseal(server, &mut inbound)?;
    Ok(inbound)
}

async fn sum_up(server: Arc<Server>, inbound: Inbound) -> Result<Answer, Failure> {
    let Answer { notes, body } = server.front.clone().oneshot(inbound).await?;
    let compaction = match body {
        AnswerBody::Whole(bytes) => compaction(&String::from_utf8_lossy(&bytes)),
        AnswerBody::Stream(_) => Err(Error::Internal { message: "a stream to a call that asked for none".into() }),
    };
    match compaction {
        Ok(text) => Ok(Answer { notes, body: AnswerBody::Whole(text.into()) }),
        Err(error) => Err(Failure { error, notes }),
    }
}

/// The answer, from the model's.
fn compaction(response: &str) -> Result<String> {
    let answer: Value = serde_json::from_str(response).unwrap_or_default();
    let parts = answer
        .get("output")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| item.get("content").and_then(Value::as_array));
    let texts: Vec<&str> = parts.flatten().filter_map(|part| part.get("text").and_then(Value::as_str)).collect();
    let sum = texts.join("\n\n");
    if sum.trim().is_empty() {
        return Err(Error::BadReply { message: "The model summed up nothing.".into() });
    }
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let item = json!({
        "type": "compaction", "id": ids::fresh("cmp_"),
        "encrypted_content": format!("{TAG}{}", URL_SAFE_NO_PAD.encode(sum)),
    });
    let whole = json!({
        "id": ids::fresh("resp_"), "object": "response.compaction", "created_at": created, "output": [item],
        "usage": answer.get("usage").cloned().unwrap_or_default(),
    });
    Ok(whole.to_string())
}

/// A request with the sums in it as what they say. Cost without any: one search over the bytes.
pub(super) fn expanded(body: &bytes::Bytes) -> Result<bytes::Bytes> {
    if memmem::find(body, TAG.as_bytes()).is_none() {
        return Ok(body.clone());
    }
    let mut edits = Object::parse(body)?.edit();
    let Some(input) = edits.object().present("input") else { return Ok(body.clone()) };
    let Ok(all) = serde_json::from_str::<Vec<&RawValue>>(input.get()) else { return Ok(body.clone()) };
    let said: Vec<String> = all.into_iter().map(|item| read(item.get())).collect();
    edits.set("input", array(&said));
    Ok(edits.into_bytes(body))
}

/// An item; a sum of ours as the message it stands for.
pub(super) fn read(item: &str) -> String {
    let sum = || {
        let object = Object::parse_str(item).ok()?;
        let text: String = serde_json::from_str(object.present("encrypted_content")?.get()).ok()?;
        String::from_utf8(URL_SAFE_NO_PAD.decode(text.strip_prefix(TAG)?).ok()?).ok()
    };
    match sum() {
        Some(sum) => json!({"type": "message", "role": "user", "content": format!("{LEAD}{sum}")}).to_string(),
        None => item.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_stands_for_what_it_says() {
        let answer = json!({"output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "They said \"hi\"."}]}],
            "usage": {"total_tokens": 7}});
        let compaction: Value = serde_json::from_str(&compaction(&answer.to_string()).unwrap()).unwrap();
        assert_eq!(
            (&compaction["object"], &compaction["usage"]["total_tokens"]),
            (&json!("response.compaction"), &json!(7))
        );
        let item = &compaction["output"][0];
        assert!(item["type"] == "compaction" && item["id"].as_str().unwrap().starts_with("cmp_"));
        let body = format!(r#"{{"x":1.50,"input":[{item},{{"role":"user","content":"é"}}]}}"#);
        let read = expanded(&body.into()).unwrap();
        let text = std::str::from_utf8(&read).unwrap();
        assert!(text.starts_with(r#"{"x":1.50,"#) && text.ends_with(r#",{"role":"user","content":"é"}]}"#), "{text}");
        let value: Value = serde_json::from_slice(&read).unwrap();
        assert_eq!(value["input"][0]["content"], format!("{LEAD}They said \"hi\"."));
    }

    #[test]
    fn what_is_no_sum_stays() {
        for body in [
            r#"{"input":"sluis-sum1."}"#,
            r#"{"input":[{"encrypted_content":"sluis-sum1.!"}]}"#,
            r#"{"a":"sluis-sum1."}"#,
        ] {
            assert_eq!(expanded(&bytes::Bytes::from(body)).unwrap(), body);
        }
        assert!(compaction(r#"{"output":[]}"#).is_err() && compaction("x").is_err());
    }
}
