//! The endpoints over a real socket, in front of a stand-in for all that is behind them: it answers
//! in the Responses dialect and keeps what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_stream::stream;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, Semaphore},
    time::{sleep, timeout},
};
use tower::service_fn;

use crate::{
    call::{Answer, AnswerBody, Errand, Failure, Inbound, Notes},
    error::Error,
    server::{
        Errands, Front, Reach,
        testing::{Fake, Running, start_server},
    },
    store::{Settings, StorePlace},
};

/// What the stand-in was asked, and what it waits for before it ends its streams.
#[derive(Clone)]
struct House {
    asked: Arc<Mutex<VecDeque<Inbound>>>,
    errands: Arc<Mutex<Vec<Errand>>>,
    gate: Arc<Semaphore>,
    dropped: Arc<Notify>,
    /// The bytes are the target's own.
    passed: bool,
}

struct Guard(Arc<Notify>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn event(kind: &str, number: i64, rest: &Value) -> String {
    let mut data = json!({"type": kind, "sequence_number": number});
    data.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    format!("event: {kind}\ndata: {data}\n\n")
}

fn object(status: &str, output: &Value) -> Value {
    json!({"id": "resp_up", "object": "response", "status": status, "model": "m", "output": output, "store": false,
        "previous_response_id": null, "usage": null})
}

fn reasoning() -> Value {
    json!({"id": "rs_up", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"})
}

fn message(text: &str) -> Value {
    let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    json!({"id": "msg_up", "type": "message", "status": "completed", "role": "assistant", "content": [part]})
}

/// The events of an answer, up to where it may be held, and after.
fn events(text: &str) -> (Vec<String>, Vec<String>) {
    let open = json!({"id": "msg_up", "type": "message", "status": "in_progress", "role": "assistant", "content": []});
    let before = vec![
        event("response.created", 0, &json!({"response": object("in_progress", &json!([]))})),
        event("response.in_progress", 1, &json!({"response": object("in_progress", &json!([]))})),
        event("response.output_item.done", 2, &json!({"output_index": 0, "item": reasoning()})),
        event("response.output_item.added", 3, &json!({"output_index": 1, "item": open})),
        event("response.output_text.delta", 4, &json!({"output_index": 1, "content_index": 0, "delta": text})),
    ];
    let output = json!([reasoning(), message(text)]);
    let after = vec![
        event("response.output_item.done", 5, &json!({"output_index": 1, "item": message(text)})),
        event("response.completed", 6, &json!({"response": object("completed", &output)})),
    ];
    (before, after)
}

impl House {
    fn new(passed: bool) -> Self {
        Self {
            asked: Arc::default(),
            errands: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            dropped: Arc::default(),
            passed,
        }
    }

    fn front(&self) -> Front {
        let house = self.clone();
        Front::new(service_fn(move |inbound: Inbound| {
            let house = house.clone();
            async move { Ok(house.answer(inbound)) }
        }))
    }

    fn answer(self, inbound: Inbound) -> Answer {
        let provider = inbound.origin.clone().unwrap_or_else(|| "open".into());
        let notes = Notes { target: Some(format!("{provider}/m").into()), passed: self.passed, ..Notes::default() };
        let is_stream = inbound.stream;
        self.asked.lock().unwrap().push_back(inbound);
        if !is_stream {
            let whole = object("completed", &json!([reasoning(), message("whole")]));
            return Answer { notes, body: AnswerBody::Whole(whole.to_string().into()) };
        }
        let guard = Guard(Arc::clone(&self.dropped));
        let stream = stream! {
            let _guard = guard;
            let (before, after) = events("héllo");
            for text in before {
                yield Ok(Bytes::from(text));
            }
            self.gate.acquire().await.unwrap().forget();
            for text in after {
                yield Ok(Bytes::from(text));
            }
        };
        Answer { notes, body: AnswerBody::Stream(Box::pin(stream)) }
    }

    fn errands(&self) -> Errands {
        let errands = Arc::clone(&self.errands);
        Errands::new(service_fn(move |errand: Errand| {
            errands.lock().unwrap().push(errand);
            async {
                let body = object("completed", &json!([reasoning()])).to_string().into();
                let notes = Notes { target: Some("open".into()), passed: true, ..Notes::default() };
                Ok::<_, Failure>(Answer { notes, body: AnswerBody::Whole(body) })
            }
        }))
    }

    fn start_in(&self, settings: Settings, reach: Vec<Reach>) -> Running {
        let mut fake = Fake { reach, ..Fake::default() };
        fake.settings.body_limit = 1 << 20;
        start_server(self.front(), self.errands(), fake, settings, None, Duration::from_secs(1))
    }

    fn start(&self) -> Running {
        self.start_in(Settings::default(), vec![target("open", false)])
    }

    fn open(&self) {
        self.gate.add_permits(1);
    }

    /// The body of the last call.
    fn body(&self) -> Value {
        serde_json::from_slice(&self.asked.lock().unwrap().back().unwrap().body).unwrap()
    }
}

fn target(provider: &str, keeps: bool) -> Reach {
    Reach { provider: provider.into(), keeps }
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

impl Running {
    async fn send(&self, method: &str, path: &str, key: &str, body: &Value) -> http::Response<Incoming> {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Full::new(body))
            .unwrap();
        client().request(request).await.unwrap()
    }

    async fn json(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.json_as("secret", method, path, body).await
    }

    async fn json_as(&self, key: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let response = self.send(method, path, key, body).await;
        let status = response.status().as_u16();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&text).unwrap_or_else(|_| panic!("{method} {path}: {text:?}")))
    }

    async fn fetch(&self, path: &str) -> Value {
        let (status, value) = self.json("GET", path, &Value::Null).await;
        assert_eq!(status, 200, "{value}");
        value
    }

    async fn ask(&self, body: &Value) -> Value {
        let (status, value) = self.json("POST", "/v1/responses", body).await;
        assert_eq!(status, 200, "{value}");
        value
    }

    async fn stream(&self, method: &str, path: &str, body: &Value) -> Events {
        let response = self.send(method, path, "secret", body).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        Events { body: response.into_body(), text: String::new() }
    }

    /// Waits until a response has this status.
    async fn until(&self, id: &str, status: &str) -> Value {
        let patience = Instant::now();
        loop {
            let value = self.fetch(&format!("/v1/responses/{id}")).await;
            if value["status"] == status {
                return value;
            }
            assert!(patience.elapsed() < Duration::from_secs(10), "{value}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn end(self) {
        self.lifecycle.drain();
        self.stop.cancel();
        self.working.await.unwrap();
    }
}

/// A stream's events as a client reads them.
struct Events {
    body: Incoming,
    text: String,
}

impl Events {
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let value = data.map(|data| serde_json::from_str(data).unwrap());
                self.text = rest.to_owned();
                if let Some(value) = value {
                    return Some(value);
                }
                continue;
            }
            let frame = timeout(Duration::from_secs(10), self.body.frame()).await.expect("an event")?.unwrap();
            self.text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
    }

    /// Reads up to the event of this number.
    async fn until(&mut self, number: i64) -> Value {
        loop {
            let event = self.next().await.expect("more events");
            if event["sequence_number"] == number {
                return event;
            }
        }
    }

    async fn rest(mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

fn numbers(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["sequence_number"].as_i64().unwrap()).collect()
}

fn hello(more: &Value) -> Value {
    let mut body = json!({"model": "fast", "input": "hi"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// What is stored is found again, under one id in every event, by its own key alone.
#[tokio::test]
async fn a_stored_stream_is_kept_and_found_by_its_key() {
    let house = House::new(false);
    let server = house.start();
    let mut events = server.stream("POST", "/v1/responses", &hello(&json!({"stream": true}))).await;
    let created = events.next().await.unwrap();
    let id = created["response"]["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("resp_") && id != "resp_up");
    assert_eq!((&created["type"], &created["response"]["store"]), (&json!("response.created"), &json!(true)));
    // The id is out, so it is there.
    let path = format!("/v1/responses/{id}");
    assert_eq!(server.fetch(&path).await["status"], "in_progress");
    house.open();
    let rest = events.rest().await;
    assert_eq!(numbers(&rest), [1, 2, 3, 4, 5, 6]);
    let last = &rest[5]["response"];
    assert_eq!((&last["id"], &last["status"]), (&json!(id), &json!("completed")));
    assert_eq!(&server.fetch(&path).await, last, "the same object");
    // P2: the upstream is told nothing of memory.
    let body = house.body();
    assert_eq!(body["store"], false);
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));

    let items = server.fetch(&format!("{path}/input_items")).await;
    assert_eq!(items["data"][0]["content"], json!([{"type": "input_text", "text": "hi"}]));
    assert_eq!((&items["has_more"], &items["first_id"]), (&json!(false), &items["data"][0]["id"]));

    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/cancel")),
        ("GET", format!("{path}/input_items")),
        ("GET", format!("{path}?stream=true")),
    ] {
        let (status, error) = server.json_as("another", method, &path, &Value::Null).await;
        assert_eq!((status, &error["error"]["type"]), (404, &json!("invalid_request_error")), "{method} {path}");
    }
    let follow = hello(&json!({"previous_response_id": id}));
    let (status, error) = server.json_as("another", "POST", "/v1/responses", &follow).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("previous_response_not_found")));

    let (status, deleted) = server.json("DELETE", &path, &Value::Null).await;
    assert_eq!((status, deleted), (200, json!({"id": id, "object": "response", "deleted": true})));
    assert_eq!(server.json("GET", &path, &Value::Null).await.0, 404);
    server.end().await;
}

/// Memory for an upstream that has none: each turn tells it everything.
#[tokio::test]
async fn turns_build_on_each_other() {
    let house = House::new(false);
    let server = house.start();
    let first = server.ask(&hello(&json!({"instructions": "be brief"}))).await;
    let second = server.ask(&hello(&json!({"previous_response_id": first["id"], "input": "and?"}))).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    let third =
        json!({"model": "fast", "previous_response_id": second["id"], "input": [{"role": "user", "content": "so"}]});
    let third = server.ask(&third).await;
    let said: Vec<Value> = house.body()["input"].as_array().unwrap().clone();
    let text = |item: &Value| item["content"][0]["text"].as_str().or(item["content"].as_str()).map(str::to_owned);
    let said_texts: Vec<_> = said.iter().filter_map(text).collect();
    assert_eq!(said_texts, ["hi", "whole", "and?", "whole", "so"]);
    assert!(said.iter().all(|item| item.get("id").is_none()), "{said:?}");
    assert!(house.body().get("instructions").is_none(), "they hold for one call");
    assert!(house.body().get("previous_response_id").is_none());
    // All that it has read, what was sealed only for those who ask for it.
    let path = format!("/v1/responses/{}/input_items?order=asc", third["id"].as_str().unwrap());
    let items = server.fetch(&path).await["data"].clone();
    let texts: Vec<_> = items.as_array().unwrap().iter().filter_map(text).collect();
    assert_eq!(texts, ["hi", "whole", "and?", "whole", "so"]);
    let sealed = |items: &Value| items.to_string().matches("gAAA").count();
    let asked = server.fetch(&format!("{path}&include[]=reasoning.encrypted_content")).await;
    assert_eq!((sealed(&items), sealed(&asked["data"])), (0, 2));
    let (status, refused) = server.json("GET", &format!("{path}&include=x"), &Value::Null).await;
    assert_eq!((status, &refused["error"]["param"]), (400, &json!("include[0]")));
    // Without what it builds on, a chain is no chain.
    server.json("DELETE", &format!("/v1/responses/{}", first["id"].as_str().unwrap()), &Value::Null).await;
    let (status, error) =
        server.json("POST", "/v1/responses", &hello(&json!({"previous_response_id": third["id"]}))).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("previous_response_not_found")));
    assert!(error["error"]["message"].as_str().unwrap().contains(first["id"].as_str().unwrap()));
    server.end().await;
}

