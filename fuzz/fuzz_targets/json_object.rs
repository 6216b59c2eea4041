//! Edits of an object touch what they name, and nothing else (rules S2, C1).
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluis::wire::json::Object;

fuzz_target!(|bytes: &[u8]| {
    let Ok(object) = Object::parse(bytes) else { return };
    let before: Vec<(String, String)> =
        object.members().iter().map(|member| (member.key.to_string(), member.value.get().to_owned())).collect();
    let edits = object.edit();
    assert_eq!(edits.apply().as_bytes(), bytes);

    for (key, _) in &before {
        let mut edits = Object::parse(bytes).expect("it was one").edit();
        assert!(edits.remove(key));
        edits.set("new member", "[1]");
        let text = edits.apply();
        let after = Object::parse(text.as_bytes()).expect("an edited object is an object");
        let left = before.iter().filter(|(name, _)| name != key && name != "new member");
        for (name, value) in left {
            assert!(after.members().iter().any(|member| member.key == *name && member.value.get() == value));
        }
        assert_eq!(after.get("new member").map(|value| value.get()), Some("[1]"));
    }
});
