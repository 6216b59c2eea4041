//! What is counted, and that counting and logging hold nobody up.

use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::json;

use crate::support::{
    Gateway, Script, Upstream,
    anthropic::message,
    gateway::{anthropic, openai},
    openai::{ask, completion},
    until, within,
};

/// Design section 6.2, L4: a field that was dropped is named to the client and counted, under a
/// name that no client chooses.
#[tokio::test]
async fn dropped_fields_are_named_and_counted() {
    let answer = message(&json!([{"type": "text", "text": "hi"}]), "end_turn");
    let upstream = Upstream::scripted([Script::json(200, &answer), Script::json(200, &answer)]).await;
    let gateway = Gateway::start(&anthropic(&upstream)).await;
    for model in ["claude-haiku-4-5", "claude-i-made-up"] {
        let mut asked = ask(&format!("ant/{model}"), false);
        asked["seed"] = json!(7);
        asked["made_up_by_me"] = json!(true);
        let reply = gateway.ask(&asked).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let named: Vec<_> = reply.header("x-sluis-dropped").expect("the header").split(',').collect();
        assert!(named.contains(&"made_up_by_me") && named.contains(&"seed"), "{named:?}");
    }
    for field in ["seed", "other"] {
        for target in ["ant/claude-haiku-4-5", "ant/other"] {
            let labels = format!("field=\"{field}\",target=\"{target}\"");
            assert_eq!(gateway.metric("", "sluis_dropped_fields_total", &labels).await, 1.0, "{labels}");
        }
    }
    assert_eq!(gateway.metric("", "sluis_dropped_fields_total", "").await, 4.0, "and nothing else");
}

/// Case 46: two calls under one id of the client's are two calls, each with an id of its own.
#[tokio::test]
async fn a_repeated_client_id_merges_nothing() {
    let ok = || Script::json(200, &completion("hi"));
    let upstream = Upstream::scripted([ok(), ok()]).await;
    let gateway = Gateway::start(&openai(&upstream)).await;
    let mut minted = Vec::new();
    for _ in 0..2 {
        let reply = gateway.chat_with(&[("x-request-id", "mine")], &ask("up/m", false)).await.whole().await;
        assert_eq!((reply.status, reply.header("x-client-request-id")), (200, Some("mine")));
        minted.push(reply.header("x-request-id").expect("an id").to_owned());
    }
    assert!(minted[0] != minted[1] && !minted.contains(&"mine".to_owned()), "{minted:?}");
    let counted =
        async || (gateway.metric("", "sluis_requests_total", "target=\"up/other\"").await == 2.0).then_some(());
    until("both to be counted", counted).await;
    assert_eq!(gateway.metric("", "sluis_tokens_total", "kind=\"output\"").await, 4.0);
    let logged = async || minted.iter().all(|id| gateway.log().contains(id.as_str())).then_some(());
    until("both to be logged", logged).await;
}

/// B3, case 53: nobody reads the log. What waits is bounded, the rest is lost and counted, and
/// every call is answered.
#[tokio::test]
async fn a_blocked_log_holds_nobody_up() {
    const CLIENTS: usize = 8;
    const EACH: usize = 1250;
    let gateway = Gateway::start_unheard().await;
    let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let uri: http::Uri = format!("http://{}/v1/chat/completions", gateway.addr).parse().unwrap();
    let body = bytes::Bytes::from(ask("builtin/echo", false).to_string());
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (client, uri, body) = (client.clone(), uri.clone(), body.clone());
        clients.spawn(async move {
            for _ in 0..EACH {
                let request = http::Request::post(uri.clone()).header("content-type", "application/json");
                let request = request.body(Full::new(body.clone())).unwrap();
                let reply = within("an answer", client.request(request)).await.unwrap();
                assert_eq!(reply.status(), 200);
                within("its end", reply.into_body().collect()).await.unwrap();
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    assert_eq!(gateway.metric("", "sluis_requests_total", "").await, (CLIENTS * EACH) as f64);
    let lost = gateway.metric("", "sluis_log_lines_dropped_total", "").await;
    assert!(lost > 0.0 && lost < (CLIENTS * EACH) as f64, "{lost}");
}
