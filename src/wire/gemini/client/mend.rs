//! What has to differ in a client's bytes on their way to an upstream of this dialect: signatures that
//! hold another vendor's reasoning ([`super::thoughts`]), which Google would refuse as corrupted. A call
//! gets the word that Google documents for calls from elsewhere instead, any other part none; a part
//! that was nothing but such a signature goes. And `model`, which stands in the path.
//!
//! Every other byte stays (rules C1, P2), and a request without such signatures is not read.

use serde_json::value::RawValue;

use super::{super::turns::UNSIGNED, fields::is, parts::is_signature, thoughts::MARK};
use crate::wire::json::{Edits, Object, items, string};

pub(super) fn mend(body: &mut Edits<'_>) {
    body.remove("model");
    let found = body.object().members().iter().find(|member| is(&member.key, "contents"));
    let Some((key, contents)) = found.map(|member| (member.key.to_string(), member.value.get())) else { return };
    if memchr::memmem::find(contents.as_bytes(), MARK.as_bytes()).is_none() {
        return;
    }
    if let Some(mended) = list(contents, content) {
        body.set(&key, mended);
    }
}

/// Each item as `mend` leaves it; `None` where it is no list.
fn list(text: &str, mend: fn(&RawValue) -> Option<String>) -> Option<String> {
    let items = items(text).ok()?;
    let kept: Vec<String> = items.into_iter().filter_map(mend).collect();
    Some(format!("[{}]", kept.join(",")))
}

/// A content, or `None` when nothing of it is left.
fn content(raw: &RawValue) -> Option<String> {
    let same = || Some(raw.get().to_owned());
    let Ok(object) = Object::parse_str(raw.get()) else { return same() };
    let Some(parts) = object.present("parts").map(RawValue::get) else { return same() };
    let Some(mended) = list(parts, part) else { return same() };
    if mended == "[]" && parts != "[]" {
        return None;
    }
    let mut edits = object.edit();
    edits.set("parts", mended);
    Some(edits.apply())
}

fn part(raw: &RawValue) -> Option<String> {
    let same = || Some(raw.get().to_owned());
    let Ok(object) = Object::parse_str(raw.get()) else { return same() };
    let signature = object.members().iter().find(|member| is_signature(&member.key));
    let Some(key) = signature.filter(|member| is_ours(member.value)).map(|member| member.key.to_string()) else {
        return same();
    };
    let calls = object.members().iter().any(|member| is(&member.key, "functionCall"));
    let says = object.members().iter().any(|member| {
        let is_empty = member.key == "text" && member.value.get() == "\"\"";
        !(is_empty || member.key == key || member.key == "thought")
    });
    let mut edits = object.edit();
    if calls {
        edits.set(&key, string(UNSIGNED));
    } else {
        edits.remove(&key);
    }
    says.then(|| edits.apply())
}

fn is_ours(value: &RawValue) -> bool {
    value.get().strip_prefix('"').is_some_and(|text| text.starts_with(MARK))
}
