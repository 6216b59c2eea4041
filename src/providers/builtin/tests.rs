//! The built-in model by its scripts.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn ask(body: &Value) -> Script {
    answer(body.to_string().as_bytes(), 1_795_000_000, "chatcmpl-1")
}

fn prompt(text: &str) -> Value {
    json!({"model": "echo", "messages": [{"role": "user", "content": text}]})
}

fn with(mut body: Value, more: Value) -> Value {
    let more: serde_json::Map<String, Value> = serde_json::from_value(more).unwrap();
    body.as_object_mut().unwrap().extend(more);
    body
}

fn tools(names: &[&str]) -> Value {
    let tool = |name: &&str| {
        json!({"type": "function", "function": {"name": name, "parameters": {
            "type": "object", "required": ["city"], "properties": {"city": {"type": "string", "minLength": 1}}
        }}})
    };
    json!({"tools": names.iter().map(tool).collect::<Vec<_>>()})
}

/// The body of an answer that does not stream.
fn whole(script: &Script) -> Value {
    assert_eq!(script.headers["content-type"], "application/json");
    assert_eq!((script.steps.len(), script.ending), (1, Ending::Clean));
    serde_json::from_slice(&script.steps[0].bytes).unwrap()
}

/// The data of a stream's events, `[DONE]` checked and left out.
fn chunks(script: &Script) -> Vec<Value> {
    assert_eq!(script.headers["content-type"], "text/event-stream; charset=utf-8");
    let mut events: Vec<&str> = script.steps.iter().map(data).collect();
    assert_eq!(events.pop(), Some("[DONE]"));
    events.into_iter().map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn data(step: &Step) -> &str {
    let event = std::str::from_utf8(&step.bytes).unwrap();
    event.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap()
}

fn content(script: &Script) -> String {
    whole(script)["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

fn calls(script: &Script) -> Vec<(String, String)> {
    let body = whole(script);
    let calls = body["choices"][0]["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
    let text = |call: &Value, key: &str| call["function"][key].as_str().unwrap().to_owned();
    calls.iter().map(|call| (text(call, "name"), text(call, "arguments"))).collect()
}

/// Puts a stream's choice 0 together as a client does.
fn reassemble(chunks: &[Value]) -> (Option<String>, Vec<Value>, String) {
    let (mut text, mut calls, mut finish) = (None::<String>, Vec::<Value>::new(), String::new());
    for choice in chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap()).filter(|c| c["index"] == 0) {
        if let Some(piece) = choice["delta"]["content"].as_str() {
            text.get_or_insert_default().push_str(piece);
        }
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = call["index"].as_u64().unwrap() as usize;
            if index == calls.len() {
                let mut call = call.clone();
                call.as_object_mut().unwrap().shift_remove("index");
                calls.push(call);
            } else {
                let (kind, field) =
                    if call.get("custom").is_some() { ("custom", "input") } else { ("function", "arguments") };
                let sofar = calls[index][kind][field].as_str().unwrap().to_owned();
                calls[index][kind][field] = (sofar + call[kind][field].as_str().unwrap()).into();
            }
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            finish = reason.into();
        }
    }
    (text, calls, finish)
}

#[test]
fn it_echoes_the_last_user_text() {
    let body = json!({"model": "echo", "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "x"},
        {"role": "user", "content": [{"type": "text", "text": "second \u{1F30D}"}, {"type": "image_url"}]},
    ]});
    let answer = whole(&ask(&body));
    assert_eq!(answer["choices"][0]["message"]["content"], "second \u{1F30D}\n[image_url]");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        (&answer["id"], &answer["created"], &answer["model"]),
        (&json!("chatcmpl-1"), &json!(1_795_000_000), &json!("echo"))
    );
    assert_eq!(answer["usage"]["prompt_tokens"], 4 * 3 + 1 + 1 + 1 + 3);
    assert_eq!(answer["usage"]["completion_tokens"], 3);
    assert_eq!(answer["usage"]["total_tokens"], 21);
}

#[test]
fn the_wire_form_of_a_stream() {
    let body = with(prompt("Hello world"), json!({"stream": true, "stream_options": {"include_usage": true}}));
    let events: Vec<String> = ask(&body).steps.iter().map(|step| data(step).to_owned()).collect();
    insta::assert_snapshot!(events.join("\n"));
}

