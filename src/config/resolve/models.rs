//! `[models]`: names of the operator's own, and whether what they point to exists.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    context::{Context, limits},
    providers::{Globals, Providers, plain},
};
use crate::config::{
    ModelConfig, Strategy, TargetConfig,
    document::Path,
    file::{self, File},
    known::nearest,
    report::Fault,
    value::Text,
};

pub(super) fn models(
    file: &File,
    globals: &Globals,
    providers: &mut Providers,
    cx: &mut Context<'_>,
) -> BTreeMap<String, Arc<ModelConfig>> {
    let mut all = BTreeMap::new();
    for (name, section) in &file.models {
        let model = model(name, section, globals, providers, cx);
        all.insert(name.clone(), Arc::new(model));
    }
    all
}

fn model(
    name: &str,
    set: &file::Model,
    globals: &Globals,
    providers: &mut Providers,
    cx: &mut Context<'_>,
) -> ModelConfig {
    let path = Path::default().key("models").key(name);
    if name.trim().is_empty() {
        cx.invalid(&path, "not a model name", "give it a name");
    }
    let strategy = strategy(set.strategy.as_ref(), &path, cx);
    let list = path.key("targets");
    if set.targets.is_empty() {
        let fix = "name at least one, like `targets = [\"openai/gpt-5-mini\"]`".to_owned();
        cx.draft.add_unless_known(&list, Fault::Missing { field: "targets", fix });
    }
    let mut targets = Vec::new();
    for (at, target) in set.targets.iter().enumerate() {
        targets.extend(self::target(target, &list.item(at), globals, providers, cx));
    }
    ModelConfig {
        name: name.to_owned(),
        strategy,
        targets,
        limits: limits(&set.limits),
        headers: cx.headers(&path.key("headers"), &set.headers),
        rules: cx.rules(&path, &set.deadlines, &set.retry),
    }
}

fn strategy(text: Option<&Text>, path: &Path, cx: &mut Context<'_>) -> Strategy {
    let path = path.key("strategy");
    let Some(name) = text.and_then(|text| cx.text(&path, text)) else { return Strategy::default() };
    let names = || Strategy::ALL.iter().map(|(name, _)| *name);
    match Strategy::ALL.iter().find(|(known, _)| *known == name) {
        Some((_, strategy)) => *strategy,
        None => {
            let fix = format!("one of {}", names().collect::<Vec<_>>().join(", "));
            let nearest = nearest(&name, names());
            cx.draft.add(&path, Fault::UnknownName { what: "strategy", name, nearest, fix });
            Strategy::default()
        }
    }
}

fn target(
    target: &file::Target,
    path: &Path,
    globals: &Globals,
    providers: &mut Providers,
    cx: &mut Context<'_>,
) -> Option<TargetConfig> {
    let (to, weight) = match target {
        file::Target::Plain(text) => (cx.text(path, text)?, 1),
        file::Target::Weighted(file::WeightedTarget { to: Some(text), weight }) => {
            (cx.text(&path.key("to"), text)?, weight.map_or(1, Into::into))
        }
        file::Target::Weighted(file::WeightedTarget { to: None, .. }) => {
            let fix = "write `{ to = \"provider/model\" }`".to_owned();
            cx.draft.add_unless_known(&path.key("to"), Fault::Missing { field: "to", fix });
            return None;
        }
    };
    match to.split_once('/') {
        Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
            look_up(provider, path, globals, providers, cx);
        }
        _ => cx.invalid(path, format!("`{to}` is no target"), "write `provider/model`"),
    }
    Some(TargetConfig { to, weight })
}

/// Reports a provider that does not exist. A local server of the catalogue needs no section: to be
/// pointed to is enough.
pub(super) fn look_up(name: &str, path: &Path, globals: &Globals, providers: &mut Providers, cx: &mut Context<'_>) {
    let section = Path::default().key("providers").key(name);
    if providers.names.iter().any(|known| known == name) || cx.draft.touches(&section) {
        return;
    }
    let kind = cx.known.get(name);
    if let Some(kind) = kind.filter(|kind| kind.local && kind.default_base_url.is_some()) {
        providers.names.push(name.to_owned());
        providers.ready.insert(name.to_owned(), Arc::new(plain(kind, globals)));
        return;
    }
    let variable = kind.and_then(|kind| kind.key_env.first());
    let fix = match variable {
        Some(variable) => format!("set {variable}, or add [providers.{name}]"),
        None => format!("add [providers.{name}]"),
    };
    // A provider of the catalogue is spelt right and lacks its key only.
    let known = providers.names.iter().map(String::as_str);
    let nearest = if kind.is_some() { None } else { nearest(name, known) };
    cx.draft.add(path, Fault::UnknownName { what: "provider", name: name.to_owned(), nearest, fix });
}
