//! What could not be carried, collected without repetition.

use super::{Loss, Weight};

/// The losses of one request.
#[derive(Debug, Default)]
pub(crate) struct Losses(Vec<Loss>);

/// Whether a field says what happens anyway.
pub(crate) fn is_default(field: &str, value: &str) -> bool {
    match field {
        _ if value == "null" => true,
        "store" => value == "false",
        "logit_bias" | "metadata" => value.trim_matches(['{', '}', ' ', '\n']).is_empty(),
        "modalities" => serde_json::from_str::<Vec<String>>(value).is_ok_and(|all| all == ["text"]),
        // The gateway's own business.
        "stream_options" => true,
        _ => false,
    }
}

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

    /// Whether one of them has the request refused, with its name.
    pub(crate) fn refuse(&self) -> bool {
        self.0.iter().any(|loss| loss.weight == Weight::Meaning)
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
