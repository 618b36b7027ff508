//! One build of a Dockerfile: what is added is added to roots, what is run runs in the sandbox, what differs is a layer.

use std::collections::BTreeMap;

use build::dockerfile::layers::{self, BaseImage, Part};
use build::dockerfile::root::{Root, RootError};
use build::dockerfile::{Action, Copy, From, Giver, Program, Run, Source, Stage, architecture};
use build::image::stacked::{Changes, Stack, stack};
use build::inputs::Inputs as _;
use build::record;
use build::stage::{self, Whole};
use model::recipe::{Artifact, ArtifactKind, Input, Stage as RecipeStage, StageInput, StageMade, StageOutput};
use model::run::Record;
use sandbox::plan::Level;
use serde::Serialize;
use wire::digest::Digest;

use crate::building::{Builder, Finished, Subject, restore};
use crate::context::Context;
use crate::error::{Context as _, Failure, Result};
use crate::inputs::StoreInputs;
use crate::normalising::Normalised;

/// The largest manifest or configuration of an image that is read.
const DOCUMENT_MAX: u64 = 4 << 20;

/// Builds once. What cannot be copied, and a command that fails, is an honest no.
pub(crate) fn build_once(
    context: &Context,
    inputs: &StoreInputs,
    subject: &Subject<'_>,
    dockerfile: &Source,
    minimum: Level,
) -> Result<(Record, Normalised)> {
    let builder = Builder { context, inputs, subject, minimum, normalised: Vec::new() };
    let images = images(context, inputs, subject)?;
    let executions = images.iter().map(|(name, image)| (name.clone(), image.base.execution())).collect();
    let program = dockerfile.program(&executions).map_err(|problems| Failure::problems("dockerfile", &problems))?;
    let mut building = Building {
        builder,
        dockerfile,
        images,
        context_root: root_of(inputs, &subject.source.tree)?,
        made: BTreeMap::new(),
        parts: Vec::new(),
        kept: Vec::new(),
    };
    let mut stated = Vec::new();
    for stage in &program.stages {
        stated.push(building.stage(stage)?);
    }
    building.run_at_least_once()?;
    let image = building.pack(&program)?;
    let spec = &subject.project.spec;
    let whole = Whole {
        plan: dockerfile.plan(spec, subject.lock, subject.source),
        lock: subject.lock.digest(),
        tier: spec.build.tier.name().to_owned(),
        stages: stated,
        artifacts: Vec::new(),
        images: vec![image],
    };
    let mut record = stage::join(whole, building.parts).ok_or_else(|| Failure::new("build-failed", "nothing ran"))?;
    record.recipe.inputs = pinned(subject);
    Ok((record, Vec::new()))
}

/// An image of the lock, and the root that it makes.
struct Image {
    base: BaseImage,
    root: Root,
}

fn images(context: &Context, inputs: &StoreInputs, subject: &Subject<'_>) -> Result<BTreeMap<String, Image>> {
    let trees = subject.lock.stages.iter().map(|stage| &stage.base.tree).chain([&subject.lock.base.tree]);
    if trees.into_iter().any(|tree| !inputs.trees.has(tree)) {
        restore(context, inputs, subject)?;
    }
    let mut images = BTreeMap::new();
    for stage in &subject.lock.stages {
        let doing = || format!("reading image `{}` of assay.lock", stage.name);
        let image = stage.base.image.as_ref().ok_or_else(|| Failure::new("lock-inputs", doing()).hint("assay lock"))?;
        let read = |digest| inputs.blobs.read(digest, DOCUMENT_MAX).context("lock-inputs", doing());
        let (manifest, config) = (read(&image.digest)?, read(&image.config)?);
        let base = BaseImage::parse(&stage.name, &manifest, &config)
            .map_err(|error| Failure::new("dockerfile", doing()).because(&error))?;
        images.insert(stage.name.clone(), Image { base, root: root_of(inputs, &stage.base.tree)? });
    }
    Ok(images)
}

fn root_of(inputs: &StoreInputs, tree: &Digest) -> Result<Root> {
    let manifest = inputs.trees.tree(tree).context("store", format!("reading the manifest of tree {tree}"))?;
    Ok(Root::of_tree(&manifest, &inputs.trees.path(tree)))
}

