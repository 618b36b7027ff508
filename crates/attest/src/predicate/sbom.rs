//! What a build read of what its lock pins: CycloneDX 1.6, made from the trace of one run.
//!
//! Specification: <https://github.com/in-toto/attestation/blob/main/spec/predicates/cyclonedx.md>. What CycloneDX has no field for stands
//! in properties named `assay:…`: `docs/formats/sbom.md`, version 1. A document without them is somebody else's. Nothing that was pinned
//! is left out: what was never read has the scope `excluded`.

use std::collections::BTreeSet;

use model::recipe::InputKind;
use model::run::{Component, Record, Used};
use wire::cyclonedx::{
    BOM_FORMAT, Bom, Component as Listed, Composition, Hash, Lifecycle, Metadata, Property, SPEC_VERSION, Scope, Tools,
};
use wire::digest::Digest;
use wire::in_toto::Statement;
use wire::timestamp::Timestamp;

use crate::claim::ClaimError;
use crate::predicate::{Predicate, VERSION, output_subjects, read_foreign, write};

/// Says that a document is ours, and its version.
pub(crate) const VERSION_PROPERTY: &str = "assay:version";
const RUN: &str = "assay:run";
const KIND: &str = "assay:kind";
const USED: &str = "assay:used";
const DIGEST: &str = "assay:digest";
const ECOSYSTEM: &str = "assay:ecosystem";

const KINDS: [(InputKind, &str); 4] = [
    (InputKind::Package, "package"),
    (InputKind::Base, "base"),
    (InputKind::Toolchain, "toolchain"),
    (InputKind::Dependency, "dependency"),
];

const USES: [(Used, &str); 5] = [
    (Used::Read, "read"),
    (Used::Perhaps, "perhaps"),
    (Used::Described, "described"),
    (Used::Never, "never"),
    (Used::Unknown, "unknown"),
];

/// A bill of materials, as a run saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sbom {
    /// Project name.
    pub project: String,
    /// Unique name of the run: 32 hexadecimal digits.
    pub id: String,
    /// When the run ended.
    pub at: Timestamp,
    /// Digest of the run statement's payload.
    pub run: Digest,
    /// Whether that run's evidence is complete: then what was never read was not read.
    pub complete: bool,
    /// Everything pinned, in the order of the lock.
    pub components: Vec<Component>,
}

impl Sbom {
    /// Takes out of a record what its bill of materials says; `run` is the digest of the run statement's payload.
    pub fn of(record: &Record, run: &Digest) -> Sbom {
        Sbom {
            project: record.recipe.project.clone(),
            id: record.id.clone(),
            at: record.finished,
            run: *run,
            complete: record.completeness.complete,
            components: record.components.clone(),
        }
    }

    /// Returns how many packages of lock files were read, and of how many.
    pub fn locked(&self) -> (usize, usize) {
        count(&self.components, |component| component.ecosystem.is_some())
    }

    /// Returns the same of the packages of the base.
    pub fn base(&self) -> (usize, usize) {
        count(&self.components, |component| component.kind == InputKind::Package)
    }

