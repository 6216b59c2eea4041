//! The only room that opens sockets outwards.

mod clients;
mod connect;
pub mod credentials;
mod decoded;
mod frames;
mod link;
mod played;
mod pool;
#[cfg(test)]
mod testing;
pub mod transport;

pub use credentials::KeyRing;
pub use transport::Transport;
