//! The gateway as its clients meet it: over real sockets, against a scripted upstream that says
//! every byte. One module per subject; each test names the field rules it proves.

mod support;

mod anthropic;
mod config_reload;
mod disconnect;
mod drain;
mod errors;
mod failover;
mod first_minute;
mod harness;
mod limits;
mod security;
mod streaming;
