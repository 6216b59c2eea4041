//! The file as text: its parsed tree, and where in the text each value stands. Everything behind
//! this works on plain values and names them by [`Path`]; only the report turns a path back into
//! a line and a column.

use std::{collections::BTreeMap, fmt, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The way to a value: `models."gpt-4.1".targets[1].to`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Item(usize),
}

/// Where one value stands in the text, as byte ranges.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The name in front of it; for an item of a list the item itself.
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
    /// The variable it is taken from, when it is `{ env = "NAME" }`.
    pub(super) env: Option<String>,
}

/// Where every value of a file stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(BTreeMap<Path, Place>);

// === impl Path ===

impl Path {
    /// The path of a field in the section (or list) at this path.
    #[must_use]
    pub fn key(&self, name: &str) -> Self {
        self.with(Step::Key(name.to_owned()))
    }

    /// The path of an item of the list at this path.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        self.with(Step::Item(index))
    }

    /// The path of the section this is in; `None` for the whole file.
    pub(super) fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, front)| Self(front.to_vec()))
    }

    /// Whether this is `other` or inside it.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(index) => write!(f, "[{index}]")?,
                Step::Key(name) => {
                    f.write_str(if at == 0 { "" } else { "." })?;
                    f.write_str(&toml_key(name))?;
                }
            }
        }
        Ok(())
    }
}

// === impl Places ===

impl Places {
    pub(super) fn of(root: &DeTable<'_>) -> Self {
        let mut places = Self::default();
        places.table(&Path::default(), root);
        places
    }

    /// The place of a path, or of the nearest section around it that the file has.
    pub(super) fn find(&self, path: &Path) -> Option<&Place> {
        self.0.get(path).or_else(|| self.find(&path.parent()?))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Path, &Place)> {
        self.0.iter()
    }

    fn table(&mut self, path: &Path, table: &DeTable<'_>) {
        for (name, value) in table {
            self.value(path.key(name.get_ref()), name.span(), value);
        }
    }

    fn value(&mut self, path: Path, key: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let env = value.get_ref().get("env").and_then(|name| name.get_ref().as_str()).map(str::to_owned);
        if let Some(table) = value.get_ref().as_table() {
            self.table(&path, table);
        }
        for (index, item) in value.get_ref().as_array().into_iter().flatten().enumerate() {
            self.value(path.item(index), item.span(), item);
        }
        self.0.insert(path, Place { key, value: value.span(), env });
    }
}

/// A name as TOML writes it: bare where it may be, else quoted.
pub(crate) fn toml_key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { format!("{name:?}") }
}
