//! Providers whose credentials are fetched, and the client's own: Vertex AI, Azure OpenAI, and
//! `credentials = "client"`, each through the whole gateway against a scripted vendor and a scripted
//! token server.

use serde_json::{Value, json};

use crate::support::{
    Gateway, Script, Upstream,
    anthropic::{self, message},
    openai::{DONE, ask, c, completion, error, event, finish, role},
    until,
};

const CANARY: &str = "canary-token-5d1c7e90";

fn token(seconds: u64) -> Script {
    Script::json(200, &json!({"access_token": CANARY, "expires_in": seconds, "token_type": "Bearer"}))
}

/// Azure by Entra, an application's secret in the environment.
fn azure(upstream: &Upstream, login: &Upstream) -> String {
    format!(
        "[retry]\nattempts = 1\n[providers.azure]\nbase-url = \"{}\"\nauthority = \"{}\"\ntenant-id = \"t\"\n\
         client-id = \"c\"\nclient-secret = {{ env = \"SECRET\" }}\ndeployments = {{ \"gpt-5-mini\" = \"prod-mini\" }}\n",
        upstream.url("/openai/v1"),
        login.url("")
    )
}

const SECRET: [(&str, &str); 2] = [("SECRET", "canary-secret-83b2"), ("SLUIS_LOG", "trace")];

fn shows_no_canary(gateway: &Gateway, said: &str) {
    let log = gateway.log();
    assert!(!log.contains("canary") && !said.contains("canary"), "X4: a secret is told\n{log}\n{said}");
}

