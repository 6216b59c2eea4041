//! `[prices]`: whether what they are for exists, and whether they are sums of money.

use super::{
    context::Context,
    models::look_up,
    providers::{Globals, Providers},
};
use crate::config::{
    PriceList, Prices,
    document::Path,
    file::{self, File},
};

pub(super) fn prices(file: &File, globals: &Globals, providers: &mut Providers, cx: &mut Context<'_>) -> PriceList {
    let mut all = Vec::with_capacity(file.prices.len());
    for (name, set) in &file.prices {
        let path = Path::default().key("prices").key(name);
        match name.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
                look_up(provider, &path, globals, providers, cx);
            }
            _ => cx.invalid(&path, format!("`{name}` is no target"), "write `provider/model`"),
        }
        all.push((name.clone(), money(set, &path, cx)));
    }
    PriceList::new(all)
}

fn money(set: &file::Prices, path: &Path, cx: &mut Context<'_>) -> Prices {
    let mut read = |field: &str, value: Option<f64>| {
        if value.is_some_and(|value| !value.is_finite() || value < 0.0) {
            cx.invalid(&path.key(field), "not a price", "write USD per million tokens, like `0.25`");
        }
        value
    };
    Prices {
        input: read("input", set.input),
        cached_input: read("cached-input", set.cached_input),
        cache_write: read("cache-write", set.cache_write),
        cache_write_1h: read("cache-write-1h", set.cache_write_1h),
        output: read("output", set.output),
        audio_input: read("audio-input", set.audio_input),
        audio_output: read("audio-output", set.audio_output),
    }
}
