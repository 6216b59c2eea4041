//! The provider catalogue as the configuration needs to know it.

use crate::{
    config::{BUILTIN, Known, KnownKind, KnownSetting},
    providers::{self, models},
};

/// Every type a provider may have, the embedded one aside: it needs no configuration.
pub fn known() -> Known {
    let kinds = providers::known().into_iter().filter(|kind| kind.name != BUILTIN).map(|kind| KnownKind {
        name: kind.name.to_owned(),
        key_env: kind.key_env.to_vec(),
        default_base_url: kind.base_url.map(ToOwned::to_owned),
        base_url_env: kind.base_url_env.to_vec(),
        placed_base_urls: placed(&kind),
        needs_key: kind.needs_key,
        local: kind.discover,
        credentials: kind.credentials.to_vec(),
        settings: settings(&kind),
        deployments: kind.deployments,
        responses: kind.responses,
        knows: Some(|kind, model| !models::knows_any(kind) || models::facts(kind, model).is_some()),
    });
    Known { kinds: kinds.collect() }
}

fn placed(kind: &providers::Known) -> Vec<(String, String)> {
    let all = kind.placed_base_urls.into_iter().flatten();
    all.map(|(place, address)| (place.clone(), address.clone())).collect()
}

fn settings(kind: &providers::Known) -> Vec<KnownSetting> {
    let all = kind.settings.into_iter().flatten();
    all.map(|(setting, row)| KnownSetting { setting: *setting, env: row.env.clone(), default: row.default.clone() })
        .collect()
}
