//! Paths to endpoints.
//!
//! Every API route exists with and without `/v1`, since some SDKs add it and some want it in the
//! base URL, and under `/{provider}/v1`, which pins the call to that provider. What leads nowhere
//! is told so in the API's own form, never with an empty body. Only the path counts (rule X1).

use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::FutureExt;
use http::{Method, StatusCode};
use tower::Service;

use super::{
    Server,
    endpoints::{
        chat_completions, completions, embeddings, exchange::route, generate_content, health, messages, models, refuse,
        refuse_unread, responses,
    },
};
use crate::error::Error;

/// All routes, ready to be served.
pub fn router(server: Arc<Server>) -> Router {
    openais()
        .merge(anthropics())
        .merge(googles())
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(server)
}

/// The routes whose clients speak OpenAI's dialects, and those for operators.
fn openais() -> Router<Arc<Server>> {
    Router::new()
        .route("/v1/chat/completions", route(&chat_completions::ENDPOINT))
        .route("/chat/completions", route(&chat_completions::ENDPOINT))
        .route("/{provider}/v1/chat/completions", route(&chat_completions::ENDPOINT))
        .route("/v1/completions", route(&completions::ENDPOINT))
        .route("/completions", route(&completions::ENDPOINT))
        .route("/{provider}/v1/completions", route(&completions::ENDPOINT))
        .route("/v1/embeddings", route(&embeddings::ENDPOINT))
        .route("/embeddings", route(&embeddings::ENDPOINT))
        .route("/{provider}/v1/embeddings", route(&embeddings::ENDPOINT))
        .route("/v1/models", get(models::list_or_get))
        .route("/v1/models/{*id}", get(models::list_or_get).post(generate_content::call))
        .route("/models", get(models::list_or_get))
        .route("/models/{*id}", get(models::list_or_get))
        .route("/{provider}/v1/models", get(models::list_or_get))
        .route("/{provider}/v1/models/{*id}", get(models::list_or_get).post(generate_content::call))
        .merge(memory("/v1"))
        .merge(memory(""))
        .merge(memory("/{provider}/v1"))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
}

/// The routes whose clients speak Anthropic's.
fn anthropics() -> Router<Arc<Server>> {
    Router::new()
        .route("/v1/messages", route(&messages::ENDPOINT))
        .route("/messages", route(&messages::ENDPOINT))
        .route("/{provider}/v1/messages", route(&messages::ENDPOINT))
        .route("/v1/messages/count_tokens", route(&messages::COUNT_TOKENS))
        .route("/messages/count_tokens", route(&messages::COUNT_TOKENS))
        .route("/{provider}/v1/messages/count_tokens", route(&messages::COUNT_TOKENS))
}

/// The routes whose clients speak Gemini's, which they also look for below `/v1`. The method stands
/// behind a model's name, which may hold slashes, so one route takes them all.
fn googles() -> Router<Arc<Server>> {
    Router::new()
        .route("/v1beta/models", get(models::list_or_get))
        .route("/v1beta/models/{*id}", get(models::list_or_get).post(generate_content::call))
        .route("/{provider}/v1beta/models", get(models::list_or_get))
        .route("/{provider}/v1beta/models/{*id}", get(models::list_or_get).post(generate_content::call))
}

/// What outlives its call, below one prefix.
fn memory(prefix: &str) -> Router<Arc<Server>> {
    let at = |path: &str| format!("{prefix}{path}");
    Router::new()
        .route(&at("/responses"), post(responses::create).get(responses::upgrade))
        .route(&at("/responses/compact"), post(responses::compact))
        .route(&at("/responses/input_tokens"), post(responses::input_tokens))
        .route(&at("/responses/{id}"), get(responses::get).delete(responses::delete))
        .route(&at("/responses/{id}/cancel"), post(responses::cancel))
        .route(&at("/responses/{id}/input_items"), get(responses::input_items))
        .route(&at("/conversations"), post(responses::create_conversation))
        .route(
            &at("/conversations/{id}"),
            get(responses::get_conversation)
                .post(responses::update_conversation)
                .delete(responses::delete_conversation),
        )
        .route(&at("/conversations/{id}/items"), post(responses::add_items).get(responses::list_items))
        .route(&at("/conversations/{id}/items/{item}"), get(responses::get_item).delete(responses::delete_item))
}

async fn unknown_route(State(server): State<Arc<Server>>, request: Request) -> Response {
    let error = Error::RouteNotFound { method: request.method().to_string(), path: request.uri().path().into() };
    refuse_unread(&server, request, error).await
}

/// The router adds `allow`. `OPTIONS` asks for nothing else, so it is no error; it grants nothing
/// to a browser either, since CORS is left out.
async fn wrong_method(State(server): State<Arc<Server>>, request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let error = Error::MethodNotAllowed { method: request.method().to_string(), path: request.uri().path().into() };
    refuse_unread(&server, request, error).await
}