#[tokio::test]
async fn conversations_are_read_and_added_to() {
    let house = House::new(false);
    let server = house.start();
    let (status, conversation) = server
        .json(
            "POST",
            "/v1/conversations",
            &json!({"metadata": {"a": "b"}, "items": [{"role": "user", "content": "one"}]}),
        )
        .await;
    assert_eq!(
        (status, &conversation["object"], &conversation["metadata"]),
        (200, &json!("conversation"), &json!({"a": "b"}))
    );
    let id = conversation["id"].as_str().unwrap();
    let path = format!("/v1/conversations/{id}");
    assert_eq!(server.fetch(&path).await, conversation);

    let answer = server.ask(&hello(&json!({"conversation": id, "input": "two"}))).await;
    assert_eq!(answer["conversation"], json!({"id": id}));
    assert_eq!(house.body()["input"].as_array().unwrap().len(), 2);
    house.open();
    let stream = hello(&json!({"conversation": {"id": id}, "input": "three", "stream": true}));
    server.stream("POST", "/v1/responses", &stream).await.rest().await;
    assert_eq!(house.body()["input"].as_array().unwrap().len(), 5);

    let listed = server.fetch(&format!("{path}/items?order=asc&limit=3")).await;
    assert_eq!((listed["data"].as_array().unwrap().len(), &listed["has_more"]), (3, &json!(true)));
    let after = listed["last_id"].as_str().unwrap();
    let rest = server.fetch(&format!("{path}/items?order=asc&after={after}")).await;
    assert_eq!(rest["has_more"], false);
    let item = &listed["data"][0];
    let item_path = format!("{path}/items/{}", item["id"].as_str().unwrap());
    assert_eq!(&server.fetch(&item_path).await, item);
    assert_eq!(server.json("DELETE", &item_path, &Value::Null).await, (200, conversation.clone()));
    assert_eq!(server.json("GET", &item_path, &Value::Null).await.0, 404);

    let (status, added) =
        server.json("POST", &format!("{path}/items"), &json!({"items": [{"role": "user", "content": "x"}]})).await;
    assert_eq!((status, &added["object"], &added["data"][0]["type"]), (200, &json!("list"), &json!("message")));
    let image = json!({"type": "input_image", "image_url": "data:image/png;base64,AA"});
    let bring = json!({"items": [{"role": "user", "content": [image]}]});
    let (_, added) = server.json("POST", &format!("{path}/items"), &bring).await;
    assert_eq!(added["data"][0]["content"][0], json!({"type": "input_image"}));
    let (query, id_of_image) = ("include[]=message.input_image.image_url", added["data"][0]["id"].as_str().unwrap());
    for path in [format!("{path}/items/{id_of_image}?{query}"), format!("{path}/items?limit=1&{query}")] {
        let shown = server.fetch(&path).await;
        let item = shown.get("data").map_or(&shown, |data| &data[0]);
        assert_eq!(item["content"][0], image, "{path}");
    }
    assert_eq!(server.json("GET", &format!("{path}/items?include=x"), &Value::Null).await.0, 400);
    let (_, updated) = server.json("POST", &path, &json!({"metadata": {"c": "d"}})).await;
    assert_eq!(updated["metadata"], json!({"c": "d"}));

    for (method, path, body) in [
        ("GET", path.clone(), Value::Null),
        ("POST", path.clone(), json!({"metadata": {}})),
        ("GET", format!("{path}/items"), Value::Null),
        ("POST", format!("{path}/items"), json!({"items": [{"role": "user", "content": "x"}]})),
        ("POST", "/v1/responses".into(), hello(&json!({"conversation": id}))),
        ("DELETE", path.clone(), Value::Null),
    ] {
        assert_eq!(server.json_as("another", method, &path, &body).await.0, 404, "{method} {path}");
    }
    let (_, deleted) = server.json("DELETE", &path, &Value::Null).await;
    assert_eq!(deleted, json!({"id": id, "object": "conversation.deleted", "deleted": true}));
    for (body, param) in [
        (json!({"metadata": {"a": 1}}), "metadata"),
        (json!({"metadata": {"a": "x".repeat(513)}}), "metadata"),
        (json!({"items": vec![json!({"role": "user", "content": "x"}); 21]}), "items"),
        (json!({"items": [7]}), "items[0]"),
    ] {
        let (status, error) = server.json("POST", "/v1/conversations", &body).await;
        assert_eq!((status, &error["error"]["param"]), (400, &json!(param)));
    }
    server.end().await;
}

