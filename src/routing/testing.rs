//! Tables, calls and upstream answers for the tests of this room.

use std::{fs, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use tokio::time::Instant;
use uuid::Uuid;

use super::{known::known, table::Table};
use crate::{
    call::{Caller, Dialect, Estimate, Frames, Inbound, Limits, Reply, ReplyBody, Reservation},
    config::{self, Config, Env, Overrides},
    error::{Error, UpstreamError},
    framing::sse::Framer,
    telemetry::Endpoint,
};

/// The configuration of this text, without looking at the machine it runs on.
pub(super) fn config(text: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sluis.toml");
    fs::write(&path, text).unwrap();
    let overrides = Overrides { probe_local: Some(false), ..Overrides::default() };
    config::load(Some(&path), &Env::of([]), &known(), &overrides).unwrap_or_else(|report| panic!("{report}"))
}

pub(super) fn table(text: &str) -> Table {
    Table::new(Arc::new(config(text)))
}

/// A key that may call models of these patterns.
pub(super) fn caller(patterns: &[&str]) -> Caller {
    let models = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    Caller { name: "ci".into(), models, limits: Limits::default() }
}

/// A call of anybody's, with this body.
pub(super) fn inbound(model: &str, stream: bool, body: &str) -> Inbound {
    Inbound {
        id: Uuid::nil(),
        dialect: Dialect::OpenAiChat,
        endpoint: Endpoint::ChatCompletions,
        caller: Arc::new(Caller::anonymous()),
        model: model.into(),
        stream,
        include_usage: false,
        strict: false,
        pinned: None,
        origin: None,
        body: Bytes::copy_from_slice(body.as_bytes()),
        headers: HeaderMap::new(),
        estimate: Estimate { prompt: 10, output: 20 },
        model_limits: Limits::default(),
        reservation: Reservation::default(),
        client_request_id: None,
        started: Instant::now(),
    }
}

/// "Hello" to a model.
pub(super) fn hello(model: &str, stream: bool) -> Inbound {
    let body = format!(r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"Hello"}}]}}"#);
    inbound(model, stream, &body)
}

pub(super) fn whole(body: &str) -> Reply {
    reply(ReplyBody::Whole(Bytes::copy_from_slice(body.as_bytes())))
}

/// These bytes as a stream that then ends as `end` does.
pub(super) fn streamed(text: &str, end: Frames) -> Reply {
    let mut framer = Framer::new(1 << 20);
    framer.push(Bytes::copy_from_slice(text.as_bytes()));
    let frames: Vec<_> = framer.map(|frame| Ok(frame.unwrap())).collect();
    reply(ReplyBody::Frames(Box::pin(stream::iter(frames).chain(end))))
}

pub(super) fn ended() -> Frames {
    Box::pin(stream::empty())
}

pub(super) fn silent() -> Frames {
    Box::pin(stream::pending())
}

pub(super) fn cut() -> Frames {
    Box::pin(stream::iter([Err(Error::Interrupted { message: "cut".into() })]))
}

fn reply(body: ReplyBody) -> Reply {
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.headers.insert("x-request-id", "req-up".parse().unwrap());
    Reply { head, body }
}

/// An upstream's error of this status.
pub(super) fn status(status: u16) -> Error {
    UpstreamError::new(http::StatusCode::from_u16(status).unwrap(), format!("said {status}")).into()
}