#[test]
fn the_wire_form_of_streamed_calls() {
    let body = with(with(prompt("please call b and a"), tools(&["a", "b"])), json!({"stream": true}));
    let events: Vec<String> = ask(&body).steps.iter().map(|step| data(step).to_owned()).collect();
    insta::assert_snapshot!(events.join("\n"));
}

/// T1, T2: whatever is asked, the stream says what the whole answer says.
#[test]
fn a_stream_reassembles_to_the_whole_answer() {
    let schema = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema":
        {"type": "object", "required": ["a"], "properties": {"a": {"type": "array", "minItems": 9, "items": {"type": "integer"}}}}}}});
    let result = json!({"model": "echo", "messages": [
        {"role": "user", "content": "call a"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "a", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "21 degrees"},
    ]});
    let bodies = [
        prompt("one  two\n three "),
        prompt("help"),
        prompt("[[words=40]] a b"),
        with(prompt("call a, then call b."), tools(&["a", "b"])),
        with(prompt("call a"), json!({"tools": [{"type": "custom", "custom": {"name": "a"}}]})),
        with(prompt("x"), schema),
        with(prompt("a b c d"), json!({"max_tokens": 2})),
        with(prompt("a b"), json!({"n": 3})),
        result,
    ];
    for body in bodies {
        let unary = whole(&ask(&body));
        let stream = with(body.clone(), json!({"stream": true, "stream_options": {"include_usage": true}}));
        let chunks = chunks(&ask(&stream));
        let (text, calls, finish) = reassemble(&chunks);
        let message = &unary["choices"][0]["message"];
        assert_eq!(text.as_deref(), message["content"].as_str(), "{body}");
        assert_eq!(&calls, message["tool_calls"].as_array().unwrap_or(&Vec::new()), "{body}");
        assert_eq!(finish, unary["choices"][0]["finish_reason"].as_str().unwrap(), "{body}");
        // S1: one chunk carries the counts, the last, without choices.
        let (last, others) = chunks.split_last().unwrap();
        assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &unary["usage"]), "{body}");
        assert!(others.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
        // Without being asked, none does.
        let silent = with(body, json!({"stream": true}));
        assert!(self::chunks(&ask(&silent)).iter().all(|chunk| chunk.get("usage").is_none()));
    }
}

#[test]
fn tools_are_called_when_the_prompt_says_so() {
    let city = r#"{"city":"x"}"#.to_owned();
    let body = with(prompt("Please call get_weather and get_time, thanks."), tools(&["get_time", "get_weather"]));
    let both = [("get_weather".to_owned(), city.clone()), ("get_time".to_owned(), city.clone())];
    assert_eq!(calls(&ask(&body)), both);
    assert_eq!(whole(&ask(&body))["choices"][0]["finish_reason"], "tool_calls");
    let one = with(body.clone(), json!({"parallel_tool_calls": false}));
    assert_eq!(calls(&ask(&one)), both[..1]);
    let none = with(body, json!({"tool_choice": "none"}));
    assert!(calls(&ask(&none)).is_empty());
    let unasked = with(prompt("get_time is a tool"), tools(&["get_time"]));
    assert!(calls(&ask(&unasked)).is_empty());
}

#[test]
fn tools_are_called_when_the_request_demands_it() {
    let city = r#"{"city":"x"}"#.to_owned();
    let required = with(with(prompt("hi"), tools(&["a", "b"])), json!({"tool_choice": "required"}));
    assert_eq!(calls(&ask(&required)), [("a".to_owned(), city.clone())]);
    let choice = json!({"tool_choice": {"type": "function", "function": {"name": "b"}}});
    assert_eq!(calls(&ask(&with(required.clone(), choice))), [("b".to_owned(), city)]);
    let unknown = json!({"tool_choice": {"type": "function", "function": {"name": "c"}}});
    assert_eq!(ask(&with(required, unknown)).status, StatusCode::BAD_REQUEST);
    // T1: a tool without parameters is called with an empty object.
    let bare = json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"});
    assert_eq!(calls(&ask(&with(prompt("hi"), bare))), [("f".to_owned(), "{}".to_owned())]);
}

