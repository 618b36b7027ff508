//! From the text of `assay.toml` to a [`Spec`], or to its problems.

use std::collections::{BTreeMap, BTreeSet};

use sandbox::script::Scripts;
use sandbox::tier::{Randomness, Tier};
use toml::de::DeTable;
use wire::digest::Digest;

use super::{
    Artifact, Build, CONSTRUCTED, CPUS_MAX, Environment, EnvironmentKind, FETCHED, FETCHES_MAX, Fetch, Health, Image,
    Libraries, Project, REPETITIONS_MAX, RunbookStep, Spec, Stage, Step, Test, TestFormat, dockerfile, looks_secret,
    stages, text_of,
};
use crate::document::{At, Reader, Table};
use crate::problem::Problem;

/// CPUs when `[build]` names none: what the smallest rented machine has.
const CPUS_DEFAULT: u32 = 2;

/// Of how many former builds one is built again when `[build]` does not say: a developer rarely waits, a team sees a lie within a day.
const RECHECK_DEFAULT: u32 = 20;
/// The smallest share.
const RECHECK_MAX: u32 = 1_000_000;

/// Repetitions when a test names none: the fewest that can disagree.
const REPETITIONS_DEFAULT: u32 = 2;

/// Container user when `[image]` names none: any but root.
const USER_DEFAULT: &str = "65532:65532";

/// What to write for a key that is missing.
const EXAMPLES: [(&str, &str); 19] = [
    ("artifact", "`[[artifact]]` on a line of its own, then its `name` and `path`"),
    ("artifacts", "artifacts = [\"greeter\"]: the names of artifacts"),
    ("at", "at = \"/in/greeter\": where the stage finds it"),
    ("base", "`[base]` on a line of its own, then packages = [\"gcc\", \"libc6-dev\"]"),
    ("check", "check = [\"greeter\", \"--help\"]: a command that ends with 0 when the release is good"),
    ("digest", "digest = \"sha256:…\": what the bytes must be, as `sha256sum` says it"),
    ("entrypoint", "entrypoint = [\"/greeter\"]"),
    ("health", "health = \"http://127.0.0.1:8080/health\", or a command as a list"),
    ("kind", "kind = \"service\" or kind = \"release\""),
    ("name", "name = \"…\""),
    ("owners", "owners = [\"ada@example.org\"]: who answers for the project"),
    ("packages", "packages = [\"gcc\", \"libc6-dev\"]: Debian packages that the build sees"),
    ("path", "path = \"target/release/greeter\""),
    ("policy", "policy = \"policies/production.toml\""),
    ("project", "`[project]` on a line of its own, then its `name` and `owners`"),
    ("run", "run = [\"cargo\", \"build\", \"--locked\"]: program and arguments"),
    ("stage", "stage = \"compile\": the name of a `[[stage]]`"),
    ("url", "url = \"https://…\""),
    ("step", "`[[step]]` on a line of its own, then its `name` and `run`"),
];

pub(super) fn spec(file: &str, bytes: &[u8]) -> Result<Spec, Vec<Problem>> {
    let text = text_of(file, bytes).map_err(|problem| vec![problem])?;
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| Problem::of_toml(file, text, error)).collect());
    }
    let top = Table { name: "the file".to_owned(), span: 0..0, table: document.get_ref() };
    let mut reader = Reader::new(file, text, &EXAMPLES);
    let spec = read(&mut reader, &top, Digest::of(bytes));
    let problems = reader.finish();
    match spec {
        Some(spec) if problems.is_empty() => Ok(spec),
        _ => Err(problems),
    }
}