/// A stream is taken up again after any event, while it lasts and afterwards.
#[tokio::test]
async fn a_stream_is_taken_up_again() {
    let house = House::new(false);
    let server = house.start();
    let ask = hello(&json!({"stream": true, "background": true}));
    let mut first = server.stream("POST", "/v1/responses", &ask).await;
    let created = first.next().await.unwrap();
    let id = created["response"]["id"].as_str().unwrap().to_owned();
    assert_eq!(created["response"]["background"], true);
    first.until(2).await;
    drop(first);
    // Its client has gone; it goes on.
    let again = format!("/v1/responses/{id}?stream=true&starting_after=2");
    let mut second = server.stream("GET", &again, &Value::Null).await;
    assert_eq!(second.next().await.unwrap()["sequence_number"], 3);
    second.until(4).await;
    assert!(timeout(Duration::from_millis(50), second.next()).await.is_err(), "it is still being made");
    house.open();
    assert_eq!(numbers(&second.rest().await), [5, 6]);
    let replayed = server.stream("GET", &again, &Value::Null).await.rest().await;
    assert_eq!(numbers(&replayed), [3, 4, 5, 6]);
    assert_eq!(replayed[3]["response"]["output"][1]["content"][0]["text"], "héllo");
    let all = server.stream("GET", &format!("/v1/responses/{id}?stream=true"), &Value::Null).await.rest().await;
    assert_eq!(numbers(&all), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(all[0], created);

    let whole = server.ask(&hello(&json!({}))).await;
    let path = format!("/v1/responses/{}?stream=true", whole["id"].as_str().unwrap());
    let (status, error) = server.json("GET", &path, &Value::Null).await;
    assert_eq!((status, &error["error"]["param"]), (400, &json!("stream")));
    server.end().await;
}

/// D1: without `background` the answer ends with its client, and what came is kept.
#[tokio::test]
async fn a_client_that_leaves_ends_its_answer() {
    let house = House::new(false);
    let server = house.start();
    let mut events = server.stream("POST", "/v1/responses", &hello(&json!({"stream": true}))).await;
    let id = events.next().await.unwrap()["response"]["id"].as_str().unwrap().to_owned();
    events.until(4).await;
    drop(events);
    timeout(Duration::from_millis(100), house.dropped.notified()).await.expect("the call behind it ends");
    let kept = server.until(&id, "cancelled").await;
    assert_eq!(kept["output"][0]["type"], "reasoning");
    assert_eq!(kept["output"][1]["content"][0]["text"], "héllo");
    assert_eq!(kept["output"][1]["status"], "incomplete");
    let replayed = server.stream("GET", &format!("/v1/responses/{id}?stream=true"), &Value::Null).await.rest().await;
    assert_eq!(numbers(&replayed), [0, 1, 2, 3, 4, 5]);
    assert_eq!(replayed[5]["response"]["status"], "cancelled");
    server.end().await;
}

#[tokio::test]
async fn background_answers_are_polled_and_cancelled() {
    let house = House::new(false);
    let server = house.start();
    let queued = server.ask(&hello(&json!({"background": true, "metadata": {"k": "v"}}))).await;
    assert_eq!((&queued["status"], &queued["metadata"]), (&json!("queued"), &json!({"k": "v"})));
    let id = queued["id"].as_str().unwrap();
    server.until(id, "in_progress").await;
    let follow = hello(&json!({"previous_response_id": id}));
    let (status, error) = server.json("POST", "/v1/responses", &follow).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("previous_response_in_progress")));
    house.open();
    let done = server.until(id, "completed").await;
    assert_eq!((&done["id"], &done["background"]), (&json!(id), &json!(true)));

    let queued = server.ask(&hello(&json!({"background": true}))).await;
    let path = format!("/v1/responses/{}", queued["id"].as_str().unwrap());
    server.until(queued["id"].as_str().unwrap(), "in_progress").await;
    let (status, cancelled) = server.json("POST", &format!("{path}/cancel"), &Value::Null).await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    timeout(Duration::from_millis(200), house.dropped.notified()).await.expect("the call behind it ends");
    // Once more changes nothing.
    assert_eq!(server.json("POST", &format!("{path}/cancel"), &Value::Null).await.1["status"], "cancelled");

    let whole = server.ask(&hello(&json!({}))).await;
    let path = format!("/v1/responses/{}/cancel", whole["id"].as_str().unwrap());
    assert_eq!(server.json("POST", &path, &Value::Null).await.0, 400);
    server.end().await;
}