/// Everything pinned: the images by their trees, and files of `[[fetch]]`.
fn pinned(subject: &Subject<'_>) -> Vec<Input> {
    let of_image = |stage: &build::lock::StagePins| {
        let mut own = record::inputs(&subject.lock.of_stage(&stage.name));
        own.iter_mut().filter(|input| input.name == "base").for_each(|input| input.name.clone_from(&stage.name));
        own
    };
    let fetched = record::inputs(subject.lock).into_iter().filter(|input| input.name != "base");
    let mut inputs: Vec<Input> = subject.lock.stages.iter().flat_map(of_image).chain(fetched).collect();
    inputs.sort();
    inputs.dedup();
    inputs
}

struct Building<'a> {
    builder: Builder<'a>,
    dockerfile: &'a Source,
    images: BTreeMap<String, Image>,
    context_root: Root,
    /// Roots of stages: as they began, and as they are.
    made: BTreeMap<String, (Root, Root)>,
    parts: Vec<stage::Part>,
    /// Runs whose files lie in their directories until the image is packed.
    kept: Vec<Finished>,
}

/// What decides the root of a stage: what its plan digest is of.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Canonical<'a> {
    stage: &'a Stage,
    from: Digest,
    givers: BTreeMap<String, Digest>,
    runs: Vec<Digest>,
}

