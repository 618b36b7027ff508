//! SLSA provenance v0.2 and v1 as one thing to be graded.

use serde_json::Value;

/// SLSA Provenance v1.
pub(super) const V1: &str = "https://slsa.dev/provenance/v1";

/// SLSA Provenance v0.2.
pub(super) const V02: &str = "https://slsa.dev/provenance/v0.2";

/// The fields of either version; `None` is absent.
pub(super) struct View<'a> {
    pub(super) statement: &'a Value,
    pub(super) predicate_type: &'a str,
    pub(super) is_v1: bool,
    pub(super) build_type: Option<&'a str>,
    pub(super) builder: Option<&'a Value>,
    /// What the caller chose: v1 `externalParameters`; v0.2 `invocation.parameters`.
    pub(super) external: Option<&'a Value>,
    /// v0.2 only: where the build's definition comes from.
    pub(super) config_source: Option<&'a Value>,
    /// v1 `internalParameters`; v0.2 `invocation.environment`.
    pub(super) internal: Option<&'a Value>,
    /// v1 `resolvedDependencies`; v0.2 `materials`.
    pub(super) dependencies: Option<&'a Vec<Value>>,
    pub(super) invocation: Option<&'a str>,
    pub(super) started: Option<&'a str>,
    pub(super) finished: Option<&'a str>,
    pub(super) byproducts: Option<&'a Vec<Value>>,
    /// v0.2 `metadata.completeness`; in v1 what builders write of their own.
    pub(super) completeness: Option<&'a Value>,
}

impl<'a> View<'a> {
    /// Reads a statement; `None` when it is no SLSA provenance of these versions.
    pub(super) fn of(statement: &'a Value) -> Option<View<'a>> {
        let predicate_type = statement.get("predicateType")?.as_str()?;
        let predicate = statement.get("predicate")?;
        match predicate_type.trim_end_matches('/') {
            V1 => Some(View::v1(statement, predicate_type, predicate)),
            V02 => Some(View::v02(statement, predicate_type, predicate)),
            _ => None,
        }
    }

    fn v1(statement: &'a Value, predicate_type: &'a str, predicate: &'a Value) -> View<'a> {
        let definition = &predicate["buildDefinition"];
        let details = &predicate["runDetails"];
        let metadata = &details["metadata"];
        View {
            statement,
            predicate_type,
            is_v1: true,
            build_type: text(definition, "buildType"),
            builder: present(details, "builder"),
            external: present(definition, "externalParameters"),
            config_source: None,
            internal: present(definition, "internalParameters"),
            dependencies: definition["resolvedDependencies"].as_array(),
            invocation: text(metadata, "invocationId").or_else(|| text(metadata, "invocationID")),
            started: text(metadata, "startedOn"),
            finished: text(metadata, "finishedOn"),
            byproducts: details["byproducts"].as_array(),
            // v1 has no field for it; BuildKit and assay have their own.
            completeness: present(metadata, "buildkit_completeness")
                .or_else(|| predicate.get("assay").and_then(|own| present(own, "completeness"))),
        }
    }

    fn v02(statement: &'a Value, predicate_type: &'a str, predicate: &'a Value) -> View<'a> {
        let invocation = &predicate["invocation"];
        let metadata = &predicate["metadata"];
        View {
            statement,
            predicate_type,
            is_v1: false,
            build_type: text(predicate, "buildType"),
            builder: present(predicate, "builder"),
            external: present(invocation, "parameters"),
            config_source: present(invocation, "configSource"),
            internal: present(invocation, "environment"),
            dependencies: predicate["materials"].as_array(),
            invocation: text(metadata, "buildInvocationId").or_else(|| text(metadata, "buildInvocationID")),
            started: text(metadata, "buildStartedOn"),
            finished: text(metadata, "buildFinishedOn"),
            byproducts: None,
            completeness: present(metadata, "completeness"),
        }
    }

    /// Names the field as its version does.
    pub(super) fn name(&self, v1: &'static str, v02: &'static str) -> &'static str {
        if self.is_v1 { v1 } else { v02 }
    }

    /// The builder's id, if it has one.
    pub(super) fn builder_id(&self) -> Option<&'a str> {
        self.builder.and_then(|builder| text(builder, "id"))
    }

    /// Who makes such provenance.
    pub(super) fn producer(&self) -> Option<&'static str> {
        const PRODUCERS: [(&str, &str); 9] = [
            ("https://actions.github.io/buildtypes/", "GitHub Actions (attest-build-provenance)"),
            ("https://slsa-framework.github.io/github-actions-buildtypes/", "GitHub Actions (npm)"),
            ("https://github.com/slsa-framework/slsa-github-generator", "slsa-github-generator"),
            ("https://github.com/npm/", "npm on GitHub Actions"),
            ("https://mobyproject.org/buildkit", "BuildKit"),
            ("https://github.com/moby/buildkit/", "BuildKit"),
            ("https://tekton.dev/", "Tekton Chains"),
            ("tekton.dev/", "Tekton Chains"),
            ("https://assay.dev/", "assay"),
        ];
        let build_type = self.build_type?;
        PRODUCERS.iter().find(|(prefix, _)| build_type.starts_with(prefix)).map(|(_, name)| *name)
    }
}

fn present<'a>(value: &'a Value, field: &str) -> Option<&'a Value> {
    value.get(field).filter(|value| !value.is_null())
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}
