//! The provider catalogue as the configuration needs to know it.

use crate::{
    config::{BUILTIN, Known, KnownKind},
    providers,
};

/// Every type a provider may have, the embedded one aside: it needs no configuration.
pub fn known() -> Known {
    let kinds = providers::known().into_iter().filter(|kind| kind.name != BUILTIN).map(|kind| KnownKind {
        name: kind.name.to_owned(),
        key_env: kind.key_env.to_vec(),
        default_base_url: kind.base_url.map(ToOwned::to_owned),
        needs_key: kind.needs_key,
        local: kind.discover,
    });
    Known { kinds: kinds.collect() }
}