/// Reads all sections, also after one failed. Whoever returns `None` has noted a problem.
fn read(reader: &mut Reader<'_>, top: &Table<'_, '_>, digest: Digest) -> Option<Spec> {
    let sections = [
        "version",
        "project",
        "base",
        "fetch",
        "build",
        "limits",
        "stage",
        "step",
        "artifact",
        "normalise",
        "image",
        "test",
        "environment",
    ];
    reader.keys(top, &sections);
    version(reader, top);
    let project = project(reader, top);
    let is_dockerfile = dockerfile::is_named(top);
    if is_dockerfile {
        dockerfile::check_others(reader, top);
    }
    let base = if is_dockerfile { Some(dockerfile::base()) } else { super::base::read(reader, top) };
    let fetches = fetches(reader, top);
    let build = build(reader, top);
    let limits = super::limits::read(reader, top);
    let stages = stages::read(reader, top);
    let known = stages.as_deref();
    let steps = if is_dockerfile { Some(Vec::new()) } else { steps(reader, top, known) };
    let artifacts = if is_dockerfile { Some(Vec::new()) } else { artifacts(reader, top, known) };
    let normalise = super::normalise::read(reader, top, artifacts.as_deref());
    let image = match is_dockerfile {
        true => dockerfile::image(reader, top),
        false => image(reader, top, artifacts.as_deref()),
    };
    let tests = tests(reader, top, known);
    let environments = environments(reader, top);
    if let (Some(stages), Some(steps), Some(artifacts)) = (known, &steps, &artifacts) {
        stages::check_use(reader, top, stages, steps, artifacts);
        stages::check_image(reader, top, stages, artifacts, image.as_ref().and_then(Option::as_ref));
    }
    Some(Spec {
        digest,
        project: project?,
        base: base?,
        fetches: fetches?,
        build: build?,
        limits: limits?,
        stages: stages?,
        steps: steps?,
        artifacts: artifacts?,
        normalise: normalise?,
        image: image?,
        tests: tests?,
        environments: environments?,
    })
}

fn version(reader: &mut Reader<'_>, top: &Table<'_, '_>) {
    let allowed = "write version = 1".to_owned();
    match top.table.get("version") {
        None => reader.problem(0, "the file lacks the key `version`", allowed),
        Some(value) if value.get_ref().as_integer().is_some_and(|n| n.to_string() == "1") => {}
        Some(value) => reader.problem(value.span().start, "this version of the format is not known", allowed),
    }
}

fn project(reader: &mut Reader<'_>, top: &Table<'_, '_>) -> Option<Project> {
    reader.required(top, "project");
    let table = reader.table(top, "project")?;
    reader.keys(&table, &["name", "owners"]);
    let name = reader.required_string(&table, "name").and_then(|name| checked_name(reader, name));
    reader.required(&table, "owners");
    let owners = reader.strings(&table, "owners")?;
    if owners.value.is_empty() {
        reader.problem(owners.offset, "`owners` is empty", "name at least one person or team".to_owned());
    }
    Some(Project { name: name?, owners: values(owners) })
}

fn fetches(reader: &mut Reader<'_>, top: &Table<'_, '_>) -> Option<Vec<Fetch>> {
    let tables = reader.tables(top, "fetch");
    if let Some(table) = tables.get(FETCHES_MAX) {
        reader.problem(table.span.start, format!("more than {FETCHES_MAX} files are fetched"), None);
        return None;
    }
    let mut paths: Vec<String> = Vec::new();
    let mut fetches = Vec::new();
    for table in &tables {
        let fetch = fetch(reader, table)?;
        let lies_in = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        if let Some(other) = paths.iter().find(|path| lies_in(path, &fetch.path) || lies_in(&fetch.path, path)) {
            let message = format!("`{}` and `{}` overlap", shown(&fetch.path), shown(other));
            reader.problem(table.span.start, message, "each file or archive has a place of its own".to_owned());
        }
        paths.push(fetch.path.clone());
        fetches.push(fetch);
    }
    Some(fetches)
}

