//! Keys, hosts and secrets (rules X1, X3, X4).

use serde_json::json;

use crate::support::{
    Gateway, Script, Upstream,
    gateway::{Process, openai},
    openai::{ask, c, completion, error, says},
};

const KEY: &str = "sk-ci-0123456789abcdef";

fn keyed(upstream: &Upstream) -> String {
    format!("{}[keys.ci]\nsecret = \"{KEY}\"\n", openai(upstream))
}

/// X1, case 76: only the key itself opens, in each of its three places, and no host name does.
#[tokio::test]
async fn only_the_key_opens() {
    let upstream = Upstream::scripted(vec![Script::json(200, &completion("hi")); 4]).await;
    let gateway = Gateway::start(&keyed(&upstream)).await;
    let asked = ask("up/m", false);
    let bearer = format!("Bearer {KEY}");
    let refused: [&[(&str, &str)]; 6] = [
        &[],
        &[("authorization", "Bearer ' OR '1'='1")],
        &[("authorization", "Bearer ")],
        &[("authorization", &format!("Bearer {KEY}x"))],
        &[("authorization", &format!("Basic {KEY}"))],
        &[("x-forwarded-host", "localhost")],
    ];
    for headers in refused {
        let reply = gateway.chat_with(headers, &asked).await.whole().await;
        assert_eq!(reply.status, 401, "{headers:?}");
        assert_eq!(reply.error()["code"], "invalid_api_key");
        assert!(!reply.text().contains(KEY));
    }
    let lower = format!("bearer {KEY}");
    let taken: [&[(&str, &str)]; 4] =
        [&[("authorization", &bearer)], &[("authorization", &lower)], &[("x-api-key", KEY)], &[("x-sluis-key", KEY)]];
    for headers in taken {
        assert_eq!(gateway.chat_with(headers, &asked).await.whole().await.status, 200, "{headers:?}");
    }
    for request in upstream.exchanges() {
        assert_eq!(request.request.header("authorization"), Some("Bearer sk-up"), "ours goes out");
        assert_eq!(request.request.header("x-api-key"), None);
        assert_eq!(request.request.header("x-sluis-key"), None);
    }
}

/// X1, case 76: the Host header opens nothing.
#[tokio::test]
async fn the_host_header_opens_nothing() {
    let upstream = Upstream::scripted([]).await;
    let gateway = Gateway::start(&keyed(&upstream)).await;
    let body = ask("up/m", false).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost/#@evil\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let reply = crate::support::Client::send(gateway.addr, &head, body.as_bytes()).await.whole().await;
    assert!([400, 401].contains(&reply.status), "{}", reply.status);
}

/// K7: a key sees and calls what it may, and nothing else.
#[tokio::test]
async fn a_key_sees_what_it_may_call() {
    let upstream = Upstream::scripted([Script::json(200, &completion("hi"))]).await;
    let rules = format!(
        "{}[models.fast]\ntargets = [\"up/m\"]\n[keys.ci]\nsecret = \"{KEY}\"\nmodels = [\"fast\"]\n",
        openai(&upstream)
    );
    let gateway = Gateway::start(&rules).await;
    let list = gateway.get_as("/v1/models", KEY).await.json();
    let names: Vec<_> = list["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["fast"]);
    assert_eq!(gateway.ask_as(KEY, &ask("fast", false)).await.status, 200);
    let reply = gateway.ask_as(KEY, &ask("up/m", false)).await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.error()["code"], "model_not_found");
}

/// K7: a model is found by every name that calls it, and by no other.
#[tokio::test]
async fn a_model_is_found_by_the_names_that_call_it() {
    let upstream = Upstream::scripted([]).await;
    let rules = format!(
        "{}models = [\"m\"]\n[keys.all]\nsecret = \"{KEY}\"\n[keys.some]\nsecret = \"other\"\nmodels = [\"up/x\"]\n",
        openai(&upstream)
    );
    let gateway = Gateway::start(&rules).await;
    for (path, found) in [("up/m", true), ("m", true), ("x", false), ("echo", true), ("nobody/m", false)] {
        let reply = gateway.get_as(&format!("/v1/models/{path}"), KEY).await;
        assert_eq!(reply.status, if found { 200 } else { 404 }, "{path}");
        assert!(!found || reply.json()["id"].as_str().unwrap().ends_with(path), "{path}");
        assert_eq!(gateway.get_as(&format!("/v1/models/{path}"), "other").await.status, 404, "{path}");
    }
}

/// X1: a key reaches only its models, whichever of several `model`s an upstream reads.
#[tokio::test]
async fn a_repeated_model_is_written_over() {
    let upstream = Upstream::scripted([Script::json(200, &completion("hi"))]).await;
    let rules = format!("{}[keys.ci]\nsecret = \"{KEY}\"\nmodels = [\"up/m\"]\n", openai(&upstream));
    let gateway = Gateway::start(&rules).await;
    let body = r#"{"model":"dear","messages":[{"role":"user","content":"hi"}],"model":"up/m"}"#;
    let headers = [("content-type", "application/json"), ("authorization", &format!("Bearer {KEY}"))];
    let reply = gateway.send("POST", "/v1/chat/completions", &headers, body.as_bytes()).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(!upstream.request(0).text().contains("dear"), "{}", upstream.request(0).text());
}