/// K5: at the end of the process an answer that nobody waits for is kept as incomplete.
#[tokio::test]
async fn the_end_of_the_process_is_kept_too() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { place: StorePlace::File(folder.path().join("s.db")), ..Settings::default() };
    let house = House::new(false);
    let server = house.start_in(settings.clone(), vec![target("open", false)]);
    let queued = server.ask(&hello(&json!({"background": true}))).await;
    let id = queued["id"].as_str().unwrap();
    server.until(id, "in_progress").await;
    server.lifecycle.drain();
    server.lifecycle.cut();
    server.stop.cancel();
    server.working.await.unwrap();
    let server = house.start_in(settings, vec![target("open", false)]);
    let kept = server.fetch(&format!("/v1/responses/{id}")).await;
    assert_eq!(
        (&kept["status"], &kept["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("gateway_shutdown"))
    );
    assert_eq!(kept["output"][1]["content"][0]["text"], "héllo");
    server.end().await;
}

/// P4, regression 69: what an upstream keeps is found by its id, from any gateway, without a store.
#[tokio::test]
async fn ids_lead_back_to_who_keeps_them() {
    let house = House::new(true);
    let off = Settings { place: StorePlace::Off, ..Settings::default() };
    let server = house.start_in(off.clone(), vec![target("open", true)]);
    let first = server.ask(&hello(&json!({"x": 1.5}))).await;
    let id = first["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("resp_at1"), "{id}");
    assert_eq!(house.body(), hello(&json!({"x": 1.5})), "P2: as it was written");

    let house = House::new(true);
    let another = house.start_in(off.clone(), vec![target("wrong", true), target("open", true)]);
    let follow = hello(&json!({"previous_response_id": id, "stream": true}));
    house.open();
    let events = another.stream("POST", "/v1/responses", &follow).await.rest().await;
    assert_eq!(house.body()["previous_response_id"], "resp_up");
    assert_eq!(house.asked.lock().unwrap()[0].origin.as_deref(), Some("open"));
    assert_eq!(events[0]["response"]["id"], events[6]["response"]["id"]);
    assert!(events[0]["response"]["id"].as_str().unwrap().starts_with("resp_at1"));

    let path = format!("/v1/responses/{id}");
    assert_eq!(another.fetch(&format!("{path}?include=a")).await["id"], json!(id));
    another.json("DELETE", &path, &Value::Null).await;
    another.json("POST", &format!("{path}/cancel"), &Value::Null).await;
    another.fetch(&format!("{path}/input_items?limit=2")).await;
    let asked: Vec<String> = house
        .errands
        .lock()
        .unwrap()
        .iter()
        .map(|errand| format!("{} {}?{}", errand.method, errand.path, errand.query.clone().unwrap_or_default()))
        .collect();
    assert_eq!(
        asked,
        ["GET /resp_up?include=a", "DELETE /resp_up?", "POST /resp_up/cancel?", "GET /resp_up/input_items?limit=2"]
    );
    // Another key's id is no id.
    assert_eq!(another.json_as("another", "GET", &path, &Value::Null).await.0, 404);
    let (status, error) = another.json_as("another", "POST", "/v1/responses", &follow).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("previous_response_not_found")));

    // Its keeper does not serve this model, or is gone: never anybody else.
    for (reach, code) in
        [(vec![target("lab", true)], "previous_response_origin_gone"), (Vec::new(), "previous_response_origin_gone")]
    {
        let server = House::new(true).start_in(off.clone(), reach);
        let (status, error) = server.json("POST", "/v1/responses", &follow).await;
        assert_eq!((status, &error["error"]["code"]), (400, &json!(code)));
        let (status, error) = server.json("GET", &path, &Value::Null).await;
        assert!(status == 404 && error["error"]["message"].as_str().unwrap().contains("`open`"), "{error}");
    }
    server.end().await;
    another.end().await;
}

