//! Reasoning that an upstream leaves in the text, between tags, and `think-tags` takes out of it.

use serde_json::{Value, json};

use crate::support::{
    Gateway, Script, Upstream,
    gateway::{openai, provider},
    openai::{DONE, ask, c, chunk, completion, event, finish, role, usage},
};

/// Another provider like `up`, whose answers are split.
fn config(upstream: &Upstream) -> String {
    format!("{}think-tags = true\n", provider("tagged", "openai-compatible", upstream))
}

/// A stream that says these pieces.
fn streamed<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Script {
    let said = pieces.into_iter().map(c);
    let frames = [role()].into_iter().chain(said).chain([finish("stop"), usage(5, 2), DONE.into()]);
    Script::sse().frames(frames).end()
}

/// What the deltas of a stream say under this name, joined.
fn joined(chunks: &[Value], field: &str) -> String {
    let pointer = format!("/choices/0/delta/{field}");
    chunks.iter().filter_map(|chunk| chunk.pointer(&pointer).and_then(Value::as_str)).collect()
}

/// R4, case 37: wherever the tags are cut, and whether it streams or not, the reasoning is "x" and
/// the content "y".
#[tokio::test]
async fn any_cut_gives_the_split_of_the_whole() {
    const TEXT: &str = "<think>x</think>y";
    let mut cuts: Vec<Vec<&str>> = (1..TEXT.len()).map(|at| vec![&TEXT[..at], &TEXT[at..]]).collect();
    cuts.push(TEXT.split_inclusive(|_: char| true).collect());
    cuts.push(vec!["\n", "<thi", "nk>\n", "x", "\n</", "think>", "\n\n", "y"]);
    let scripts = cuts.iter().map(|cut| streamed(cut.iter().copied()));
    let upstream = Upstream::scripted(scripts.chain([Script::json(200, &completion(TEXT))])).await;
    let gateway = Gateway::start(&config(&upstream)).await;
    for cut in &cuts {
        let chunks = gateway.ask(&ask("tagged/m", true)).await.chunks();
        let said = (joined(&chunks, "reasoning_content"), joined(&chunks, "content"));
        assert_eq!(said, ("x".into(), "y".into()), "{cut:?}");
    }
    let message = gateway.ask(&ask("tagged/m", false)).await.json()["choices"][0]["message"].clone();
    assert_eq!((&message["reasoning_content"], &message["content"]), (&json!("x"), &json!("y")));
}

/// R4: a call ends nothing and loses nothing; reasoning that is never closed is all reasoning.
#[tokio::test]
async fn reasoning_without_an_end_before_a_call() {
    let call = json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let mut whole = completion("<think>x");
    whole["choices"][0]["message"]["tool_calls"] = call["tool_calls"].clone();
    whole["choices"][0]["finish_reason"] = json!("tool_calls");
    let frames = [c("<think>"), c("x"), event(&chunk(&call, None)), finish("tool_calls"), DONE.into()];
    let scripts = [Script::sse().frames(frames).end(), Script::json(200, &whole)];
    let upstream = Upstream::scripted(scripts).await;
    let gateway = Gateway::start(&config(&upstream)).await;
    let chunks = gateway.ask(&ask("tagged/m", true)).await.chunks();
    assert_eq!((joined(&chunks, "reasoning_content"), joined(&chunks, "content")), ("x".into(), String::new()));
    assert!(chunks.iter().any(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0/id") == Some(&json!("call_1"))));
    let message = gateway.ask(&ask("tagged/m", false)).await.json()["choices"][0]["message"].clone();
    assert_eq!((&message["reasoning_content"], &message["tool_calls"][0]["id"]), (&json!("x"), &json!("call_1")));
}

/// S2: without the option the text is the upstream's own, tags and all.
#[tokio::test]
async fn tags_pass_where_nothing_is_set() {
    let upstream = Upstream::scripted([streamed(["<think>", "x</think>y"])]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    assert_eq!(gateway.ask(&ask("up/m", true)).await.content(), "<think>x</think>y");
}
