//! The embedded upstream's side of the wire: plays the script that `providers::builtin` wrote, with
//! its pauses and its breaks, through the same acceptance as any answer from a socket.

use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use async_stream::try_stream;
use bytes::Bytes;
use futures_util::Stream;
use http_body::Frame;
use http_body_util::StreamBody;

use super::transport::{Bounds, receive};
use crate::{
    call::{Call, Reply},
    error::Result,
    providers::builtin::{self, Ending, Script},
};

pub(super) async fn exchange(call: Call, bounds: Bounds) -> Result<Reply> {
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let id = format!("chatcmpl-{}", call.id.simple());
    let mut script = if call.request.uri().path().ends_with(builtin::EMBEDDINGS) {
        builtin::embed(call.request.body())
    } else {
        builtin::answer(call.request.body(), created, &id)
    };
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = script.status;
    head.headers = std::mem::take(&mut script.headers);
    receive(&call, head, StreamBody::new(play(script)), bounds).await
}

fn play(script: Script) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send {
    try_stream! {
        for step in script.steps {
            if !step.after.is_zero() {
                tokio::time::sleep(step.after).await;
            }
            yield Frame::data(step.bytes);
        }
        if script.ending == Ending::Cut {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "connection reset by the built-in model"))?;
        }
    }
}