/// One token for many calls, borne as Entra wants it, for a model under its deployment's name; and
/// nothing is fetched before the first call. X4, case 77 for fetched credentials.
#[tokio::test]
async fn azure_calls_share_a_token() {
    let answers = vec![Script::json(200, &completion("hi")); 3];
    let (upstream, login) = (Upstream::scripted(answers).await, Upstream::scripted([token(3600)]).await);
    let gateway = Gateway::start_with(&azure(&upstream, &login), &SECRET).await;
    assert_eq!((gateway.get("/readyz").await.status, login.count()), (200, 0));
    let mut said = String::new();
    for _ in 0..3 {
        let reply = gateway.ask(&ask("azure/gpt-5-mini", false)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        said.push_str(&reply.text());
    }
    assert_eq!(login.count(), 1);
    let asked = login.request(0);
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/t/oauth2/v2.0/token"));
    assert!(asked.text().contains("client_secret=canary-secret-83b2"), "the canary did travel");
    let sent = upstream.request(0);
    assert_eq!(sent.path, "/openai/v1/chat/completions");
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
    assert_eq!((sent.header("api-key"), sent.json()["model"].as_str()), (None, Some("prod-mini")));
    shows_no_canary(&gateway, &said);
}

/// F3: a token that was revoked is fetched anew, once; the client notices nothing.
#[tokio::test]
async fn a_revoked_token_is_replaced() {
    let refused = Script::json(401, &error("expired", "x", Some("401")));
    let upstream =
        Upstream::scripted([refused.clone(), Script::json(200, &completion("hi")), refused.clone(), refused]).await;
    let login = Upstream::scripted([token(3600), token(3600), token(3600)]).await;
    let gateway = Gateway::start_with(&azure(&upstream, &login), &SECRET).await;
    assert_eq!(gateway.ask(&ask("azure/gpt-5-mini", false)).await.status, 200);
    let reply = gateway.ask(&ask("azure/gpt-5-mini", false)).await;
    assert_eq!((reply.status, reply.error()["code"].as_str()), (502, Some("upstream_credentials")));
    assert_eq!((login.count(), upstream.count()), (3, 4));
}

/// Design section 6.6, X4: without a credential nobody is asked, the client gets 502 and no hint of
/// where secrets lie; the log says what to do.
#[tokio::test]
async fn a_refused_login_is_the_operators_to_mend() {
    let refusal =
        json!({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret canary."});
    let upstream = Upstream::scripted([]).await;
    let login = Upstream::scripted([Script::json(401, &refusal)]).await;
    let gateway = Gateway::start_with(&azure(&upstream, &login), &SECRET).await;
    for _ in 0..3 {
        let reply = gateway.ask(&ask("azure/gpt-5-mini", false)).await;
        assert_eq!((reply.status, reply.error()["code"].as_str()), (502, Some("upstream_credentials")));
        assert_eq!(reply.error()["message"], "The gateway could not get credentials for the upstream.");
        assert_eq!(reply.header("x-should-retry"), Some("false"));
        shows_no_canary(&gateway, &reply.text());
    }
    assert_eq!((login.count(), upstream.count()), (1, 0), "a refused login is not repeated by every call");
    let words = "answered 401, invalid_client, AADSTS7000215";
    until("the log line", async || gateway.log().contains(words).then_some(())).await;
}

/// F5: another target takes the call when the credentials of the first are not to be had.
#[tokio::test]
async fn a_refused_login_falls_back() {
    let (upstream, login) = (Upstream::scripted([]).await, Upstream::scripted([Script::dead()]).await);
    let other = Upstream::scripted([Script::json(200, &completion("hi"))]).await;
    let config = format!(
        "{}{}[models.mini]\ntargets = [\"azure/gpt-5-mini\", \"up/m\"]\n",
        azure(&upstream, &login),
        crate::support::gateway::provider("up", "openai-compatible", &other)
    );
    let gateway = Gateway::start_with(&config, &SECRET).await;
    let reply = gateway.ask(&ask("mini", false)).await;
    assert_eq!((reply.status, reply.header("x-sluis-target")), (200, Some("up/m")), "{}", reply.text());
}

/// S3: the chunk about the prompt's filters has no choices, id or model and does not reach the
/// client; notes on the answer's filters do, with the delta that clients look for.
#[tokio::test]
async fn azures_stream_is_fit_for_clients() {
    let filters = json!({"hate": {"filtered": false, "severity": "safe"}});
    let prelude = json!({"choices": [], "created": 0, "id": "", "model": "", "object": "",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": filters}]});
    let note = json!({"id": "", "object": "", "created": 0, "model": "", "choices": [{"index": 0, "finish_reason": null,
        "content_filter_results": filters, "content_filter_offsets": {"check_offset": 0, "start_offset": 0, "end_offset": 2}}]});
    let frames = [event(&prelude), role(), c("hi"), event(&note), finish("stop"), event(&note), DONE.into()];
    let upstream = Upstream::scripted([Script::sse().frames(frames).end()]).await;
    let config = format!(
        "[providers.azure]\nbase-url = \"{}\"\napi-key = \"sk-azure\"\napi-version = \"2024-10-21\"\n",
        upstream.url("/openai")
    );
    let gateway = Gateway::start(&config).await;
    let reply = gateway.ask(&ask("azure/gpt-4o", true)).await;
    assert_eq!(reply.content(), "hi", "{}", reply.text());
    for chunk in reply.chunks() {
        assert_eq!(chunk["choices"].as_array().map(Vec::len), Some(1), "{chunk}");
        assert!(chunk["choices"][0]["delta"].is_object() && chunk["id"] != "" && chunk["model"] != "", "{chunk}");
    }
    assert!(reply.text().contains("content_filter_offsets"), "what the filters say is kept");
    assert!(!reply.text().contains("prompt_filter_results"));
    let sent = upstream.request(0);
    assert_eq!(sent.path, "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21");
    assert_eq!((sent.header("api-key"), sent.header("authorization")), (Some("sk-azure"), None));
}

/// A6: a deployment may be called by its own name as well, where it is said which model it is of.
#[tokio::test]
async fn the_model_of_a_deployment_can_be_named() {
    let upstream = Upstream::scripted([Script::json(200, &completion("hi"))]).await;
    let config = format!(
        "[providers.azure]\nbase-url = \"{}\"\napi-key = \"k\"\nbase-models = {{ \"team-a\" = \"gpt-5-mini\" }}\n",
        upstream.url("")
    );
    let gateway = Gateway::start(&config).await;
    let mut asked = ask("azure/team-a", false);
    asked["max_tokens"] = 50.into();
    assert_eq!(gateway.ask(&asked).await.status, 200);
    let sent = upstream.request(0).json();
    assert_eq!((&sent["model"], &sent["max_completion_tokens"]), (&json!("team-a"), &json!(50)));
}

/// A prompt that Azure refuses is the client's own 400, told in Azure's words, and falls back nowhere.
#[tokio::test]
async fn azures_filter_is_a_content_policy() {
    let body = json!({"error": {"message": "The response was filtered due to the prompt triggering content management policy.",
        "type": null, "param": "prompt", "code": "content_filter", "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": true, "severity": "high"}}}}});
    let upstream = Upstream::scripted([Script::json(400, &body)]).await;
    let config = format!("[providers.azure]\nbase-url = \"{}\"\napi-key = \"k\"\n", upstream.url(""));
    let gateway = Gateway::start(&config).await;
    let reply = gateway.ask(&ask("azure/gpt-4o", false)).await;
    assert_eq!(
        (reply.status, reply.error()["code"].as_str(), reply.error()["param"].as_str()),
        (400, Some("content_filter"), Some("prompt"))
    );
    assert_eq!(upstream.count(), 1);
}

/// A gateway whose Vertex AI has the credentials of a user, in a file of the operator's.
async fn vertex(upstream: &Upstream, login: &Upstream, more: &str) -> (Gateway, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("user.json");
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "canary-secret", "refresh_token": "canary-refresh",
        "quota_project_id": "payer", "token_uri": login.url("/token")});
    std::fs::write(&file, user.to_string()).unwrap();
    let config = format!(
        "[retry]\nattempts = 1\n[providers.vertex]\nbase-url = \"{}\"\nlocation = \"us-east5\"\ncredentials-file = \"{}\"\n{more}",
        upstream.url(""),
        file.display()
    );
    (Gateway::start_with(&config, &[("SLUIS_LOG", "trace")]).await, dir)
}

