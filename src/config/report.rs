//! What is wrong with a configuration: every problem at once, each with its place in the file,
//! the line itself and a way out.
//!
//! The line is shown to people and written to logs, so whatever on it may be a secret is blotted
//! out first (rule X4).

use std::{fmt, ops::Range};

use super::document::{Path, Places};

/// Everything that is wrong with a configuration. Never empty.
#[derive(Debug, Clone)]
pub struct Report {
    /// The file's name as it was given; `None` when there is no file.
    pub file: Option<String>,
    /// In the order of the file.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The field it is about. Empty for the file as a whole.
    pub path: Path,
    pub fault: Fault,
    /// Where in the file; `None` when nothing in it is to blame.
    pub place: Option<Spot>,
}

/// A place in the file, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// How many characters are meant.
    pub width: usize,
    /// The line, without anything that may be a secret.
    pub source: String,
}

/// What kind of problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The file cannot be read.
    Unreadable { why: String },
    /// The file is no TOML.
    Syntax { message: String },
    /// A field nothing knows.
    UnknownField { name: String, nearest: Option<String>, known: Vec<String> },
    /// A field that exists in the design but not in this version.
    Absent { name: String, why: &'static str },
    /// A value of the wrong kind.
    WrongType { expected: String, found: &'static str },
    /// A number that is too small or too large.
    OutOfRange { least: i64, most: i64 },
    /// A field that must be there and is not.
    Missing { field: &'static str, fix: String },
    /// A variable that is not set.
    NoVariable { name: String },
    /// A secret's file that cannot be read or is empty.
    NoSecretFile { file: String, why: String },
    /// A name that points to nothing.
    UnknownName { what: &'static str, name: String, nearest: Option<String>, fix: String },
    /// A value that means nothing here.
    Invalid { message: String, fix: String },
}

/// A report in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    problems: Vec<(Path, Fault)>,
}

// === impl Draft ===

impl Draft {
    pub(super) fn add(&mut self, path: &Path, fault: Fault) {
        self.problems.push((path.clone(), fault));
    }

    /// Adds a problem that may be the mere consequence of another one: not when something at or
    /// inside its place has been reported already, and not when it is missing for being misspelt.
    pub(super) fn add_unless_known(&mut self, path: &Path, fault: Fault) {
        if !self.touches(path) && !self.misspells(path) {
            self.add(path, fault);
        }
    }

    /// Whether a field of the same section was meant to be this one.
    fn misspells(&self, path: &Path) -> bool {
        self.problems.iter().any(|(other, fault)| match (fault, other.parent()) {
            (Fault::UnknownField { nearest: Some(meant), .. }, Some(section)) => section.key(meant) == *path,
            _ => false,
        })
    }

    /// Whether something at or inside this place has been reported.
    pub(super) fn touches(&self, path: &Path) -> bool {
        self.problems.iter().any(|(other, _)| other.is_within(path))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The report, with every problem shown where it stands in `text`.
    pub(super) fn finish(self, file: Option<String>, text: &str, places: &Places) -> Report {
        let show = |(path, fault): (Path, Fault)| {
            let place = places.find(&path).map(|place| {
                let range = if fault.is_about_name() { place.key.clone() } else { place.value.clone() };
                Spot::of(text, range, is_secret(&path, &fault))
            });
            Problem { path, fault, place }
        };
        let mut problems: Vec<Problem> = self.problems.into_iter().map(show).collect();
        problems.sort_by_key(|problem| problem.place.as_ref().map(|spot| (spot.line, spot.column)));
        Report { file, problems }
    }
}

// === impl Report ===

impl Report {
    pub(super) fn unreadable(file: String, why: String) -> Self {
        let problem = Problem { path: Path::default(), fault: Fault::Unreadable { why }, place: None };
        Self { file: Some(file), problems: vec![problem] }
    }

    /// The parser's complaints, one per line of the file.
    pub(super) fn syntax(file: String, text: &str, errors: &[toml::de::Error]) -> Self {
        let mut problems: Vec<Problem> = Vec::new();
        for error in errors {
            let place = error.span().map(|span| Spot::of(text, span, false));
            let line = |spot: &Option<Spot>| spot.as_ref().map(|spot| spot.line);
            if problems.iter().any(|known| line(&known.place) == line(&place)) {
                continue;
            }
            let fault = Fault::Syntax { message: error.message().to_owned() };
            problems.push(Problem { path: Path::default(), fault, place });
        }
        Self { file: Some(file), problems }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_deref().unwrap_or("the configuration");
        let count = self.problems.len();
        writeln!(f, "{file}: {count} {}", if count == 1 { "problem" } else { "problems" })?;
        for problem in &self.problems {
            problem.show(f, file)?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

// === impl Problem ===

impl Problem {
    fn show(&self, f: &mut fmt::Formatter<'_>, file: &str) -> fmt::Result {
        let path = self.path.to_string();
        let colon = if path.is_empty() { "" } else { ": " };
        writeln!(f, "\n{path}{colon}{}", self.fault)?;
        if let Some(Spot { line, column, width, source }) = &self.place {
            let number = line.to_string();
            let gutter = " ".repeat(number.len());
            let caret = " ".repeat(column.saturating_sub(1)) + &"^".repeat((*width).max(1));
            writeln!(f, "{gutter} --> {file}:{line}:{column}")?;
            writeln!(f, "{number} | {source}\n{gutter} | {caret}")?;
        }
        match self.fault.fix() {
            Some(fix) => writeln!(f, "  fix: {fix}"),
            None => Ok(()),
        }
    }
}

// === impl Fault ===

impl Fault {
    /// What to do about it.
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::UnknownField { nearest: Some(name), .. } => Some(format!("did you mean `{name}`?")),
            Self::UnknownField { known, .. } if known.is_empty() => None,
            Self::UnknownField { known, .. } => Some(format!("known here: {}", known.join(", "))),
            Self::UnknownName { nearest: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            Self::Absent { name, .. } => Some(format!("remove `{name}`")),
            Self::NoVariable { name } => Some(format!("set {name}, or give a `default` beside `env`")),
            Self::NoSecretFile { .. } => Some("a relative path starts at the configuration file's directory".into()),
            Self::Missing { fix, .. } | Self::UnknownName { fix, .. } | Self::Invalid { fix, .. } => Some(fix.clone()),
            Self::Unreadable { .. } => {
                Some("give the file's path with `--config`; without a file none is needed".into())
            }
            Self::Syntax { .. } | Self::WrongType { .. } | Self::OutOfRange { .. } => None,
        }
    }

    /// Whether the caret belongs under the name rather than under the value.
    fn is_about_name(&self) -> bool {
        match self {
            Self::UnknownField { .. } | Self::Absent { .. } => true,
            Self::Unreadable { .. }
            | Self::Syntax { .. }
            | Self::WrongType { .. }
            | Self::OutOfRange { .. }
            | Self::Missing { .. }
            | Self::NoVariable { .. }
            | Self::NoSecretFile { .. }
            | Self::UnknownName { .. }
            | Self::Invalid { .. } => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { why } => write!(f, "cannot be read: {why}"),
            Self::Syntax { message } => write!(f, "not valid TOML: {message}"),
            Self::UnknownField { name, .. } => write!(f, "unknown field `{name}`"),
            Self::Absent { why, .. } => f.write_str(why),
            Self::WrongType { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::OutOfRange { least, most: i64::MAX } => write!(f, "must be at least {least}"),
            Self::OutOfRange { least, most } => write!(f, "must be between {least} and {most}"),
            Self::Missing { field, .. } => write!(f, "`{field}` is missing"),
            Self::NoVariable { name } => write!(f, "the environment variable {name} is not set"),
            Self::NoSecretFile { file, why } => write!(f, "the secret's file {file} cannot be used: {why}"),
            Self::UnknownName { what, name, .. } => write!(f, "there is no {what} `{name}`"),
            Self::Invalid { message, .. } => f.write_str(message),
        }
    }
}

// === impl Spot ===

impl Spot {
    fn of(text: &str, range: Range<usize>, secret: bool) -> Self {
        let before = text.get(..range.start).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let source = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or("");
        let column = before.get(start..).map_or(0, |front| front.chars().count());
        let meant = text.get(range).and_then(|meant| meant.lines().next()).unwrap_or("");
        let source = if secret || holds_secret(text, start, source) { blot(source) } else { source.to_owned() };
        Self { line, column: column + 1, width: meant.chars().count(), source }
    }
}

/// Words that mark a value one does not print.
const SECRET: &[&str] = &["key", "secret", "token", "password", "hash", "auth", "credential", "cookie", "header"];

fn names_secret(text: &str) -> bool {
    let text = text.to_lowercase();
    SECRET.iter().any(|word| text.contains(word))
}

/// A field nobody knows may be a secret's, misspelt. That a section is called `keys` says nothing
/// of its fields.
fn is_secret(path: &Path, fault: &Fault) -> bool {
    let path = path.to_string();
    matches!(fault, Fault::UnknownField { .. }) || names_secret(path.strip_prefix("keys.").unwrap_or(&path))
}

/// Whether the line that starts at `start` belongs to a secret field or holds an address with a
/// password. A value may go over many lines, so the name is looked for upwards.
fn holds_secret(text: &str, start: usize, line: &str) -> bool {
    let above = text.get(..start).unwrap_or("").lines().rev();
    let mut upwards = std::iter::once(line).chain(above);
    let owner = upwards.clone().find(|line| line.contains('=')).unwrap_or("");
    let section = upwards.find(|line| line.trim_start().starts_with('[')).unwrap_or("");
    line.contains('@') || names_secret(owner) || section.to_lowercase().contains("headers")
}

/// The line with everything behind its first `=` made unreadable, each character by one.
fn blot(line: &str) -> String {
    let (front, back) = match line.find('=') {
        Some(at) => line.split_at(at + 1),
        None if line.trim_start().starts_with('[') && line.trim_end().ends_with(']') => (line, ""),
        None => ("", line),
    };
    front.chars().chain(back.chars().map(|c| if c.is_alphanumeric() { '*' } else { c })).collect()
}
