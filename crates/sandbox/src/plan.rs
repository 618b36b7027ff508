//! What to run: the plan (equal on every machine) and the host (where this machine keeps things).
//!
//! The plan holds no host path, user, level or time, so its canonical JSON can stand in a recipe. A real one:
//!
//! ```json
//! {"version":2,"hostname":"build","cpus":2,"loopback":false,"epoch_unix_s":1795370000,
//!  "mounts":[{"tree":{"target":"/","source":"base"}},
//!            {"file":{"target":"/etc/passwd","content":"builder:x:1000:1000::/home:/bin/sh\n"}},
//!            {"copy":{"target":"/build","source":"source","mtime_unix_s":315532800,"size_bytes":1073741824}},
//!            {"scratch":{"target":"/tmp","size_bytes":268435456}}],
//!  "steps":[{"name":"compile","argv":["/bin/sh","-c","make"],"cwd":"/build","variables":{"PATH":"/usr/bin"},
//!             "tier":"T1","randomness":"real"}],
//!  "collect":[{"path":"/build/out/*"}],
//!  "limits":{"wall_ms":3600000,"processes":4096,"memory_bytes":8589934592,"open_files":4096,
//!            "file_bytes":4294967296,"output_bytes":67108864,"events":4000000,"collect_bytes":4294967296}}
//! ```
//!
//! Version 1 had neither tiers nor `epoch_unix_s`; it is still read, and means T0 and real randomness.
//! Deliberately absent: shell words and variable expansion; a step is an argument vector and a complete environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::SandboxError;
use crate::script::Scripts;
use crate::tier::{Randomness, Tier};

#[cfg(test)]
mod tests;

/// The plan format that this crate writes.
pub const PLAN_VERSION: u32 = 2;
/// The format without tiers.
const PLAN_VERSION_UNTIERED: u32 = 1;
/// Where the logical clock may begin: between 1970 and 2100.
const EPOCH_MAX_UNIX_S: i64 = 4_102_444_800;
/// More mounts than any sensible plan has; each costs kernel memory.
const MOUNTS_MAX: usize = 4096;
/// More steps than any sensible plan has.
const STEPS_MAX: usize = 1024;
/// The size of the mask that programs pass to `sched_getaffinity` without asking first is 1024 bits.
const CPUS_MAX: u32 = 1024;
/// The kernel's limit of a host name.
const HOSTNAME_MAX: usize = 64;
/// The kernel's limit of a path.
const PATH_MAX: usize = 4096;

/// What to do, the same on every machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// Host name inside.
    pub hostname: String,
    /// How many CPUs programs see.
    pub cpus: u32,
    /// Whether the loopback interface inside is up (for tests of a service); nothing else is ever reachable.
    #[serde(default)]
    pub loopback: bool,
    /// Where the clock of [`Tier::T2`] begins, seconds since 1970; the time of all sources.
    #[serde(default)]
    pub epoch_unix_s: i64,
    /// What the file system inside holds; later entries lie over earlier ones.
    pub mounts: Vec<Mount>,
    /// Commands in order; the first that fails ends the run.
    pub steps: Vec<Step>,
    /// What to copy out afterwards.
    #[serde(default)]
    pub collect: Vec<Collect>,
    /// Where each resource ends.
    #[serde(default)]
    pub limits: Limits,
}

/// One thing in the file system inside. Targets are absolute, without `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Mount {
    /// A host directory (or file), read-only. At `/` each of its top-level directories is bound and its links are made again.
    Tree {
        /// Where it appears.
        target: String,
        /// Key into [`Host::sources`].
        source: String,
    },
    /// A read-only file with this content.
    File {
        /// Where it appears.
        target: String,
        /// Its text.
        content: String,
        /// Whether it may be executed.
        #[serde(default)]
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// Where it appears.
        target: String,
        /// What it points to, taken as it is.
        to: String,
    },
    /// A host directory copied in sorted order onto a writable tmpfs, owned by the builder, modes 0644 and 0755.
    Copy {
        /// Where it appears.
        target: String,
        /// Key into [`Host::sources`].
        source: String,
        /// Modification time of every entry, seconds since 1970.
        mtime_unix_s: i64,
        /// Size of the tmpfs; it counts as memory.
        size_bytes: u64,
    },
    /// A host directory copied in sorted order onto a writable tmpfs that is the root, modes 0644 and 0755. Steps are user 0 inside, and
    /// still without any capability. Its `dev`, `proc` and `sys` are the sandbox's own. Only at levels with namespaces.
    Root {
        /// Key into [`Host::sources`].
        source: String,
        /// Modification time of every entry, seconds since 1970.
        mtime_unix_s: i64,
        /// Size of the tmpfs; it counts as memory.
        size_bytes: u64,
    },
    /// An empty writable tmpfs.
    Scratch {
        /// Where it appears.
        target: String,
        /// Its size; it counts as memory.
        size_bytes: u64,
    },
}

impl Mount {
    /// Returns where it appears.
    pub fn target(&self) -> &str {
        match self {
            Self::Root { .. } => "/",
            Self::Tree { target, .. }
            | Self::File { target, .. }
            | Self::Link { target, .. }
            | Self::Copy { target, .. }
            | Self::Scratch { target, .. } => target,
        }
    }