/// Answers a request whatever happens: a bug of ours is a 500 in the API's form, and the next call
/// does not notice. What the panic said is not repeated: it may quote a prompt. The panic hook has
/// logged its place.
pub(super) async fn answer(mut router: Router, request: Request) -> Result<Response, Infallible> {
    let uri = request.uri().clone();
    let answered = AssertUnwindSafe(async { router.call(request).await }).catch_unwind().await;
    answered.unwrap_or_else(|_| {
        let error = Error::Internal { message: "a request handler panicked".into() };
        Ok(refuse(uri.path(), &http::HeaderMap::new(), error))
    })
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use super::*;
    use crate::{
        call::Inbound,
        server::{
            Front,
            extract::tests::compressed,
            testing::{Running, UNARY, chat, front, start, whole},
        },
        telemetry::testing::Lines,
    };

    fn echo() -> Front {
        front(|_| async { Ok(whole("{}")) })
    }

    /// Keeps the last call that came through.
    fn recording() -> (Running, Arc<Mutex<Option<Inbound>>>) {
        let last = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&last);
        let front = front(move |inbound| {
            *keep.lock().unwrap() = Some(inbound);
            async { Ok(whole("{}")) }
        });
        (start(front), last)
    }

    #[track_caller]
    fn expect(answer: &str, status: u16, code: &str) {
        let line = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&line), "{answer}");
        assert!(answer.contains("content-type: application/json"), "{answer}");
        assert!(answer.contains("x-request-id: "), "{answer}");
        assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
    }

    /// Design section 4: what leads nowhere says so in the API's form.
    #[tokio::test]
    async fn unknown_routes_and_wrong_verbs_have_a_body() {
        let server = start(echo());
        for path in ["/", "/v1/nothing", "/nobody/v1/models", "/nobody/v1/models/x", "/v1/chat/completions/"] {
            expect(&server.get(path).await, 404, "unknown_url");
        }
        let pinned = chat("/nobody/v1/chat/completions", "connection: close\r\n", UNARY);
        expect(&server.exchange(pinned).await, 404, "unknown_url");
        let answer = server.get("/v1/chat/completions").await;
        expect(&answer, 405, "method_not_supported");
        assert!(answer.contains("allow: POST"), "{answer}");
        let options = "OPTIONS /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer = server.exchange(options).await;
        assert!(answer.starts_with("HTTP/1.1 204 ") && answer.contains("allow: GET,HEAD"), "{answer}");
        let head = "HEAD /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer = server.exchange(head).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    }

    /// X1: nothing but a known key opens the API, whatever `Host` says; probes need none.
    #[tokio::test]
    async fn the_api_wants_a_key_and_the_probes_do_not() {
        let server = start(echo());
        for path in ["/v1/models", "/v1/models/fast", "/metrics"] {
            for key in
                ["", "authorization: Bearer ' OR '1'='1\r\n", "x-sluis-key: no\r\nauthorization: Bearer secret\r\n"]
            {
                let request =
                    format!("GET {path} HTTP/1.1\r\nhost: localhost/#@evil\r\n{key}connection: close\r\n\r\n");
                let answer = server.exchange(request).await;
                // A server may also refuse such a host outright.
                assert!(answer.starts_with("HTTP/1.1 401 ") || answer.starts_with("HTTP/1.1 400 "), "{answer}");
            }
        }
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
            content-type: application/json\r\ncontent-length: {}\r\n\r\n{UNARY}",
            UNARY.len()
        );
        expect(&server.exchange(request).await, 401, "invalid_api_key");
        for path in ["/healthz", "/readyz"] {
            let answer = server.exchange(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        let answer = server.get("/metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("text/plain; version=0.0.4"), "{answer}");
    }

    /// K7: the listed models, and each of them by its id, slashes and colons included.
    #[tokio::test]
    async fn models_are_listed_and_found() {
        let server = start(echo());
        for path in ["/v1/models", "/models"] {
            let answer = server.get(path).await;
            assert!(answer.contains(r#"{"object":"list","data":[{"object":"model","id":"fast","#), "{answer}");
            assert!(answer.contains(r#""id":"lab/org/qwen3:4b""#), "{answer}");
        }
        let answer = server.get("/lab/v1/models").await;
        assert!(!answer.contains("fast") && answer.contains("lab/org/qwen3:4b"), "{answer}");
        for path in [
            "/v1/models/lab/org/qwen3:4b",
            "/models/lab%2Forg%2Fqwen3%3A4b",
            "/lab/v1/models/lab/org/qwen3:4b",
            "/lab/v1/models/org/qwen3:4b",
        ] {
            let answer = server.get(path).await;
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("lab/org/qwen3:4b"), "{path}: {answer}");
        }
        expect(&server.get("/v1/models/none").await, 404, "model_not_found");
        expect(&server.get("/lab/v1/models/fast").await, 404, "model_not_found");
        expect(&server.get("/v1/models/%ff").await, 404, "unknown_url");
    }

    /// Design section 6.6: what is wrong with a body is told, and reaches nobody.
    #[tokio::test]
    async fn bad_bodies_are_refused_before_anything_is_asked() {
        let (server, last) = recording();
        expect(&server.chat("{").await, 400, "invalid_json");
        expect(&server.chat(r#"{"messages":[{}]}"#).await, 400, "missing_required_parameter");
        expect(&server.chat(&" ".repeat(10_001)).await, 413, "request_too_large");
        let chunked = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer secret\r\n\
            content-type: application/json\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n2711\r\n{}\r\n0\r\n\r\n",
            " ".repeat(0x2711)
        );
        expect(&server.exchange(chunked).await, 413, "request_too_large");
        let request = chat("/v1/chat/completions", "connection: close\r\ncontent-encoding: rot13\r\n", UNARY);
        expect(&server.exchange(request).await, 415, "unsupported_content_type");
        let form =
            chat("/v1/chat/completions", "connection: close\r\n", UNARY).replace("application/json", "text/plain");
        expect(&server.exchange(form).await, 415, "unsupported_content_type");
        assert!(last.lock().unwrap().is_none());
    }

    /// The call as it is handed on: pinned, strict, and without the key that opened the gateway
    /// (X4), while a credential beside `x-sluis-key` stays (design section 6.10).
    #[tokio::test]
    async fn a_call_is_handed_on_without_its_key() {
        let (server, last) = recording();
        let extra = "connection: close\r\nx-sluis-strict: true\r\nx-request-id: mine\r\n";
        let answer = server.exchange(chat("/lab/v1/chat/completions", extra, UNARY)).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("x-client-request-id: mine"), "{answer}");
        let inbound = last.lock().unwrap().take().unwrap();
        assert_eq!((inbound.pinned.as_deref(), inbound.strict, inbound.stream), (Some("lab"), true, false));
        assert_eq!(
            (inbound.model.as_str(), &*inbound.caller.name, &inbound.body[..]),
            ("fast", "ci", UNARY.as_bytes())
        );
        assert!(!format!("{inbound:?}").contains("secret"), "{inbound:?}");
        assert!(answer.contains(&inbound.id.to_string()));

        let own = "connection: close\r\nx-sluis-key: secret\r\n";
        server.exchange(chat("/chat/completions", own, UNARY).replace("Bearer secret", "Bearer oat")).await;
        let inbound = last.lock().unwrap().take().unwrap();
        assert_eq!((inbound.pinned, inbound.headers["authorization"].to_str().unwrap()), (None, "Bearer oat"));
        assert!(!inbound.headers.contains_key("x-sluis-key"));
    }

    /// P3, over a real socket.
    #[tokio::test]
    async fn a_compressed_body_arrives_plain() {
        let (server, last) = recording();
        for coding in ["gzip", "br", "zstd", "deflate"] {
            let body = compressed(coding, UNARY.as_bytes()).await;
            let mut request = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer secret\r\n\
                content-type: application/json\r\ncontent-encoding: {coding}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()).into_bytes();
            request.extend_from_slice(&body);
            let answer = server.exchange(request).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{coding}: {answer}");
            assert_eq!(last.lock().unwrap().take().unwrap().body, UNARY, "{coding}");
        }
    }

    /// A bug of ours is a 500 in the API's form, says nothing of its cause, and ends no connection
    /// but its own call.
    #[tokio::test]
    async fn a_panic_is_an_error_like_any_other() {
        let server = start(front(|inbound: Inbound| async move { panic!("canary {}", inbound.model) }));
        let answer = server.chat(UNARY).await;
        expect(&answer, 500, "internal_error");
        assert!(!answer.contains("canary"), "{answer}");
        tokio::time::timeout(Duration::from_secs(2), server.get("/healthz")).await.unwrap();
    }

    /// X4, regression 77: neither a key, nor its hash, nor a prompt stands in any log line of any
    /// crate at any level, whatever happens to the call.
    #[tokio::test]
    async fn no_secret_is_logged() {
        // The test's runtime has one thread, so this holds for the server's tasks too.
        let log = Lines::listen();
        let server = start(front(|inbound: Inbound| async move {
            assert_ne!(inbound.model, "panic", "canary-panic");
            Ok(whole("{}"))
        }));
        let keys = "connection: close\r\nx-api-key: canary-key\r\napi-key: canary-key\r\n";
        for body in [r#"{"model":"fast","messages":[{"content":"canary-prompt"}]}"#, r#"{"canary-"#, UNARY] {
            let request = chat("/v1/chat/completions", keys, body);
            server.exchange(&request).await;
            server.exchange(request.replace("Bearer secret", "Bearer canary-key")).await;
            server.exchange(request.replace("Bearer secret", "Basic canary-key")).await;
        }
        server.exchange(chat("/v1/chat/completions", keys, &UNARY.replace("fast", "panic"))).await;
        let lines = log.text();
        assert!(lines.contains("unauthenticated"), "{lines}");
        let hash = crate::server::auth::Keys::hash("canary-key").map(|byte| format!("{byte:02x}")).concat();
        for secret in ["canary", "Bearer", &hash[..12]] {
            assert!(!lines.contains(secret), "{lines}");
        }
    }
}
