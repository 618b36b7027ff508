//! What normalising must do, shown on archives made here, on recorded ones, and on what foreign tools pack now.

mod made;

mod golden;

mod laws;

mod rules;

mod refusals;

mod foreign;

use std::io::Cursor;

use super::{Kind, NormaliseError, Report, Settings, check, normalise};

/// 2023-11-14 22:13:20 UTC.
const EPOCH: u32 = 1_700_000_000;

fn settings() -> Settings {
    Settings::at(EPOCH)
}

fn recompressing() -> Settings {
    Settings { recompress: true, ..settings() }
}

/// Normalises, and holds what must be true of every result: the check says the same, and the normal form is its own.
fn run_with(bytes: &[u8], kind: Kind, settings: &Settings) -> Result<(Vec<u8>, Report), NormaliseError> {
    let mut out = Vec::new();
    let report = normalise(&mut Cursor::new(bytes), kind, settings, &mut out)?;
    assert_eq!(check(&mut Cursor::new(bytes), kind, settings).expect("as normalising"), report, "{kind:?}");
    assert_eq!(report.changes.is_empty(), out == bytes, "{kind:?}: {:?}", report.changes);
    let mut again = Vec::new();
    let second = normalise(&mut Cursor::new(&out), kind, settings, &mut again).expect("the normal form is read");
    assert!(out == again, "{kind:?}: normalising twice differs: {:?}", second.changes);
    assert!(second.changes.is_empty(), "{kind:?}: {:?}", second.changes);
    Ok((out, report))
}

fn run(bytes: &[u8], kind: Kind) -> (Vec<u8>, Report) {
    run_with(bytes, kind, &settings()).expect("it is well-formed")
}

/// `path field: from → to`, a line each.
fn shown(report: &Report) -> String {
    let lines = report.changes.listed.iter().map(|change| {
        let path = if change.path.is_empty() { String::new() } else { format!("{} ", change.path) };
        let to = if change.to.is_empty() { "gone" } else { &change.to };
        format!("{path}{}: {} → {to}\n", change.field, change.from)
    });
    let notes = report.notes.iter().map(|note| format!("note: {note}\n"));
    lines.chain(notes).collect()
}
