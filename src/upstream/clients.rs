//! Every way to an upstream: a connector for each kind of connection, and a pool for each host.
//!
//! Deliberately absent: proxies, redirects, cookies, decompression (`decoded`), and clocks for
//! whatever comes after the connection stands (`layers/clocks`).
//!
//! Cost per request: two lookups under read locks, and what `pool` and `link` take.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, RwLock},
};

use bytes::Bytes;
use foldhash::fast::RandomState;
use http::{
    Request, Response, Uri,
    uri::{Authority, Scheme},
};
use http_body_util::Full;

use super::{connect::Connector, link::Body, pool::Pool};
use crate::{
    call::Connection,
    error::{Error, Result},
};

/// One client for each kind of connection.
#[derive(Default)]
pub struct Clients {
    by_connection: RwLock<HashMap<Connection, Arc<Client>, RandomState>>,
}

/// Connections of one kind.
struct Client {
    connector: Connector,
    /// Hosts come from the configuration alone, so there are few.
    sites: RwLock<Vec<Site>>,
}

/// A host and port, reached by TLS or not.
struct Site {
    authority: Authority,
    is_tls: bool,
    pool: Arc<Pool>,
}

// === impl Clients ===

impl Clients {
    /// Sends a request and waits for the answer's head. Dropped, it closes the connection of
    /// HTTP/1.1 and resets the stream of HTTP/2; so does dropping an unread body.
    pub(super) async fn send(&self, connection: &Connection, request: Request<Bytes>) -> Result<Response<Body>> {
        let client = self.get(connection)?;
        let pool = client.pool(request.uri())?;
        pool.send(&client.connector, request.map(Full::new)).await
    }

    /// The client for a kind of connection, made at its first use.
    fn get(&self, connection: &Connection) -> Result<Arc<Client>> {
        if let Some(client) = self.by_connection.read().ok().and_then(|clients| clients.get(connection).cloned()) {
            return Ok(client);
        }
        let connector = Connector::new(connection).map_err(|message| Error::Internal { message })?;
        let client = Arc::new(Client { connector, sites: RwLock::default() });
        if let Ok(mut clients) = self.by_connection.write() {
            return Ok(Arc::clone(clients.entry(connection.clone()).or_insert(client)));
        }
        Ok(client)
    }

    /// Forgets every client whose kind of connection is not `wanted`. Exchanges under way go on.
    pub fn retain(&self, wanted: impl Fn(&Connection) -> bool) {
        if let Ok(mut clients) = self.by_connection.write() {
            clients.retain(|connection, _| wanted(connection));
        }
    }

    /// Closes connections that nobody has used for a while, and those the other side has closed.
    pub fn sweep(&self) {
        let clients: Vec<_> =
            self.by_connection.read().map_or_else(|_| Vec::new(), |all| all.values().cloned().collect());
        for client in clients {
            if let Ok(sites) = client.sites.read() {
                sites.iter().for_each(|site| site.pool.sweep());
            }
        }
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

// === impl Client ===

impl Client {
    /// The pool of a URL's host, made at its first use.
    fn pool(&self, uri: &Uri) -> Result<Arc<Pool>> {
        let invalid = || Error::Internal { message: "a base URL makes no valid request".into() };
        let authority = uri.authority().ok_or_else(invalid)?;
        let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let find = |sites: &[Site]| {
            let site = sites.iter().find(|site| site.is_tls == is_tls && site.authority.as_str() == authority.as_str());
            site.map(|site| Arc::clone(&site.pool))
        };
        if let Some(pool) = self.sites.read().ok().and_then(|sites| find(&sites)) {
            return Ok(pool);
        }
        let is_default_port = authority.port_u16() == Some(if is_tls { 443 } else { 80 });
        let pool = Arc::new(Pool::new(authority, is_default_port)?);
        let Ok(mut sites) = self.sites.write() else { return Ok(pool) };
        // Somebody may have been quicker.
        if let Some(pool) = find(&sites) {
            return Ok(pool);
        }
        sites.push(Site { authority: authority.clone(), is_tls, pool: Arc::clone(&pool) });
        Ok(pool)
    }
}

#[cfg(test)]
mod tests;
