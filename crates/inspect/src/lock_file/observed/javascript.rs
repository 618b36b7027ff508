//! Paths of npm, pnpm and yarn.

use super::{Owner, Owners, after};

impl Owners<'_> {
    pub(super) fn of_npm(&self, path: &str) -> Owner {
        match (self.placed(path), module(path)) {
            (Some(position), None) => Owner::Package(position),
            // A package inside another one that the lock file does not have is not the outer one's.
            (Some(position), Some(name)) => {
                let place = self.lock.packages[position].installed.as_deref().unwrap_or_default();
                let inner = path.rfind("node_modules/").map_or(0, |at| at + "node_modules/".len());
                let is_description = path.get(inner + name.len()..) == Some("/package.json");
                match place.len() == inner + name.len() {
                    true => super::described(Owner::Package(position), is_description),
                    false => Owner::Unlocked(name),
                }
            }
            (None, Some(name)) => Owner::Unlocked(name),
            (None, None) => Owner::None,
        }
    }

    pub(super) fn of_pnpm(&self, path: &str) -> Owner {
        if let Some(rest) = after(path, "node_modules/.pnpm/")
            && let Some((directory, inside)) = rest.split_once("/node_modules/")
            && let Some(name) = first_name(inside)
        {
            // `@scope+name@1.0.0_peer@2.0.0`; slashes are plus signs.
            let (spelled, rest) = super::super::yarn::split_name(directory).unwrap_or((directory, ""));
            let version = rest.split(['_', '(']).next().unwrap_or_default();
            if spelled.replace('+', "/") == name {
                return self.exact(&name, version).map_or_else(|| self.named(&name), Owner::Package);
            }
            return self.named(&name);
        }
        match (self.placed(path), module(path)) {
            (_, Some(name)) => self.named(&name),
            (Some(position), None) => Owner::Package(position),
            (None, None) => Owner::None,
        }
    }

    pub(super) fn of_yarn(&self, path: &str) -> Owner {
        if let Some(file) = after(path, "cache/").filter(|file| file.ends_with(".zip") && !file.contains('/')) {
            return self.of_slug(file);
        }
        match (self.placed(path), module(path)) {
            (_, Some(name)) => self.named(&name),
            (Some(position), None) => Owner::Package(position),
            (None, None) => Owner::None,
        }
    }

    /// Reads `@scope-name-npm-1.0.0-0123456789-abcdef.zip`.
    fn of_slug(&self, file: &str) -> Owner {
        let owner = file.match_indices("-npm-").find_map(|(at, mark)| {
            let (slug, rest) = (&file[..at], &file[at + mark.len()..]);
            let fits = |position: &usize| {
                let package = &self.lock.packages[*position];
                package.name.replace('/', "-") == slug
                    && rest.strip_prefix(package.version.as_str()).is_some_and(|rest| rest.starts_with('-'))
            };
            (0..self.lock.packages.len()).find(fits)
        });
        owner.map_or_else(|| Owner::Unlocked(file.to_owned()), Owner::Package)
    }
}

/// Returns the name behind the last `node_modules`; nothing for what package managers keep there for themselves.
fn module(path: &str) -> Option<String> {
    after(path, "node_modules/").and_then(first_name)
}

/// Reads `name/…` or `@scope/name/…`.
fn first_name(path: &str) -> Option<String> {
    let mut parts = path.split('/');
    let first = parts.next().filter(|first| !first.is_empty() && !first.starts_with('.'))?;
    let second = parts.next()?;
    Some(if first.starts_with('@') { format!("{first}/{second}") } else { first.to_owned() })
}