impl Building<'_> {
    fn stage(&mut self, stage: &Stage) -> Result<RecipeStage> {
        let context = self.builder.context;
        context.progress.doing(&format!("building stage `{}`", stage.name));
        let began = match &stage.from {
            From::Scratch => Root::default(),
            From::Stage(name) => self.root_of_stage(name)?,
            From::Image(name) => self.image(name)?.root.clone(),
        };
        let mut root = began.clone();
        let (mut runs, mut givers) = (Vec::new(), BTreeMap::new());
        for part in layers::parts(&stage.actions) {
            match part {
                Part::Added(actions) => {
                    for action in actions {
                        self.add(action, &mut root, &mut givers)?;
                    }
                }
                Part::Ran(commands) => runs.push(self.run(stage, &commands, &mut root, runs.len())?),
            }
        }
        let from = tree_of(&began)?;
        let canonical = Canonical { stage, from, givers, runs };
        let plan = Digest::of(&wire::jcs::to_vec(&canonical));
        let tree = root.tree().map_err(|error| failed(&error))?;
        let kept = self.builder.inputs.blobs.put_bytes(&tree.manifest());
        kept.context("store", "keeping the manifest of a stage's root")?;
        let stated = self.stated(
            stage,
            StageMade { plan, outputs: vec![StageOutput { path: "/".to_owned(), tree: tree.digest() }] },
        )?;
        self.made.insert(stage.name.clone(), (began, root));
        Ok(stated)
    }

    fn root_of_stage(&self, name: &str) -> Result<Root> {
        let made = self.made.get(name).map(|(_, root)| root.clone());
        made.ok_or_else(|| Failure::new("dockerfile", format!("stage `{name}` was not built")))
    }

    fn image(&self, name: &str) -> Result<&Image> {
        let image = self.images.get(name);
        image.ok_or_else(|| {
            Failure::new("lock-stale", format!("image `{name}` is not in assay.lock")).hint("assay lock")
        })
    }

    fn add(&self, action: &Action, root: &mut Root, givers: &mut BTreeMap<String, Digest>) -> Result<()> {
        match action {
            Action::Directory { path } => root.directory(path).map_err(|error| failed(&error)),
            Action::Copy(copy) => {
                let is_seen = |path: &str| copy.giver != Giver::Context || self.dockerfile.is_in_context(path);
                let (name, giver) = match &copy.giver {
                    Giver::Context => ("context".to_owned(), self.context_root.clone()),
                    Giver::Stage(name) => (format!("stage {name}"), self.root_of_stage(name)?),
                    Giver::Image(name) => (format!("image {name}"), self.image(name)?.root.clone()),
                    Giver::Here(_) => (String::new(), Root::default()),
                };
                if !name.is_empty() {
                    givers.insert(name, tree_of(&giver)?);
                }
                root.copy(copy, &giver, &is_seen).map_err(|error| self.refused(copy, &error))
            }
            Action::Run(_) => Ok(()),
        }
    }

    fn refused(&self, copy: &Copy, error: &RootError) -> Failure {
        let problem = self.dockerfile.problem(copy.line, error.to_string(), None);
        Failure { exit: 1, ..Failure::problems("dockerfile", &[problem]) }
    }

    /// Runs commands on a root, and makes it what they left; returns the digest of their plan.
    fn run(&mut self, stage: &Stage, commands: &[&Run], root: &mut Root, number: usize) -> Result<Digest> {
        let subject = self.builder.subject;
        let held = self.builder.inputs.import(root.for_run()).context("store", "keeping the root of a stage")?;
        let (spec, lock) = (&subject.project.spec, subject.lock);
        let planned = layers::plan(spec, lock, subject.source, held.digest(), commands);
        let ran = self.builder.run(spec, lock, &planned)?;
        let record = self.builder.record(&ran, spec, lock, &planned, Vec::new())?;
        root.apply(&ran.outcome.collected, &ran.directory.collected()).map_err(|error| failed(&error))?;
        self.kept.push(ran);
        let name = if number == 0 { stage.name.clone() } else { format!("{} {}", stage.name, number + 1) };
        let plan = planned.digest();
        self.parts.push(stage::Part { name, plan, record });
        Ok(plan)
    }

    /// A file that runs nothing is still run once, with no command: that is what says at which level it was built.
    fn run_at_least_once(&mut self) -> Result<()> {
        if self.parts.is_empty() {
            let (name, execution) = ("nothing".to_owned(), Default::default());
            let stage = Stage { name, from: From::Scratch, actions: Vec::new(), execution };
            self.run(&stage, &[], &mut Root::default(), 0)?;
        }
        Ok(())
    }

    fn stated(&self, stage: &Stage, made: StageMade) -> Result<RecipeStage> {
        let mut inputs = Vec::new();
        let mut add = |giver: &str, path: &str, at: &str| -> Result<()> {
            let tree = tree_of(&self.root_of_stage(giver)?)?;
            inputs.push(StageInput { stage: giver.to_owned(), path: path.to_owned(), at: at.to_owned(), tree });
            Ok(())
        };
        if let From::Stage(giver) = &stage.from {
            add(giver, "/", "/")?;
        }
        for action in &stage.actions {
            if let Action::Copy(Copy { giver: Giver::Stage(giver), sources, to, .. }) = action {
                sources.iter().try_for_each(|path| add(giver, path, to))?;
            }
        }
        let runs = stage.actions.iter().filter_map(|action| match action {
            Action::Run(run) => Some(run.name.clone()),
            _ => None,
        });
        Ok(RecipeStage { name: stage.name.clone(), inputs, made, steps: runs.collect() })
    }

    /// Packs the last stage: the layers of the image that it comes from, and one for each stage on the way.
    fn pack(&self, program: &Program) -> Result<Artifact> {
        let spec = &self.builder.subject.project.spec;
        let name = spec.image.as_ref().map(|image| image.name.clone()).unwrap_or_default();
        let doing = || format!("packing the image `{name}`");
        let last = program.stages.last().ok_or_else(|| Failure::new("dockerfile", doing()))?;
        let mut way = vec![last];
        while let Some(From::Stage(name)) = way.last().map(|stage| &stage.from)
            && let Some(stage) = program.stages.iter().find(|stage| stage.name == *name)
        {
            way.push(stage);
        }
        way.reverse();
        let below = match &way[0].from {
            From::Image(name) => Some(&self.image(name)?.base),
            _ => None,
        };
        let roots: Vec<&(Root, Root)> = way.iter().filter_map(|stage| self.made.get(&stage.name)).collect();
        let is_there: Vec<_> = roots.iter().map(|(began, _)| move |path: &str| began.has_directory(path)).collect();
        let layers = roots
            .iter()
            .zip(&is_there)
            .map(|((began, root), is_there)| Changes { entries: root.changes(began), is_there });
        let image = stack(&Stack {
            epoch_unix_s: build::plan::epoch_unix_s(self.builder.subject.source),
            architecture: below.map_or_else(|| architecture().to_owned(), |base| base.config.architecture.clone()),
            execution: last.execution.clone(),
            below: below.map(|base| (base.manifest.layers.as_slice(), base.config.rootfs.diff_ids.as_slice())),
            layers: layers.collect(),
        })
        .context("image", doing())?;
        for (_, bytes) in &image.files {
            self.builder.inputs.blobs.put_bytes(bytes).context("store", doing())?;
        }
        Ok(Artifact {
            path: format!("oci:{name}"),
            name,
            kind: ArtifactKind::Image { config: image.config, diff_ids: image.diff_ids },
            digest: image.manifest,
            size: image.manifest_size,
        })
    }
}

fn tree_of(root: &Root) -> Result<Digest> {
    root.tree().map(|tree| tree.digest()).map_err(|error| failed(&error))
}

fn failed(error: &RootError) -> Failure {
    Failure::no("build-failed", "putting a root together").because(error)
}
