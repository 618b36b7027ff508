//! The predicates: one table of all that assay states, and one module for each.
//!
//! Where a standard has a predicate we use it (SLSA provenance, SLSA verification summary, in-toto test result) and put
//! what it has no field for under one extension field, `assay`. The others are ours and carry `"version": 1`. A reader
//! ignores fields that it does not know and refuses a version that it does not know.

pub mod deployment;

pub mod grant;

pub mod observation;

pub mod policy;

pub mod publication;

pub mod rebuilt;

pub mod recipe;

pub mod reference;

pub mod revocation;

pub mod run;

pub mod sbom;

pub mod tag;

pub mod test;

pub mod verdict;

use model::recipe::{Artifact, ArtifactKind};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sign::trust::Role;
use wire::digest::Digest;
use wire::in_toto::{ResourceDescriptor, Statement};

use crate::claim::ClaimError;

/// `predicateType` of a recipe.
pub const RECIPE: &str = "https://assay.dev/recipe/v1";
/// `predicateType` of a run: SLSA Provenance v1.
pub const RUN: &str = "https://slsa.dev/provenance/v1";
/// `buildType` that makes SLSA provenance a run of ours.
pub const BUILD_TYPE: &str = "https://assay.dev/build/v1";
/// `predicateType` of the comparison of several runs of one recipe on one machine.
pub const REBUILT: &str = "https://assay.dev/rebuilt/v1";
/// `predicateType` of a test outcome: in-toto test-result.
pub const TEST: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// `predicateType` of a recorded reference digest.
pub const REFERENCE: &str = "https://assay.dev/reference/v1";
/// `predicateType` of a verdict: SLSA verification summary.
pub const VERDICT: &str = "https://slsa.dev/verification_summary/v1";
/// `predicateType` of a deployment.
pub const DEPLOYMENT: &str = "https://assay.dev/deployment/v1";
/// `predicateType` of an observation.
pub const OBSERVATION: &str = "https://assay.dev/observation/v1";
/// `predicateType` of a publication.
pub const PUBLICATION: &str = "https://assay.dev/publication/v1";
/// `predicateType` of a tag's move.
pub const TAG: &str = "https://assay.dev/tag/v1";
/// `predicateType` of a grant or a revocation of access.
pub const GRANT: &str = "https://assay.dev/grant/v1";
/// `predicateType` of a policy's text.
pub const POLICY: &str = "https://assay.dev/policy/v1";
/// `predicateType` of the end of an identity's certificates.
pub const REVOCATION: &str = "https://assay.dev/revocation/v1";

/// `predicateType` of a bill of materials: CycloneDX.
pub const SBOM: &str = wire::cyclonedx::PREDICATE_TYPE;

/// The one field that holds what a standard's predicate has no field for.
pub const EXTENSION: &str = "assay";

/// The version of the predicates that are ours, and of our extension fields.
pub const VERSION: u32 = 1;

/// How many entries one list of a predicate may have: a large lock file has a few thousand packages.
pub const LIST_MAX: usize = 100_000;

/// The longest text in a predicate: a policy's source; anything longer belongs in a blob of its own.
pub const TEXT_MAX: usize = 1 << 20;

/// The kinds of statements that assay reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Predicate {
    /// What a build is, whoever runs it.
    Recipe,
    /// One run of a build.
    Run,
    /// Several runs compared.
    Rebuilt,
    /// Outcome of tests.
    Test,
    /// A digest that somebody vouches for.
    Reference,
    /// Outcome of a policy.
    Verdict,
    /// Something brought live.
    Deployment,
    /// What was seen to run.
    Observation,
    /// A manifest accepted by a registry.
    Publication,
    /// A tag that was made, moved or deleted.
    Tag,
    /// Access granted or revoked.
    Grant,
    /// A policy's text.
    Policy,
    /// No further certificates for somebody.
    Revocation,
    /// What a build read of what was pinned.
    Sbom,
}

/// One row of [`TABLE`].
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The predicate.
    pub predicate: Predicate,
    /// Its short name, in the command line, in policies and in errors.
    pub name: &'static str,
    /// Its `predicateType`.
    pub uri: &'static str,
    /// The role that its signer must have; a statement signed without it is no evidence.
    pub role: Role,
}

