//! Paths of Maven's repository and Gradle's cache.

use super::{Owner, Owners, after};

impl Owners<'_> {
    pub(super) fn of_java(&self, path: &str) -> Owner {
        if let Some(rest) = after(path, "files-2.1/") {
            let parts: Vec<&str> = rest.split('/').collect();
            return match parts[..] {
                [group, artifact, version, _, file] => self.of_coordinates(group, artifact, version, file),
                _ => Owner::None,
            };
        }
        let Some(rest) = after(path, "repository/") else { return Owner::None };
        let parts: Vec<&str> = rest.split('/').collect();
        match parts[..] {
            [ref group @ .., artifact, version, file] if !group.is_empty() => {
                self.of_coordinates(&group.join("."), artifact, version, file)
            }
            _ => Owner::None,
        }
    }

    fn of_coordinates(&self, group: &str, artifact: &str, version: &str, file: &str) -> Owner {
        let name = format!("{group}:{artifact}");
        let described = [".pom", ".module", ".xml", ".repositories", ".sha1", ".lastUpdated"];
        let description = described.iter().any(|end| file.ends_with(end));
        // Files of one version may be packages apart, as those with classifiers are.
        let of_file = self.by_file.get(file).and_then(|positions| {
            positions.iter().copied().find(|&position| self.lock.packages[position].name == name)
        });
        match of_file.or_else(|| self.exact(&name, version)) {
            Some(position) if description => Owner::Description(position),
            Some(position) => Owner::Package(position),
            None if description => Owner::None,
            None => Owner::Unlocked(format!("{name}:{version}")),
        }
    }
}
