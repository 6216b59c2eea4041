//! The only room that opens sockets outwards.

pub mod credentials;
mod decoded;
mod frames;
mod played;
pub mod transport;

pub use credentials::KeyRing;
pub use transport::Transport;
