//! A grade for each field.

use std::fmt;

use serde_json::Value;
use wire::timestamp::Timestamp;

use super::view::View;

/// How good a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// It says what it is for.
    Good,
    /// It is there, and leaves something open.
    Weak,
    /// It is not there.
    Missing,
    /// It contradicts its specification or the rest of the statement, or tells a secret.
    Wrong,
}

impl Grade {
    pub(super) fn points(self) -> u32 {
        match self {
            Grade::Good => 2,
            Grade::Weak => 1,
            Grade::Missing | Grade::Wrong => 0,
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Grade::Good => "good",
            Grade::Weak => "weak",
            Grade::Missing => "missing",
            Grade::Wrong => "wrong",
        })
    }
}

/// What was found about one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its path in the statement, as `predicate.runDetails.builder.id`.
    pub field: &'static str,
    /// How good it is.
    pub grade: Grade,
    /// What is there.
    pub found: String,
    /// What that proves or leaves open.
    pub means: &'static str,
}

/// Algorithms that bind bytes.
const STRONG: [&str; 7] = ["sha256", "sha384", "sha512", "sha3_256", "sha3_512", "blake2b", "blake3"];

/// Git's object ids: they bind a tree as well as SHA-1 does, and stand for a commit, not for bytes.
const COMMITS: [&str; 3] = ["gitCommit", "gitTree", "sha1"];

/// How long a text is shown.
const SHOWN_MAX: usize = 80;

/// How deep parameters are searched for secrets.
const DEPTH_MAX: usize = 16;

/// Grades all fields.
pub(super) fn findings(view: &View<'_>) -> Vec<Finding> {
    vec![
        statement_type(view),
        subject(view),
        build_type(view),
        parameters(view),
        source(view),
        internal(view),
        dependencies(view),
        dependency_digests(view),
        completeness(view),
        builder_id(view),
        builder_version(view),
        invocation(view),
        times(view),
        byproducts(view),
        secrets(view),
    ]
}

fn finding(field: &'static str, grade: Grade, found: impl Into<String>, means: &'static str) -> Finding {
    Finding { field, grade, found: found.into(), means }
}

fn statement_type(view: &View<'_>) -> Finding {
    const V1: &str = "https://in-toto.io/Statement/v1";
    let found = view.statement.get("_type").and_then(Value::as_str);
    let (grade, means) = match found {
        Some(V1) => (Grade::Good, "the present statement format"),
        Some("https://in-toto.io/Statement/v0.1") => (Grade::Weak, "an old format; present verifiers may refuse it"),
        Some(_) => (Grade::Wrong, "no in-toto statement"),
        None => (
            Grade::Missing,
            "a predicate alone: it is bound to no artifact, and nothing of it can be signed as it stands",
        ),
    };
    finding("_type", grade, found.map_or_else(|| "none".to_owned(), shown), means)
}

fn subject(view: &View<'_>) -> Finding {
    let list = view.statement["subject"].as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        return finding("subject", Grade::Missing, "none", "it is about nothing: it fits every artifact and none");
    }
    let strong = |subject: &&Value| has_digest(subject, &STRONG);
    let bare: Vec<String> = list.iter().filter(|subject| !strong(subject)).map(name_of).take(3).collect();
    if !bare.is_empty() {
        let found = format!("{} of {} without a strong digest: {}", bare.len(), list.len(), bare.join(", "));
        return finding("subject", Grade::Wrong, found, "a name alone, or a broken digest, binds no bytes");
    }
    finding(
        "subject",
        Grade::Good,
        format!("{} with digests", list.len()),
        "it is about these bytes; modes of files are not among them",
    )
}

fn build_type(view: &View<'_>) -> Finding {
    let field = view.name("predicate.buildDefinition.buildType", "predicate.buildType");
    match view.build_type {
        None => finding(field, Grade::Missing, "none", "nobody can tell what the other fields mean"),
        Some(text) if !text.contains("://") => finding(
            field,
            Grade::Wrong,
            shown(text),
            "must be a URI (SLSA: it resolves to a description of all fields)",
        ),
        Some(text) => finding(
            field,
            Grade::Good,
            shown(text),
            "names the template; whether it tells how to run the build again, only its page can say",
        ),
    }
}

