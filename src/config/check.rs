//! Whether the file has the right shape: every field known, every value of a fitting kind.
//!
//! serde would stop at its first complaint. This walks the parsed document along the JSON schema
//! of [`super::file`] instead, reports whatever does not fit and takes it out of the document,
//! so that the rest can still be read and its problems join the same report.

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::{
    document::Path,
    known::nearest,
    report::{Draft, Fault},
};

/// Fields people will look for that this version does not have, and why.
const ABSENT: &[(&str, &str)] = &[(
    "budget",
    "budgets need the ledger, which this version does not have; `limits` bounds requests and tokens per minute",
)];

/// Reports and removes everything in `root` that the schema does not know.
pub(super) fn check(root: &mut DeTable<'_>, schema: &Value, draft: &mut Draft) {
    Checker { draft }.table(&Path::default(), root, schema);
}

struct Checker<'a> {
    draft: &'a mut Draft,
}

impl Checker<'_> {
    /// Whether the value may stay.
    fn value(&mut self, path: &Path, value: &mut DeValue<'_>, schema: &Value) -> bool {
        let mut branches = Vec::new();
        collect_branches(schema, &mut branches);
        let found = kind(value);
        let fitting: Vec<&Value> = branches.iter().copied().filter(|branch| accepts(branch, found)).collect();
        let Some(schema) = best(&fitting, value) else {
            let expected = expected(&branches);
            self.draft.add(path, Fault::WrongType { expected, found: words(found) });
            return false;
        };
        match value {
            DeValue::Table(table) => {
                self.table(path, table, schema);
                true
            }
            DeValue::Array(items) => {
                let item_schema = schema.get("items").unwrap_or(&Value::Null);
                // A list with a bad item goes as a whole: the others must keep their numbers. All
                // are looked at, for all are reported.
                let mut fits = true;
                for (index, item) in items.iter_mut().enumerate() {
                    fits &= self.value(&path.item(index), item.get_mut(), item_schema);
                }
                fits
            }
            DeValue::Integer(number) => self.integer(path, number.as_str(), number.radix(), schema),
            DeValue::String(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => true,
        }
    }

    fn table(&mut self, path: &Path, table: &mut DeTable<'_>, schema: &Value) {
        let fields = schema.get("properties").and_then(Value::as_object);
        let entry = schema.get("additionalProperties").filter(|schema| schema.is_object());
        for (name, mut value) in std::mem::take(table) {
            let keep = match fields.and_then(|fields| fields.get(name.get_ref().as_ref())).or(entry) {
                Some(schema) => self.value(&path.key(name.get_ref()), value.get_mut(), schema),
                None => {
                    self.unknown(path, name.get_ref(), fields);
                    false
                }
            };
            if keep {
                table.insert(name, value);
            }
        }
    }

    fn unknown(&mut self, path: &Path, name: &str, fields: Option<&Map<String, Value>>) {
        let path = path.key(name);
        if let Some((_, why)) = ABSENT.iter().find(|(absent, _)| *absent == name) {
            return self.draft.add(&path, Fault::Absent { name: name.to_owned(), why });
        }
        let known: Vec<String> = fields.into_iter().flat_map(Map::keys).cloned().collect();
        let nearest = nearest(name, known.iter().map(String::as_str));
        self.draft.add(&path, Fault::UnknownField { name: name.to_owned(), nearest, known });
    }

    fn integer(&mut self, path: &Path, digits: &str, radix: u32, schema: &Value) -> bool {
        let least = schema.get("minimum").and_then(Value::as_i64).unwrap_or(0);
        let most = match schema.get("format").and_then(Value::as_str) {
            Some("uint32") => i64::from(u32::MAX),
            _ => i64::MAX,
        };
        let fits = i64::from_str_radix(digits, radix).is_ok_and(|number| (least..=most).contains(&number));
        if !fits {
            self.draft.add(path, Fault::OutOfRange { least, most });
        }
        fits
    }
}

/// The alternatives of a schema, nested ones included.
fn collect_branches<'a>(schema: &'a Value, into: &mut Vec<&'a Value>) {
    match schema.get("anyOf").and_then(Value::as_array) {
        Some(all) => all.iter().for_each(|branch| collect_branches(branch, into)),
        None => into.push(schema),
    }
}

/// Of several fitting alternatives the one that knows most of the value's fields.
fn best<'a>(fitting: &[&'a Value], value: &DeValue<'_>) -> Option<&'a Value> {
    let knows = |schema: &Value, name: &str| schema.get("properties").is_some_and(|all| all.get(name).is_some());
    let known = |schema: &Value| match value.as_table() {
        Some(table) => table.keys().filter(|name| knows(schema, name.get_ref())).count(),
        None => 0,
    };
    fitting.iter().copied().rev().max_by_key(|schema| known(schema))
}

fn accepts(schema: &Value, kind: &str) -> bool {
    schema.get("type").is_none_or(|name| name == kind || (name == "number" && kind == "integer"))
}

/// The name JSON Schema gives to this kind of value.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "datetime",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    }
}

fn words(kind: &str) -> &'static str {
    match kind {
        "string" => "text in quotes",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "datetime" => "a date or time",
        "array" => "a list",
        _ => "a table",
    }
}

/// What would have fitted: `text in quotes or a table { env, default }`.
fn expected(branches: &[&Value]) -> String {
    let mut all: Vec<String> = Vec::new();
    for branch in branches {
        let kind = branch.get("type").and_then(Value::as_str).unwrap_or("object");
        let fields = branch.get("properties").and_then(Value::as_object);
        let one = match fields.filter(|fields| fields.len() <= 3) {
            Some(fields) => format!("a table of {}", fields.keys().cloned().collect::<Vec<_>>().join(", ")),
            None => words(kind).to_owned(),
        };
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all.join(" or ")
}