/// All predicates: name, type, and who may state it.
pub const TABLE: [Row; 14] = [
    row(Predicate::Recipe, "recipe", RECIPE, Role::Builder),
    row(Predicate::Run, "run", RUN, Role::Builder),
    row(Predicate::Rebuilt, "rebuilt", REBUILT, Role::Builder),
    row(Predicate::Test, "test", TEST, Role::Tester),
    row(Predicate::Reference, "reference", REFERENCE, Role::Admin),
    row(Predicate::Verdict, "verdict", VERDICT, Role::Verifier),
    row(Predicate::Deployment, "deployment", DEPLOYMENT, Role::Deployer),
    row(Predicate::Observation, "observation", OBSERVATION, Role::Deployer),
    row(Predicate::Publication, "publication", PUBLICATION, Role::Publisher),
    row(Predicate::Tag, "tag", TAG, Role::Publisher),
    row(Predicate::Grant, "grant", GRANT, Role::Admin),
    row(Predicate::Policy, "policy", POLICY, Role::Admin),
    row(Predicate::Revocation, "revocation", REVOCATION, Role::Admin),
    row(Predicate::Sbom, "sbom", SBOM, Role::Builder),
];

const fn row(predicate: Predicate, name: &'static str, uri: &'static str, role: Role) -> Row {
    Row { predicate, name, uri, role }
}

impl Predicate {
    /// Returns the predicate's row of [`TABLE`].
    pub fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.predicate == self).expect("every predicate is in the table")
    }

    /// Returns the short name.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns the `predicateType`.
    pub fn uri(self) -> &'static str {
        self.row().uri
    }

    /// Returns the role that its signer must have.
    pub fn role(self) -> Role {
        self.row().role
    }

    /// Returns the predicate of a short name.
    pub fn of_name(name: &str) -> Option<Predicate> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.predicate)
    }

    /// Returns what a statement is; `None` for what assay neither writes nor judges.
    ///
    /// Provenance of another build type, test results and summaries without our extension field, and bills of materials
    /// without our properties, are somebody else's: stored and shown, never evidence.
    pub fn of(statement: &Statement) -> Option<Predicate> {
        let found = TABLE.iter().find(|row| row.uri == statement.predicate_type)?.predicate;
        let ours = match found {
            Predicate::Run => statement.predicate.pointer("/buildDefinition/buildType") == Some(&BUILD_TYPE.into()),
            Predicate::Sbom => is_observed(&statement.predicate),
            Predicate::Test | Predicate::Verdict => statement.predicate.get(EXTENSION).is_some(),
            _ => true,
        };
        ours.then_some(found)
    }
}

/// Whether a bill of materials is one of ours: it has a property that says so.
fn is_observed(bom: &Value) -> bool {
    let properties = bom.pointer("/metadata/properties").and_then(Value::as_array);
    properties.is_some_and(|all| all.iter().any(|one| one["name"] == sbom::VERSION_PROPERTY))
}

/// Reads a predicate of ours, or our extension field of another: one that carries our version.
pub(crate) fn read<T: DeserializeOwned>(predicate: Predicate, value: &Value) -> Result<T, ClaimError> {
    let what = predicate.name();
    match value.get("version").map(Value::as_u64) {
        Some(Some(found)) if found == u64::from(VERSION) => read_foreign(predicate, value),
        Some(Some(found)) => Err(ClaimError::Version { what, found }),
        _ => {
            let source = serde::de::Error::custom("expected a number");
            Err(ClaimError::Field { what, field: "version".to_owned(), source })
        }
    }
}

/// Reads a predicate whose version is in its `predicateType`.
pub(crate) fn read_foreign<T: DeserializeOwned>(predicate: Predicate, value: &Value) -> Result<T, ClaimError> {
    let what = predicate.name();
    limits(what, value, &mut String::new())?;
    serde_path_to_error::deserialize(value).map_err(|error| ClaimError::Field {
        what,
        field: error.path().to_string(),
        source: error.into_inner(),
    })
}

/// Reads our extension field, which [`Predicate::of`] has seen to be there.
pub(crate) fn read_extension<T: DeserializeOwned>(predicate: Predicate, value: &Value) -> Result<T, ClaimError> {
    let field = |name: String| if name == "." { EXTENSION.to_owned() } else { format!("{EXTENSION}.{name}") };
    read(predicate, value.get(EXTENSION).unwrap_or(&Value::Null)).map_err(|error| match error {
        ClaimError::Field { what, field: name, source } => ClaimError::Field { what, field: field(name), source },
        other => other,
    })
}