/// P4: encrypted reasoning goes back to its maker; others never see it.
#[tokio::test]
async fn encrypted_reasoning_leads_back_too() {
    let house = House::new(true);
    let server = house.start_in(Settings::default(), vec![target("other", false), target("open", false)]);
    house.open();
    let ask = hello(&json!({"store": false, "stream": true}));
    let events = server.stream("POST", "/v1/responses", &ask).await.rest().await;
    let item = &events[2]["item"];
    let sealed = item["encrypted_content"].as_str().unwrap();
    assert!(sealed.starts_with("at1.") && sealed.ends_with(".gAAA"), "{sealed}");
    assert_eq!(&events[6]["response"]["output"][0], item);
    assert_eq!(house.body(), ask, "P2: without memory nothing is touched");

    let follow = json!({"model": "fast", "store": false, "input": [item, {"role": "user", "content": "go on"}]});
    server.ask(&follow).await;
    assert_eq!(house.body()["input"][0]["encrypted_content"], "gAAA");
    assert_eq!(house.asked.lock().unwrap().back().unwrap().origin.as_deref(), Some("open"));
    // Stored here, it is the same.
    let first = server.ask(&hello(&json!({}))).await;
    server.ask(&hello(&json!({"previous_response_id": first["id"]}))).await;
    assert_eq!(house.body()["input"][1]["encrypted_content"], "gAAA");

    // Another model was chosen: it can read none of it.
    let house = House::new(true);
    let elsewhere = house.start_in(Settings::default(), vec![target("lab", false)]);
    let (status, error) = elsewhere.json("POST", "/v1/responses", &follow).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("reasoning_origin_gone")));
    server.end().await;
    elsewhere.end().await;
}

