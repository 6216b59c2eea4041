//! Whether the process lives, whether it wants calls, and what it has counted. None of these calls
//! a model (rule K6).
//!
//! `/healthz` and `/readyz` ask for no key. `/metrics` wants one as soon as keys are configured,
//! since it names models and targets; Prometheus sends it as a bearer token.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};

use super::{caller, refuse};
use crate::server::{Server, respond};

/// The text format of Prometheus (its documentation, "Exposition formats", read November 2026).
const PROMETHEUS_TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// 200 as long as the process can answer at all.
pub(in crate::server) async fn healthz() -> Response {
    status(StatusCode::OK, r#"{"status":"ok"}"#)
}

/// 200 when calls are welcome, 503 while starting and from the moment a shutdown begins (rule K5).
pub(in crate::server) async fn readyz(State(server): State<Arc<Server>>) -> Response {
    if server.lifecycle.is_draining() {
        return status(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#);
    }
    if server.lifecycle.is_ready() && server.directory.is_ready() {
        return status(StatusCode::OK, r#"{"status":"ready"}"#);
    }
    status(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"starting"}"#)
}

pub(in crate::server) async fn metrics(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    match caller(&server, &headers) {
        Ok(_) => ([(CONTENT_TYPE, PROMETHEUS_TEXT)], server.metrics.render()).into_response(),
        Err(error) => refuse("/metrics", &headers, error),
    }
}

fn status(status: StatusCode, body: &'static str) -> Response {
    (status, [(CONTENT_TYPE, respond::JSON)], body).into_response()
}