/// X4: an upstream that quotes the operator's key does not tell it to clients.
#[tokio::test]
async fn a_quoted_key_is_blotted_out() {
    let quoting = error("Bad key sk-up-canary.", "sk-up-canary", Some("sk-up-canary"));
    let upstream = Upstream::scripted([
        Script::json(401, &quoting),
        Script::json(400, &quoting),
        Script::sse().frame(format!("data: {quoting}\n\n")).end(),
        Script::sse().frame(c("a")).frame(format!("data: {quoting}\n\n")).end(),
    ])
    .await;
    let gateway = Gateway::start(&openai(&upstream).replace("sk-up", "sk-up-canary")).await;
    for (status, stream) in [(502, false), (400, false), (502, true), (200, true)] {
        let reply = gateway.ask(&ask("up/m", stream)).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(reply.text().contains("Bad key ***."), "{}", reply.text());
        assert!(!reply.text().contains("canary"), "{}", reply.text());
    }
}

/// X3: no field and no header of a request chooses where it goes.
#[tokio::test]
async fn no_request_chooses_a_host() {
    let upstream = Upstream::scripted([Script::json(200, &completion("hi"))]).await;
    let elsewhere = Upstream::scripted([]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let url = elsewhere.url("/v1");
    let mut asked = ask("up/m", false);
    for field in ["api_base", "base_url", "base-url", "api_key", "endpoint", "host", "proxy"] {
        asked[field] = json!(url);
    }
    let headers = [("x-base-url", url.as_str()), ("x-forwarded-host", &url[7..]), ("forwarded", "host=elsewhere")];
    let reply = gateway.chat_with(&headers, &asked).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(elsewhere.count(), 0);
    assert_eq!(upstream.request(0).header("authorization"), Some("Bearer sk-up"));
}

/// X3: a model's name is no path.
#[tokio::test]
async fn a_models_name_is_no_path() {
    let upstream = Upstream::scripted([Script::json(200, &completion("hi"))]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    gateway.ask(&ask("up/../../admin?x=#y", false)).await;
    assert_eq!(upstream.request(0).path, "/v1/chat/completions");
}

/// X1, case 76: without keys only a loopback address is served, and the refusal says the cure.
#[tokio::test]
async fn without_keys_only_loopback_is_served() {
    let mut process = Process::run(&["--config", "sluis.toml"], Some("listen = \"0.0.0.0:0\"\n"), &[]);
    let status = process.exit().await;
    let said = process.said();
    assert!(!status.success(), "it serves:\n{said}");
    assert!(said.contains("sluis key new"), "{said}");
}

/// X4, case 77: canaries in every secret place, every way to fail, the loudest log: no trace of
/// them, nor of their hashes.
#[tokio::test]
async fn secrets_appear_nowhere() {
    use sha2::{Digest, Sha256};
    let (provider, client) = ("canary-provider-7f3a9c51", "canary-client-2b8e6d40");
    let failing = [400, 401, 403, 404, 429, 500];
    let scripts = failing.map(|status| Script::json(status, &error("no", "some_error", None)));
    let upstream = Upstream::scripted([Script::dead(), Script::dead()].into_iter().chain(scripts).chain([
        Script::sse().frames(says("hi")).end(),
        Script::sse().frames([crate::support::openai::c("a")]).wait(std::time::Duration::from_millis(50)).cut(),
    ]))
    .await;
    let config = format!(
        "{}[keys.ci]\nsecret = {{ env = \"CLIENT\" }}\n",
        openai(&upstream).replace("\"sk-up\"", "{ env = \"PROVIDER\" }")
    );
    let env = [("PROVIDER", provider), ("CLIENT", client), ("SLUIS_LOG", "trace")];
    let gateway = Gateway::start_with(&config, &env).await;
    let mut said = String::new();
    for index in 0..failing.len() + 3 {
        let reply = gateway.ask_as(client, &ask("up/m", index > failing.len())).await;
        said.push_str(&format!("{:?}\n{}\n", reply.head, reply.text()));
    }
    said.push_str(&gateway.ask_as("canary-client-2b8e6d4", &ask("up/m", false)).await.text());
    said.push_str(&gateway.get_as("/metrics", client).await.text());
    said.push_str(&gateway.log());
    for secret in [provider, client] {
        let hash: String = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!said.contains(secret), "a secret is told:\n{said}");
        assert!(!said.contains(&hash[..16]), "a hash is told");
    }
    let sent = upstream.request(0);
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {provider}").as_str()), "the canary did travel");
}
