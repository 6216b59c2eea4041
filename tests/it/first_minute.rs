//! One command, no file, no key, no network: it answers (design section 2; rule I1).

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Gateway, gateway::Process, openai::ask};

/// I1: the embedded model answers, unary and streaming, and is listed.
#[tokio::test]
async fn the_embedded_model_answers() {
    let gateway = Gateway::start_bare(&[]).await;
    let reply = gateway.ask(&ask("builtin/echo", false)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().contains("hello"));
    assert!(answer["usage"]["total_tokens"].as_u64().unwrap() > 0);
    let streamed = gateway.ask(&ask("builtin/echo", true)).await;
    assert_eq!(streamed.content(), answer["choices"][0]["message"]["content"].as_str().unwrap());
    let list = gateway.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let entry = list["data"].as_array().unwrap().iter().find(|entry| entry["id"] == "builtin/echo").expect("listed");
    assert_eq!(entry["object"], "model");
    assert!(entry["created"].is_u64() && entry["owned_by"].is_string());
    let one = gateway.get("/v1/models/builtin/echo").await;
    assert_eq!(one.status, 200);
    assert_eq!(one.json()["id"], "builtin/echo");
}

/// I1: the printed line works when pasted.
#[tokio::test]
async fn the_printed_curl_line_works() {
    let gateway = Gateway::start_bare(&[]).await;
    let log = gateway.log();
    let line = curl(&log).unwrap_or_else(|| panic!("no curl line in:\n{log}"));
    assert!(Command::new("sh").args(["-c", "command -v curl"]).output().unwrap().status.success(), "curl is needed");
    let command = format!("{line} -sS");
    let output = tokio::task::spawn_blocking(move || Command::new("sh").args(["-c", &command]).output().unwrap()).await;
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)));
    assert_eq!(answer["object"], "chat.completion", "{answer}");
}

/// The command in the banner: from `curl` to the end of its line, continued lines included.
fn curl(log: &str) -> Option<String> {
    let start = log.find("curl ")?;
    let mut command = String::new();
    for line in log[start..].lines() {
        match line.trim_end().strip_suffix('\\') {
            Some(part) => command.push_str(part),
            None => return Some(command + line.trim_end()),
        }
    }
    None
}

/// Every route of the first minute exists with and without `/v1`, and pinned to a provider.
#[tokio::test]
async fn routes_exist_in_all_their_forms() {
    let gateway = Gateway::start_bare(&[]).await;
    let body = ask("builtin/echo", false).to_string();
    let headers = [("content-type", "application/json")];
    for path in ["/v1/chat/completions", "/chat/completions"] {
        let reply = gateway.send("POST", path, &headers, body.as_bytes()).await.whole().await;
        assert_eq!(reply.status, 200, "{path}");
    }
    let pinned = json!({"model": "echo", "messages": [{"role": "user", "content": "x"}]}).to_string();
    let path = "/builtin/v1/chat/completions";
    let reply = gateway.send("POST", path, &headers, pinned.as_bytes()).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    for path in [
        "/v1/models/builtin/echo",
        "/models/builtin/echo",
        "/builtin/v1/models/echo",
        "/builtin/v1/models/builtin/echo",
    ] {
        assert_eq!(gateway.get(path).await.json()["id"], "builtin/echo", "{path}");
    }
    let of_it = gateway.get("/builtin/v1/models").await.json();
    assert!(of_it["data"].as_array().unwrap().iter().all(|entry| entry["owned_by"] == "builtin"), "{of_it}");
    for path in ["/v1/models", "/models", "/healthz", "/readyz", "/metrics"] {
        assert_eq!(gateway.get(path).await.status, 200, "{path}");
    }
}

/// A key in the environment enables its provider, with no file.
#[tokio::test]
async fn a_key_in_the_environment_enables_its_provider() {
    let gateway = Gateway::start_bare(&[("OPENAI_API_KEY", "sk-test-0123456789")]).await;
    let log = gateway.log();
    assert!(log.contains("openai"), "{log}");
    assert!(!log.contains("sk-test"), "{log}");
}

/// `sluis check` judges a file: all errors are told together, with their place and the nearest
/// known name.
#[tokio::test]
async fn check_judges_a_configuration() {
    let mut good = Process::run(&["check", "--config", "sluis.toml"], Some("listen = \"127.0.0.1:0\"\n"), &[]);
    assert_eq!(good.exit().await.code(), Some(0), "{}", good.said());
    let broken = "listn = \"127.0.0.1:0\"\n[models.fast]\ntargets = [\"nowhere/m\"]\n";
    let mut bad = Process::run(&["check", "--config", "sluis.toml"], Some(broken), &[]);
    assert!(!bad.exit().await.success());
    let said = bad.said();
    for word in ["listn", "listen", "nowhere"] {
        assert!(said.contains(word), "{word} is missing in:\n{said}");
    }
}

/// What keeps it from starting is said with a way out (rule X1 for the open door).
#[tokio::test]
async fn a_failed_start_says_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (args, words) in [
        (["--listen", address.as_str()], ["cannot listen on", "another port"]),
        (["--listen", "0.0.0.0:0"], ["can be reached from other machines", "sluis key new"]),
        (["--config", "nowhere.toml"], ["nowhere.toml", "cannot be read"]),
    ] {
        let mut process = Process::run(&args, None, &[]);
        assert_eq!(process.exit().await.code(), Some(1), "{args:?}");
        let said = process.said();
        for word in words.into_iter().chain(["fix: "]) {
            assert!(said.contains(word), "{word} is missing in:\n{said}");
        }
    }
}

/// `sluis schema` prints a JSON schema.
#[tokio::test]
async fn schema_prints_a_json_schema() {
    let mut process = Process::run(&["schema"], None, &[]);
    assert_eq!(process.exit().await.code(), Some(0));
    let schema: Value = serde_json::from_str(&process.said()).expect("JSON");
    assert!(schema["properties"]["listen"].is_object());
}
