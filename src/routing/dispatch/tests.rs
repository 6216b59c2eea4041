use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use http::StatusCode;
use tower::{ServiceBuilder, service_fn};

use super::*;
use crate::{
    call::Caller,
    error::UpstreamError,
    layers::{ClocksLayer, RetryLayer, SlotsLayer},
    routing::testing::{cut, ended, hello, silent, status, streamed, table, whole},
    telemetry::testing::Lines,
};

const TEXT: &str = r#"
[retry]
attempts = 2

[providers.a]
type = "openai-compatible"
base-url = "http://127.0.0.1:1/v1"
api-key = ["sk-1", "sk-2", "sk-3"]
[providers.b]
type = "openai-compatible"
base-url = "http://127.0.0.1:2/v1"
api-key = "sk-4"
[providers.ant]
type = "anthropic"
base-url = "http://127.0.0.1:3/v1"
api-key = "sk-5"
[providers.own]
type = "anthropic"
base-url = "http://127.0.0.1:5/v1"
credentials = "client"
[providers.tight]
type = "openai-compatible"
base-url = "http://127.0.0.1:4/v1"
limits = { requests-per-minute = 1, tokens-per-minute = 1000 }
[models.both]
targets = ["b/m", "ant/m"]
[models.keys]
targets = ["a/m", "b/m"]
[models.crossed]
targets = ["ant/m", "b/m"]
[models.only]
targets = ["ant/m", "ant/n"]
[models.limited]
targets = ["tight/m", "b/m"]
"#;

const ANSWER: &str = r#"{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;
const CHUNKS: &str = "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
    \"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":null}]}\n\n\
    data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
    \"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":2}}"#;
const EVENTS: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n\
    event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
    event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n\
    event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
    event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n\
    event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// Dispatch over the real layers, and an upstream that goes through a script.
struct House {
    dispatch: Dispatch,
    /// `provider/model` and the key of each exchange.
    asked: Arc<Mutex<Vec<(String, String)>>>,
    log: Lines,
    started: Instant,
}

fn house(script: impl IntoIterator<Item = Result<Reply>>) -> House {
    let script: Arc<Mutex<VecDeque<Result<Reply>>>> = Arc::new(Mutex::new(script.into_iter().collect()));
    let asked: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let upstream = service_fn(move |call: Call| {
        call.attempts.add();
        let headers = call.request.headers();
        let key = headers.get("authorization").or(headers.get("x-api-key")).and_then(|key| key.to_str().ok());
        let key = key.unwrap_or_default().trim_start_matches("Bearer ").to_owned();
        seen.lock().unwrap().push((call.target.label.to_string(), key));
        let next = script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        async move {
            match next {
                Some(result) => result,
                None => std::future::pending().await,
            }
        }
    });
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::with_random(|| 0.5))
        .layer(SlotsLayer)
        .layer(ClocksLayer)
        .service(upstream);
    let dispatch = Dispatch::new(
        Arc::new(ArcSwap::from_pointee(table(TEXT))),
        Arc::default(),
        Arc::default(),
        BoxCloneSyncService::new(stack),
    );
    House { dispatch, asked, log: Lines::listen_json(), started: Instant::now() }
}

impl House {
    async fn ask(&self, inbound: Inbound) -> Result<Answer, Failure> {
        self.dispatch.clone().oneshot(inbound).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(label, _)| label.clone()).collect()
    }

    fn keys(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(_, key)| key.clone()).collect()
    }

    /// The ends told so far.
    fn ends(&self) -> Vec<serde_json::Value> {
        let text = self.log.text();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter(|line| line["target"] == "sluis::call").map(|line| line["fields"].clone()).collect()
    }

    /// The one end of the one call.
    fn end(&self) -> serde_json::Value {
        let mut ends = self.ends();
        assert_eq!(ends.len(), 1, "{ends:?}");
        ends.swap_remove(0)
    }
}

async fn text(answer: Answer) -> String {
    match answer.body {
        AnswerBody::Whole(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        AnswerBody::Stream(stream) => {
            let pieces: Vec<_> = stream.collect().await;
            let bytes: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap()).collect();
            String::from_utf8(bytes).unwrap()
        }
    }
}

fn limited(seconds: u64) -> Error {
    let error = UpstreamError::new(StatusCode::TOO_MANY_REQUESTS, "slow down");
    UpstreamError { retry_after: Some(Duration::from_secs(seconds)), ..error }.into()
}

fn network() -> Error {
    Error::Network { message: "refused".into(), stale: false }
}

