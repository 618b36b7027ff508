//! `assay normalise`

use std::fs;
use std::path::{Path, PathBuf};

use build::normalise::{Kind, NORMALISE_FORMAT, Pyc, Settings};
use clap::builder::PossibleValuesParser;
use serde_json::json;

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::normalising::{self, Pending};
use crate::report::Report;

/// The largest source of a compiled Python module that is hashed.
const SOURCE_MAX: u64 = 64 << 20;

/// Take out of archives what packing put in by chance: times, owners, order
///
/// Names, modes, link targets and contents of members stay. What is signed, damaged or unknown is refused. The files are
/// replaced when all of them could be normalised, else none is. No project is needed.
///
/// Exit codes: 0 done, or nothing to change; 1 with --check, if something would change; 2 refused.
///
///   assay normalise dist/*.whl --epoch "$(git log -1 --format=%ct)"
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Archives and files: tar, gzip, zip, jar, wheel, ar, deb, pyc, mo, po, javadoc pages, png
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change nothing, and answer 1 if something would change
    #[arg(long)]
    check: bool,
    /// The time that later ones become, in seconds since 1970
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS")]
    epoch: u32,
    /// What the files are, in place of telling it from their names and bytes
    #[arg(long, value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::name)))]
    kind: Option<String>,
    /// Compress gzip and xz anew with the pinned encoders, without which no tar.gz or tar.xz can change
    #[arg(long)]
    recompress: bool,
    /// Have compiled Python name its source, which must lie in its place, by hash in place of time
    #[arg(long, value_name = "HOW", value_parser = ["checked", "unchecked"])]
    pyc: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let said = args.kind.as_deref().and_then(Kind::named);
    let mut reports = Vec::new();
    let mut pending: Vec<Pending> = Vec::new();
    for path in &args.files {
        context.progress.doing(&format!("normalising {}", path.display()));
        let kind = normalising::kind_of(path, said)?;
        let settings = settings(args, path, kind)?;
        if args.check {
            reports.push(normalising::check(path, kind, &settings)?);
        } else {
            pending.push(normalising::prepare(path, kind, &settings)?);
        }
    }
    for file in pending {
        reports.push(file.replace()?);
    }
    let changed = reports.iter().any(|report| !report.changes.is_empty());
    let result = match (changed, args.check) {
        (false, _) => "normal",
        (true, true) => "would-change",
        (true, false) => "normalised",
    };
    let named = || args.files.iter().map(|path| path.to_string_lossy()).zip(&reports);
    let json = json!({
        "result": result,
        "normaliseFormat": NORMALISE_FORMAT,
        "epoch": args.epoch,
        "files": named().map(|(path, report)| normalising::json_of(&path, report)).collect::<Vec<_>>(),
    });
    let text: Vec<String> = named().map(|(path, report)| normalising::text_of(&path, report)).collect();
    Ok(Report::of(!(changed && args.check), json, text.join("\n")))
}

fn settings(args: &Args, path: &Path, kind: Kind) -> Result<Settings> {
    let pyc = match &args.pyc {
        Some(how) if kind == Kind::Pyc => Pyc::Hash { checked: how == "checked", source: source_of(path)? },
        _ => Pyc::Clamp,
    };
    Ok(Settings { recompress: args.recompress, pyc, ..Settings::at(args.epoch) })
}

/// Reads the source of a compiled module: `__pycache__/m.cpython-311.pyc` is of `m.py`, `m.pyc` of `m.py` beside it.
fn source_of(path: &Path) -> Result<Vec<u8>> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let source = if directory.ends_with("__pycache__") {
        let module = stem.split('.').next().unwrap_or_default();
        directory.with_file_name(format!("{module}.py"))
    } else {
        directory.join(format!("{stem}.py"))
    };
    let doing = || format!("reading `{}`, the source of `{}`", source.display(), path.display());
    let size = fs::metadata(&source).context("normalise", doing())?.len();
    if size > SOURCE_MAX {
        return Err(Failure::new("normalise", format!("`{}` has more than {SOURCE_MAX} bytes", source.display())));
    }
    fs::read(&source).context("normalise", doing())
}