fn parameters(view: &View<'_>) -> Finding {
    let field = view.name("predicate.buildDefinition.externalParameters", "predicate.invocation.parameters");
    let empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
    match view.external {
        // v0.2 puts the definition's place apart, so that there may be no parameters.
        None if view.config_source.is_some() => finding(
            field,
            Grade::Weak,
            "none, but a configSource",
            "what the caller chose is not recorded: it can't be compared with what was meant",
        ),
        None => finding(
            field,
            Grade::Missing,
            "none",
            "what the caller chose is not recorded; SLSA demands all of it from level 3 on",
        ),
        Some(value) if empty(value) => finding(
            field,
            Grade::Missing,
            "empty",
            "what the caller chose is not recorded; SLSA demands all of it from level 3 on",
        ),
        Some(value) => {
            let is_workflow = value.get("workflow").is_some() && value.get("inputs").is_none();
            if is_workflow {
                return finding(
                    field,
                    Grade::Weak,
                    keys(value),
                    "a workflow without its inputs: two runs with other inputs look the same",
                );
            }
            finding(
                field,
                Grade::Good,
                keys(value),
                "what the caller chose; a verifier should refuse keys that it does not expect",
            )
        }
    }
}

/// The source: something that names a commit or a digest of it, and not a branch only.
fn source(view: &View<'_>) -> Finding {
    let field =
        view.name("predicate.buildDefinition.resolvedDependencies (source)", "predicate.invocation.configSource");
    let sources = view.config_source.into_iter().chain(view.dependencies.into_iter().flatten());
    let pinned = sources
        .clone()
        .find(|source| is_source(source) && has_digest(source, &["gitCommit", "sha1", "gitTree", "sha256"]));
    if let Some(source) = pinned {
        return finding(field, Grade::Good, name_of(source), "the source is bound by a commit or a digest");
    }
    match sources.into_iter().find(|source| is_source(source)) {
        Some(source) => finding(
            field,
            Grade::Wrong,
            name_of(source),
            "a repository or a branch without its commit: it may mean something else tomorrow",
        ),
        None => finding(field, Grade::Missing, "none", "nobody can tell what it was built from"),
    }
}

fn internal(view: &View<'_>) -> Finding {
    let field = view.name("predicate.buildDefinition.internalParameters", "predicate.invocation.environment");
    match view.internal.filter(|value| value.as_object().is_some_and(|map| !map.is_empty())) {
        Some(value) => {
            finding(field, Grade::Good, keys(value), "what the builder chose; rarely kernel, CPU, locale or umask")
        }
        None => finding(
            field,
            Grade::Missing,
            "none",
            "what the builder chose is not recorded: a difference of two builds can't be explained",
        ),
    }
}

fn dependencies(view: &View<'_>) -> Finding {
    let field = view.name("predicate.buildDefinition.resolvedDependencies", "predicate.materials");
    let others = view.dependencies.into_iter().flatten().filter(|dependency| !is_source(dependency)).count();
    let all = view.dependencies.map_or(0, Vec::len);
    match (all, others) {
        (0, _) => finding(field, Grade::Missing, "none", "it answers no question about a bad dependency or base image"),
        (_, 0) => finding(
            field,
            Grade::Weak,
            format!("{all}, the source only"),
            "toolchain, base image and packages are not named: it answers no question about a bad one",
        ),
        (_, others) => finding(
            field,
            Grade::Good,
            format!("{all}, {others} beside the source"),
            "what it names was used; whether that is all stands under completeness",
        ),
    }
}

fn dependency_digests(view: &View<'_>) -> Finding {
    let field = view.name("predicate.buildDefinition.resolvedDependencies[].digest", "predicate.materials[].digest");
    let Some(list) = view.dependencies.filter(|list| !list.is_empty()) else {
        return finding(field, Grade::Missing, "none", "nothing is bound");
    };
    let bound = |dependency: &&Value| has_digest(dependency, &STRONG) || has_digest(dependency, &COMMITS);
    let bare: Vec<String> = list.iter().filter(|dependency| !bound(dependency)).map(name_of).collect();
    if bare.is_empty() {
        return finding(field, Grade::Good, format!("{} of {}", list.len(), list.len()), "each is bound by a digest");
    }
    let first: Vec<&str> = bare.iter().take(3).map(String::as_str).collect();
    let found = format!("{} of {} have none: {}", bare.len(), list.len(), first.join(", "));
    finding(field, Grade::Wrong, found, "a dependency without digest may be anything")
}

