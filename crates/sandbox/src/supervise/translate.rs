//! At `trace-only` there is no view of our own: paths inside are rewritten to the scratch directory that stands for `/`.
//!
//! A mount's target is replaced where it stands as a path of its own: `/build` in `--remap=/build=x` and `/usr/bin:/build/bin`, not in
//! `/home/build` or `/builder`. Deliberately simple: a program that builds such a path from pieces is not helped.

use std::path::Path;

use crate::plan::{Mount, Plan};

#[cfg(test)]
mod tests;

/// Rewrites paths of a plan.
pub(super) struct Translation {
    /// Longest first, so that `/build/deps` wins over `/build`.
    targets: Vec<String>,
    root: String,
}

impl Translation {
    /// Makes the translation of a plan's mounts into `root`.
    pub(super) fn new(plan: &Plan, root: &Path) -> Self {
        let mut targets: Vec<String> =
            plan.mounts.iter().map(Mount::target).filter(|target| *target != "/").map(str::to_owned).collect();
        targets.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        targets.dedup();
        Self { targets, root: root.to_string_lossy().into_owned() }
    }

    /// Returns the text with each target replaced.
    pub(super) fn text(&self, text: &str) -> String {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        let mut at_start = true;
        while let Some(next) = rest.chars().next() {
            let target = self.targets.iter().find(|target| at_start && begins(rest, target));
            if let Some(target) = target {
                result.push_str(&self.root);
                result.push_str(target);
                rest = &rest[target.len()..];
                at_start = false;
            } else {
                result.push(next);
                rest = &rest[next.len_utf8()..];
                at_start = is_border(next);
            }
        }
        result
    }

    /// Returns where an absolute path inside lies on the host.
    pub(super) fn path(&self, path: &str) -> std::path::PathBuf {
        Path::new(&format!("{}{path}", self.root)).to_owned()
    }
}

fn begins(text: &str, target: &str) -> bool {
    text.strip_prefix(target).is_some_and(|rest| rest.chars().next().is_none_or(|next| next == '/' || is_border(next)))
}

fn is_border(character: char) -> bool {
    !(character.is_alphanumeric() || matches!(character, '/' | '.' | '_' | '-' | '~' | '+' | '@' | '%'))
}
