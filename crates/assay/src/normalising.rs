//! Normalising files: read, write beside, and let the new bytes count only when all of them are there; for the command, and
//! for the artifacts of a build.

use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use build::normalise::{self, HEAD_BYTES, Kind, NormaliseError, Report, Settings};
use build::plan::{Planned, WORKSPACE};
use sandbox::outcome::{Collected, CollectedKind};
use serde_json::{Value, json};
use wire::digest::Digest;

use crate::error::{Context as _, Failure, Result};
use crate::machine;

/// How many changes of one file are printed for people; `--json` has them all.
const SHOWN_MAX: usize = 12;

/// A file whose normal form lies beside it, and goes away again unless [`Pending::replace`] is called.
pub(crate) struct Pending {
    /// The file, without links on the way to it.
    path: PathBuf,
    beside: Option<PathBuf>,
    /// What is changed.
    pub(crate) report: Report,
}

impl Pending {
    /// Puts the new bytes in the file's place, if there are any. Durable when it returns.
    pub(crate) fn replace(mut self) -> Result<Report> {
        if let Some(beside) = self.beside.take() {
            let doing = || format!("replacing `{}`", self.path.display());
            fs::rename(&beside, &self.path).context("normalise", doing())?;
            let directory = self.path.parent().unwrap_or(Path::new("/"));
            File::open(directory).and_then(|directory| directory.sync_all()).context("normalise", doing())?;
        }
        Ok(self.report.clone())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            let _left = fs::remove_file(beside); // its name tells whose it is
        }
    }
}

/// What was done to each artifact that a plan normalises: its path in the workspace, and the report.
pub(crate) type Normalised = Vec<(String, Report)>;

/// Normalises what a build left, before anything of it is kept or packed, and notes the new digests. An artifact that must
/// be normal already and is not is an honest no.
pub(crate) fn collected(planned: &Planned, directory: &Path, collected: &mut [Collected]) -> Result<Normalised> {
    let epoch = u32::try_from(planned.settings.epoch_unix_s)
        .context("normalise", "the build's epoch does not fit into 32 bits of seconds")?;
    let mut done = Vec::new();
    for file in &planned.normalise {
        let inside = format!("{WORKSPACE}/{}", file.path);
        let Some(artifact) = collected.iter_mut().find(|artifact| artifact.path == inside) else { continue };
        let CollectedKind::File { digest, size, .. } = &mut artifact.kind else { continue };
        let path = directory.join(inside.trim_start_matches('/'));
        let kind = kind_of(&path, file.kind.as_deref().and_then(Kind::named)).map_err(no)?;
        let settings = Settings { recompress: file.recompress, ..Settings::at(epoch) };
        if file.check {
            let report = check(&path, kind, &settings).map_err(no)?;
            if !report.changes.is_empty() {
                let message = format!("an artifact is not in its normal form\n{}", text_of(&file.path, &report));
                let hint = format!("have the build write it so, or take `check = true` from `{}`", file.path);
                return Err(Failure::no("not-normal", message).hint(hint));
            }
            done.push((file.path.clone(), report));
        } else {
            done.push((file.path.clone(), prepare(&path, kind, &settings).map_err(no)?.replace()?));
            let mut file = open(&path)?;
            (*digest, *size) = Digest::of_reader(&mut file).context("normalise", "hashing the normal form")?;
        }
    }
    Ok(done)
}

/// An artifact that is refused is the build's failure; one that could not be read is nobody's.
fn no(failure: Failure) -> Failure {
    let exit = if failure.code == "normalise" { failure.exit } else { 1 };
    Failure { exit, ..failure }
}

/// Tells the kind of a file, if it was not said.
pub(crate) fn kind_of(path: &Path, said: Option<Kind>) -> Result<Kind> {
    if let Some(kind) = said {
        return Ok(kind);
    }
    let mut head = Vec::new();
    open(path)?
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)
        .context("normalise", format!("reading `{}`", path.display()))?;
    let name = path.to_string_lossy().into_owned();
    normalise::detect(&name, &head).ok_or_else(|| refused(path, &NormaliseError::Unknown(name.clone())))
}

/// Tells what would change.
pub(crate) fn check(path: &Path, kind: Kind, settings: &Settings) -> Result<Report> {
    normalise::check(&mut BufReader::new(open(path)?), kind, settings).map_err(|error| refused(path, &error))
}

