//! What could not be carried, collected without repetition.

use crate::wire::{Loss, Weight};

#[derive(Debug, Default)]
pub(super) struct Losses(Vec<Loss>);

// === impl Losses ===

impl Losses {
    /// A hint that is dropped and reported.
    pub(super) fn hint(&mut self, field: &str) {
        self.add(field, Weight::Hint);
    }

    /// A field without which the answer would mean something else.
    pub(super) fn meaning(&mut self, field: &str) {
        self.add(field, Weight::Meaning);
    }

    pub(super) fn into_vec(self) -> Vec<Loss> {
        self.0
    }

    fn add(&mut self, field: &str, weight: Weight) {
        if !self.0.iter().any(|loss| loss.field == field && loss.weight == weight) {
            self.0.push(Loss { field: field.into(), weight });
        }
    }
}