/// Unary and stream, same dialect and translated, and an answer in JSON to who asked for a stream.
#[tokio::test(start_paused = true)]
async fn every_way_back_leads_to_the_client() {
    for (model, stream, reply) in [
        ("b/m", false, whole(ANSWER)),
        ("b/m", true, streamed(CHUNKS, ended())),
        ("b/m", true, whole(ANSWER)),
        ("ant/m", false, whole(MESSAGE)),
        ("ant/m", true, streamed(EVENTS, ended())),
        ("ant/m", true, whole(MESSAGE)),
    ] {
        let house = house([Ok(reply)]);
        let answer = house.ask(hello(model, stream)).await.unwrap();
        assert_eq!(matches!(answer.body, AnswerBody::Stream(_)), stream);
        let notes = answer.notes.clone();
        assert_eq!((notes.target.as_deref(), notes.attempts), (Some(model), 1));
        assert_eq!(notes.upstream_request_id.as_deref(), Some("req-up"));
        let text = text(answer).await;
        assert!(text.contains("\"hi\"") && text.contains("\"stop\""), "{text}");
        assert_eq!(text.ends_with("data: [DONE]\n\n"), stream, "{text}");
        let end = house.end();
        assert_eq!((&end["outcome"], &end["status"], &end["attempts"]), (&"finished".into(), &200.into(), &1.into()));
        let told = !(stream && text.contains("chat.completion.chunk") && model == "b/m" && end["estimated"] == true);
        assert_eq!(end["output_tokens"], if told { 2 } else { 1 }, "{end}");
    }
}

/// F1, F6: the next target after the first has had its tries, in order, and only before content.
#[tokio::test(start_paused = true)]
async fn targets_are_asked_in_their_order() {
    let house = house([Err(status(503)), Err(network()), Ok(whole(MESSAGE))]);
    let answer = house.ask(hello("both", false)).await.unwrap();
    assert_eq!((answer.notes.target.as_deref(), answer.notes.attempts), (Some("ant/m"), 3));
    assert_eq!(house.asked(), ["b/m", "b/m", "ant/m"]);
    assert_eq!(house.end()["upstream"], "ant/m");
}

/// F3: key after key at once and without spending an attempt; a limited key then rests.
#[tokio::test(start_paused = true)]
async fn keys_are_asked_without_a_wait() {
    let house = house([Err(limited(60)), Err(status(401)), Ok(whole(ANSWER)), Ok(whole(ANSWER)), Ok(whole(ANSWER))]);
    let answer = house.ask(hello("keys", false)).await.unwrap();
    assert_eq!((answer.notes.target.as_deref(), answer.notes.attempts), (Some("a/m"), 3));
    assert_eq!(house.keys(), ["sk-1", "sk-2", "sk-3"]);
    for _ in 0..2 {
        house.ask(hello("keys", false)).await.unwrap();
    }
    assert_eq!(house.keys()[3..], ["sk-3", "sk-3"], "the others rest");
    assert_eq!(house.started.elapsed(), Duration::ZERO);
}

/// F3, F4: when every key is refused, the next target is asked, again without a wait; and as long
/// as they rest, it is asked first.
#[tokio::test(start_paused = true)]
async fn a_provider_without_a_usable_key_is_passed_over() {
    let house = house([Err(limited(60)), Err(limited(60)), Err(limited(60)), Ok(whole(ANSWER)), Ok(whole(ANSWER))]);
    house.ask(hello("keys", false)).await.unwrap();
    assert_eq!(house.asked(), ["a/m", "a/m", "a/m", "b/m"]);
    house.ask(hello("keys", false)).await.unwrap();
    assert_eq!(house.asked()[4..], ["b/m"]);
    assert_eq!(house.started.elapsed(), Duration::ZERO);
}

/// F4, F8: with one key and no other target, a long wait is the client's to decide.
#[tokio::test(start_paused = true)]
async fn a_long_wait_is_told_and_not_hidden() {
    let house = house([Err(limited(60))]);
    let failure = house.ask(hello("b/m", false)).await.unwrap_err();
    assert_eq!(failure.error.retry_after(), Some(Duration::from_secs(60)));
    assert_eq!((failure.error.status(), failure.error.forbids_client_retry()), (StatusCode::TOO_MANY_REQUESTS, false));
    assert_eq!(house.started.elapsed(), Duration::ZERO);
}

