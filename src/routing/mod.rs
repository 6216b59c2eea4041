//! From a model's name to an answer: which targets serve it ([`table`]), in what order they are
//! tried and how bytes reach them ([`dispatch`]), what each provider has ([`discovery`]), and what it
//! keeps for us (`errand`).

mod address;
mod authorize;
pub mod carried;
pub mod discovery;
pub mod dispatch;
mod dropped;
mod errand;
pub mod known;
mod order;
mod prepare;
mod relay;
mod replay;
pub mod table;
#[cfg(test)]
mod testing;

pub use dispatch::Dispatch;
pub use errand::Errands;
pub use table::Table;
