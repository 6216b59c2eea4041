//! A provider's settings, and the address they are a part of.

use std::collections::BTreeMap;

use super::{context::Context, providers::parse_base_url};
use crate::config::{
    Chosen, KnownKind, KnownSetting, ProviderSettings, Setting, document::Path, file, report::Fault, value::Text,
};

/// What a provider's settings came to.
#[derive(Default)]
pub(super) struct Settled {
    pub(super) settings: ProviderSettings,
    /// Where each came from that the file does not say.
    pub(super) origins: BTreeMap<&'static str, String>,
}

/// The settings of a section of the file.
pub(super) fn settings(set: &file::Provider, kind: &KnownKind, section: &Path, cx: &mut Context<'_>) -> Settled {
    let mut settled = standing(kind, cx);
    for setting in Setting::ALL {
        let Some(text) = written(set, setting) else { continue };
        let path = section.key(setting.name());
        if kind.settings.iter().all(|known| known.setting != setting) {
            let message = format!("`{}` means nothing to a provider of type `{}`", setting.name(), kind.name);
            cx.invalid(&path, message, "remove it");
            continue;
        }
        let fix = "use letters, digits, `-`, `_` and `.`: it is a part of an address";
        let value =
            cx.parsed(&path, Some(text), "not a usable name", fix, |text| is_plain(text).then(|| text.to_owned()));
        settled.origins.remove(setting.name());
        settled.settings.set(setting, value);
    }
    let path = section.key("deployments");
    if !kind.deployments && !set.deployments.is_empty() {
        cx.invalid(&path, format!("a provider of type `{}` has no deployments", kind.name), "remove it");
    }
    let names =
        set.deployments.iter().filter_map(|(model, name)| Some((model.clone(), cx.text(&path.key(model), name)?)));
    settled.settings.deployments = names.collect();
    settled.settings.base_models = base_models(set, kind, section, cx);
    settled.settings.responses = set.responses.as_ref().and_then(|set| responses(set, kind, section, cx));
    settled
}

fn base_models(
    set: &file::Provider,
    kind: &KnownKind,
    section: &Path,
    cx: &mut Context<'_>,
) -> BTreeMap<String, String> {
    let section = section.key("base-models");
    let mut models = BTreeMap::new();
    for (id, model) in &set.base_models {
        let path = section.key(id);
        let Some(model) = cx.text(&path, model) else { continue };
        if kind.knows.is_some_and(|knows| !knows(&kind.name, &model)) {
            cx.warnings.push(format!(
                "{path}: neither window nor price is known of `{model}`; is it spelled as `{}` spells it?",
                kind.name
            ));
        }
        models.insert(id.clone(), model);
    }
    models
}

fn responses(set: &file::Responses, kind: &KnownKind, section: &Path, cx: &mut Context<'_>) -> Option<Chosen> {
    let path = section.key("responses");
    if !kind.responses {
        cx.invalid(&path, format!("a provider of type `{}` is never asked for Responses", kind.name), "remove it");
        return None;
    }
    Some(match set {
        file::Responses::Every(true) => Chosen::All,
        file::Responses::Every(false) => Chosen::None,
        file::Responses::For(models) => {
            let models = models.iter().enumerate();
            Chosen::These(models.filter_map(|(at, model)| cx.text(&path.item(at), model)).collect())
        }
    })
}

/// The settings of a provider without a section: the environment's and the catalogue's.
pub(super) fn standing(kind: &KnownKind, cx: &Context<'_>) -> Settled {
    let mut settled = Settled::default();
    for KnownSetting { setting, env, default } in &kind.settings {
        let found = env.iter().find_map(|name| Some((name, cx.env.get(name).filter(|value| is_plain(value))?)));
        let (value, origin) = match (found, default) {
            (Some((name, value)), _) => (Some(value), format!("environment ({name})")),
            (None, Some(default)) => (Some(default.clone()), "catalogue".to_owned()),
            (None, None) => (None, "none".to_owned()),
        };
        settled.settings.set(*setting, value);
        settled.origins.insert(setting.name(), origin);
    }
    settled
}

/// The address of the environment's, or the catalogue's with the settings in it; the setting that
/// is missing otherwise.
pub(super) fn address(
    kind: &KnownKind,
    settings: &ProviderSettings,
    cx: &Context<'_>,
) -> Option<Result<String, Setting>> {
    let from_env = kind.base_url_env.iter().find_map(|name| parse_base_url(&cx.env.get(name)?));
    if let Some(address) = from_env {
        return Some(Ok(address));
    }
    let place = settings.location.as_deref().or(settings.region.as_deref());
    kind.address(place).map(|template| settings.fill(template))
}

/// Reports that an address lacks a setting.
pub(super) fn missing(setting: Setting, kind: &KnownKind, path: &Path, cx: &mut Context<'_>) {
    let fix = remedy(setting, kind);
    cx.draft.add_unless_known(&path.key(setting.name()), Fault::Missing { field: setting.name(), fix });
}

/// What helps where a setting is missing.
pub(super) fn remedy(setting: Setting, kind: &KnownKind) -> String {
    let known = kind.settings.iter().find(|known| known.setting == setting);
    match known.and_then(|known| known.env.first()) {
        Some(variable) => format!("set {variable}, or write `{} = \"...\"`, or give a `base-url`", setting.name()),
        None => format!("write `{} = \"...\"`, or give a `base-url`", setting.name()),
    }
}

fn written(set: &file::Provider, setting: Setting) -> Option<&Text> {
    match setting {
        Setting::Region => set.region.as_ref(),
        Setting::Project => set.project.as_ref(),
        Setting::Location => set.location.as_ref(),
        Setting::Resource => set.resource.as_ref(),
        Setting::ApiVersion => set.api_version.as_ref(),
    }
}

/// Projects of a domain have a colon in their id.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    !text.is_empty() && text.chars().all(plain)
}