/// Claude on Vertex AI: the model in the path, the version in the body, and what the client sees is
/// OpenAI's; the project is the credentials' own.
#[tokio::test]
async fn claude_on_vertex_is_called_by_raw_predict() {
    let content = json!([{"type": "text", "text": "hi"}]);
    let upstream = Upstream::scripted([
        Script::json(200, &message(&content, "end_turn")),
        Script::sse().frames(anthropic::says("hi")).end(),
    ])
    .await;
    let login = Upstream::scripted([token(3600)]).await;
    let (gateway, _dir) = vertex(&upstream, &login, "").await;
    let mut said = String::new();
    for stream in [false, true] {
        let reply = gateway.ask(&ask("vertex/claude-haiku-4-5@20251001", stream)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        said.push_str(&reply.text());
    }
    let place = "/v1/projects/payer/locations/us-east5/publishers/anthropic/models/claude-haiku-4-5@20251001";
    assert_eq!(upstream.request(0).path, format!("{place}:rawPredict"));
    assert_eq!(upstream.request(1).path, format!("{place}:streamRawPredict"));
    let body = upstream.request(1).json();
    assert_eq!((&body["anthropic_version"], &body["model"]), (&json!("vertex-2023-10-16"), &Value::Null));
    assert_eq!(body["stream"], true);
    let sent = upstream.request(0);
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
    assert_eq!((sent.header("x-goog-user-project"), sent.header("anthropic-version")), (Some("payer"), None));
    shows_no_canary(&gateway, &said);
}

/// Gemini on Vertex AI: the Gemini dialect at a publisher's address, and a tuned model at its own.
#[tokio::test]
async fn gemini_on_vertex_speaks_its_own_dialect() {
    let answer = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7, "trafficType": "ON_DEMAND"}});
    let stream = Script::sse().frame(format!("data: {answer}\r\n\r\n")).end();
    let upstream = Upstream::scripted([Script::json(200, &answer), stream]).await;
    let login = Upstream::scripted([token(3600)]).await;
    let (gateway, _dir) = vertex(&upstream, &login, "").await;
    let whole = gateway.ask(&ask("vertex/gemini-2.5-pro", false)).await;
    assert_eq!(whole.json()["choices"][0]["message"]["content"], "hi", "{}", whole.text());
    assert_eq!(gateway.ask(&ask("vertex/4815162342", true)).await.content(), "hi");
    let place = "/v1beta1/projects/payer/locations/us-east5";
    assert_eq!(upstream.request(0).path, format!("{place}/publishers/google/models/gemini-2.5-pro:generateContent"));
    assert_eq!(upstream.request(1).path, format!("{place}/endpoints/4815162342:streamGenerateContent?alt=sse"));
    assert_eq!(upstream.request(0).json()["contents"][0]["parts"][0]["text"], "hello");
    assert_eq!(upstream.request(0).header("x-goog-user-project"), Some("payer"));
}