/// Whether it says that nothing is left out, and whether that can be so.
fn completeness(view: &View<'_>) -> Finding {
    let field = view.name("predicate (completeness)", "predicate.metadata.completeness");
    let says = |name: &str| view.completeness.is_some_and(|claim| claim[name].as_bool() == Some(true));
    let computed = says("complete");
    let claims = computed || says("materials") || says("resolvedDependencies");
    let none = view.dependencies.is_none_or(Vec::is_empty);
    match (claims, none, view.completeness.is_some()) {
        (true, true, _) => finding(
            field,
            Grade::Wrong,
            "complete, with nothing listed",
            "a vacuous claim: an empty list is called complete",
        ),
        (true, false, _) if computed => finding(
            field,
            Grade::Good,
            "computed",
            "by the builder's account, nothing else was within reach of the build",
        ),
        (true, false, _) => finding(
            field,
            Grade::Weak,
            "claimed",
            "the builder's word; ask what it rests on: a closed network, or a flag",
        ),
        (false, _, true) => {
            finding(field, Grade::Weak, "said to be incomplete", "honest: more was used than is listed")
        }
        (false, _, false) => finding(
            field,
            Grade::Missing,
            "no claim",
            "more may have been used than is listed (v1 has no field for it)",
        ),
    }
}

fn builder_id(view: &View<'_>) -> Finding {
    let field = view.name("predicate.runDetails.builder.id", "predicate.builder.id");
    match view.builder_id() {
        None => finding(
            field,
            Grade::Wrong,
            "none",
            "the one field that decides the level: without it nobody is responsible",
        ),
        Some(id) if !id.contains(':') => {
            finding(field, Grade::Wrong, shown(id), "must be a URI that names who is trusted")
        }
        Some(id) if ["localhost", "example.com", "unknown"].iter().any(|word| id.contains(word)) => {
            finding(field, Grade::Wrong, shown(id), "a placeholder: it names nobody")
        }
        Some(id) => finding(
            field,
            Grade::Good,
            shown(id),
            "who is responsible; it must match the signer, which is not checked here",
        ),
    }
}

fn builder_version(view: &View<'_>) -> Finding {
    let field = view.name("predicate.runDetails.builder.version", "predicate.builder.version");
    let there = |name: &str| {
        let value = view.builder.and_then(|builder| builder.get(name));
        value.filter(|value| {
            value.as_object().is_some_and(|map| !map.is_empty())
                || value.as_array().is_some_and(|list| !list.is_empty())
        })
    };
    match there("version").or_else(|| there("builderDependencies")) {
        Some(value) => finding(
            field,
            Grade::Good,
            shown(&value.to_string()),
            "which builds used a bad version of the builder can be told",
        ),
        None => finding(field, Grade::Missing, "none", "which builds used a bad runner or builder can't be told"),
    }
}

fn invocation(view: &View<'_>) -> Finding {
    let field = view.name("predicate.runDetails.metadata.invocationId", "predicate.metadata.buildInvocationId");
    match view.invocation {
        Some(id) => finding(field, Grade::Good, shown(id), "leads to the run's log"),
        None => finding(
            field,
            Grade::Missing,
            "none",
            "two runs with equal output can't be told apart, and no log is found",
        ),
    }
}

fn times(view: &View<'_>) -> Finding {
    let field = view.name(
        "predicate.runDetails.metadata.startedOn, finishedOn",
        "predicate.metadata.buildStartedOn, buildFinishedOn",
    );
    let read = |text: Option<&str>| text.map(|text| instant(text).ok_or_else(|| shown(text)));
    match (read(view.started), read(view.finished)) {
        (None, None) => {
            finding(field, Grade::Missing, "none", "when it was built is unknown; the signature's time is later")
        }
        (Some(Err(text)), _) | (_, Some(Err(text))) => finding(field, Grade::Wrong, text, "no RFC 3339 time"),
        (Some(Ok(started)), Some(Ok(finished))) if finished < started => {
            finding(field, Grade::Wrong, format!("{started} to {finished}"), "it ends before it begins")
        }
        (Some(Ok(started)), Some(Ok(finished))) => finding(
            field,
            Grade::Good,
            format!("{started} to {finished}"),
            "the builder's own clock; nobody else vouches for it",
        ),
        (Some(Ok(time)), None) | (None, Some(Ok(time))) => {
            finding(field, Grade::Weak, time.to_string(), "one of two; the builder's own clock")
        }
    }
}

