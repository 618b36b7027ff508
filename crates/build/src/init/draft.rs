//! What is proposed for a project of any kind, and its text with comments that teach.

use super::Proposal;
use super::write::{ENVIRONMENT, head, list_of};
use crate::lock::basic_string;

/// A specification before it is text.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) project: String,
    pub(super) owners: Vec<String>,
    /// Comment lines above `[base]`.
    pub(super) about_base: Vec<String>,
    pub(super) packages: Vec<String>,
    pub(super) toolchains: Vec<String>,
    /// Comment lines above the toolchains.
    pub(super) about_toolchains: Vec<String>,
    pub(super) lock_files: Vec<String>,
    /// The tier, where the least is not enough, and why.
    pub(super) tier: Option<(String, String)>,
    /// Variables of every step.
    pub(super) variables: Vec<(String, String)>,
    pub(super) steps: Vec<Step>,
    /// Comment lines above the artifacts.
    pub(super) about_artifacts: Vec<String>,
    /// Name and path of each artifact.
    pub(super) artifacts: Vec<(String, String)>,
    /// The command of a test; `None` if none was found.
    pub(super) test: Option<Vec<String>>,
    /// The command that shows that a release works, with its comment lines.
    pub(super) check: Vec<String>,
    pub(super) about_check: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// A step of a draft.
#[derive(Debug)]
pub(super) struct Step {
    /// Comment lines above it.
    pub(super) about: Vec<String>,
    pub(super) name: String,
    pub(super) run: Vec<String>,
}

impl Step {
    pub(super) fn new(name: &str, run: &[&str], about: &[&str]) -> Step {
        Step { about: texts(about), name: name.to_owned(), run: texts(run) }
    }
}

/// Owned texts.
pub(super) fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

impl Draft {
    /// Returns the proposal.
    pub(super) fn proposal(self) -> Proposal {
        let policy = format!("policies/{ENVIRONMENT}.toml");
        let sections = [
            head(&self.project, &self.owners),
            self.base(),
            self.steps(),
            self.artifacts(),
            self.tests(),
            self.environment(&policy),
        ];
        Proposal {
            text: sections.join("\n"),
            project: self.project,
            binaries: self.artifacts.into_iter().map(|(name, _)| name).collect(),
            service: false,
            environment: ENVIRONMENT.to_owned(),
            policy,
            notes: self.notes,
        }
    }

    fn base(&self) -> String {
        let mut out =
            "# The build sees these Debian packages (with what they depend on), and nothing else of this machine.\n\
                       # Versions are pinned by the lock.\n"
                .to_owned();
        out.push_str(&comment(&self.about_base));
        out.push_str(&format!("[base]\npackages = {}\n", list_of(&self.packages)));
        if !self.toolchains.is_empty() {
            out.push_str(&comment(&self.about_toolchains));
            out.push_str(&format!("toolchains = {}\n", list_of(&self.toolchains)));
        }
        if !self.lock_files.is_empty() {
            out.push_str("# `assay lock` fetches what these name, by digest. They are read, never resolved.\n");
            out.push_str(&format!("lock-files = {}\n", list_of(&self.lock_files)));
        }
        out.push_str("\n[build]\n");
        if let Some((tier, why)) = &self.tier {
            out.push_str(&format!("# {why}\ntier = {}\n", basic_string(tier)));
        }
        out.push_str(
            "# The number of CPUs can change a build's bytes, so it is part of the lock.\n\
             cpus = 2\n",
        );
        if !self.variables.is_empty() {
            let pair = |(name, value): &(String, String)| format!("{name} = {}", basic_string(value));
            let pairs: Vec<String> = self.variables.iter().map(pair).collect();
            out.push_str(&format!("variables = {{ {} }}\n", pairs.join(", ")));
        }
        out
    }

    fn steps(&self) -> String {
        let step = |step: &Step| {
            let (name, run) = (basic_string(&step.name), list_of(&step.run));
            format!("{}[[step]]\nname = {name}\nrun = {run}\n", comment(&step.about))
        };
        let steps: Vec<String> = self.steps.iter().map(step).collect();
        format!("# Steps run in order, in /build, without a network and without a shell.\n{}", steps.join("\n"))
    }

    fn artifacts(&self) -> String {
        let section = |(name, path): &(String, String)| {
            format!("[[artifact]]\nname = {}\npath = {}\n", basic_string(name), basic_string(path))
        };
        let sections: Vec<String> = self.artifacts.iter().map(section).collect();
        format!(
            "# What the steps leave: each is digested, signed for, and can be deployed.\n{}{}",
            comment(&self.about_artifacts),
            sections.join("\n")
        )
    }

    fn tests(&self) -> String {
        let says = "# Tests run in the same sandbox, as often as said; outcomes that differ count as failed.\n";
        let section = |run: &[String]| {
            format!("[[test]]\nname = \"unit\"\nrun = {}\nrepetitions = 2\nformat = \"exit\"\n", list_of(run))
        };
        match &self.test {
            Some(run) => format!("{says}{}", section(run)),
            None => {
                let commented: String =
                    section(&texts(&["make", "check"])).lines().map(|line| format!("# {line}\n")).collect();
                format!("{says}# No test was found; with one, take this in:\n{commented}")
            }
        }
    }

    fn environment(&self, policy: &str) -> String {
        format!(
            "# Where it is deployed, and the policy that must let it. A release is a directory with the artifacts, good when\n\
             # this command succeeds in it; for a program that stays, write kind = \"service\" with `run` and `health`.\n\
             {}[environment.{ENVIRONMENT}]\n\
             policy = {}\n\
             kind = \"release\"\n\
             check = {}\n",
            comment(&self.about_check),
            basic_string(policy),
            list_of(&self.check)
        )
    }
}

fn comment(lines: &[String]) -> String {
    lines.iter().map(|line| format!("# {line}\n")).collect()
}