    /// Whether steps may write there.
    pub fn is_writable(&self) -> bool {
        matches!(self, Self::Root { .. } | Self::Copy { .. } | Self::Scratch { .. })
    }
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Name for reports.
    pub name: String,
    /// Program and arguments; a program without `/` is looked up in the step's own `PATH`.
    pub argv: Vec<String>,
    /// Working directory inside.
    pub cwd: String,
    /// The whole environment.
    pub variables: BTreeMap<String, String>,
    /// How much of the machine it is kept from seeing.
    #[serde(default)]
    pub tier: Tier,
    /// Where its randomness comes from.
    #[serde(default)]
    pub randomness: Randomness,
    /// Whether the branches of its shell scripts are traced ([`crate::script`]). Absent where they are not.
    #[serde(default, skip_serializing_if = "Scripts::is_off")]
    pub scripts: Scripts,
}

/// What to copy out after the last step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collect {
    /// Path inside, within a [`Mount::Root`], [`Mount::Copy`] or [`Mount::Scratch`]; `*` and `?` match within a name; a directory is
    /// copied whole. `/` itself means what differs from the source of the [`Mount::Root`], and what of that is gone.
    pub path: String,
    /// Nothing there is no error.
    #[serde(default)]
    pub optional: bool,
    /// Copy it also when a step failed (reports of tests).
    #[serde(default)]
    pub after_failure: bool,
}

/// Where each resource ends. Reaching one ends the run with [`crate::outcome::Limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Wall time of all steps together.
    pub wall_ms: u64,
    /// CPU time of all processes together; sampled, so that a process may go over it by what it can use in a tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Processes and threads alive at one time.
    pub processes: u64,
    /// Private memory of all processes together; sampled, so a short peak may pass.
    pub memory_bytes: u64,
    /// Open descriptors of one process.
    pub open_files: u64,
    /// Size of one file.
    pub file_bytes: u64,
    /// Standard output and error of all steps together.
    pub output_bytes: u64,
    /// Trace lines: processes, paths, and distinct (process, path, kind).
    pub events: u64,
    /// Bytes copied out.
    pub collect_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_ms: 3_600_000,
            cpu_ms: None,
            processes: 4096,
            memory_bytes: 8 << 30,
            open_files: 4096,
            file_bytes: 4 << 30,
            output_bytes: 64 << 20,
            events: 4_000_000,
            collect_bytes: 4 << 30,
        }
    }
}

/// How much isolation holds, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// All namespaces, the plan's file system alone, a fresh `/proc`.
    Full,
    /// As `Full`, but the outer `/proc` (read-only) instead of a fresh one.
    NoProc,
    /// No namespaces: traced, filtered by seccomp, fenced by Landlock if the kernel has it.
    TraceOnly,
}

impl Level {
    /// All levels, strongest first.
    pub const ALL: [Self; 3] = [Self::Full, Self::NoProc, Self::TraceOnly];

    /// Returns the name that stands in evidence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::NoProc => "no-proc",
            Self::TraceOnly => "trace-only",
        }
    }

    /// Whether this level is as strong as `other`, or stronger.
    pub fn holds(self, other: Self) -> bool {
        self as u8 <= other as u8
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Where this machine keeps things, and what it may do: everything about a run that is no part of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The program that calls [`crate::supervise`] when its first argument is [`crate::SUPERVISE`].
    pub supervisor: PathBuf,
    /// Host paths of the sources that the plan names.
    pub sources: BTreeMap<String, PathBuf>,
    /// The weakest level that is acceptable.
    pub minimum: Level,
    /// The strongest level to try ([`Level::Full`] but for experiments).
    pub ceiling: Level,
    /// The trace is written here; must not exist.
    pub trace: PathBuf,
    /// Output of the steps is written here; must not exist.
    pub log: PathBuf,
    /// Existing directory that receives what is collected.
    pub collect: PathBuf,
    /// At `trace-only`: a directory to make, run the steps in, and remove; must not exist.
    pub scratch: PathBuf,
    /// At `trace-only`: the `PATH` that replaces the plan's.
    pub path: String,
    /// At `trace-only`: directories that no step may read (keys).
    pub deny: Vec<PathBuf>,
    /// The Unix socket of a [`crate::door::Door`], for a plan with loopback.
    #[serde(default)]
    pub door: Option<PathBuf>,
}

