//! What a build is, whoever runs it: the part of the evidence that two honest builders share byte for byte.

use std::collections::BTreeMap;

use wire::digest::Digest;

/// The deterministic description of a build: inputs, commands, settings and outputs; no time, host or person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Project name from `assay.toml`.
    pub project: String,
    /// Source tree digest.
    pub source: Digest,
    /// Commit that the tree was clean at; `None` when it was dirty or not under git.
    pub commit: Option<String>,
    /// Digest of the bytes of `assay.toml`.
    pub spec: Digest,
    /// Digest of the bytes of `assay.lock`.
    pub lock: Digest,
    /// Digest of the canonical plan (steps, mounts, variables, settings); with stages, of all their plans as they are
    /// before any of them ran.
    pub plan: Digest,
    /// Stages in the order in which they ran; none where the build is one stage without a name.
    pub stages: Vec<Stage>,
    /// Steps in order.
    pub steps: Vec<RecipeStep>,
    /// Pinned inputs: base, toolchains, dependencies.
    pub inputs: Vec<Input>,
    /// Files that were put into their normal form after the steps.
    pub normalise: Vec<Normalise>,
    /// Determinism settings.
    pub settings: Settings,
    /// Output of the build.
    pub outputs: Vec<Artifact>,
}

/// A stage: steps that ran in a sandbox of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// What it took from other stages.
    pub inputs: Vec<StageInput>,
    /// Its plan and what came of it.
    pub made: StageMade,
    /// Names of its steps, in order.
    pub steps: Vec<String>,
}

/// What a stage took from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageInput {
    /// The stage that left it.
    pub stage: String,
    /// Where that one left it, in its workspace.
    pub path: String,
    /// Where it was found inside.
    pub at: String,
    /// Digest of the tree that holds it.
    pub tree: Digest,
}

/// What came of a plan. The plan's digest covers all that the stage could see, so whoever trusts who says this may take the
/// outputs in place of running the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageMade {
    /// Digest of the canonical plan, with each input by its digest.
    pub plan: Digest,
    /// What other stages may take, in the order of the paths.
    pub outputs: Vec<StageOutput>,
}

/// A file or directory that a stage left for others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StageOutput {
    /// Where it was left, in the workspace.
    pub path: String,
    /// Digest of a tree that holds it under its last name, and nothing else.
    pub tree: Digest,
}

/// One command of a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeStep {
    /// Step name.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Working directory inside the sandbox.
    pub cwd: String,
    /// Declared, non-secret variables.
    pub variables: BTreeMap<String, String>,
}

/// A file that is put into its normal form after the steps, or must be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalise {
    /// Path of the file in the workspace.
    pub path: String,
    /// The kind of archive, as `wheel`; `None` when name and bytes tell it.
    pub kind: Option<String>,
    /// Whether the build fails when the file is not in its normal form, in place of changing it.
    pub check: bool,
    /// Whether compressed data is written anew.
    pub recompress: bool,
    /// Version of the rules.
    pub format: u32,
}

/// A pinned input, by digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// What it is.
    pub kind: InputKind,
    /// `gcc-12`, `serde`, `rust`, …
    pub name: String,
    /// `12.2.0-14+deb12u1`, `1.0.219`, …; a commit for a git dependency.
    pub version: String,
    /// Digest of its bytes (an archive) or of its tree.
    pub digest: Digest,
    /// Package URL, as `pkg:cargo/serde@1.0.219`.
    pub purl: String,
}

/// The kinds of [`Input`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputKind {
    /// A system package whose files are in the base.
    Package,
    /// The merged root file system that the build sees.
    Base,
    /// A toolchain directory imported as a tree.
    Toolchain,
    /// A dependency of the project, from a lock file.
    Dependency,
}

/// Settings that can change a build's bytes; in lock, recipe and evidence alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `T1`; behind it each step that differs: `T1 pack=T2 keys=T1+seeded`.
    pub tier: String,
    /// How many CPUs the build sees.
    pub cpus: u32,
    /// Value of `SOURCE_DATE_EPOCH` and of all source file times.
    pub epoch_unix_s: i64,
    /// Version of our packing (archives, images): changes only when output bytes may.
    pub output_format: u32,
}

/// A file or an image that a build produced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Name from `assay.toml`.
    pub name: String,
    /// Path in the workspace (`target/release/greeter`), or the OCI layout's name for an image.
    pub path: String,
    /// Kind of artifact.
    pub kind: ArtifactKind,
    /// Digest of the bytes; for an image, of its manifest.
    pub digest: Digest,
    /// Size in bytes; for an image, of its manifest.
    pub size: u64,
}

/// The kinds of [`Artifact`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactKind {
    /// One file.
    File,
    /// An OCI image; look-up matches any of these digests.
    Image {
        /// Digest of the configuration.
        config: Digest,
        /// Digests of the uncompressed layers.
        diff_ids: Vec<Digest>,
    },
}