    fn bom(&self) -> Bom {
        let mut references = BTreeSet::new();
        let components: Vec<Listed> =
            self.components.iter().map(|component| listed(component, &mut references)).collect();
        let aggregate = if self.complete { "complete" } else { "incomplete" };
        let assemblies = components.iter().filter_map(|component| component.bom_ref.clone()).collect();
        let tool = Listed {
            kind: "application".to_owned(),
            name: "assay".to_owned(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            ..Listed::default()
        };
        Bom {
            bom_format: BOM_FORMAT.to_owned(),
            spec_version: SPEC_VERSION.to_owned(),
            serial_number: Some(serial(&self.id)),
            version: 1,
            metadata: Some(Metadata {
                timestamp: Some(self.at),
                lifecycles: vec![Lifecycle { phase: Some("build".to_owned()) }],
                tools: Some(Tools::Components { components: vec![tool] }),
                component: Some(Listed {
                    kind: "application".to_owned(),
                    name: self.project.clone(),
                    ..Listed::default()
                }),
                properties: vec![
                    Property::new(VERSION_PROPERTY, &VERSION.to_string()),
                    Property::new(RUN, &self.run.to_string()),
                ],
            }),
            components,
            compositions: vec![Composition { aggregate: aggregate.to_owned(), assemblies }],
        }
    }
}

fn count(components: &[Component], of: impl Fn(&Component) -> bool) -> (usize, usize) {
    let all = components.iter().filter(|component| of(component));
    all.fold((0, 0), |(read, all), component| (read + usize::from(component.used == Used::Read), all + 1))
}

/// The run's own random name as a UUID (RFC 9562), read back by leaving out its hyphens.
fn serial(id: &str) -> String {
    let part = |from: usize, to: usize| id.get(from..to).unwrap_or_default();
    format!("urn:uuid:{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

fn listed(component: &Component, references: &mut BTreeSet<String>) -> Listed {
    let kind = if component.kind == InputKind::Toolchain { "application" } else { "library" };
    let (group, name) = match component.name.split_once('/') {
        Some((scope, name)) if scope.starts_with('@') => (Some(scope.to_owned()), name),
        _ => (None, component.name.as_str()),
    };
    let word = |of: Used| USES.iter().find(|(used, _)| *used == of).expect("every use is in the table").1;
    let of_kind = KINDS.iter().find(|(kind, _)| *kind == component.kind).expect("every kind is in the table").1;
    let mut properties = vec![
        Property::new(KIND, of_kind),
        Property::new(USED, word(component.used)),
        Property::new(DIGEST, &component.digest.to_string()),
    ];
    properties.extend(component.ecosystem.iter().map(|ecosystem| Property::new(ECOSYSTEM, ecosystem)));
    let mut reference = match component.purl.is_empty() {
        true => format!("{of_kind}:{}@{}", component.name, component.version),
        false => component.purl.clone(),
    };
    while !references.insert(reference.clone()) {
        reference.push_str("#again");
    }
    Listed {
        kind: kind.to_owned(),
        bom_ref: Some(reference),
        group,
        name: name.to_owned(),
        version: Some(component.version.clone()),
        scope: Some(match component.used {
            Used::Read => Scope::Required,
            Used::Perhaps | Used::Unknown => Scope::Optional,
            Used::Described | Used::Never => Scope::Excluded,
        }),
        hashes: Hash::of(&component.digest).filter(|_| component.is_file).into_iter().collect(),
        purl: Some(component.purl.clone()).filter(|purl| !purl.is_empty()),
        properties,
    }
}

/// Returns the statement about what a build made; `run` is the digest of its run statement's payload.
pub fn statement(record: &Record, run: &Digest) -> Statement {
    write(Predicate::Sbom, output_subjects(&record.recipe.outputs), &Sbom::of(record, run).bom())
}

/// Reads one back.
pub(crate) fn parse(statement: &Statement) -> Result<Sbom, ClaimError> {
    let bom: Bom = read_foreign(Predicate::Sbom, &statement.predicate)?;
    let metadata = bom.metadata.unwrap_or_default();
    let missing = |field| move || value(field, "nothing", "enough");
    let version = property(&metadata.properties, VERSION_PROPERTY).unwrap_or_default();
    if version != VERSION.to_string() {
        let found = version.parse().map_err(|_| value("metadata.properties", version, "a version"))?;
        return Err(ClaimError::Version { what: Predicate::Sbom.name(), found });
    }
    if bom.bom_format != BOM_FORMAT || bom.spec_version != SPEC_VERSION {
        return Err(value("specVersion", &bom.spec_version, "CycloneDX 1.6"));
    }
    let serial = bom.serial_number.ok_or_else(missing("serialNumber"))?;
    let id: String = serial.trim_start_matches("urn:uuid:").chars().filter(|&letter| letter != '-').collect();
    let run = property(&metadata.properties, RUN).and_then(|text| text.parse().ok());
    let components = bom.components.into_iter().map(component).collect::<Option<Vec<_>>>();
    let aggregate = bom.compositions.first().map(|one| one.aggregate.as_str());
    Ok(Sbom {
        project: metadata.component.ok_or_else(missing("metadata.component"))?.name,
        id,
        at: metadata.timestamp.ok_or_else(missing("metadata.timestamp"))?,
        run: run.ok_or_else(|| value("metadata.properties", "this list", "complete: `assay:run` is needed"))?,
        complete: match aggregate {
            Some("complete") => true,
            Some("incomplete") => false,
            other => return Err(value("compositions", other.unwrap_or("nothing"), "`complete` or `incomplete`")),
        },
        components: components.ok_or_else(|| {
            let allowed = "complete: each component needs a version, and `assay:kind`, `assay:used`, `assay:digest`";
            value("components", "this list", allowed)
        })?,
    })
}

fn component(listed: Listed) -> Option<Component> {
    let word = |name| property(&listed.properties, name);
    let kind = word(KIND)?;
    let used = word(USED)?;
    Some(Component {
        kind: KINDS.iter().find(|(_, name)| *name == kind)?.0,
        used: USES.iter().find(|(_, name)| *name == used)?.0,
        digest: word(DIGEST)?.parse().ok()?,
        ecosystem: word(ECOSYSTEM).map(str::to_owned),
        is_file: !listed.hashes.is_empty(),
        name: match &listed.group {
            Some(group) => format!("{group}/{}", listed.name),
            None => listed.name.clone(),
        },
        version: listed.version?,
        purl: listed.purl.unwrap_or_default(),
    })
}

fn property<'p>(properties: &'p [Property], name: &str) -> Option<&'p str> {
    properties.iter().find(|property| property.name == name).map(|property| property.value.as_str())
}

fn value(field: &'static str, found: &str, allowed: &'static str) -> ClaimError {
    ClaimError::value(Predicate::Sbom, field, found, allowed)
}
