//! `assay lint`

use std::io::Read as _;
use std::path::{Path, PathBuf};

use inspect::provenance::{self, Document, Graded, Layer};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::report::Report;

/// Grade what provenance says, field by field, and name what it leaves open
///
/// Takes SLSA provenance v0.2 and v1 of any builder, in whatever it came: in-toto statements, DSSE envelopes (cosign, Tekton
/// Chains), Sigstore bundles (GitHub), npm's and PyPI's attestations, BuildKit's `{{json .Provenance}}`, one or one a line. No
/// signature is checked: use `assay sigstore verify-bundle`. This tells what a genuine one would be worth.
///
/// Exit codes: 0 nothing is wrong; 1 a field contradicts its specification, or the score is below --minimum; 2 no provenance.
///
///   gh attestation download app.tar -R acme/app && assay lint sha256:*.jsonl --minimum 60
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files with provenance; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Answer 1 if a statement has less than this score
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100), default_value_t = 0)]
    minimum: u32,
}

/// A document with its grades; `None` when it is no provenance.
struct Linted {
    document: Document,
    graded: Option<Graded>,
}

pub(super) fn run(args: &Args, _context: &Context) -> Result<Report> {
    let mut json = Vec::new();
    let mut text = String::new();
    let mut good = true;
    for path in &args.files {
        for linted in lint(path)? {
            json.push(as_json(path, &linted));
            text.push_str(&as_text(path, &linted));
            good &= linted.graded.is_none_or(|graded| !graded.has_wrong() && graded.score() >= args.minimum);
        }
    }
    let result = if good { "pass" } else { "fail" };
    Ok(Report::of(good, json!({"result": result, "minimum": args.minimum, "statements": json}), text.trim_end()))
}

/// Grades every statement of a file; a file without any provenance is no answer.
fn lint(path: &Path) -> Result<Vec<Linted>> {
    let bytes = read(path)?;
    let doing = || format!("reading `{}`", path.display());
    let documents = provenance::documents(&bytes).context("not-provenance", doing())?;
    let graded: Vec<Linted> = documents
        .into_iter()
        .map(|document| Linted { graded: provenance::grade(&document.statement), document })
        .collect();
    if graded.iter().all(|linted| linted.graded.is_none()) {
        let kinds: Vec<&str> = graded.iter().map(|linted| kind(&linted.document)).take(5).collect();
        let message = format!("`{}` holds no SLSA provenance of v0.2 or v1, but {}", path.display(), kinds.join(", "));
        return Err(Failure::new("not-provenance", message));
    }
    Ok(graded)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let doing = || format!("reading `{}`", path.display());
    if path != Path::new("-") {
        return store::durable::read(path, provenance::SIZE_MAX as u64).context("input", doing());
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(provenance::SIZE_MAX as u64 + 1).read_to_end(&mut bytes).context("input", doing())?;
    Ok(bytes)
}

fn kind(document: &Document) -> &str {
    document.statement["predicateType"].as_str().unwrap_or("a statement without predicateType")
}

fn as_json(path: &Path, linted: &Linted) -> Value {
    let layers: Vec<String> = linted.document.layers.iter().map(ToString::to_string).collect();
    let findings = linted.graded.iter().flat_map(|graded| &graded.findings).map(|finding| {
        json!({"field": finding.field, "grade": finding.grade.to_string(), "found": finding.found, "means": finding.means})
    });
    json!({
        "file": path,
        "wrappings": layers,
        "predicateType": kind(&linted.document),
        "producer": linted.graded.as_ref().and_then(|graded| graded.producer),
        "score": linted.graded.as_ref().map(Graded::score),
        "fields": findings.collect::<Vec<_>>(),
    })
}

fn as_text(path: &Path, linted: &Linted) -> String {
    let mut text = format!("{}: {}", path.display(), kind(&linted.document));
    let Some(graded) = &linted.graded else {
        text.push_str(": no provenance, not graded\n\n");
        return text;
    };
    if let Some(producer) = graded.producer {
        text.push_str(&format!(" by {producer}"));
    }
    text.push_str(&format!(", {} of 100\n", graded.score()));
    for layer in &linted.document.layers {
        text.push_str(&format!("  in a {layer}\n"));
    }
    if !linted.document.layers.iter().any(|layer| matches!(layer, Layer::Envelope { signatures: 1.. })) {
        text.push_str("  not signed: anybody may have written it\n");
    }
    for finding in &graded.findings {
        text.push_str(&format!(
            "  {:8}{}\n          {}: {}\n",
            finding.grade.to_string(),
            finding.field,
            finding.found,
            finding.means
        ));
    }
    text.push_str("  no signature was checked: assay sigstore verify-bundle\n\n");
    text
}
