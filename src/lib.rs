//! sluis: an OpenAI-compatible gateway for large language models.
//!
//! This file is the map: one sentence per room, as a plain comment, for each room has its own page.
//! Arrows point one way: server, routing, layers and upstream, providers, wire, then framing and ir.

// The two assemblies, and the process around them.
pub mod app;
// What travels through the layers: calls, answers, targets, ends.
pub mod call;
// The command line, and every command but `serve`.
pub mod cli;
// What the operator wrote, checked and resolved.
pub mod config;
// The names of the wire formats.
pub mod dialect;
// What went wrong, whose fault it is, and whether it may be tried again.
pub mod error;
// Bytes to frames.
pub mod framing;
// The canonical form every dialect converts to and from.
pub mod ir;
// What stands around every call: admission, retry, slots, clocks.
pub mod layers;
// Vendors: catalogue rows and the few that need behaviour.
pub mod providers;
// From a model's name to an answer.
pub mod routing;
// `sluis serve`: from its arguments to its exit code.
pub mod run;
// HTTP in, HTTP out: connections, keys, bodies, endpoints.
pub mod server;
// What outlives a call: stored answers and conversations.
pub mod store;
// Logs and metrics: their names, and where they go.
pub mod telemetry;
// The only room that opens sockets outwards.
pub mod upstream;
// Dialects: wire formats as clients and upstreams speak them.
pub mod wire;
