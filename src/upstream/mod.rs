//! The only room that opens sockets outwards.

mod clients;
pub mod credentials;
mod decoded;
mod frames;
mod played;
pub mod transport;

pub use credentials::KeyRing;
pub use transport::Transport;