fn fetch(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<Fetch> {
    reader.keys(table, &["url", "digest", "path", "executable", "unpack"]);
    let url = reader.required_string(table, "url");
    let digest = reader.required_string(table, "digest");
    let path = reader.required_string(table, "path");
    let executable = reader.boolean(table, "executable").is_some_and(|value| value.value);
    let unpack = reader.boolean(table, "unpack");
    if let Some(unpack) = unpack.as_ref().filter(|unpack| unpack.value && executable) {
        reader.problem(
            unpack.offset,
            "an archive's files keep their own executable bit",
            "take one of the two".to_owned(),
        );
    }
    let url = url.filter(|url| {
        let good = url.value.starts_with("https://") || url.value.starts_with("http://");
        let plain = !url.value.contains(|c: char| c.is_control() || c == ' ') && url.value.len() <= 4096;
        if !(good && plain) {
            reader.problem(
                url.offset,
                format!("`{}` is no URL that is fetched", shown(&url.value)),
                "as `https://…`".to_owned(),
            );
        }
        good && plain
    })?;
    let digest = digest.and_then(|digest| match digest.value.parse::<Digest>() {
        Ok(value) => Some(value),
        Err(_) => {
            let message = format!("`{}` is no digest", shown(&digest.value));
            reader.problem(
                digest.offset,
                message,
                "as `sha256:` and 64 hexadecimal digits, or `sha512:` and 128".to_owned(),
            );
            None
        }
    })?;
    let path =
        path.and_then(|path| match path.value.strip_prefix(FETCHED).and_then(|rest| rest.strip_prefix('/')) {
            Some(below) => relative(reader, At { value: below.to_owned(), offset: path.offset }),
            None => {
                let message = format!("`{}` does not lie below `{FETCHED}`", shown(&path.value));
                reader.problem(path.offset, message, format!("as `{FETCHED}/words.txt`: steps find it there"));
                None
            }
        })?;
    let path = format!("{FETCHED}/{path}");
    Some(Fetch { url: url.value, digest, path, executable, unpack: unpack.is_some_and(|unpack| unpack.value) })
}

fn build(reader: &mut Reader<'_>, top: &Table<'_, '_>) -> Option<Build> {
    let default = Build {
        tier: Tier::T0,
        cpus: CPUS_DEFAULT,
        recheck: RECHECK_DEFAULT,
        variables: BTreeMap::new(),
        scripts: Scripts::Untraced,
        dockerfile: None,
    };
    if !top.table.contains_key("build") {
        return Some(default);
    }
    let table = reader.table(top, "build")?;
    let known = ["tier", "cpus", "recheck", "variables", "script-trace", "dockerfile", "target", "args", "images"];
    reader.keys(&table, &known);
    let tier = tier(reader, &table).unwrap_or_default();
    let cpus = reader.integer(&table, "cpus", (1, CPUS_MAX)).unwrap_or(CPUS_DEFAULT);
    let recheck = reader.integer(&table, "recheck", (0, RECHECK_MAX)).unwrap_or(RECHECK_DEFAULT);
    let scripts = scripts(reader, &table).unwrap_or_default();
    let dockerfile = dockerfile::read(reader, &table)?;
    Some(Build { tier, cpus, recheck, variables: variables(reader, &table), scripts, dockerfile })
}

fn tier(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<Tier> {
    reader.one_of(table, "tier", &Tier::ALL.map(|tier| (tier.name(), tier)))
}

fn scripts(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<Scripts> {
    let traced = reader.boolean(table, "script-trace")?.value;
    Some(if traced { Scripts::Traced } else { Scripts::Untraced })
}

fn randomness(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<Randomness> {
    let known = [Randomness::Real, Randomness::Seeded].map(|randomness| (randomness.name(), randomness));
    reader.one_of(table, "randomness", &known)
}

fn steps(reader: &mut Reader<'_>, top: &Table<'_, '_>, stages: Option<&[Stage]>) -> Option<Vec<Step>> {
    reader.required(top, "step");
    let mut names = Names::new("step");
    let tables = reader.tables(top, "step");
    if let Some(empty) = top.table.get("step").filter(|list| list.get_ref().as_array().is_some_and(|l| l.is_empty())) {
        reader.problem(
            empty.span().start,
            "there is no `[[step]]`",
            "at least one step makes the artifacts".to_owned(),
        );
    }
    let steps = tables.iter().map(|table| step(reader, table, stages, &mut names)).collect::<Vec<_>>();
    steps.into_iter().collect::<Option<Vec<_>>>().filter(|steps| !steps.is_empty())
}

fn step(reader: &mut Reader<'_>, table: &Table<'_, '_>, stages: Option<&[Stage]>, names: &mut Names) -> Option<Step> {
    let known = ["name", "stage", "run", "cwd", "variables", "tier", "randomness", "script-trace", "network"];
    reader.keys(table, &known);
    let name = names.take(reader, table);
    let run = command(reader, table, "run");
    let cwd = cwd(reader, table);
    let tier = tier(reader, table);
    let randomness = randomness(reader, table).unwrap_or_default();
    if reader.boolean(table, "network").is_some_and(|network| network.value) {
        let offset = table.table.get("network").map_or(table.span.start, |value| value.span().start);
        let allowed = "no step has a network: what it needs is fetched by `assay lock`, from lock files".to_owned();
        reader.problem(offset, "`network = true` cannot be reproduced", allowed);
    }
    let stage = stages::of_step(reader, table, stages)?;
    let (variables, scripts) = (variables(reader, table), scripts(reader, table));
    Some(Step { name: name?, stage, run: run?, cwd: cwd?, variables, tier, randomness, scripts })
}

fn artifacts(reader: &mut Reader<'_>, top: &Table<'_, '_>, stages: Option<&[Stage]>) -> Option<Vec<Artifact>> {
    reader.required(top, "artifact");
    let mut names = Names::new("artifact");
    let tables = reader.tables(top, "artifact");
    if let Some(empty) =
        top.table.get("artifact").filter(|list| list.get_ref().as_array().is_some_and(|l| l.is_empty()))
    {
        reader.problem(
            empty.span().start,
            "there is no `[[artifact]]`",
            "at least one file is what the build is for".to_owned(),
        );
    }
    let artifacts = tables
        .iter()
        .map(|table| {
            reader.keys(table, &["name", "stage", "path", "kind"]);
            reader.one_of(table, "kind", &[("file", ())]);
            let name = names.take(reader, table);
            let path = reader.required_string(table, "path").and_then(|path| relative(reader, path));
            let stage = stages::of_artifact(reader, table, stages)?;
            Some(Artifact { name: name?, stage, path: path? })
        })
        .collect::<Vec<_>>();
    artifacts.into_iter().collect::<Option<Vec<_>>>().filter(|artifacts| !artifacts.is_empty())
}

fn image(reader: &mut Reader<'_>, top: &Table<'_, '_>, artifacts: Option<&[Artifact]>) -> Option<Option<Image>> {
    if !top.table.contains_key("image") {
        return Some(None);
    }
    let table = reader.table(top, "image")?;
    reader.keys(&table, &["name", "artifacts", "entrypoint", "libraries", "user", "ports", "variables"]);
    let name = reader.required_string(&table, "name").and_then(|name| checked_name(reader, name));
    // Artifacts that could not be read are a problem of their own.
    let known: Vec<&str> = artifacts.unwrap_or_default().iter().map(|artifact| artifact.name.as_str()).collect();
    if let Some(name) = name.as_ref().filter(|name| known.contains(&name.as_str())) {
        let offset = table.table.get("name").map_or(0, |value| value.span().start);
        let allowed = format!("as `{name}-image`: statements tell outputs apart by name");
        reader.problem(offset, format!("`{name}` is the name of an artifact already"), allowed);
    }
    reader.required(&table, "artifacts");
    let members = reader.strings(&table, "artifacts").map_or(Vec::new(), |list| list.value);
    for member in members.iter().filter(|member| artifacts.is_some() && !known.contains(&member.value.as_str())) {
        let message = format!("no artifact is called `{}`", shown(&member.value));
        reader.problem(member.offset, message, crate::problem::suggestion(&member.value, &known));
    }
    let entrypoint = command(reader, &table, "entrypoint");
    let kinds = [("closure", Libraries::Closure), ("none", Libraries::None), ("base", Libraries::Base)];
    let libraries = reader.one_of(&table, "libraries", &kinds).unwrap_or(Libraries::Closure);
    let user = match reader.string(&table, "user") {
        Some(user) => checked_user(reader, user)?,
        None => USER_DEFAULT.to_owned(),
    };
    let ports = ports(reader, &table);
    let variables = variables(reader, &table);
    let artifacts = members.into_iter().map(|member| member.value).collect();
    Some(Some(Image { name: name?, artifacts, entrypoint: entrypoint?, libraries, user, ports, variables }))
}

fn checked_user(reader: &mut Reader<'_>, user: At<String>) -> Option<String> {
    let numbers: Vec<Option<u32>> = user.value.split(':').map(|part| part.parse().ok()).collect();
    match numbers.as_slice() {
        [Some(uid)] => Some(format!("{uid}:{uid}")),
        [Some(uid), Some(gid)] => Some(format!("{uid}:{gid}")),
        _ => {
            let message = format!("`{}` is no user of an image", shown(&user.value));
            reader.problem(user.offset, message, "numbers, as \"65532:65532\": an image has no user names".to_owned());
            None
        }
    }
}

fn ports(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Vec<u16> {
    let allowed = "TCP ports, as [8080]";
    let Some(value) = table.table.get("ports") else { return Vec::new() };
    let Some(array) = value.get_ref().as_array() else {
        reader.problem(value.span().start, "`ports` is no list", allowed.to_owned());
        return Vec::new();
    };
    let mut ports = Vec::new();
    for item in array.iter() {
        let number = item.get_ref().as_integer().and_then(|n| u16::from_str_radix(n.as_str(), n.radix()).ok());
        match number.filter(|number| *number > 0) {
            Some(number) => ports.push(number),
            None => reader.problem(item.span().start, "this is no port", allowed.to_owned()),
        }
    }
    ports
}

fn tests(reader: &mut Reader<'_>, top: &Table<'_, '_>, stages: Option<&[Stage]>) -> Option<Vec<Test>> {
    let mut names = Names::new("test");
    let tables = reader.tables(top, "test");
    let tests = tables
        .iter()
        .map(|table| {
            reader.keys(table, &["name", "stage", "run", "cwd", "variables", "repetitions", "format"]);
            let name = names.take(reader, table);
            let run = command(reader, table, "run");
            let cwd = cwd(reader, table);
            let repetitions = reader.integer(table, "repetitions", (2, REPETITIONS_MAX));
            let formats = [("cargo", TestFormat::Cargo), ("exit", TestFormat::Exit)];
            let stage = stages::of_test(reader, table, stages)?;
            Some(Test {
                name: name?,
                stage,
                run: run?,
                cwd: cwd?,
                variables: variables(reader, table),
                repetitions: repetitions.unwrap_or(REPETITIONS_DEFAULT),
                format: reader.one_of(table, "format", &formats).unwrap_or(TestFormat::Cargo),
            })
        })
        .collect::<Vec<_>>();
    tests.into_iter().collect()
}

fn environments(reader: &mut Reader<'_>, top: &Table<'_, '_>) -> Option<BTreeMap<String, Environment>> {
    if !top.table.contains_key("environment") {
        return Some(BTreeMap::new());
    }
    let all = reader.table(top, "environment")?;
    let mut environments = BTreeMap::new();
    for (key, _) in all.table.iter() {
        let name = At { value: key.get_ref().to_string(), offset: key.span().start };
        let table = reader.table(&all, &name.value);
        let name = checked_name(reader, name);
        let environment = table.and_then(|table| environment(reader, &table));
        if let (Some(name), Some(environment)) = (name, environment) {
            environments.insert(name, environment);
        }
    }
    Some(environments)
}

fn environment(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<Environment> {
    #[derive(Clone, Copy)]
    enum Kind {
        Service,
        Release,
    }
    reader.required(table, "kind");
    let policy = reader.required_string(table, "policy").and_then(|policy| relative(reader, policy));
    let kind = reader.one_of(table, "kind", &[("service", Kind::Service), ("release", Kind::Release)])?;
    let kind = match kind {
        Kind::Service => {
            reader.keys(table, &["policy", "kind", "run", "health", "stop", "variables", "runbook"]);
            service(reader, table)
        }
        Kind::Release => {
            reader.keys(table, &["policy", "kind", "check", "runbook"]);
            command(reader, table, "check").map(|check| EnvironmentKind::Release { check })
        }
    };
    let mut names = Names::new("runbook step");
    let runbook = reader
        .tables(table, "runbook")
        .iter()
        .map(|step| {
            reader.keys(step, &["name", "run"]);
            let name = names.take(reader, step);
            let run = command(reader, step, "run");
            Some(RunbookStep { name: name?, run: run? })
        })
        .collect::<Vec<_>>();
    let runbook: Option<Vec<RunbookStep>> = runbook.into_iter().collect();
    Some(Environment { policy: policy?, kind: kind?, runbook: runbook? })
}

fn service(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<EnvironmentKind> {
    let run = command(reader, table, "run");
    let health = health(reader, table);
    let signals = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"].map(|name| (name, name));
    let stop = reader.one_of(table, "stop", &signals).unwrap_or("SIGTERM").to_owned();
    let variables = plain_variables(reader, table);
    Some(EnvironmentKind::Service { run: run?, health: health?, stop, variables })
}

fn health(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<Health> {
    reader.required(table, "health");
    let value = table.table.get("health")?;
    if value.get_ref().is_array() {
        return command(reader, table, "health").map(Health::Command);
    }
    let url = reader.string(table, "health")?;
    let host = url.value.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap_or("");
    if host.is_empty() {
        let message = format!("`{}` is no health check", shown(&url.value));
        let allowed = "a URL as \"http://127.0.0.1:8080/health\", or a command as [\"check\", \"--live\"]".to_owned();
        reader.problem(url.offset, message, allowed);
        return None;
    }
    Some(Health::Url(url.value))
}

fn command(reader: &mut Reader<'_>, table: &Table<'_, '_>, key: &str) -> Option<Vec<String>> {
    reader.required(table, key);
    if let Some(text) = table.table.get(key).filter(|value| value.get_ref().is_str()) {
        let message = format!("`{key}` is a text: a command is a list, since no shell reads it");
        reader.problem(text.span().start, message, format!("as {key} = [\"cargo\", \"build\", \"--locked\"]"));
        return None;
    }
    let argv = reader.strings(table, key)?;
    if argv.value.first().is_none_or(|program| program.value.is_empty()) {
        reader.problem(argv.offset, format!("`{key}` names no program"), "as [\"cargo\", \"build\"]".to_owned());
        return None;
    }
    for argument in argv.value.iter().filter(|argument| argument.value.contains('\0')) {
        reader.problem(argument.offset, "an argument cannot hold a NUL", None);
    }
    Some(values(argv))
}

fn cwd(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<String> {
    match reader.string(table, "cwd") {
        None => Some(String::new()),
        Some(cwd) if cwd.value == "." || cwd.value.is_empty() => Some(String::new()),
        Some(cwd) => relative(reader, cwd),
    }
}

/// Variables of steps, tests and images: names as the shell has them, none that the sandbox sets, no secret.
fn variables(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> BTreeMap<String, String> {
    let map = reader.map(table, "variables");
    for (name, value) in map.iter().filter(|(name, _)| CONSTRUCTED.contains(&name.as_str())) {
        let allowed = format!("these are constructed: {}", CONSTRUCTED.join(", "));
        reader.problem(value.offset, format!("`{name}` is set by the sandbox, the same everywhere"), allowed);
    }
    checked_variables(reader, map)
}

/// Variables of a deployed service, which may set `HOME` and the like.
fn plain_variables(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> BTreeMap<String, String> {
    plain_variables_of(reader, table, "variables")
}

/// As [`plain_variables`], under another key.
pub(super) fn plain_variables_of(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    key: &str,
) -> BTreeMap<String, String> {
    let map = reader.map(table, key);
    checked_variables(reader, map)
}

fn checked_variables(reader: &mut Reader<'_>, map: BTreeMap<String, At<String>>) -> BTreeMap<String, String> {
    for (name, value) in &map {
        if !is_variable_name(name) {
            let message = format!("`{}` is no name of a variable", shown(name));
            reader.problem(value.offset, message, "letters, digits and `_`, no digit first".to_owned());
        }
        if value.value.contains('\0') {
            reader.problem(value.offset, format!("the value of `{}` holds a NUL", shown(name)), None);
        }
        if looks_secret(name) {
            let message = format!("`{}` looks like a secret, and this file is in every statement", shown(name));
            reader.problem(value.offset, message, "leave it out: secrets never stand in `assay.toml`".to_owned());
        }
    }
    map.into_iter().map(|(name, value)| (name, value.value)).collect()
}

pub(super) fn relative(reader: &mut Reader<'_>, path: At<String>) -> Option<String> {
    let text = path.value.strip_prefix("./").unwrap_or(&path.value).trim_end_matches('/');
    let bad = text.contains(['\0', '\\'])
        || text.len() > model::tree::PATH_MAX
        || text.split('/').any(|part| part.is_empty() || part == "." || part == "..");
    if bad {
        let message = format!("`{}` is no path below the project", shown(&path.value));
        reader.problem(path.offset, message, "as `target/release/greeter`: no leading `/`, no `..`".to_owned());
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn checked_name(reader: &mut Reader<'_>, name: At<String>) -> Option<String> {
    if is_name(&name.value) {
        return Some(name.value);
    }
    let message = format!("`{}` is no name", shown(&name.value));
    let allowed = "a lower-case letter or digit, then up to 63 of those or `-`, `_`, `.`".to_owned();
    reader.problem(name.offset, message, allowed);
    None
}

/// Takes names that must be unique among their kind.
pub(super) struct Names {
    kind: &'static str,
    seen: BTreeSet<String>,
}

impl Names {
    pub(super) fn new(kind: &'static str) -> Names {
        Names { kind, seen: BTreeSet::new() }
    }

    pub(super) fn take(&mut self, reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<String> {
        let name = reader.required_string(table, "name")?;
        let offset = name.offset;
        let name = checked_name(reader, name)?;
        if !self.seen.insert(name.clone()) {
            reader.problem(offset, format!("another {} is called `{name}`", self.kind), None);
        }
        Some(name)
    }
}

/// Whether `name` can name a project, a step, an artifact, an image: what OCI allows for a path component.
pub(super) fn is_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    first && name.len() <= 64 && name.bytes().all(inner)
}

pub(super) fn is_package_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.');
    name.len() >= 2 && name.len() <= 128 && name.as_bytes()[0].is_ascii_alphanumeric() && name.bytes().all(inner)
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && !name.as_bytes()[0].is_ascii_digit()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn values(list: At<Vec<At<String>>>) -> Vec<String> {
    list.value.into_iter().map(|item| item.value).collect()
}

pub(super) fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}
