//! What the operator wrote, checked and resolved. The only room that reads the environment.

mod policy;

pub use policy::{Deadlines, Policy, Retry};