/// B1, B3: without a store everything goes on that needs none, and the rest says what is wrong.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_store_that_is_down_stops_only_those_who_need_it() {
    let house = House::new(false);
    let place = StorePlace::Postgres("postgres://nobody@127.0.0.1:1/none".into());
    let server = house.start_in(Settings { place, ..Settings::default() }, vec![target("open", false)]);
    // The first ones may not know yet.
    sleep(Duration::from_millis(300)).await;
    let answer = server.ask(&hello(&json!({}))).await;
    assert_eq!(answer["store"], false, "and it says so");
    house.open();
    let events = server.stream("POST", "/v1/responses", &hello(&json!({"stream": true}))).await.rest().await;
    assert_eq!(events[6]["response"]["store"], false);
    for body in [
        hello(&json!({"store": true})),
        hello(&json!({"background": true})),
        hello(&json!({"previous_response_id": "resp_x"})),
        hello(&json!({"conversation": "conv_x"})),
    ] {
        let began = Instant::now();
        let (status, error) = server.json("POST", "/v1/responses", &body).await;
        assert_eq!((status, &error["error"]["code"]), (503, &json!("store_unavailable")), "{body}");
        assert!(began.elapsed() < Duration::from_millis(500));
    }
    assert_eq!(server.json("GET", "/v1/responses/resp_x", &Value::Null).await.0, 503);
    server.end().await;
}

