//! `[[stage]]`, and what else names one.

use crate::document::{At, Reader, Table};
use crate::problem::suggestion;
use crate::spec::base::of_table;
use crate::spec::read::{Names, relative, shown};
use crate::spec::{Artifact, Image, Libraries, STAGE_INPUTS, STAGES_MAX, Stage, StageInput, Step};

/// How many entries `inputs` of one stage may have.
const INPUTS_MAX: usize = 1_000;

/// Reads the stages. An input names a stage that stands above its own, so that there are no circles.
pub(super) fn read(reader: &mut Reader<'_>, top: &Table<'_, '_>) -> Option<Vec<Stage>> {
    let tables = reader.tables(top, "stage");
    if let Some(table) = tables.get(STAGES_MAX) {
        reader.problem(table.span.start, format!("more than {STAGES_MAX} stages"), None);
        return None;
    }
    let written =
        |table: &Table<'_, '_>| table.table.get("name").and_then(|name| name.get_ref().as_str().map(str::to_owned));
    // A stage with problems of its own stands where it stands.
    let all: Vec<String> = tables.iter().map(|table| written(table).unwrap_or_default()).collect();
    let mut names = Names::new("stage");
    let mut stages: Vec<Stage> = Vec::new();
    let mut is_whole = true;
    for (position, table) in tables.iter().enumerate() {
        match stage(reader, table, &mut names, &all[..position], &all) {
            Some(stage) => stages.push(stage),
            None => is_whole = false,
        }
    }
    is_whole.then_some(stages)
}

fn stage(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    names: &mut Names,
    above: &[String],
    all: &[String],
) -> Option<Stage> {
    reader.keys(table, &["name", "base", "source", "inputs"]);
    let name = names.take(reader, table);
    let own = table.table.contains_key("base").then(|| reader.table(table, "base"));
    let base = match own {
        None => None,
        // A stage sees no dependencies that it does not declare.
        Some(own) => of_table(reader, &own?).map(|mut base| {
            base.lock_files.get_or_insert_default();
            base
        }),
    };
    let is_first = all.first() == name.as_ref();
    let source = reader.boolean(table, "source").map_or(is_first, |source| source.value);
    let inputs = inputs(reader, table, name.as_deref().unwrap_or_default(), above, all);
    let is_whole = base.is_some() || !table.table.contains_key("base");
    is_whole.then_some(())?;
    Some(Stage { name: name?, base, source, inputs: inputs? })
}

fn inputs(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    own: &str,
    above: &[String],
    all: &[String],
) -> Option<Vec<StageInput>> {
    let tables = reader.tables(table, "inputs");
    if let Some(table) = tables.get(INPUTS_MAX) {
        reader.problem(table.span.start, format!("more than {INPUTS_MAX} inputs of one stage"), None);
        return None;
    }
    let mut inputs: Vec<StageInput> = Vec::new();
    for table in &tables {
        reader.keys(table, &["stage", "path", "at"]);
        let stage = reader.required_string(table, "stage").and_then(|stage| giver(reader, stage, own, above, all));
        let path = reader.required_string(table, "path").and_then(|path| relative(reader, path));
        let at = reader.required_string(table, "at");
        let offset = at.as_ref().map_or(0, |at| at.offset);
        let input = StageInput { stage: stage?, path: path?, at: place(reader, at?)? };
        let overlaps = |other: &&StageInput| {
            sandbox::plan::is_within(&other.at, &input.at) || sandbox::plan::is_within(&input.at, &other.at)
        };
        if let Some(other) = inputs.iter().find(overlaps) {
            let message = format!("`{}` and `{}` overlap", shown(&input.at), shown(&other.at));
            reader.problem(offset, message, "each input has a place of its own".to_owned());
        }
        inputs.push(input);
    }
    Some(inputs)
}

/// Returns the name of the stage that an input comes from, if that stands above.
fn giver(reader: &mut Reader<'_>, stage: At<String>, own: &str, above: &[String], all: &[String]) -> Option<String> {
    let name = stage.value;
    if above.contains(&name) {
        return Some(name);
    }
    let known: Vec<&str> = above.iter().map(String::as_str).collect();
    let message = match name == own {
        true => format!("stage `{own}` takes from itself"),
        false if all.contains(&name) => format!("stage `{}` does not stand above `{own}`", shown(&name)),
        false => format!("no stage is called `{}`", shown(&name)),
    };
    let allowed = match all.contains(&name) {
        true => "a stage takes from those above it, so that there are no circles: put the giver first".to_owned(),
        false => suggestion(&name, &known),
    };
    reader.problem(stage.offset, message, allowed);
    None
}