impl Plan {
    /// Returns the plan unchanged when it can be run with these sources.
    pub fn validate(&self, host: &Host) -> Result<(), SandboxError> {
        let refuse = |what: String| Err(SandboxError::Plan { what });
        match self.version {
            PLAN_VERSION => {}
            PLAN_VERSION_UNTIERED if self.tier() == Tier::T0 && !self.has_seeded_step() => {}
            PLAN_VERSION_UNTIERED => return refuse("version 1 knows no tiers and no randomness".to_owned()),
            other => return refuse(format!("version {other} is not {PLAN_VERSION}")),
        }
        if !(0..=EPOCH_MAX_UNIX_S).contains(&self.epoch_unix_s) {
            return refuse(format!("epoch {}: allowed are 0 to {EPOCH_MAX_UNIX_S}", self.epoch_unix_s));
        }
        if self.hostname.is_empty() || self.hostname.len() > HOSTNAME_MAX || self.hostname.contains('\0') {
            return refuse(format!("host name `{}` is empty or longer than {HOSTNAME_MAX}", self.hostname));
        }
        if self.cpus == 0 || self.cpus > CPUS_MAX {
            return refuse(format!("{} CPUs: allowed are 1 to {CPUS_MAX}", self.cpus));
        }
        if self.mounts.len() > MOUNTS_MAX || self.steps.len() > STEPS_MAX {
            return refuse(format!("more than {MOUNTS_MAX} mounts or {STEPS_MAX} steps"));
        }
        self.mounts.iter().try_for_each(|mount| validate_mount(mount, host))?;
        if self.root_source().is_some() && self.mounts.iter().filter(|mount| mount.target() == "/").count() > 1 {
            return refuse("a writable root has nothing beside it at `/`".to_owned());
        }
        self.steps.iter().try_for_each(validate_step)?;
        self.collect.iter().try_for_each(|collect| self.validate_collect(collect))
    }

    /// Whether every step is told the same at `path`, a file of `/proc`, on whatever machine it runs: then reading it is no
    /// look at the machine.
    pub fn fixes(&self, path: &str) -> bool {
        let all_told = !self.steps.is_empty() && self.steps.iter().all(|step| step.tier >= Tier::T1);
        all_told && crate::supervise::is_fixed(self, path)
    }

    /// Returns the writable mount that `path` lies in.
    pub fn writable_above(&self, path: &str) -> Option<&Mount> {
        let writable = self.mounts.iter().filter(|mount| mount.is_writable());
        writable.filter(|mount| is_within(path, mount.target())).max_by_key(|mount| mount.target().len())
    }

    /// Returns the key of the source that its writable root is a copy of.
    pub fn root_source(&self) -> Option<&str> {
        self.mounts.iter().find_map(|mount| match mount {
            Mount::Root { source, .. } => Some(source.as_str()),
            _ => None,
        })
    }

    /// Returns the highest tier of its steps.
    pub fn tier(&self) -> Tier {
        self.steps.iter().map(|step| step.tier).max().unwrap_or_default()
    }

    fn has_seeded_step(&self) -> bool {
        self.steps.iter().any(|step| step.randomness == Randomness::Seeded)
    }

    fn validate_collect(&self, collect: &Collect) -> Result<(), SandboxError> {
        validate_path("collected path", &collect.path)?;
        if self.writable_above(&collect.path).is_none() {
            let what = format!("collected path `{}` is in no writable mount", collect.path);
            return Err(SandboxError::Plan { what });
        }
        Ok(())
    }
}

/// Whether `path` is `directory` or lies in it; both absolute and clean.
pub fn is_within(path: &str, directory: &str) -> bool {
    directory == "/" || path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn validate_mount(mount: &Mount, host: &Host) -> Result<(), SandboxError> {
    validate_path("mount target", mount.target())?;
    let (Mount::Tree { source, .. } | Mount::Copy { source, .. } | Mount::Root { source, .. }) = mount else {
        if mount.target() == "/" {
            return Err(SandboxError::Plan { what: "only a tree or a root can be mounted at `/`".to_owned() });
        }
        return Ok(());
    };
    if matches!(mount, Mount::Copy { target, .. } if target == "/") {
        return Err(SandboxError::Plan { what: "a copy at `/` is a root".to_owned() });
    }
    match host.sources.get(source) {
        Some(path) if path.is_absolute() => Ok(()),
        Some(path) => {
            Err(SandboxError::Plan { what: format!("source `{source}`: `{}` is not absolute", path.display()) })
        }
        None => Err(SandboxError::Plan { what: format!("mount `{}` names no source: `{source}`", mount.target()) }),
    }
}

fn validate_step(step: &Step) -> Result<(), SandboxError> {
    let refuse = |what: String| Err(SandboxError::Plan { what: format!("step `{}`: {what}", step.name) });
    if step.argv.first().is_none_or(String::is_empty) {
        return refuse("no program".to_owned());
    }
    if step.argv.iter().any(|argument| argument.contains('\0')) {
        return refuse("an argument holds a zero byte".to_owned());
    }
    for (name, value) in &step.variables {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return refuse(format!("variable `{name}` cannot be set"));
        }
    }
    validate_path("working directory", &step.cwd)
}

fn validate_path(what: &str, path: &str) -> Result<(), SandboxError> {
    let names_clean = || path[1..].split('/').all(|name| !matches!(name, "" | "." | ".."));
    let clean = path == "/" || (path.starts_with('/') && names_clean());
    if clean && path.len() < PATH_MAX && !path.contains('\0') {
        return Ok(());
    }
    Err(SandboxError::Plan { what: format!("{what} `{path}` is not an absolute path without `.`, `..` and `//`") })
}
