//! The connections to one host that wait to be used again.
//!
//! Cost: one short lock to take a connection and one to give it back.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Request, Uri, header, uri::Authority};
use tokio::time::Instant;

use super::{
    connect::{Connector, Opened, Sent, unanswered},
    link::{Body, Link, Share},
};
use crate::error::{Error, Result};

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(90);
/// Exchanges on one connection of HTTP/2; servers allow at least a hundred (RFC 9113 section 6.5.2),
/// and more would wait in a queue that nobody sees.
const MAX_SHARES: usize = 100;

/// See the module's doc.
pub(super) struct Pool {
    host: HeaderValue,
    kept: Mutex<Kept>,
    /// The host has chosen HTTP/2 before, so that one new connection is enough for many who wait.
    is_shared: AtomicBool,
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    /// The last used one last.
    links: Vec<Link>,
    shares: Vec<Share>,
}

enum Taken {
    Link(Link),
    Share(Share),
}

// === impl Pool ===

impl Pool {
    pub(super) fn new(authority: &Authority, is_default_port: bool) -> Result<Self> {
        let host = if is_default_port { authority.host() } else { authority.as_str() };
        let invalid = |_| Error::Internal { message: "a base URL makes no valid request".into() };
        Ok(Self {
            host: HeaderValue::from_str(host).map_err(invalid)?,
            kept: Mutex::default(),
            is_shared: AtomicBool::new(false),
            opening: tokio::sync::Mutex::new(()),
        })
    }

    /// Sends a request over a kept connection, else over a new one, and waits for the answer's head.
    /// A kept connection that turns out to be closed before the request was sent costs nothing but
    /// the next one (rule F7).
    pub(super) async fn send(
        self: &Arc<Self>,
        connector: &Connector,
        mut request: Request<Sent>,
    ) -> Result<http::Response<Body>> {
        let uri = request.uri().clone();
        loop {
            let (taken, is_new) = match self.take() {
                Some(taken) => (taken, false),
                // Apart, so that the usual way does not carry the room for it.
                None => Box::pin(self.open(connector, &uri)).await?,
            };
            let answered = match taken {
                Taken::Link(link) => {
                    *request.uri_mut() = origin_form(&uri);
                    request.headers_mut().entry(header::HOST).or_insert_with(|| self.host.clone());
                    link.ask(request, self).await
                }
                Taken::Share(share) => {
                    *request.uri_mut() = uri.clone();
                    let answered = share.clone().ask(request).await;
                    if answered.is_err() {
                        self.forget(&share);
                    }
                    answered
                }
            };
            let mut error = match answered {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            match error.take_message() {
                Some(unsent) if !is_new => request = unsent,
                _ => return Err(unanswered(&error.into_error())),
            }
        }
    }

    /// Keeps a connection for whoever comes next.
    pub(super) fn keep(&self, link: Link) {
        self.kept().links.push(link);
    }

    /// Drops what has been unused for too long, and what the other side has closed.
    pub(super) fn sweep(&self) {
        let mut kept = self.kept();
        kept.links.retain_mut(|link| link.used.elapsed() < IDLE && link.is_open());
        kept.shares.retain(|share| share.is_open() && (share.users() > 0 || share.used.elapsed() < IDLE));
    }

    /// The connection used last, so that the others may grow old.
    fn take(&self) -> Option<Taken> {
        let mut kept = self.kept();
        while let Some(link) = kept.links.pop() {
            if link.is_fit() && link.used.elapsed() < IDLE {
                return Some(Taken::Link(link));
            }
        }
        let share = kept.shares.iter_mut().find(|share| share.is_open() && share.users() < MAX_SHARES)?;
        share.used = Instant::now();
        Some(Taken::Share(share.clone()))
    }

    /// A new connection, or a share of one that somebody else has opened meanwhile.
    async fn open(&self, connector: &Connector, uri: &Uri) -> Result<(Taken, bool)> {
        let _turn = if self.is_shared.load(Ordering::Relaxed) { Some(self.opening.lock().await) } else { None };
        if let Some(taken) = self.take() {
            return Ok((taken, false));
        }
        Ok(match connector.open(uri).await? {
            Opened::One(send, connection) => (Taken::Link(Link::new(send, connection)), true),
            Opened::Many(send) => {
                self.is_shared.store(true, Ordering::Relaxed);
                let share = Share::new(send);
                self.kept().shares.push(share.clone());
                (Taken::Share(share), true)
            }
        })
    }

    fn forget(&self, share: &Share) {
        self.kept().shares.retain(|kept| !kept.is(share));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As HTTP/1.1 wants it: the path alone.
fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from)
}