fn place(reader: &mut Reader<'_>, at: At<String>) -> Option<String> {
    let Some(below) = at.value.strip_prefix(STAGE_INPUTS).and_then(|rest| rest.strip_prefix('/')) else {
        let message = format!("`{}` does not lie below `{STAGE_INPUTS}`", shown(&at.value));
        reader.problem(at.offset, message, format!("as `{STAGE_INPUTS}/greeter`: steps find it there"));
        return None;
    };
    let below = relative(reader, At { value: below.to_owned(), offset: at.offset })?;
    Some(format!("{STAGE_INPUTS}/{below}"))
}

/// Reads `stage` of a step: it must stand where there are stages.
pub(super) fn of_step(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    stages: Option<&[Stage]>,
) -> Option<Option<String>> {
    if stages.is_some_and(|stages| !stages.is_empty()) {
        reader.required(table, "stage");
        return named(reader, table, stages).map(Some);
    }
    of_artifact(reader, table, stages)
}

/// Reads `stage` of an artifact: the last one, where nothing is said.
pub(super) fn of_artifact(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    stages: Option<&[Stage]>,
) -> Option<Option<String>> {
    match table.table.contains_key("stage") {
        true => named(reader, table, stages).map(Some),
        false => Some(stages.and_then(|stages| stages.last()).map(|stage| stage.name.clone())),
    }
}

/// Reads `stage` of a test: the first one that sees the source, where nothing is said, else the first.
pub(super) fn of_test(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    stages: Option<&[Stage]>,
) -> Option<Option<String>> {
    if table.table.contains_key("stage") {
        return named(reader, table, stages).map(Some);
    }
    let stages = stages.unwrap_or_default();
    let first = stages.iter().find(|stage| stage.source).or(stages.first());
    Some(first.map(|stage| stage.name.clone()))
}

fn named(reader: &mut Reader<'_>, table: &Table<'_, '_>, stages: Option<&[Stage]>) -> Option<String> {
    let stage = reader.string(table, "stage")?;
    // Stages that could not be read are problems of their own.
    let stages = stages?;
    if stages.iter().any(|known| known.name == stage.value) {
        return Some(stage.value);
    }
    let known: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    let allowed = match known.is_empty() {
        true => format!("write `[[stage]]` with name = \"{}\"", shown(&stage.value)),
        false => suggestion(&stage.value, &known),
    };
    reader.problem(stage.offset, format!("no stage is called `{}`", shown(&stage.value)), allowed);
    None
}

/// Notes stages without a step, and those from which nothing reaches an artifact.
pub(super) fn check_use(
    reader: &mut Reader<'_>,
    top: &Table<'_, '_>,
    stages: &[Stage],
    steps: &[Step],
    artifacts: &[Artifact],
) {
    let mut used: Vec<&str> = artifacts.iter().filter_map(|artifact| artifact.stage.as_deref()).collect();
    for stage in stages.iter().rev() {
        if used.contains(&stage.name.as_str()) {
            used.extend(stage.inputs.iter().map(|input| input.stage.as_str()));
        }
    }
    for (stage, table) in stages.iter().zip(reader.tables(top, "stage")) {
        let name = &stage.name;
        let offset = table.table.get("name").map_or(table.span.start, |value| value.span().start);
        if !steps.iter().any(|step| step.stage.as_ref() == Some(name)) {
            let allowed = format!("write `[[step]]` with stage = \"{name}\"");
            reader.problem(offset, format!("stage `{name}` has no step"), allowed);
        }
        if !used.contains(&name.as_str()) {
            let allowed = format!("take something of it: inputs = [{{ stage = \"{name}\", … }}], or an `[[artifact]]`");
            reader.problem(offset, format!("nothing of stage `{name}` reaches an artifact"), allowed);
        }
    }
}

/// Notes an image whose libraries would have to come from several bases.
pub(super) fn check_image(
    reader: &mut Reader<'_>,
    top: &Table<'_, '_>,
    stages: &[Stage],
    artifacts: &[Artifact],
    image: Option<&Image>,
) {
    let Some(image) = image.filter(|image| image.libraries != Libraries::None) else { return };
    let of_image = artifacts.iter().filter(|artifact| image.artifacts.contains(&artifact.name));
    let base = |artifact: &Artifact| stages.iter().find(|stage| artifact.stage.as_ref() == Some(&stage.name));
    let mut bases: Vec<_> = of_image.map(|artifact| base(artifact).and_then(|stage| stage.base.as_ref())).collect();
    bases.dedup();
    if bases.len() > 1 {
        let offset = top.table.get("image").map_or(0, |value| value.span().start);
        let allowed = "take artifacts of one base, or say libraries = \"none\" and build them static".to_owned();
        reader.problem(offset, "the libraries of this image would come from several bases", allowed);
    }
}
