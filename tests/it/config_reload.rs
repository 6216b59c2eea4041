//! A changed file is live at once, a broken one changes nothing (rule K1, case 79).

use crate::support::{
    Gate, Gateway, Script, Upstream,
    gateway::openai,
    openai::{DONE, ask, c, completion, finish, role},
    until,
};

const OLD: &str = "sk-old-0123456789abcdef";
const NEW: &str = "sk-new-0123456789abcdef";

fn config(upstream: &Upstream, model: &str, key: &str) -> String {
    format!("{}[models.{model}]\ntargets = [\"up/m\"]\n[keys.ci]\nsecret = \"{key}\"\n", openai(upstream))
}

async fn models(gateway: &Gateway, key: &str) -> Vec<String> {
    let reply = gateway.get_as("/v1/models", key).await;
    if reply.status != 200 {
        return Vec::new();
    }
    let list = reply.json();
    let entries = list["data"].as_array().expect("a list");
    entries.iter().map(|entry| entry["id"].as_str().expect("an id").to_owned()).collect()
}

/// K1: models and keys change under open streams, and no stream breaks.
#[tokio::test]
async fn a_change_is_live_and_breaks_no_stream() {
    let gate = Gate::closed();
    let streams = 20;
    let script = Script::sse().frames([role(), c("a")]).gate(&gate).frames([&c("b"), &finish("stop"), DONE]).end();
    let upstream = Upstream::scripted(vec![script; streams]).await;
    let gateway = Gateway::start(&config(&upstream, "before", OLD)).await;
    assert!(models(&gateway, OLD).await.contains(&"before".to_owned()));
    let auth = format!("Bearer {OLD}");
    let mut clients = Vec::new();
    for _ in 0..streams {
        clients.push(gateway.chat_with(&[("authorization", &auth)], &ask("before", true)).await);
    }
    let mut answers = Vec::new();
    for client in &mut clients {
        let mut answer = client.answer().await;
        answer.until("\"a\"").await;
        answers.push(answer);
    }

    gateway.rewrite(&config(&upstream, "after", NEW));
    let names = until("the new configuration", async || {
        let names = models(&gateway, NEW).await;
        names.contains(&"after".to_owned()).then_some(names)
    })
    .await;
    assert!(!names.contains(&"before".to_owned()), "a removed model is gone: {names:?}");
    assert_eq!(gateway.ask_as(OLD, &ask("after", false)).await.status, 401, "a removed key is gone");
    assert_eq!(gateway.ask_as(NEW, &ask("before", false)).await.status, 404);

    for _ in 0..streams {
        gate.open();
    }
    for answer in answers {
        assert_eq!(answer.whole().await.content(), "ab");
    }
    upstream.push(Script::json(200, &completion("hi")));
    assert_eq!(gateway.ask_as(NEW, &ask("after", false)).await.status, 200);
}

/// K1: a broken file is told of, and the old configuration serves on; the next good one is taken.
#[tokio::test]
async fn a_broken_file_changes_nothing() {
    let ok = || Script::json(200, &completion("hi"));
    let upstream = Upstream::scripted([ok(), ok()]).await;
    let gateway = Gateway::start(&config(&upstream, "before", OLD)).await;
    gateway.rewrite("[models.before]\ntargetz = [\"up/m\"]\n");
    until("the complaint", async || gateway.log().contains("targetz").then_some(())).await;
    assert_eq!(gateway.ask_as(OLD, &ask("before", false)).await.status, 200);
    gateway.rewrite(&config(&upstream, "after", OLD));
    until("the good one", async || models(&gateway, OLD).await.contains(&"after".to_owned()).then_some(())).await;
    assert_eq!(gateway.ask_as(OLD, &ask("after", false)).await.status, 200);
}

/// What a reload cannot put in force is named, and waits for a restart.
#[tokio::test]
async fn what_needs_a_restart_is_said() {
    let gateway = Gateway::start("").await;
    gateway.rewrite("[server]\ndrain = \"1s\"\n");
    let said = "in force after a restart only: server.drain";
    until("the warning", async || gateway.log().contains(said).then_some(())).await;
}