fn byproducts(view: &View<'_>) -> Finding {
    let field = view.name("predicate.runDetails.byproducts", "predicate (byproducts)");
    match view.byproducts.filter(|list| !list.is_empty()) {
        None => finding(field, Grade::Missing, "none", "no log is bound: what the build said can't be shown later"),
        Some(list) if list.iter().all(|each| has_digest(each, &STRONG)) => {
            finding(field, Grade::Good, format!("{} with digests", list.len()), "logs and other leavings are bound")
        }
        Some(list) => finding(
            field,
            Grade::Weak,
            format!("{}, some without digest", list.len()),
            "what they are now need not be what they were",
        ),
    }
}

/// Build arguments and variables are published with provenance; tokens among them are, too.
fn secrets(view: &View<'_>) -> Finding {
    const FIELD: &str = "predicate (secrets)";
    let mut names = Vec::new();
    search(&view.statement["predicate"], 0, &mut names);
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return finding(FIELD, Grade::Good, "none seen", "no name or value looks like a secret; that proves nothing");
    }
    let shown = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    finding(FIELD, Grade::Wrong, shown, "looks like a secret in clear: whoever reads the provenance has it")
}

fn search(value: &Value, depth: usize, names: &mut Vec<String>) {
    const NAMES: [&str; 7] = ["TOKEN", "PASSWORD", "PASSWD", "SECRET", "CREDENTIAL", "PRIVATE_KEY", "API_KEY"];
    // GitHub's, GitLab's, npm's, PyPI's, AWS's and Slack's tokens, and private keys, begin with these.
    const VALUES: [&str; 10] = [
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "glpat-",
        "npm_",
        "pypi-AgE",
        "AKIA",
        "xoxb-",
        "-----BEGIN PRIVATE KEY",
    ];
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let upper = name.to_uppercase().replace('-', "_");
                let filled = value.as_str().is_some_and(|text| !text.is_empty() && !text.contains("***"));
                if filled && NAMES.iter().any(|part| upper.ends_with(part)) {
                    names.push(name.chars().take(SHOWN_MAX).collect());
                }
                search(value, depth + 1, names);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| search(value, depth + 1, names)),
        Value::String(text) => {
            if let Some(prefix) =
                VALUES.iter().find(|prefix| text.starts_with(**prefix) && text.len() > prefix.len() + 8)
            {
                names.push(format!("a value that begins with {prefix}"));
            }
        }
        _ => {}
    }
}

fn is_source(dependency: &Value) -> bool {
    let uri = dependency.get("uri").and_then(Value::as_str).unwrap_or_default();
    let digests = dependency.get("digest").and_then(Value::as_object);
    let is_commit = digests.is_some_and(|digests| {
        digests.contains_key("gitCommit") || (digests.len() == 1 && digests.contains_key("sha1"))
    });
    is_commit || uri.starts_with("git+") || uri.starts_with("git:") || uri.ends_with(".git")
}

fn has_digest(descriptor: &Value, algorithms: &[&str]) -> bool {
    let digests = descriptor.get("digest").and_then(Value::as_object);
    digests.is_some_and(|digests| {
        digests.iter().any(|(name, value)| algorithms.contains(&name.as_str()) && value.as_str().is_some_and(is_hex))
    })
}

fn is_hex(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn name_of(descriptor: &Value) -> String {
    let text =
        ["uri", "name", "downloadLocation"].iter().find_map(|field| descriptor.get(field).and_then(Value::as_str));
    shown(text.unwrap_or("one without a name"))
}

fn keys(value: &Value) -> String {
    let names: Vec<&str> =
        value.as_object().into_iter().flat_map(|map| map.keys()).map(String::as_str).take(8).collect();
    shown(&names.join(", "))
}

/// A foreign text for a line of a report: short, and without control characters.
fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        short.push('…');
    }
    short
}

/// Reads an RFC 3339 time to the second; fractions and offsets are allowed.
fn instant(text: &str) -> Option<Timestamp> {
    let (head, tail) = text.split_at_checked(19)?;
    let tail = match tail.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => tail,
    };
    let local: Timestamp = format!("{}Z", head.replace('t', "T")).parse().ok()?;
    if tail.eq_ignore_ascii_case("z") {
        return Some(local);
    }
    let sign = match tail.chars().next()? {
        '+' => -1,
        '-' => 1,
        _ => return None,
    };
    let (hours, minutes) = tail[1..].split_once(':')?;
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<i64>().ok()).flatten();
    Timestamp::from_unix_s(local.unix_s() + sign * (two(hours)? * 3600 + two(minutes)? * 60))
}
