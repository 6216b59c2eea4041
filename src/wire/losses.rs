//! What could not be carried, collected without repetition.

use super::{Loss, Weight};

/// The losses of one request.
#[derive(Debug, Default)]
pub(crate) struct Losses(Vec<Loss>);

// === impl Losses ===

impl Losses {
    /// A hint that is dropped and reported.
    pub(crate) fn hint(&mut self, field: &str) {
        self.add(field, Weight::Hint);
    }

    /// A field without which the answer would mean something else.
    pub(crate) fn meaning(&mut self, field: &str) {
        self.add(field, Weight::Meaning);
    }

    pub(crate) fn into_vec(self) -> Vec<Loss> {
        self.0
    }

    fn add(&mut self, field: &str, weight: Weight) {
        if !self.0.iter().any(|loss| loss.field == field && loss.weight == weight) {
            self.0.push(Loss { field: field.into(), weight });
        }
    }
}