/// Design section 6.5: the client's own mistake goes back as it came, and nobody else is asked.
#[tokio::test(start_paused = true)]
async fn the_clients_own_mistake_ends_the_walk() {
    for code in [400, 404, 413, 422] {
        let house = house([Err(status(code))]);
        let failure = house.ask(hello("both", false)).await.unwrap_err();
        assert_eq!((failure.error.status().as_u16(), failure.error.message()), (code, format!("said {code}")));
        assert_eq!((failure.notes.target.as_deref(), failure.notes.attempts), (Some("b/m"), 1));
        let end = house.end();
        assert_eq!(
            (&end["outcome"], &end["status"], &end["prompt_tokens"]),
            (&"failed".into(), &code.into(), &0.into())
        );
    }
}

/// The error that helps most is told: what time may cure before a dead fallback, the client's own
/// mistake before both.
#[tokio::test(start_paused = true)]
async fn the_most_useful_error_is_told() {
    let told = async |errors: Vec<Error>| {
        let house = house(errors.into_iter().map(Err));
        let failure = house.ask(hello("both", false)).await.unwrap_err();
        assert_eq!(house.end()["error"], failure.error.label());
        failure.error.label()
    };
    assert_eq!(told(vec![limited(60), status(401)]).await, "upstream_rate_limit");
    assert_eq!(told(vec![limited(60), status(404)]).await, "upstream_rate_limit");
    assert_eq!(told(vec![status(503), status(503), status(402)]).await, "upstream_overloaded");
    assert_eq!(told(vec![status(401), network(), network()]).await, "upstream_unreachable");
    assert_eq!(told(vec![limited(60), network(), network()]).await, "upstream_rate_limit", "the first of equals");
    assert_eq!(told(vec![status(401), status(402)]).await, "upstream_credentials");
    assert_eq!(told(vec![status(503), status(503), status(400)]).await, "upstream_invalid");
    assert_eq!(told(vec![status(500), status(500), Error::Internal { message: "ca".into() }]).await, "upstream_server");
}

/// What no target can carry is a 400 of the first, which no upstream sees; what one of them might
/// have carried is that one's failure.
#[tokio::test(start_paused = true)]
async fn a_loss_is_a_refusal_only_when_nobody_can_carry_it() {
    let ask = |model: &str| {
        let body = r#"{"model":"x","n":2,"messages":[{"role":"user","content":"hi"}]}"#;
        crate::routing::testing::inbound(model, false, body)
    };
    let none = house([]);
    let failure = none.ask(ask("only")).await.unwrap_err();
    assert!(matches!(&failure.error, Error::Invalid { param: Some(field), .. } if field == "n"), "{failure:?}");
    assert!(failure.error.message().contains("ant/m"), "the first target's: {failure:?}");
    assert_eq!((none.asked().len(), failure.notes.attempts), (0, 0));
    assert_eq!(none.end()["attempts"], 0);

    let one = house([Ok(whole(ANSWER))]);
    assert_eq!(one.ask(ask("crossed")).await.unwrap().notes.target.as_deref(), Some("b/m"));
    let down = house([Err(network()), Err(network())]);
    assert_eq!(down.ask(ask("crossed")).await.unwrap_err().error.label(), "upstream_unreachable");
}

/// E1, regression 7: a success that is none is tried again, and then falls back.
#[tokio::test(start_paused = true)]
async fn an_empty_success_is_a_failure() {
    let empty = || Err(Error::BadReply { message: "not a single event".into() });
    let alone = house([empty(), empty()]);
    let failure = alone.ask(hello("b/m", true)).await.unwrap_err();
    assert_eq!((failure.error.status(), alone.asked().len()), (StatusCode::BAD_GATEWAY, 2));
    let house = house([empty(), Err(Error::Interrupted { message: "cut".into() }), Ok(streamed(EVENTS, ended()))]);
    let answer = house.ask(hello("both", true)).await.unwrap();
    assert_eq!(text(answer).await.matches("\"hi\"").count(), 1);
}

