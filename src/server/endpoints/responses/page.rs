//! Lists, a page at a time: what a query may ask for, and what a page looks like.
//!
//! Source: "List input items" and "List items" (OpenAI's API reference, read November 2026).

use serde_json::json;

use super::fold::array;
use crate::{
    error::{Error, Result},
    store::{Item, Listed, Page},
};

/// Items of a page, when nobody says.
const LIMIT: usize = 20;
const LARGEST: usize = 100;

/// A request's query, decoded pair by pair. Unknown names are the client's own business.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

// === impl Query ===

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decoded(name), decoded(value))
                })
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Every value of a list, however its name is written: bare, with brackets, with numbers in them.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let is_of = |own: &str| {
            let rest = own.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('[') && rest.ends_with(']')))
        };
        let values = self.0.iter().filter(|(own, value)| is_of(own) && !value.is_empty());
        values.map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<bool> {
        match self.get(name) {
            None | Some("false" | "False" | "0") => Ok(false),
            Some("true" | "True" | "1") => Ok(true),
            Some(_) => Err(Error::invalid(format!("`{name}` must be true or false."), name, "invalid_type")),
        }
    }

    pub(super) fn number(&self, name: &'static str) -> Result<Option<i64>> {
        let wrong = |_| Error::invalid(format!("`{name}` must be a whole number."), name, "invalid_type");
        self.get(name).map(|text| text.parse().map_err(wrong)).transpose()
    }

    /// `limit`, `order` and `after`.
    pub(super) fn page(&self) -> Result<Page> {
        let limit = self.number("limit")?.unwrap_or(LIMIT as i64);
        let limit = usize::try_from(limit).ok().filter(|limit| (1..=LARGEST).contains(limit)).ok_or_else(|| {
            Error::invalid(format!("`limit` must be between 1 and {LARGEST}."), "limit", "invalid_value")
        })?;
        let newest_first = match self.get("order") {
            None | Some("desc") => true,
            Some("asc") => false,
            Some(_) => return Err(Error::invalid("`order` must be `asc` or `desc`.", "order", "invalid_value")),
        };
        Ok(Page { after: self.get("after").map(Into::into), limit, newest_first })
    }
}

/// A page of items that are all at hand. `None` when there is no such item to begin after.
pub(super) fn page_of(mut items: Vec<Item>, page: &Page) -> Option<Listed> {
    if page.newest_first {
        items.reverse();
    }
    if let Some(after) = &page.after {
        let at = items.iter().position(|item| item.id == *after)?;
        items.drain(..=at);
    }
    let has_more = items.len() > page.limit;
    items.truncate(page.limit);
    Some(Listed { items, has_more })
}

/// A page as the client sees it.
pub(super) fn list(listed: &Listed) -> String {
    let data = array(&listed.items.iter().map(|item| item.json.as_str()).collect::<Vec<_>>());
    let id = |item: Option<&Item>| json!(item.map(|item| item.id.as_str()));
    let (first, last) = (id(listed.items.first()), id(listed.items.last()));
    let more = listed.has_more;
    format!(r#"{{"object":"list","data":{data},"first_id":{first},"last_id":{last},"has_more":{more}}}"#)
}

/// Percent escapes and plus signs (WHATWG URL, "application/x-www-form-urlencoded").
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escape = tail.get(..2).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        rest = match (byte, escape) {
            (b'%', Some(escaped)) => {
                out.push(escaped);
                tail.get(2..).unwrap_or_default()
            }
            (b'+', _) => {
                out.push(b' ');
                tail
            }
            _ => {
                out.push(byte);
                tail
            }
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(ids: &[&str]) -> Vec<Item> {
        ids.iter().map(|id| Item { id: (*id).into(), json: format!("{{\"id\":\"{id}\"}}") }).collect()
    }

    fn ids(page: &str, count: usize) -> Option<String> {
        let all: Vec<String> = (1..=count).map(|number| number.to_string()).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let listed = page_of(items(&all), &Query::parse(Some(page)).page().unwrap())?;
        let shown: Vec<&str> = listed.items.iter().map(|item| item.id.as_str()).collect();
        Some(format!("{}{}", shown.join(" "), if listed.has_more { " ..." } else { "" }))
    }

    #[test]
    fn pages_follow_each_other_in_both_orders() {
        assert_eq!(ids("limit=2", 3).unwrap(), "3 2 ...");
        assert_eq!(ids("limit=2&after=2", 3).unwrap(), "1");
        assert_eq!(ids("limit=2&order=asc", 3).unwrap(), "1 2 ...");
        assert_eq!(ids("limit=2&order=asc&after=3", 3).unwrap(), "");
        assert_eq!(ids("after=9", 3), None);
        assert_eq!(ids("", 21).unwrap().matches(' ').count(), 20);
    }

    #[test]
    fn what_a_query_cannot_mean_is_named() {
        for (query, param) in
            [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("order=up", "order")]
        {
            assert_eq!(Query::parse(Some(query)).page().unwrap_err().kind().param.as_deref(), Some(param), "{query}");
        }
        let query = Query::parse(Some("include%5B%5D=a+b%2Fc&stream=true&starting_after=7&x&y=%zz"));
        assert_eq!(query.get("include[]"), Some("a b/c"));
        assert_eq!((query.flag("stream").unwrap(), query.number("starting_after").unwrap()), (true, Some(7)));
        assert_eq!((query.get("x"), query.get("y")), (None, Some("%zz")));
    }

    #[test]
    fn a_page_names_its_ends() {
        let listed = Listed { items: items(&["a", "b"]), has_more: true };
        let expected =
            r#"{"object":"list","data":[{"id":"a"},{"id":"b"}],"first_id":"a","last_id":"b","has_more":true}"#;
        assert_eq!(list(&listed), expected);
        let empty = Listed { items: Vec::new(), has_more: false };
        assert_eq!(list(&empty), r#"{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}"#);
    }
}