#[tokio::test]
async fn a_store_that_is_switched_off_says_so() {
    let house = House::new(false);
    let off = Settings { place: StorePlace::Off, ..Settings::default() };
    let server = house.start_in(off, vec![target("open", false)]);
    assert_eq!(server.ask(&hello(&json!({}))).await["store"], false);
    for (body, status) in [
        (hello(&json!({"store": true})), 400),
        (hello(&json!({"background": true})), 400),
        (hello(&json!({"previous_response_id": "resp_x"})), 400),
        (hello(&json!({"conversation": "conv_x"})), 404),
    ] {
        assert_eq!(server.json("POST", "/v1/responses", &body).await.0, status, "{body}");
    }
    assert_eq!(server.json("GET", "/v1/responses/resp_x", &Value::Null).await.0, 404);
    assert_eq!(server.json("POST", "/v1/conversations", &json!({})).await.0, 404);
    server.end().await;
}

/// A long conversation is summed up, and the sum goes on for it.
#[tokio::test]
async fn a_conversation_is_summed_up() {
    let house = House::new(false);
    let server = house.start();
    let first = server.ask(&hello(&json!({}))).await;
    let ask = json!({"model": "fast", "previous_response_id": first["id"], "instructions": "short"});
    let (status, sum) = server.json("POST", "/v1/responses/compact", &ask).await;
    assert_eq!((status, &sum["object"]), (200, &json!("response.compaction")), "{sum}");
    let asked = house.body();
    assert_eq!((asked["input"].as_array().unwrap().len(), &asked["instructions"]), (4, &json!("short")));
    let mut input = sum["output"].as_array().unwrap().clone();
    input.push(json!({"role": "user", "content": "go on"}));
    server.ask(&json!({"model": "fast", "input": input})).await;
    assert!(house.body()["input"][0]["content"].as_str().unwrap().ends_with("whole"), "{}", house.body());
    let (status, error) = server.json("POST", "/v1/responses/compact", &json!({"input": "x"})).await;
    assert_eq!((status, &error["error"]["param"]), (400, &json!("model")));
    server.end().await;
}

