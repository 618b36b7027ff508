//! The recipe: the deterministic statement of a build. Two honest builders sign the same payload bytes.
//!
//! Format: `docs/formats/recipe.md`, version 1. There is no time, host, person or tool version in it, by purpose.

use std::collections::BTreeMap;

use model::recipe::{
    Artifact, ArtifactKind, Input, InputKind, Normalise, Recipe, RecipeStep, Settings, Stage, StageInput, StageMade,
    StageOutput,
};
use serde::{Deserialize, Serialize};
use wire::digest::Digest;
use wire::in_toto::Statement;

use crate::claim::ClaimError;
use crate::predicate::{Predicate, VERSION, agree, output_subjects, read, write};

#[derive(Serialize, Deserialize)]
struct Body {
    version: u32,
    project: String,
    source: SourceBody,
    spec: Digest,
    lock: Digest,
    plan: Digest,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stages: Vec<StageBody>,
    steps: Vec<StepBody>,
    inputs: Vec<InputBody>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    normalise: Vec<NormaliseBody>,
    settings: SettingsBody,
    outputs: Vec<OutputBody>,
}

#[derive(Serialize, Deserialize)]
struct SourceBody {
    tree: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StageBody {
    name: String,
    plan: Digest,
    inputs: Vec<StageInputBody>,
    steps: Vec<String>,
    outputs: Vec<StageOutputBody>,
}

#[derive(Serialize, Deserialize)]
struct StageInputBody {
    stage: String,
    path: String,
    at: String,
    tree: Digest,
}

#[derive(Serialize, Deserialize)]
struct StageOutputBody {
    path: String,
    tree: Digest,
}

#[derive(Serialize, Deserialize)]
struct StepBody {
    name: String,
    argv: Vec<String>,
    cwd: String,
    variables: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct NormaliseBody {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    check: bool,
    recompress: bool,
    format: u32,
}

#[derive(Serialize, Deserialize)]
struct InputBody {
    kind: InputKindBody,
    name: String,
    version: String,
    digest: Digest,
    purl: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum InputKindBody {
    Package,
    Base,
    Toolchain,
    Dependency,
}

/// Settings that can change a build's bytes, as recipe and run both write them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SettingsBody {
    tier: String,
    cpus: u32,
    epoch: i64,
    output_format: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutputBody {
    name: String,
    path: String,
    digest: Digest,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<ImageBody>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageBody {
    config: Digest,
    diff_ids: Vec<Digest>,
}

/// Returns the statement of a recipe. Inputs are written sorted, so that their order is nobody's choice.
pub fn statement(recipe: &Recipe) -> Statement {
    let mut inputs = recipe.inputs.clone();
    inputs.sort();
    let body = Body {
        version: VERSION,
        project: recipe.project.clone(),
        source: SourceBody { tree: recipe.source, commit: recipe.commit.clone() },
        spec: recipe.spec,
        lock: recipe.lock,
        plan: recipe.plan,
        stages: recipe.stages.iter().map(StageBody::of).collect(),
        steps: recipe.steps.iter().map(StepBody::of).collect(),
        inputs: inputs.iter().map(InputBody::of).collect(),
        normalise: recipe.normalise.iter().map(NormaliseBody::of).collect(),
        settings: SettingsBody::of(&recipe.settings),
        outputs: recipe.outputs.iter().map(OutputBody::of).collect(),
    };
    write(Predicate::Recipe, output_subjects(&recipe.outputs), &body)
}

/// Reads a recipe back.
pub(crate) fn parse(statement: &Statement) -> Result<Recipe, ClaimError> {
    let body: Body = read(Predicate::Recipe, &statement.predicate)?;
    let recipe = Recipe {
        project: body.project,
        source: body.source.tree,
        commit: body.source.commit,
        spec: body.spec,
        lock: body.lock,
        plan: body.plan,
        stages: body.stages.into_iter().map(StageBody::value).collect(),
        steps: body.steps.into_iter().map(StepBody::value).collect(),
        inputs: body.inputs.into_iter().map(InputBody::value).collect(),
        normalise: body.normalise.into_iter().map(NormaliseBody::value).collect(),
        settings: body.settings.value(),
        outputs: body.outputs.into_iter().map(OutputBody::value).collect(),
    };
    agree(Predicate::Recipe, statement, &output_subjects(&recipe.outputs))?;
    Ok(recipe)
}

impl NormaliseBody {
    fn of(step: &Normalise) -> NormaliseBody {
        NormaliseBody {
            path: step.path.clone(),
            kind: step.kind.clone(),
            check: step.check,
            recompress: step.recompress,
            format: step.format,
        }
    }

    fn value(self) -> Normalise {
        let NormaliseBody { path, kind, check, recompress, format } = self;
        Normalise { path, kind, check, recompress, format }
    }
}

impl StageBody {
    fn of(stage: &Stage) -> StageBody {
        let input = |input: &StageInput| StageInputBody {
            stage: input.stage.clone(),
            path: input.path.clone(),
            at: input.at.clone(),
            tree: input.tree,
        };
        let output = |output: &StageOutput| StageOutputBody { path: output.path.clone(), tree: output.tree };
        StageBody {
            name: stage.name.clone(),
            plan: stage.made.plan,
            inputs: stage.inputs.iter().map(input).collect(),
            steps: stage.steps.clone(),
            outputs: stage.made.outputs.iter().map(output).collect(),
        }
    }

    fn value(self) -> Stage {
        let input = |StageInputBody { stage, path, at, tree }| StageInput { stage, path, at, tree };
        let output = |StageOutputBody { path, tree }| StageOutput { path, tree };
        Stage {
            name: self.name,
            inputs: self.inputs.into_iter().map(input).collect(),
            made: StageMade { plan: self.plan, outputs: self.outputs.into_iter().map(output).collect() },
            steps: self.steps,
        }
    }
}

impl StepBody {
    fn of(step: &RecipeStep) -> StepBody {
        StepBody {
            name: step.name.clone(),
            argv: step.argv.clone(),
            cwd: step.cwd.clone(),
            variables: step.variables.clone(),
        }
    }

    fn value(self) -> RecipeStep {
        RecipeStep { name: self.name, argv: self.argv, cwd: self.cwd, variables: self.variables }
    }
}

impl InputBody {
    fn of(input: &Input) -> InputBody {
        InputBody {
            kind: match input.kind {
                InputKind::Package => InputKindBody::Package,
                InputKind::Base => InputKindBody::Base,
                InputKind::Toolchain => InputKindBody::Toolchain,
                InputKind::Dependency => InputKindBody::Dependency,
            },
            name: input.name.clone(),
            version: input.version.clone(),
            digest: input.digest,
            purl: input.purl.clone(),
        }
    }

    fn value(self) -> Input {
        let kind = match self.kind {
            InputKindBody::Package => InputKind::Package,
            InputKindBody::Base => InputKind::Base,
            InputKindBody::Toolchain => InputKind::Toolchain,
            InputKindBody::Dependency => InputKind::Dependency,
        };
        Input { kind, name: self.name, version: self.version, digest: self.digest, purl: self.purl }
    }
}

impl SettingsBody {
    /// Copies settings out of the model.
    pub(crate) fn of(settings: &Settings) -> SettingsBody {
        SettingsBody {
            tier: settings.tier.clone(),
            cpus: settings.cpus,
            epoch: settings.epoch_unix_s,
            output_format: settings.output_format,
        }
    }

    /// Copies settings into the model.
    pub(crate) fn value(self) -> Settings {
        Settings { tier: self.tier, cpus: self.cpus, epoch_unix_s: self.epoch, output_format: self.output_format }
    }
}

impl OutputBody {
    fn of(output: &Artifact) -> OutputBody {
        let image = match &output.kind {
            ArtifactKind::File => None,
            ArtifactKind::Image { config, diff_ids } => Some(ImageBody { config: *config, diff_ids: diff_ids.clone() }),
        };
        OutputBody {
            name: output.name.clone(),
            path: output.path.clone(),
            digest: output.digest,
            size: output.size,
            image,
        }
    }

    fn value(self) -> Artifact {
        let kind = match self.image {
            None => ArtifactKind::File,
            Some(image) => ArtifactKind::Image { config: image.config, diff_ids: image.diff_ids },
        };
        Artifact { name: self.name, path: self.path, kind, digest: self.digest, size: self.size }
    }
}
