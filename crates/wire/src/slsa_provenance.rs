//! Build provenance: how an artifact was made.
//!
//! Specification: SLSA Provenance v1 <https://slsa.dev/spec/v1.2/build-provenance>.
//!
//! ```json
//! {"buildDefinition":{"buildType":"https://assay.dev/build/v1",
//!   "externalParameters":{"source":{"repository":"https://git.example.org/greeter","tree":"sha256:1c2d…"}},
//!   "resolvedDependencies":[{"uri":"pkg:cargo/serde@1.0.229","digest":{"sha256":"a1b2…"}}]},
//!  "runDetails":{"builder":{"id":"https://assay.dev/builder/full/v1"},
//!   "metadata":{"invocationId":"5e1f…","startedOn":"2026-11-22T19:41:00Z","finishedOn":"2026-11-22T19:41:08Z"},
//!   "byproducts":[{"name":"trace","digest":{"sha256":"77aa…"}}]}}
//! ```
//!
//! Readers must pass over fields that they do not know (SLSA "Parsing rules"), so unknown fields are no error here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::in_toto::ResourceDescriptor;
use crate::timestamp::Timestamp;

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// The predicate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// The inputs of the build.
    pub build_definition: BuildDefinition,
    /// What happened in this particular run.
    pub run_details: RunDetails,
}

/// The inputs of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// A URI that says how to read the parameters.
    pub build_type: String,
    /// What the invoker could choose.
    pub external_parameters: Map<String, Value>,
    /// What the builder chose.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub internal_parameters: Map<String, Value>,
    /// What the build fetched or was given, as far as known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved_dependencies: Vec<ResourceDescriptor>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetails {
    /// Who ran it.
    pub builder: Builder,
    /// When, and its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What it made besides its outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<ResourceDescriptor>,
}

/// The builder that is trusted to have told the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Builder {
    /// A URI.
    pub id: String,
    /// What it depends on itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub builder_dependencies: Vec<ResourceDescriptor>,
    /// Names and versions of its parts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
}

/// When a run took place, and its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The builder's unique name for the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_id: Option<String>,
    /// Its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_on: Option<Timestamp>,
    /// Its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_on: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Mutator;

    const SAMPLE: &str = r#"{"buildDefinition":{"buildType":"https://assay.dev/build/v1","externalParameters":{"ref":"main"},"resolvedDependencies":[{"digest":{"sha256":"00"},"uri":"pkg:cargo/serde@1.0.229"}]},"runDetails":{"builder":{"id":"https://assay.dev/builder/full/v1","version":{"assay":"0.1.0"}},"byproducts":[{"name":"trace"}],"metadata":{"finishedOn":"2026-11-22T19:41:08Z","invocationId":"5e1f","startedOn":"2026-11-22T19:41:00Z"}}}"#;

    #[test]
    fn text_and_back() {
        let provenance: Provenance = serde_json::from_str(SAMPLE).expect("sample");
        assert_eq!(String::from_utf8(crate::jcs::to_vec(&provenance)).expect("text"), SAMPLE);
    }

    #[test]
    fn unknown_fields_are_passed_over_and_required_ones_are_not() {
        let more = SAMPLE.replacen('{', r#"{"x_more":1,"#, 1);
        assert!(serde_json::from_str::<Provenance>(&more).is_ok());
        for field in ["buildType", "externalParameters", "builder", "id", "runDetails"] {
            let less = SAMPLE.replace(&format!("\"{field}\":"), "\"other\":");
            assert!(serde_json::from_str::<Provenance>(&less).is_err(), "{field}");
        }
    }

    #[test]
    fn damaged_text_never_panics() {
        Mutator::new(4).each(5_000, SAMPLE.as_bytes(), |bytes| {
            drop(serde_json::from_slice::<Provenance>(bytes));
        });
    }
}
