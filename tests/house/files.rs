//! What files are like: of one subject, and free of the machine they were written on.

use super::{File, files, pages, root, sources};

/// Longer than this a source file holds two subjects.
const LINES: usize = 600;

#[test]
fn source_files_are_short() {
    let long = |file: &File| file.text.lines().count() > LINES;
    let long: Vec<String> = sources().into_iter().filter(long).map(|file| file.path).collect();
    assert!(long.is_empty(), "over {LINES} lines without tests: {long:?}");
}

/// Links in README and docs point to what is there, headings included.
#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let folder = root().join(&page.path).parent().expect("a folder").to_owned();
        for link in links(&page.text) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { root().join(&page.path) } else { folder.join(path) };
            let is_there = target.exists() && (heading.is_empty() || headings(&target).contains(&heading.to_owned()));
            if !is_there {
                broken.push(format!("{}: {link}", page.path));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Relative link targets, outside of code blocks.
fn links(page: &str) -> Vec<&str> {
    let mut is_code = false;
    let prose = page.lines().filter(|line| {
        is_code ^= line.starts_with("```");
        !is_code
    });
    let targets = prose.flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).collect()
}

/// A page's headings as GitHub spells their anchors.
fn headings(page: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap_or_default();
    let anchor = |line: &str| -> String {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .collect::<String>()
            .replace(' ', "-")
    };
    text.lines().filter(|line| line.starts_with('#')).map(anchor).collect()
}

/// No path of the machine something was written on.
#[test]
fn no_file_knows_a_machine() {
    let folders = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/tm", "p/w/")];
    let is_path = |line: &str, folder: &str| {
        line.match_indices(folder).any(|(at, _)| {
            let before = line[..at].chars().next_back().unwrap_or(' ');
            // In the middle of a longer path or of an address it is another folder of that name.
            !(before.is_alphanumeric() || matches!(before, '.' | '-' | '_' | '}' | '/'))
        })
    };
    let mut found = Vec::new();
    for file in files(".") {
        for (number, line) in file.text.lines().enumerate() {
            if folders.iter().any(|folder| is_path(line, folder)) {
                found.push(format!("{}:{}: {line}", file.path, number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
