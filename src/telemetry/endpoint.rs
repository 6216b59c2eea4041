//! The endpoints as they are counted, and the kept metrics of one place for each of them.

use std::sync::{Arc, OnceLock};

use super::CallMetrics;

/// An endpoint that calls models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    ChatCompletions,
    Completions,
    Embeddings,
    Messages,
    Responses,
    GenerateContent,
    CountTokens,
}

/// The metrics of one model and target, looked up per endpoint when one first calls it.
#[derive(Debug)]
pub struct PlaceMetrics {
    model: Arc<str>,
    target: Arc<str>,
    by_endpoint: [OnceLock<Arc<CallMetrics>>; Endpoint::ALL.len()],
}

// === impl Endpoint ===

impl Endpoint {
    /// Each at its own place.
    pub const ALL: [Self; 7] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Messages,
        Self::Responses,
        Self::GenerateContent,
        Self::CountTokens,
    ];

    /// Its name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::Responses => "responses",
            Self::GenerateContent => "generate_content",
            Self::CountTokens => "count_tokens",
        }
    }
}

// === impl PlaceMetrics ===

impl PlaceMetrics {
    /// Both come from the configuration or the code, never from a request (rule L4).
    pub fn new(model: Arc<str>, target: Arc<str>) -> Self {
        Self { model, target, by_endpoint: Default::default() }
    }

    pub fn of(&self, endpoint: Endpoint) -> Arc<CallMetrics> {
        let new = || Arc::new(CallMetrics::new(endpoint.name(), &self.model, Some(&self.target)));
        // Every endpoint has a place; one that had none would only be counted the slower way.
        self.by_endpoint.get(endpoint as usize).map_or_else(new, |kept| Arc::clone(kept.get_or_init(new)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_its_own_place_and_name() {
        let place = PlaceMetrics::new("fast".into(), "lab/qwen".into());
        for (at, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint as usize, at);
            assert!(Arc::ptr_eq(&place.of(endpoint), &place.of(endpoint)));
            assert!(format!("{:?}", place.of(endpoint)).contains(endpoint.name()));
        }
    }
}
