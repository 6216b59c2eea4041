//! Questions about what a provider keeps: an answer by its id, its items, its end. No model is
//! called and nothing is admitted, charged or tried elsewhere; the keys are tried one after the
//! other as for any call.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, Uri, header};
use tokio::time::Instant;
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use super::{
    authorize::{addressed, authorize},
    table::{Route, Table},
};
use crate::{
    call::{Answer, AnswerBody, Attempts, Call, Errand, Expects, Failure, Frames, Notes, Reply, ReplyBody},
    error::{Error, Result, Verdict},
    framing::Frame,
    providers::{Ask, Credential},
    upstream::{
        credentials::{Lent, Wire},
        transport::Clients,
    },
};

/// Runs errands through the upstream stack.
#[derive(Debug, Clone)]
pub struct Errands {
    table: Arc<ArcSwap<Table>>,
    /// For fetching credentials.
    clients: Arc<Clients>,
    upstream: BoxCloneSyncService<Call, Reply, Error>,
}

// === impl Errands ===

impl Errands {
    pub fn new(
        table: Arc<ArcSwap<Table>>,
        clients: Arc<Clients>,
        upstream: BoxCloneSyncService<Call, Reply, Error>,
    ) -> Self {
        Self { table, clients, upstream }
    }
}

impl Service<Errand> for Errands {
    type Response = Answer;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, errand: Errand) -> Self::Future {
        let errands = self.clone();
        Box::pin(async move {
            let gone = || Error::NoTarget { message: "The provider is not configured.".into(), retry_after: None };
            let route = errands.table.load().errand(&errand.provider).ok_or_else(gone)?;
            let reply = errands.run(&route, &errand).await?;
            let notes = Notes { target: Some(Arc::clone(&route.target.provider)), passed: true, ..Notes::default() };
            let body = match reply.body {
                ReplyBody::Whole(bytes) => AnswerBody::Whole(bytes),
                ReplyBody::Frames(frames) => AnswerBody::Stream(Box::pin(written(frames))),
            };
            Ok(Answer { notes, body })
        })
    }
}

impl Errands {
    /// One key after the other, while the error hangs on the key.
    async fn run(&self, route: &Route, errand: &Errand) -> Result<Reply> {
        let mut turns: VecDeque<Option<usize>> =
            route.upstream.keys.turns(Instant::now()).into_iter().map(Some).collect();
        if turns.is_empty() {
            turns.push_back(None);
        }
        loop {
            let turn = turns.pop_front().flatten();
            let deadline = Instant::now() + route.target.policy.deadlines.total;
            let lent = self.lend(route, turn, deadline).await?;
            let call = self.call(route, errand, lent.as_deref(), !turns.is_empty(), deadline)?;
            let error = match self.upstream.clone().oneshot(call).await {
                Ok(reply) => return Ok(reply),
                Err(error) => addressed(route, lent.as_deref(), error),
            };
            let is_key_bound = match error.verdict() {
                Verdict::Again { key_bound, .. } | Verdict::MoveOn { key_bound } => key_bound,
                Verdict::Return => false,
            };
            if !is_key_bound || turns.is_empty() {
                return Err(error);
            }
        }
    }

    async fn lend<'a>(&self, route: &'a Route, key: Option<usize>, deadline: Instant) -> Result<Option<Lent<'a>>> {
        let Some(key) = key else { return Ok(None) };
        let wire = Wire { clients: &self.clients, connection: &route.target.connection };
        route.upstream.keys.credential(key, &wire, deadline).await
    }

    fn call(
        &self,
        route: &Route,
        errand: &Errand,
        with: Option<&Credential>,
        rotates: bool,
        deadline: Instant,
    ) -> Result<Call> {
        let mut request = request(route, errand)?;
        authorize(route, with, &errand.headers, &mut request)?;
        Ok(Call {
            id: errand.id,
            target: Arc::clone(&route.target),
            dialect: errand.dialect,
            // A list, a receipt: not only answers.
            expects: Expects::Document,
            stream: errand.stream,
            request,
            deadline,
            rotates,
            attempts: Attempts::default(),
        })
    }
}

fn request(route: &Route, errand: &Errand) -> Result<http::Request<Bytes>> {
    let settings = &route.upstream.config.settings;
    let ask = Ask { dialect: errand.dialect, model: &route.target.model, stream: errand.stream, settings };
    let path = route.upstream.provider.path(&ask)?;
    let (path, own_query) = path.split_once('?').unwrap_or((&path, ""));
    let queries: Vec<&str> = [own_query, errand.query.as_deref().unwrap_or_default()]
        .into_iter()
        .filter(|query| !query.is_empty())
        .collect();
    let mark = if queries.is_empty() { "" } else { "?" };
    let uri = format!("{}/{path}{}{mark}{}", route.upstream.base_url, errand.path, queries.join("&"));
    let uri = Uri::try_from(uri).map_err(|_| Error::Invalid {
        message: "The query holds characters that no URL can.".into(),
        param: None,
        code: None,
    })?;
    let mut request = http::Request::new(Bytes::new());
    *request.method_mut() = errand.method.clone();
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("sluis/", env!("CARGO_PKG_VERSION"))));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in &route.headers {
        headers.insert(name, value.clone());
    }
    Ok(request)
}

/// Frames as the bytes of an event stream again.
fn written(frames: Frames) -> impl Stream<Item = Result<Bytes>> + Send {
    frames.map(|frame| frame.map(|frame| bytes_of(&frame)))
}

fn bytes_of(frame: &Frame) -> Bytes {
    if let Some(raw) = &frame.raw {
        return raw.clone();
    }
    let mut out = Vec::with_capacity(frame.data.len() + 64);
    if let Some(event) = &frame.event {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event);
        out.push(b'\n');
    }
    for line in frame.data.split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
    out.into()
}