#[test]
fn tool_results_are_quoted() {
    let body = json!({"model": "echo", "tool_choice": "required", "tools": tools(&["a"])["tools"], "messages": [
        {"role": "user", "content": "call a"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "a", "arguments": "{}"}},
            {"id": "c2", "type": "function", "function": {"name": "b", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c2", "content": "rain"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "sun"}]},
    ]});
    assert_eq!(content(&ask(&body)), "b answered: rain\na answered: sun");
}

/// J1: the content is the object and nothing else.
#[test]
fn json_is_answered_when_asked_for() {
    let schema = json!({"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}});
    let asked = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}});
    assert_eq!(content(&ask(&with(prompt("x"), asked))), r#"{"ok":false}"#);
    let asked = json!({"response_format": {"type": "json_object"}});
    assert_eq!(content(&ask(&with(prompt("x"), asked))), r#"{"echo":"x"}"#);
}

#[test]
fn limits_and_stops_are_honored() {
    for field in ["max_tokens", "max_completion_tokens"] {
        let answer = whole(&ask(&with(prompt("a b c d"), json!({field: 2}))));
        assert_eq!(answer["choices"][0]["message"]["content"], "a b");
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
        assert_eq!(answer["usage"]["completion_tokens"], 2);
    }
    assert_eq!(content(&ask(&with(prompt("a b c d"), json!({"max_tokens": 4})))), "a b c d");
    assert_eq!(content(&ask(&with(prompt("a b c d"), json!({"stop": ["d", " c"]})))), "a b");
    assert_eq!(content(&ask(&with(prompt("a b"), json!({"stop": ""})))), "a b");
    let long = whole(&ask(&prompt(&"w ".repeat(10_000))));
    assert_eq!(long["usage"]["completion_tokens"], MAX_TOKENS);
    assert_eq!(long["choices"][0]["finish_reason"], "length");
}

#[test]
fn several_answers_at_once() {
    let body = with(with(prompt("call a"), tools(&["a"])), json!({"n": 2}));
    let answer = whole(&ask(&body));
    let id = |index: usize| answer["choices"][index]["message"]["tool_calls"][0]["id"].as_str().unwrap();
    assert_ne!(id(0), id(1));
    assert_eq!(answer["choices"].as_array().unwrap().len(), 2);
    assert_eq!(ask(&with(prompt("x"), json!({"n": 5}))).status, StatusCode::BAD_REQUEST);
}

// === directives ===

fn told(text: &str, stream: bool) -> Script {
    ask(&with(prompt(text), json!({"stream": stream})))
}

#[test]
fn delay_and_interval_pace_the_answer() {
    let pauses = |script: &Script| script.steps.iter().map(|step| step.after.as_millis()).collect::<Vec<_>>();
    assert_eq!(pauses(&told("[[delay=500ms]][[interval=20ms]] a b", true)), [500, 20, 20, 20, 20]);
    assert_eq!(pauses(&told("[[delay=500ms]][[interval=20ms]] a b", false)), [540]);
    assert_eq!(pauses(&told("a", true)), [0, 0, 0, 0]);
}

#[test]
fn words_lengthen_the_answer() {
    assert_eq!(content(&told("[[words=5]] a b", false)), "a b a b a");
    assert_eq!(content(&told("[[words=2]]", false)), "echo echo");
}

#[test]
fn fail_has_a_status_and_a_wait() {
    for stream in [true, false] {
        let script = told("[[fail=429]] [[retry-after=2]] [[delay=1s]] x", stream);
        assert_eq!(script.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(script.headers["retry-after"], "2");
        assert_eq!(script.steps[0].after, Duration::from_secs(1));
        assert_eq!(whole(&script)["error"]["code"], "rate_limit_exceeded");
    }
    assert_eq!(told("[[fail=529]]", true).status.as_u16(), 529);
    assert!(!told("[[fail=500]]", true).headers.contains_key("retry-after"));
    assert_eq!(told("[[fail=soon]]", true).status, StatusCode::BAD_REQUEST);
}

#[test]
fn cut_breaks_off() {
    let script = told("[[cut=3]] a b c d", true);
    assert_eq!((script.steps.len(), script.ending), (3, Ending::Cut));
    assert_eq!(told("[[cut=0]] a", true).steps, []);
    let script = told("[[cut=3]] a b c d", false);
    assert_eq!(script.ending, Ending::Cut);
    assert!(serde_json::from_slice::<Value>(&script.steps[0].bytes).is_err());
}

#[test]
fn error_after_ends_in_an_error() {
    let script = told("[[error-after=2]] a b c d", true);
    assert_eq!((script.steps.len(), script.ending), (3, Ending::Clean));
    assert!(data(&script.steps[2]).starts_with(r#"{"error":{"message":"#));
    assert_eq!(told("[[error-after=2]] a", false).status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn help_lists_every_directive() {
    for text in ["", "help", "Help "] {
        let help = content(&told(text, false));
        for (example, meaning) in directives::TABLE {
            assert!(help.contains(&format!("[[{example}]] {meaning}")), "{example}");
        }
    }
}

/// The page for users tells of every directive.
#[test]
fn the_docs_list_every_directive() {
    let page = include_str!("../../../docs/builtin.md");
    for (example, meaning) in directives::TABLE {
        assert!(page.contains(&format!("| `[[{example}]]` | {meaning} |")), "{example}");
    }
}

// === bad requests ===

#[test]
fn bad_requests_are_refused_in_the_dialects_words() {
    let messages = json!([{"role": "user", "content": "x"}]);
    let cases = [
        (json!([]), "model", "missing_required_parameter"),
        (json!({"messages": messages}), "model", "missing_required_parameter"),
        (json!({"model": 1, "messages": messages}), "model", "invalid_type"),
        (json!({"model": "gpt-5", "messages": messages}), "model", "model_not_found"),
        (json!({"model": "echo"}), "messages", "missing_required_parameter"),
        (json!({"model": "echo", "messages": "x"}), "messages", "invalid_type"),
        (json!({"model": "echo", "messages": []}), "messages", "array_below_min_length"),
        (json!({"model": "echo", "messages": [{"role": "bot"}]}), "messages[0].role", "invalid_value"),
        (json!({"model": "echo", "messages": [{"role": "user", "content": 1}]}), "messages[0].content", "invalid_type"),
        (
            json!({"model": "echo", "messages": [{"role": "tool", "content": "x"}]}),
            "messages[0].tool_call_id",
            "missing_required_parameter",
        ),
        (with(prompt("x"), json!({"max_tokens": 0})), "max_tokens", "integer_below_min_value"),
        (with(prompt("x"), json!({"stream": "yes"})), "stream", "invalid_type"),
        (with(prompt("x"), json!({"tool_choice": "required"})), "tool_choice", "invalid_value"),
        (with(prompt("x"), json!({"response_format": {"type": "xml"}})), "response_format.type", "invalid_value"),
    ];
    for (body, param, code) in cases {
        let script = ask(&body);
        let error = whole(&script)["error"].clone();
        let expected = if code == "model_not_found" { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
        // An array has no members, so its first complaint is about the messages.
        let param = if body.is_array() { "messages" } else { param };
        assert_eq!((script.status, &error["code"]), (expected, &json!(code)), "{body}");
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(error["param"], param, "{body}");
    }
    assert_eq!(whole(&answer(b"{", 0, ""))["error"]["code"], "invalid_json");
}

proptest! {
    /// Any text and any directive values: a script with whole events, and no panic.
    #[test]
    fn any_prompt_is_answered(text in "(\\PC|\\[\\[(cut|words|delay|fail|error-after)=[0-9]{0,4}s?\\]\\]| ){0,40}", stream: bool, max in 1..40u64) {
        let script = ask(&with(prompt(&text), json!({"stream": stream, "max_tokens": max})));
        if stream && script.status == StatusCode::OK {
            for step in &script.steps {
                prop_assert!(step.bytes.starts_with(b"data: ") && step.bytes.ends_with(b"\n\n"));
            }
        }
    }

    /// Pieces are the text again, and none is empty.
    #[test]
    fn pieces_lose_nothing(text in "[a-c\u{4f60} \n]{0,60}") {
        let pieces: Vec<&str> = reply::pieces(&text).collect();
        prop_assert_eq!(pieces.concat(), text.as_str());
        prop_assert!(pieces.iter().all(|piece| !piece.is_empty()));
    }

    /// Any bytes at all.
    #[test]
    fn any_body_is_survived(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(answer(&body, 0, "id").status, StatusCode::BAD_REQUEST);
    }
}
