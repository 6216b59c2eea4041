//! What stands around every call, as tower layers, one file each.
//!
//! Around a client's call (`Service<Inbound, Response = Answer, Error = Failure>`): [`AdmitLayer`].
//! Around one exchange (`Service<Call, Response = Reply, Error = Error>`), from the outside in:
//! [`RetryLayer`], [`SlotsLayer`], [`ClocksLayer`], then the transport. Slots stand inside retry
//! because a slot means a live exchange, and clocks inside slots because waiting in our own queue
//! is not the upstream's silence.
//!
//! A layer sees the response future, and that resolves at the first event; a stream lives on in
//! the body. Layers that must see the end of a stream wrap [`Frames`](crate::call::Frames) as
//! well, and each says so in its own doc.
//!
//! Deliberately absent: the connect clock (the transport's), the walk over targets and keys
//! (routing's), anything that knows a vendor or a wire format.

mod admit;
mod bucket;
mod clocks;
mod ledger;
mod limits;
#[cfg(test)]
mod mock;
mod retry;
mod settlement;
mod slots;

pub use admit::{Admit, AdmitLayer};
pub use clocks::{Clocks, ClocksLayer};
pub use limits::{Admission, Limiters, Scope};
pub use retry::{Retry, RetryLayer};
pub use settlement::Settlement;
pub use slots::{Slots, SlotsLayer};