/// Writes the normal form of a file beside it.
pub(crate) fn prepare(path: &Path, kind: Kind, settings: &Settings) -> Result<Pending> {
    let doing = || format!("writing the normal form of `{}`", path.display());
    let path = path.canonicalize().context("normalise", doing())?;
    let input = open(&path)?;
    let old = input.metadata().context("normalise", doing())?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = path.with_file_name(format!(".{name}.assay-{}", machine::random_name()?));
    let file = File::create_new(&beside).context("normalise", doing())?;
    let mut pending = Pending { path, beside: Some(beside), report: Report::empty(kind) };
    let mut out = BufWriter::new(file);
    pending.report = normalise::normalise(&mut BufReader::new(input), kind, settings, &mut out)
        .map_err(|error| refused(&pending.path, &error))?;
    if pending.report.changes.is_empty() {
        pending.beside.take().map(fs::remove_file).transpose().context("normalise", doing())?;
        return Ok(pending);
    }
    out.flush()
        .and_then(|()| keep_owner(out.get_ref(), &old))
        .and_then(|()| out.get_ref().set_permissions(old.permissions())) // after the owner, who takes setuid away
        .and_then(|()| out.get_ref().sync_all())
        .context("normalise", doing())?;
    Ok(pending)
}

/// Who is allowed to leaves the file to whom it was; for anybody else the new file is his own, as everything he writes.
fn keep_owner(file: &File, old: &Metadata) -> io::Result<()> {
    match fchown(file, Some(old.uid()), Some(old.gid())) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        answer => answer,
    }
}

fn open(path: &Path) -> Result<File> {
    let doing = || format!("reading `{}`", path.display());
    let file = File::open(path).context("normalise", doing())?;
    if !file.metadata().context("normalise", doing())?.is_file() {
        return Err(Failure::new("normalise", format!("`{}` is no file", path.display())));
    }
    Ok(file)
}

fn refused(path: &Path, error: &NormaliseError) -> Failure {
    let (code, hint) = match error {
        NormaliseError::Unknown(_) => {
            ("normalise-unknown", Some("say what it is: `--kind KIND`, or `kind` in `[[normalise]]`"))
        }
        NormaliseError::Signed { .. } => ("normalise-signed", None),
        NormaliseError::Recompress { .. } => {
            ("normalise-recompress", Some("allow it: `--recompress`, or `recompress = true` in `[[normalise]]`"))
        }
        NormaliseError::Read(cause) if cause.kind() == io::ErrorKind::NotFound => ("normalise", None),
        NormaliseError::Read(_) | NormaliseError::Write(_) => ("normalise", None),
        NormaliseError::Damaged { .. } | NormaliseError::Unsupported { .. } | NormaliseError::Limit { .. } => {
            ("normalise-refused", None)
        }
    };
    let failure = Failure::new(code, format!("normalising `{}`", path.display())).because(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// One file's report for programs.
pub(crate) fn json_of(path: &str, report: &Report) -> Value {
    let listed = report
        .changes
        .listed
        .iter()
        .map(|change| json!({"path": change.path, "field": change.field, "from": change.from, "to": change.to}));
    json!({
        "path": path,
        "kind": report.kind.name(),
        "changes": report.changes.total(),
        "fields": report.changes.by_field,
        "listed": listed.collect::<Vec<_>>(),
        "notes": report.notes,
    })
}

/// What was done to one file of a build, for people, from its report for programs: `made.tar: tar: mtime 2, order 1`.
pub(crate) fn summary_of(json: &Value) -> String {
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    let fields = json["fields"].as_object().into_iter().flatten();
    let fields: Vec<String> = fields.map(|(field, count)| format!("{field} {count}")).collect();
    let fields = if fields.is_empty() { "nothing to change".to_owned() } else { fields.join(", ") };
    format!("{}: {}: {fields}", text("path"), text("kind"))
}

/// One file's report for people.
pub(crate) fn text_of(path: &str, report: &Report) -> String {
    let total = report.changes.total();
    let fields: Vec<String> = report.changes.by_field.iter().map(|(field, count)| format!("{field} {count}")).collect();
    let mut lines = vec![match total {
        0 => format!("{path}: {}: nothing to change", report.kind.name()),
        1 => format!("{path}: {}: 1 change: {}", report.kind.name(), fields.join(", ")),
        _ => format!("{path}: {}: {total} changes: {}", report.kind.name(), fields.join(", ")),
    }];
    for change in report.changes.listed.iter().take(SHOWN_MAX) {
        let member = if change.path.is_empty() { String::new() } else { format!("{} ", change.path) };
        let to = if change.to.is_empty() { "gone" } else { &change.to };
        lines.push(format!("  {member}{}: {} → {to}", change.field, change.from));
    }
    if total > SHOWN_MAX as u64 {
        lines.push(format!("  … and {} more", total - SHOWN_MAX as u64));
    }
    lines.extend(report.notes.iter().map(|note| format!("  note: {note}")));
    lines.join("\n")
}