/// Makes a statement of a predicate that is ours to write.
pub(crate) fn write<T: serde::Serialize>(
    predicate: Predicate,
    subject: Vec<ResourceDescriptor>,
    body: &T,
) -> Statement {
    let body = serde_json::to_value(body).expect("our predicates have string keys only");
    Statement::new(subject, predicate.uri(), body)
}

/// Checks that a statement is about just what its predicate says, so that neither can be quoted for the other.
pub(crate) fn agree(
    predicate: Predicate,
    statement: &Statement,
    expected: &[ResourceDescriptor],
) -> Result<(), ClaimError> {
    let same = statement.subject.len() == expected.len()
        && statement.subject.iter().zip(expected).all(|(found, wanted)| found.digest == wanted.digest);
    if same { Ok(()) } else { Err(ClaimError::Subjects { what: predicate.name() }) }
}

/// Returns the subjects that stand for a build's outputs: a file by its digest; an image by those of its manifest,
/// its configuration and its uncompressed layers, so that it is found again after a client recompressed it.
pub fn output_subjects(outputs: &[Artifact]) -> Vec<ResourceDescriptor> {
    let mut subjects = Vec::new();
    for output in outputs {
        subjects.push(ResourceDescriptor::named(&output.name, &output.digest));
        if let ArtifactKind::Image { config, diff_ids } = &output.kind {
            subjects.push(ResourceDescriptor::named(&format!("{}#config", output.name), config));
            for (index, layer) in diff_ids.iter().enumerate() {
                subjects.push(ResourceDescriptor::named(&format!("{}#layer{index}", output.name), layer));
            }
        }
    }
    subjects
}

/// What a subject's name says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// The thing itself.
    Whole(&'a str),
    /// The configuration of the image so called; it names that image alone.
    Config(&'a str),
    /// A layer of the image so called; other images may share it.
    Layer(&'a str),
    /// Another part, as an observation's `#expected`.
    Other(&'a str),
}

impl<'a> Part<'a> {
    /// Reads a subject's name.
    pub fn of(name: &'a str) -> Part<'a> {
        match name.split_once('#') {
            None => Part::Whole(name),
            Some((whole, "config")) => Part::Config(whole),
            Some((whole, part)) if part.starts_with("layer") => Part::Layer(whole),
            Some((whole, _)) => Part::Other(whole),
        }
    }

    /// Returns the name of the thing that it is, or is a part of.
    pub fn whole(self) -> &'a str {
        match self {
            Part::Whole(name) | Part::Config(name) | Part::Layer(name) | Part::Other(name) => name,
        }
    }
}

/// Returns whether a statement is about a thing that one of `digests` names.
///
/// A layer does not count: two images that share one are two things.
pub fn is_about(statement: &Statement, digests: &[Digest]) -> bool {
    statement.subject.iter().any(|subject| {
        let layer = matches!(Part::of(subject.name.as_deref().unwrap_or_default()), Part::Layer(_));
        !layer && subject.digests().any(|digest| digests.contains(&digest))
    })
}

/// Refuses lists and texts that are larger than any honest one, and says where.
fn limits(what: &'static str, value: &Value, path: &mut String) -> Result<(), ClaimError> {
    let (size, max) = match value {
        Value::String(text) => (text.len(), TEXT_MAX),
        Value::Array(list) => (list.len(), LIST_MAX),
        Value::Object(map) => (map.len(), LIST_MAX),
        _ => return Ok(()),
    };
    if size > max {
        return Err(ClaimError::Limit { what, field: path.clone(), size, max });
    }
    let length = path.len();
    let mut inner = |step: &dyn std::fmt::Display, child: &Value| {
        use std::fmt::Write as _;
        write!(path, "{}{step}", if path.is_empty() { "" } else { "." }).expect("writing to a string cannot fail");
        let result = limits(what, child, path);
        path.truncate(length);
        result
    };
    match value {
        Value::Array(list) => list.iter().enumerate().try_for_each(|(index, child)| inner(&index, child)),
        Value::Object(map) => map.iter().try_for_each(|(key, child)| inner(key, child)),
        _ => Ok(()),
    }
}