/// E2, M2: an answer that turns out to be none when it is read is its target's failure, with the
/// status it has, also for who asked for a stream.
#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_falls_back() {
    let broken = || Ok(whole(r#"{"choices":7}"#));
    let alone = house([broken()]);
    let failure = alone.ask(hello("b/m", true)).await.unwrap_err();
    assert_eq!(failure.error.status(), StatusCode::BAD_GATEWAY);
    let end = alone.end();
    assert_eq!(
        (&end["status"], &end["outcome"], &end["first_event_ms"]),
        (&502.into(), &"failed".into(), &serde_json::Value::Null)
    );
    let house = house([broken(), Ok(whole(MESSAGE))]);
    assert_eq!(house.ask(hello("both", true)).await.unwrap().notes.target.as_deref(), Some("ant/m"));
}

/// Q1: a provider that is full is passed over, and its share is settled with the call's.
#[tokio::test(start_paused = true)]
async fn a_providers_own_limits_move_on() {
    let house = house([Ok(whole(ANSWER)), Ok(whole(ANSWER))]);
    for target in ["tight/m", "b/m"] {
        assert_eq!(house.ask(hello("limited", false)).await.unwrap().notes.target.as_deref(), Some(target));
    }
    let failure = house.ask(hello("tight/m", false)).await.unwrap_err();
    assert!(matches!(&failure.error, Error::RateLimited { retry_after: Some(_), .. }), "{failure:?}");
    assert_eq!(house.asked().len(), 2);
}

/// Design section 6.2: what was dropped for the target that answered, and for no other.
#[tokio::test(start_paused = true)]
async fn the_notes_are_of_the_target_that_answered() {
    let ask = || {
        let body = r#"{"model":"x","seed":7,"messages":[{"role":"user","content":"hi"}]}"#;
        crate::routing::testing::inbound("crossed", false, body)
    };
    let first = house([Ok(whole(MESSAGE))]);
    assert_eq!(first.ask(ask()).await.unwrap().notes.dropped, ["seed"]);
    let second = house([Err(status(401)), Ok(whole(ANSWER))]);
    assert_eq!(second.ask(ask()).await.unwrap().notes.dropped, Vec::<String>::new());
}

/// Design section 6.8: one end whatever happens, and D2: a client that leaves is no failure.
#[tokio::test(start_paused = true)]
async fn every_call_ends_once() {
    let unknown = house([]);
    assert!(matches!(unknown.ask(hello("nobody/x", false)).await.unwrap_err().error, Error::ModelNotFound { .. }));
    assert_eq!((&unknown.end()["status"], &unknown.end()["attempts"]), (&404.into(), &0.into()));

    let hung = house([]);
    let asked = tokio::time::timeout(Duration::from_secs(1), hung.ask(hello("b/m", false))).await;
    assert!(asked.is_err());
    let end = hung.end();
    assert_eq!((&end["outcome"], &end["status"], &end["prompt_tokens"]), (&"canceled".into(), &499.into(), &10.into()));

    let late = house([]);
    let failure = late.ask(hello("b/m", false)).await.unwrap_err();
    assert_eq!((failure.error.label(), late.started.elapsed().as_secs()), ("timeout_total", 600));
    assert_eq!(late.end()["status"], 504);

    let broken = house([Ok(streamed(CHUNKS.split_inclusive("\n\n").next().unwrap(), cut()))]);
    let AnswerBody::Stream(stream) = broken.ask(hello("b/m", true)).await.unwrap().body else { panic!("no stream") };
    assert!(matches!(stream.collect::<Vec<_>>().await.last(), Some(Err(Error::Interrupted { .. }))));
    assert_eq!((&broken.end()["outcome"], &broken.end()["status"]), (&"failed".into(), &200.into()));

    let left = house([Ok(streamed(CHUNKS.split_inclusive("\n\n").next().unwrap(), silent()))]);
    let AnswerBody::Stream(mut stream) = left.ask(hello("b/m", true)).await.unwrap().body else { panic!("no stream") };
    assert!(stream.next().await.unwrap().is_ok() && left.ends().is_empty());
    drop(stream);
    assert_eq!(left.end()["outcome"], "canceled");
}

/// A key that may not call a model learns no more than that it is not there.
#[tokio::test(start_paused = true)]
async fn a_forbidden_model_is_not_found() {
    let house = house([]);
    let mut inbound = hello("b/m", false);
    inbound.caller = Arc::new(Caller { models: vec!["keys".into()], ..Caller::anonymous() });
    let failure = house.ask(inbound).await.unwrap_err();
    assert!(matches!(&failure.error, Error::ModelNotFound { near, .. } if near.is_empty()), "{failure:?}");
}

#[test]
fn no_total_is_too_long() {
    let now = Instant::now();
    assert!(after(now, Duration::MAX) > now + Duration::from_secs(600));
}

// === the client's own credential ===

fn carrying(pairs: &[(&'static str, &'static str)]) -> Inbound {
    let mut inbound = hello("own/m", false);
    inbound.headers.extend(
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))),
    );
    inbound
}