/// P3: a WebSocket is refused at once, with a body that says why.
#[tokio::test]
async fn a_websocket_is_refused_at_once() {
    let server = House::new(false).start();
    let request = "GET /v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer secret\r\nconnection: upgrade\r\n\
        upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        connection: close\r\n\r\n";
    let answer = server.exchange(request).await;
    assert!(answer.starts_with("HTTP/1.1 426 ") && answer.contains("websocket_not_supported"), "{answer}");
    let answer = server.get("/v1/responses").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

/// What was promised is kept even if the upstream fails in the middle.
#[tokio::test]
async fn a_failure_is_kept_as_what_it_is() {
    let front = Front::new(service_fn(|_: Inbound| async {
        let stream = stream! {
            for text in events("half").0 {
                yield Ok(Bytes::from(text));
            }
            yield Err(Error::Interrupted { message: "The stream broke off.".into() });
        };
        let notes = Notes { target: Some("open/m".into()), ..Notes::default() };
        Ok::<_, Failure>(Answer { notes, body: AnswerBody::Stream(Box::pin(stream)) })
    }));
    let house = House::new(false);
    let fake = Fake { reach: vec![target("open", false)], ..Fake::default() };
    let server = start_server(front, house.errands(), fake, Settings::default(), None, Duration::from_secs(1));
    let mut events = server.stream("POST", "/v1/responses", &hello(&json!({"stream": true}))).await;
    let id = events.next().await.unwrap()["response"]["id"].as_str().unwrap().to_owned();
    events.until(4).await;
    let kept = server.until(&id, "failed").await;
    assert_eq!(kept["error"]["code"], "upstream_stream_interrupted");
    assert_eq!(kept["output"][1]["content"][0]["text"], "half");

    let queued = server.ask(&hello(&json!({"background": true}))).await;
    server.until(queued["id"].as_str().unwrap(), "failed").await;
    let path = format!("/v1/responses/{}?stream=true", queued["id"].as_str().unwrap());
    let replayed = server.stream("GET", &path, &Value::Null).await.rest().await;
    assert_eq!(replayed.last().unwrap()["type"], "response.failed");
    server.end().await;
}
