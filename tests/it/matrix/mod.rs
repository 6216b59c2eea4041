//! Every client dialect against every upstream dialect, feature by feature, over real sockets: what
//! `docs/dialects.md` promises in its table, which this test writes.
//!
//! A client driver writes a request for a feature and reads the answer; a vendor driver says an
//! answer and reads what it was asked. What both mean is compared in a neutral form ([`neutral`]),
//! so there are as many drivers as dialects, not as many as pairs. A cell is a client, a vendor, a
//! feature, and whether it is streamed. Every cell works, or is declared an exception with its
//! reason ([`exceptions`]), and then it must be as declared.
//!
//! One gateway serves all cells, many at once. `MATRIX='Messages > Gemini'` runs only the cells whose
//! name holds that.

mod cell;
mod clients;
mod exceptions;
mod feature;
mod neutral;
mod page;
mod talks;
mod troubles;
mod vendors;

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use self::{
    cell::{Cell, House},
    clients::CLIENTS,
    vendors::VENDORS,
};

/// Cells under way at the same time.
const AT_ONCE: usize = 32;

fn cells() -> Vec<Cell> {
    let pairs = CLIENTS.iter().flat_map(|client| VENDORS.iter().map(move |vendor| (*client, *vendor)));
    let all = pairs.flat_map(|pair| pair.1.features().iter().map(move |feature| (pair, *feature)));
    let modes = all.flat_map(|(pair, feature)| feature.modes().iter().map(move |stream| (pair, feature, *stream)));
    let numbered = modes.enumerate();
    numbered
        .map(|(number, ((client, vendor), feature, stream))| Cell { number, client, vendor, feature, stream })
        .collect()
}

/// R1, R2, R3, R5, T1, T2, T3, T4, T7, T8, J1, J2, C4, E1, E2, E3, M1, F8, D1, S1, S4, S6, S7, P1, A1,
/// and cases 10, 11, 12, 15, 29, 34, 35 and 63, for every pair.
#[tokio::test]
async fn every_client_reaches_every_vendor() {
    let wanted = std::env::var("MATRIX").unwrap_or_default();
    let house = Arc::new(House::start().await);
    let cells: Vec<Cell> = cells().into_iter().filter(|cell| cell.name().contains(&wanted)).collect();
    let (count, leavings) = (cells.len(), cells.iter().map(Cell::leavings).sum::<usize>());
    let run = |cell: Cell| {
        let house = Arc::clone(&house);
        async move {
            let name = cell.name();
            let outcome = tokio::spawn(async move { cell.run(&house).await }).await;
            outcome.err().map(|error| format!("{name}: {}", why(error)))
        }
    };
    let outcomes = stream::iter(cells).map(run).buffer_unordered(AT_ONCE);
    let mut failed: Vec<String> = outcomes.filter_map(async |failure| failure).collect().await;
    failed.sort();
    assert!(failed.is_empty(), "{} of {count} cells failed:\n{}", failed.len(), failed.join("\n"));
    house.has_counted(leavings).await;
    let table = page::table();
    let page = include_str!("../../../docs/dialects.md");
    assert!(page.contains(&table), "docs/dialects.md should hold:\n{table}");
}

/// What a cell that failed has said.
fn why(error: tokio::task::JoinError) -> String {
    let panic = error.into_panic();
    let words = panic.downcast_ref::<String>().cloned();
    words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned())).unwrap_or_default()
}
