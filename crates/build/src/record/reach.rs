//! What a build could reach: whether something pins what lies at a path.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sandbox::plan::{Level, Mount, Plan, is_within};

use super::{Made, pseudo};

/// What the build could reach, to judge a path by.
pub(super) struct Reach<'a> {
    plan: &'a Plan,
    /// First components of the base's paths: what is mounted of it at `/`.
    top: BTreeSet<&'a str>,
    /// At `trace-only`: the directory that stood for `/`, and the pinned trees' own places.
    root: Option<String>,
    sources: &'a BTreeMap<String, PathBuf>,
    level: Level,
}

impl<'a> Reach<'a> {
    pub(super) fn new(made: &Made<'a>, level: Level, root: Option<String>) -> Reach<'a> {
        Reach {
            plan: &made.planned.plan,
            top: made.base.entries().map(|(path, _)| path).filter(|path| !path.contains('/')).collect(),
            root,
            sources: made.sources,
            level,
        }
    }

    /// The path as the plan has it: below the directory that stood for `/`, if there was one.
    pub(super) fn plan_path<'p>(&self, path: &'p str) -> &'p str {
        let Some(root) = &self.root else { return path };
        match path.strip_prefix(root.as_str()) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        }
    }

    /// Whether something pins what is read at `path`, or the build itself made it.
    pub(super) fn is_declared(&self, path: &str) -> bool {
        if pseudo::is_pseudo(path, self.level) || self.plan.fixes(path) {
            return true;
        }
        if self.level == Level::TraceOnly {
            let inside = self.plan_path(path);
            let in_tree = self.sources.values().any(|place| Path::new(path).starts_with(place));
            return in_tree || (inside.len() != path.len() && self.is_mounted(inside, false));
        }
        self.is_mounted(path, true)
    }

    /// Whether `path` lies in a mount of the plan, or is a directory that only leads to one. The kernel's own file
    /// systems lie in none.
    fn is_mounted(&self, path: &str, base_is_mounted: bool) -> bool {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or("");
        if ["proc", "sys", "dev"].contains(&first) {
            return false;
        }
        self.plan.mounts.iter().any(|mount| match mount {
            Mount::Tree { target, .. } if target == "/" => base_is_mounted && self.top.contains(first),
            other => is_within(path, other.target()) || is_within(other.target(), path),
        })
    }
}

impl Reach<'_> {
    /// The path where the plan mounts what lies there. Without mounts, a pinned tree is read at its place in the store.
    pub(super) fn as_planned<'p>(&self, path: &'p str) -> Cow<'p, str> {
        if self.level != Level::TraceOnly {
            return Cow::Borrowed(path);
        }
        let planned = self.sources.iter().find_map(|(key, place)| {
            let rest = Path::new(path).strip_prefix(place).ok()?.to_str()?;
            let target = self.plan.mounts.iter().find_map(|mount| match mount {
                Mount::Tree { target, source } if source == key => Some(target.as_str()),
                _ => None,
            })?;
            Some(format!("{}/{rest}", target.trim_end_matches('/')))
        });
        planned.map_or_else(|| Cow::Borrowed(self.plan_path(path)), Cow::Owned)
    }
}
