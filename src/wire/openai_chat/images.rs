//! Images a model made: `images` beside the content, as OpenRouter and LiteLLM write them (their
//! references, read November 2026), since OpenAI's own answers hold none.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{parts, upstream_messages::Url};
use crate::ir::Source;

#[derive(Serialize)]
pub(super) struct Image<'a> {
    r#type: &'static str,
    image_url: Location<'a>,
    index: u32,
}

#[derive(Serialize)]
struct Location<'a> {
    url: Url<'a>,
}

#[derive(Deserialize)]
struct Told {
    image_url: ToldLocation,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ToldLocation {
    Object { url: String },
    Bare(String),
}

// === impl Image ===

impl<'a> Image<'a> {
    /// The image in place `index` of the answer's images. `None` for one that is no image by now.
    pub(super) fn of(source: &'a Source, index: usize) -> Option<Self> {
        let index = u32::try_from(index).ok()?;
        Some(Self { r#type: "image_url", image_url: Location { url: Url::of(source)? }, index })
    }
}

/// Reads `images` as an upstream wrote it, or as a client says it back.
pub(super) fn read(raw: &RawValue) -> Vec<Source> {
    let told: Vec<Told> = serde_json::from_str(raw.get()).unwrap_or_default();
    let url = |told: Told| match told.image_url {
        ToldLocation::Object { url } | ToldLocation::Bare(url) => url,
    };
    told.into_iter().map(|told| parts::source(&url(told))).collect()
}
