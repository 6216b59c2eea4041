//! The floor: the least that axum and reqwest can do as a proxy. Nothing is parsed, checked,
//! counted or logged.
//!
//!   floor PORT UPSTREAM_PORT

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    serve::ListenerExt,
};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Clone)]
struct Upstream {
    client: reqwest::Client,
    base: String,
}

async fn forward(State(upstream): State<Upstream>, request: axum::extract::Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 64 << 20).await else {
        return http::StatusCode::BAD_REQUEST.into_response();
    };
    let url = format!("{}{}", upstream.base, head.uri.path());
    let mut sent = upstream.client.request(head.method, url).body(body);
    for (name, value) in &head.headers {
        if name != http::header::HOST && name != http::header::CONTENT_LENGTH {
            sent = sent.header(name, value);
        }
    }
    match sent.send().await {
        Ok(response) => {
            let (head, body) = http::Response::from(response).into_parts();
            Response::from_parts(head, Body::new(body))
        }
        Err(_) => http::StatusCode::BAD_GATEWAY.into_response(),
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().and_then(|port| port.parse().ok()).expect("PORT");
    let upstream: u16 = arguments.next().and_then(|port| port.parse().ok()).expect("UPSTREAM_PORT");
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().expect("client");
    let upstream = Upstream { client, base: format!("http://127.0.0.1:{upstream}") };
    let app = Router::new().fallback(forward).with_state(upstream);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("bind");
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    axum::serve(listener, app).await.expect("serve");
}