/// Models that speak OpenAI's chat on Vertex AI have one address, and their publisher in the name;
/// Mistral's have an address each.
#[tokio::test]
async fn other_makers_speak_chat_on_vertex() {
    let upstream = Upstream::scripted(vec![Script::json(200, &completion("hi")); 2]).await;
    let login = Upstream::scripted([token(3600)]).await;
    let (gateway, _dir) = vertex(&upstream, &login, "project = \"set\"\n").await;
    for model in ["vertex/meta/llama-3.3-70b-instruct-maas", "vertex/mistral-medium-3"] {
        assert_eq!(gateway.ask(&ask(model, false)).await.status, 200);
    }
    let llama = upstream.request(0);
    assert_eq!(llama.path, "/v1beta1/projects/set/locations/us-east5/endpoints/openapi/chat/completions");
    assert_eq!(llama.json()["model"], "meta/llama-3.3-70b-instruct-maas");
    let mistral = upstream.request(1);
    assert_eq!(
        mistral.path,
        "/v1/projects/set/locations/us-east5/publishers/mistralai/models/mistral-medium-3:rawPredict"
    );
    assert_eq!(mistral.json()["model"], "mistral-medium-3");
}

/// A4, case 73, X4: the client's own credential goes on untouched and alone, the key to the gateway
/// goes nowhere, and neither is told.
#[tokio::test]
async fn the_clients_own_credential_goes_on() {
    let (key, own) = ("canary-gateway-key-0123456789", "Bearer sk-ant-oat-canary");
    let content = json!([{"type": "text", "text": "hi"}]);
    let refused = anthropic::error("authentication_error", "invalid bearer token");
    let upstream =
        Upstream::scripted([Script::json(200, &message(&content, "end_turn")), Script::json(401, &refused)]).await;
    let config = format!(
        "[retry]\nattempts = 1\n[providers.ant]\ntype = \"anthropic\"\nbase-url = \"{}\"\ncredentials = \"client\"\n\
         [keys.ci]\nsecret = {{ env = \"KEY\" }}\n",
        upstream.url("/v1")
    );
    let gateway = Gateway::start_with(&config, &[("KEY", key), ("SLUIS_LOG", "trace")]).await;
    let asked = ask("ant/claude-haiku-4-5", false);
    let both = [("x-sluis-key", key), ("authorization", own)];
    assert_eq!(gateway.chat_with(&both, &asked).await.whole().await.status, 200);
    let sent = upstream.request(0);
    assert_eq!(
        (sent.header("authorization"), sent.header("x-api-key"), sent.header("x-sluis-key")),
        (Some(own), None, None)
    );
    let reply = gateway.chat_with(&both, &asked).await.whole().await;
    assert_eq!((reply.status, reply.error()["message"].as_str()), (401, Some("invalid bearer token")));
    let alone = gateway.chat_with(&[("x-sluis-key", key)], &asked).await.whole().await;
    assert_eq!(alone.status, 401);
    assert!(alone.error()["message"].as_str().unwrap().contains("`x-sluis-key`"), "{}", alone.text());
    let log = gateway.log();
    assert!(!log.contains("canary") && !(reply.text() + &alone.text()).contains("canary"), "{log}");
}
