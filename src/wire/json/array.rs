//! Edits of a JSON array's elements that leave every other byte alone.

use serde_json::value::RawValue;

/// The elements of an array, as they stand in its text.
pub fn elements(text: &str) -> Option<Vec<&RawValue>> {
    super::items(text).ok()
}

/// Replaces the elements for which `edit` has a new text. `None` when it has none for any, or when
/// `text` is no array.
pub fn map(text: &str, mut edit: impl FnMut(usize, &str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut from = 0;
    for (index, element) in elements(text)?.into_iter().enumerate() {
        let element = element.get();
        let Some(new) = edit(index, element) else { continue };
        let start = element.as_ptr() as usize - text.as_ptr() as usize;
        out.push_str(text.get(from..start).unwrap_or_default());
        out.push_str(&new);
        from = start + element.len();
    }
    if from == 0 {
        return None;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S2: what is not replaced keeps its bytes, the space between elements too.
    #[test]
    fn elements_are_replaced_in_place() {
        let text = "[ 1.0 ,\n {\"a\" : 2},3 ]";
        assert_eq!(map(text, |index, _| (index == 1).then(|| "x".into())).unwrap(), "[ 1.0 ,\n x,3 ]");
        assert_eq!(map(text, |_, _| None), None);
        assert_eq!(map("{}", |_, _| Some(String::new())), None);
        assert_eq!(map("[]", |_, _| Some(String::new())), None);
    }
}