/// A4, regression 73: the client's header goes on as it came, and no other beside it.
#[tokio::test(start_paused = true)]
async fn the_clients_own_credential_travels() {
    for (header, sent) in [("authorization", "Bearer sk-ant-oat-X"), ("x-api-key", "sk-own")] {
        let house = house([Ok(whole(MESSAGE))]);
        house.ask(carrying(&[(header, sent)])).await.unwrap();
        assert_eq!(house.keys(), [sent.trim_start_matches("Bearer ")]);
        assert!(!house.log.text().contains("sk-"), "X4: {}", house.log.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_credential_is_told_where_to_put_it() {
    let house = house([]);
    let failure = house.ask(carrying(&[])).await.unwrap_err();
    assert_eq!(failure.error.status(), StatusCode::UNAUTHORIZED);
    assert!(failure.error.message().contains("x-sluis-key"), "{}", failure.error);
    assert!(house.asked().is_empty());
}

/// M1: what the upstream says of the client's own credential is the client's to hear.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_clients_credential_is_its_own() {
    for (code, expected) in [(401, StatusCode::UNAUTHORIZED), (403, StatusCode::FORBIDDEN)] {
        let house = house([Err(status(code))]);
        let failure = house.ask(carrying(&[("authorization", "Bearer x")])).await.unwrap_err();
        assert_eq!((failure.error.status(), failure.error.message()), (expected, format!("said {code}")));
        assert_eq!(failure.error.kind().code.as_deref(), Some("invalid_api_key"));
    }
}

/// A call in OpenAI's Responses that sends back reasoning which this target made under this name.
fn responding(model: &str, made_by: Option<(&str, &str)>, stream: bool) -> Inbound {
    let encode = |name: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, name);
    let sealed = made_by.map(|(target, name)| format!("sluis1.s.{}.{}.SIG", encode(target), encode(name)));
    let mut input = vec![serde_json::json!({"role": "user", "content": "Hello"})];
    if let Some(sealed) = sealed {
        let summary = [serde_json::json!({"type": "summary_text", "text": "Hm."})];
        input.push(serde_json::json!({"type": "reasoning", "summary": summary, "encrypted_content": sealed}));
        input.push(serde_json::json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}));
        input.push(serde_json::json!({"type": "function_call_output", "call_id": "c", "output": "x"}));
    }
    let body = serde_json::json!({"model": model, "input": input, "stream": stream,
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]});
    Inbound { dialect: Dialect::OpenAiResponses, ..crate::routing::testing::inbound(model, stream, &body.to_string()) }
}

/// P4, case 69: reasoning goes back to the target that made it and to no other, though that one is
/// not the first, though it fails; where it is no target any more, the client is told. Under another
/// name the conversation goes on without it.
#[tokio::test(start_paused = true)]
async fn reasoning_goes_back_to_its_maker() {
    for stream in [false, true] {
        let answer = || if stream { streamed(EVENTS, ended()) } else { whole(MESSAGE) };
        let house = house([Ok(answer()), Err(status(500)), Err(status(500)), Ok(whole(ANSWER))]);
        for _ in 0..2 {
            let asked = responding("both", Some(("ant/m", "both")), stream);
            let _ = house.ask(asked).await;
        }
        assert_eq!(house.asked(), ["ant/m", "ant/m", "ant/m"], "the second call has no fallback");
        let gone = house.ask(responding("both", Some(("gone/m", "both")), stream)).await.unwrap_err();
        assert_eq!(gone.error.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(gone.error.message().contains("gone/m"), "{}", gone.error);
        assert_eq!(house.asked().len(), 3, "nobody was asked");
        if !stream {
            house.ask(responding("both", Some(("ant/m", "other")), false)).await.unwrap();
            assert_eq!(house.asked().last().unwrap(), "b/m", "another name, another mind");
        }
    }
}

/// P1: what a chat upstream says reaches a client of Responses as an answer of its dialect, named and
/// numbered by the gateway.
#[tokio::test(start_paused = true)]
async fn a_client_of_responses_is_answered_in_its_dialect() {
    let house = house([Ok(whole(ANSWER)), Ok(streamed(CHUNKS, ended()))]);
    let answer = house.ask(responding("b/m", None, false)).await.unwrap();
    let AnswerBody::Whole(bytes) = answer.body else { panic!("a stream") };
    let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((&answer["object"], &answer["model"]), (&"response".into(), &"b/m".into()));
    assert_eq!(answer["id"], format!("resp_{}", uuid::Uuid::nil().simple()));
    assert_eq!(answer["output"][0]["content"][0]["text"], "hi");
    assert_eq!((&answer["tools"][0]["name"], &answer["usage"]["total_tokens"]), (&"f".into(), &7.into()));
    let answer = house.ask(responding("b/m", None, true)).await.unwrap();
    let AnswerBody::Stream(stream) = answer.body else { panic!("a whole answer") };
    let bytes: Vec<u8> = stream.map(|bytes| bytes.unwrap()).collect::<Vec<_>>().await.concat();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("event: response.created\n") && text.contains("event: response.completed\n"), "{text}");
}
