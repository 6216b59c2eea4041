//! How a provider is authorized: what the operator said, else a key where there is one, else the
//! kind's own way.

use secrecy::SecretString;

use super::context::Context;
use crate::config::{
    Aws, CredentialKind, Credentials, Entra, Google, KnownKind, document::Path, file, known::nearest, report::Fault,
};

/// The way that every kind of provider takes.
const CLIENT: &str = "client";

/// Decides, where the section does not. `keys` are those that were found.
pub(super) fn decide(
    chosen: Option<Credentials>,
    keys: &[SecretString],
    set: &file::Provider,
    kind: &KnownKind,
    path: &Path,
    cx: &mut Context<'_>,
) -> Credentials {
    let chosen = match (chosen, own(kind).filter(|_| keys.is_empty())) {
        (Some(chosen), _) => chosen,
        (None, Some(own)) => of(own, set, path, cx),
        (None, None) => Credentials::Keys,
    };
    let fields = [
        ("api-key", set.api_key.is_some(), matches!(chosen, Credentials::Keys)),
        ("profile", set.profile.is_some(), matches!(chosen, Credentials::Aws(_))),
        ("credentials-file", set.credentials_file.is_some(), matches!(chosen, Credentials::Google(_))),
        ("tenant-id", set.tenant_id.is_some(), matches!(chosen, Credentials::Entra(_))),
        ("client-id", set.client_id.is_some(), matches!(chosen, Credentials::Entra(_))),
        ("client-secret", set.client_secret.is_some(), matches!(chosen, Credentials::Entra(_))),
        ("token-file", set.token_file.is_some(), matches!(chosen, Credentials::Entra(_))),
        ("authority", set.authority.is_some(), matches!(chosen, Credentials::Entra(_))),
        ("scope", set.scope.is_some(), matches!(chosen, Credentials::Entra(_))),
    ];
    for (field, _, _) in fields.into_iter().filter(|(_, is_set, is_used)| *is_set && !is_used) {
        let message = format!("`{field}` is not used with the credentials of kind `{}`", chosen.name());
        cx.invalid(&path.key(field), message, "remove it, or choose with `credentials`");
    }
    chosen
}

/// The kind's way beside a key.
fn own(kind: &KnownKind) -> Option<CredentialKind> {
    kind.credentials.iter().copied().find(|kind| *kind != CredentialKind::Key)
}

/// The way that the section names.
pub(super) fn chosen(set: &file::Provider, kind: &KnownKind, path: &Path, cx: &mut Context<'_>) -> Option<Credentials> {
    let path_of_choice = path.key("credentials");
    let name = cx.text(&path_of_choice, set.credentials.as_ref()?)?;
    if name == CLIENT {
        return Some(Credentials::Client);
    }
    if let Some(chosen) = kind.credentials.iter().find(|kind| kind.name() == name) {
        return Some(of(*chosen, set, path, cx));
    }
    let names = || kind.credentials.iter().map(|kind| kind.name()).chain([CLIENT]);
    let fix = format!("one of {}", names().collect::<Vec<_>>().join(", "));
    let nearest = nearest(&name, names());
    let what = "such way for this provider, credentials";
    cx.draft.add(&path_of_choice, Fault::UnknownName { what, name, nearest, fix });
    None
}

fn of(kind: CredentialKind, set: &file::Provider, path: &Path, cx: &mut Context<'_>) -> Credentials {
    match kind {
        CredentialKind::Key => Credentials::Keys,
        CredentialKind::Google => Credentials::Google(google(set, path, cx)),
        CredentialKind::Aws => Credentials::Aws(aws(set, path, cx)),
        CredentialKind::Entra => Credentials::Entra(entra(set, path, cx)),
    }
}

/// The region is a setting, and comes with those.
fn aws(set: &file::Provider, path: &Path, cx: &mut Context<'_>) -> Aws {
    let profile = set.profile.as_ref().and_then(|text| cx.text(&path.key("profile"), text));
    Aws { profile, region: String::new() }
}

/// Google's order of places (application default credentials).
fn google(set: &file::Provider, path: &Path, cx: &mut Context<'_>) -> Google {
    let field = path.key("credentials-file");
    let written = set.credentials_file.as_ref().and_then(|text| cx.text(&field, text)).map(|name| cx.file(&name));
    let file = written.or_else(|| cx.env.get("GOOGLE_APPLICATION_CREDENTIALS").map(Into::into));
    let folder = cx.env.get("CLOUDSDK_CONFIG").map(std::path::PathBuf::from);
    let folder = folder.or_else(|| cx.env.get("HOME").map(|home| std::path::Path::new(&home).join(".config/gcloud")));
    Google {
        file,
        well_known: folder.map(|folder| folder.join("application_default_credentials.json")),
        metadata_host: cx.env.get("GCE_METADATA_HOST"),
    }
}

fn entra(set: &file::Provider, path: &Path, cx: &mut Context<'_>) -> Entra {
    let mut text = |field: &str, text: Option<&crate::config::value::Text>, variable: &str| match text {
        Some(text) => cx.text(&path.key(field), text),
        None => cx.env.get(variable),
    };
    let tenant = text("tenant-id", set.tenant_id.as_ref(), "AZURE_TENANT_ID");
    let client = text("client-id", set.client_id.as_ref(), "AZURE_CLIENT_ID");
    let authority = text("authority", set.authority.as_ref(), "AZURE_AUTHORITY_HOST");
    let token_file = text("token-file", set.token_file.as_ref(), "AZURE_FEDERATED_TOKEN_FILE");
    let scope = set.scope.as_ref().and_then(|text| cx.text(&path.key("scope"), text));
    let secret = match &set.client_secret {
        Some(secret) => cx.kept_secret(&path.key("client-secret"), secret),
        None => cx.env.get("AZURE_CLIENT_SECRET").map(Into::into),
    };
    if secret.is_some() || token_file.is_some() {
        for (field, variable, given) in
            [("tenant-id", "AZURE_TENANT_ID", tenant.is_some()), ("client-id", "AZURE_CLIENT_ID", client.is_some())]
        {
            let fix = format!("set {variable}, or write `{field} = \"...\"`");
            if !given {
                cx.draft.add_unless_known(&path.key(field), Fault::Missing { field, fix });
            }
        }
    }
    Entra {
        tenant,
        client,
        secret,
        // A relative path of the environment's starts where the process does.
        token_file: token_file.map(|name| if set.token_file.is_some() { cx.file(&name) } else { name.into() }),
        authority: authority.map(|address| address.trim_end_matches('/').to_owned()),
        scope,
        identity_host: cx.env.get("AZURE_POD_IDENTITY_AUTHORITY_HOST"),
    }
}
