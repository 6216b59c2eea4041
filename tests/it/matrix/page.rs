//! The table of `docs/dialects.md`: what works for which pair, and the reasons for what does not.

use super::{
    clients::CLIENTS,
    exceptions::{Verdict, verdict},
    feature::Feature,
    vendors::VENDORS,
};

/// A feature that is not as elsewhere, and why.
type Note = (Vec<Feature>, &'static str);

/// A row for each vendor and a column for each client, then the notes by number.
pub(super) fn table() -> String {
    let mut notes: Vec<Note> = Vec::new();
    let heads = CLIENTS.iter().map(|client| client.name());
    let mut table = row(std::iter::once("upstream").chain(heads).map(str::to_owned));
    table += &format!("|{}\n", "---|".repeat(CLIENTS.len() + 1));
    for vendor in VENDORS.iter().filter(|vendor| vendor.features().len() == Feature::ALL.len()) {
        let cells = CLIENTS.iter().map(|client| cell(client.name(), vendor.name(), &mut notes));
        table += &row(std::iter::once(vendor.name().to_owned()).chain(cells));
    }
    table.push('\n');
    for (number, (features, reason)) in (1..).zip(&notes) {
        let names: Vec<&str> = features.iter().map(|feature| feature.name()).collect();
        let names = if is_all(features) { "everything".into() } else { names.join(", ") };
        table += &format!("{number}. {names}: {reason}.\n");
    }
    table
}

fn is_all(features: &[Feature]) -> bool {
    features.len() == Feature::ALL.len()
}

fn row(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

fn cell(client: &str, vendor: &str, notes: &mut Vec<Note>) -> String {
    let mut found: Vec<Note> = Vec::new();
    for feature in Feature::ALL {
        let verdict: Verdict = verdict(client, vendor, feature);
        let Some(reason) = verdict.reason() else { continue };
        match found.iter_mut().find(|(_, known)| *known == reason) {
            Some((features, _)) => features.push(feature),
            None => found.push((vec![feature], reason)),
        }
    }
    let (mut numbers, mut is_elsewhere) = (Vec::new(), false);
    for note in found {
        is_elsewhere |= is_all(&note.0);
        let at = notes.iter().position(|known| *known == note).unwrap_or_else(|| {
            notes.push(note);
            notes.len() - 1
        });
        numbers.push(at + 1);
    }
    numbers.sort_unstable();
    let numbers = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match numbers.as_str() {
        "" => "all".into(),
        _ if is_elsewhere => format!("see {numbers}"),
        _ => format!("all but {numbers}"),
    }
}
