//! What a lock pins, by the paths at which a build finds it: whose file it is that was read.
//!
//! Packages of the base by the lists of their files, which `assay lock` keeps; toolchains and `[[fetch]]` by their directory; packages of
//! lock files by where their package managers put them ([`inspect::lock_file::observed`]).

use std::collections::{BTreeMap, HashMap, HashSet};

use inspect::lock_file::LockFile;
use inspect::lock_file::observed::{Owner, Owners};
use model::recipe::InputKind;
use model::run::{Component, Used};
use model::tree::Entry;
use sandbox::plan::is_within;
use wire::digest::Digest;

use crate::ecosystem::{Ecosystem, ProjectFile};
use crate::inputs::{Inputs, InputsError, manifest};
use crate::lock::{DependencyKind, Lock};
use crate::plan::{TOOLCHAINS, WORKSPACE};

/// Everything that a lock pins, read once for a build.
pub struct Inventory {
    components: Vec<Component>,
    /// Packages by the files of the base that are theirs.
    of_base: HashMap<Box<str>, usize>,
    /// Directories inside that are one component's.
    places: Vec<(String, usize)>,
    /// Lock files with the project's directory inside, and the component of each of their packages.
    lock_files: Vec<(LockFile, String, Vec<Option<usize>>)>,
    /// Files of the source.
    source: HashSet<Box<str>>,
}

impl Inventory {
    /// Gathers what `lock` pins. `files` are the lock files that it names; one that cannot be read says nothing.
    pub fn new(
        lock: &Lock,
        files: &[ProjectFile],
        source: &Digest,
        inputs: &dyn Inputs,
    ) -> Result<Inventory, InputsError> {
        let mut inventory = Inventory {
            components: Vec::new(),
            of_base: HashMap::new(),
            places: Vec::new(),
            lock_files: Vec::new(),
            source: HashSet::new(),
        };
        inventory.add_base(lock, inputs)?;
        inventory.add_places(lock);
        inventory.add_dependencies(lock, files);
        let source = manifest(inputs, source)?;
        inventory.source = source
            .entries()
            .filter(|(_, entry)| !matches!(entry, Entry::Directory))
            .map(|(path, _)| path.into())
            .collect();
        Ok(inventory)
    }

    /// An inventory without files of its own, for what needs none.
    #[cfg(test)]
    pub(crate) fn of_lock(lock: &Lock) -> Inventory {
        let mut inventory = Inventory {
            components: Vec::new(),
            of_base: HashMap::from([("usr/bin/gcc".into(), 0)]),
            places: Vec::new(),
            lock_files: Vec::new(),
            source: HashSet::from(["src/main.rs".into()]),
        };
        for package in &lock.base.packages {
            inventory.add(InputKind::Package, &package.name, &package.version, &package.purl, package.digest, None);
        }
        inventory.add_places(lock);
        inventory.add_dependencies(lock, &[]);
        inventory
    }

    fn add(
        &mut self,
        kind: InputKind,
        name: &str,
        version: &str,
        purl: &str,
        digest: Digest,
        ecosystem: Option<Ecosystem>,
    ) -> usize {
        self.components.push(Component {
            kind,
            name: name.to_owned(),
            version: version.to_owned(),
            purl: purl.to_owned(),
            digest,
            is_file: false,
            ecosystem: ecosystem.map(|ecosystem| ecosystem.name().to_owned()),
            used: Used::Never,
        });
        self.components.len() - 1
    }

    fn add_base(&mut self, lock: &Lock, inputs: &dyn Inputs) -> Result<(), InputsError> {
        for package in &lock.base.packages {
            let kind = InputKind::Package;
            let at = self.add(kind, &package.name, &package.version, &package.purl, package.digest, None);
            match manifest(inputs, &package.digest) {
                Ok(tree) => self.of_base.extend(tree.entries().map(|(path, _)| (path.into(), at))),
                // A lock that an older version wrote: the lists were not kept.
                Err(InputsError::Absent(_)) => self.components[at].used = Used::Unknown,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn add_places(&mut self, lock: &Lock) {
        for toolchain in &lock.toolchains {
            let at = self.add(InputKind::Toolchain, &toolchain.name, &toolchain.version, "", toolchain.tree, None);
            self.places.push((format!("{TOOLCHAINS}/{}", toolchain.name), at));
        }
        for fetched in lock.dependencies.iter().filter(|dependency| dependency.ecosystem.is_none()) {
            let (name, purl) = (&fetched.name, &fetched.purl);
            let at = self.add(InputKind::Dependency, name, &fetched.version, purl, fetched.digest, None);
            self.components[at].is_file = true;
            self.places.push((name.clone(), at));
        }
    }

    fn add_dependencies(&mut self, lock: &Lock, files: &[ProjectFile]) {
        let mut found: BTreeMap<(Ecosystem, &str, &str), usize> = BTreeMap::new();
        for one in &lock.dependencies {
            let Some(ecosystem) = one.ecosystem else { continue };
            // A version with several files, a wheel for each machine, is one package.
            if found.contains_key(&(ecosystem, &one.name, &one.version)) {
                continue;
            }
            let version = one.commit.as_deref().unwrap_or(&one.version);
            let kind = InputKind::Dependency;
            let at = self.add(kind, &one.name, version, &one.purl, one.digest, Some(ecosystem));
            self.components[at].used = Used::Unknown;
            self.components[at].is_file = one.kind != DependencyKind::Git;
            found.insert((ecosystem, &one.name, &one.version), at);
        }
        for file in files {
            let Ok(lock_file) = file.read() else { continue };
            let ecosystem = file.kind.ecosystem();
            let component = |package: &inspect::lock_file::Locked| {
                found.get(&(ecosystem, package.name.as_str(), package.version.as_str())).copied()
            };
            let of_packages: Vec<Option<usize>> = lock_file.packages.iter().map(component).collect();
            for at in of_packages.iter().flatten() {
                self.components[*at].used = Used::Never;
            }
            let directory = match file.directory() {
                "" => WORKSPACE.to_owned(),
                below => format!("{WORKSPACE}/{below}"),
            };
            self.lock_files.push((lock_file, directory, of_packages));
        }
    }

    /// Whether a path of the workspace is a file of the source.
    pub(super) fn is_source(&self, path: &str) -> bool {
        path.strip_prefix(WORKSPACE)
            .and_then(|rest| rest.strip_prefix('/'))
            .is_some_and(|path| self.source.contains(path))
    }
}

/// Sees which components are used.
pub(super) struct Usage<'a> {
    inventory: &'a Inventory,
    owners: Vec<(Owners<'a>, &'a [Option<usize>])>,
    used: Vec<Used>,
}

impl<'a> Usage<'a> {
    pub(super) fn new(inventory: &'a Inventory) -> Usage<'a> {
        let owners = inventory.lock_files.iter();
        let owners = owners.map(|(lock, directory, of)| (Owners::new(lock, directory), of.as_slice())).collect();
        Usage { inventory, owners, used: inventory.components.iter().map(|component| component.used).collect() }
    }

    /// A file was opened or run, at this path of the plan.
    pub(super) fn read(&mut self, path: &str) {
        if let Some(&at) = self.inventory.of_base.get(path.trim_start_matches('/')) {
            self.mark(at, Used::Read);
        }
        for (place, at) in &self.inventory.places {
            if is_within(path, place) {
                self.mark(*at, Used::Read);
            }
        }
        for index in 0..self.owners.len() {
            let (owners, of) = &self.owners[index];
            let of = *of;
            let component = |position: usize| of.get(position).copied().flatten();
            let (found, used) = match owners.of(path) {
                Owner::Package(position) => (component(position).into_iter().collect(), Used::Read),
                Owner::Description(position) => (component(position).into_iter().collect(), Used::Described),
                Owner::OneOf(positions) => {
                    (positions.into_iter().filter_map(component).collect::<Vec<_>>(), Used::Perhaps)
                }
                Owner::Unlocked(_) | Owner::None => continue,
            };
            found.into_iter().for_each(|at| self.mark(at, used));
        }
    }

    /// The strongest that was seen holds.
    fn mark(&mut self, at: usize, used: Used) {
        self.used[at] = self.used[at].min(used);
    }

    pub(super) fn components(self) -> Vec<Component> {
        let components = self.inventory.components.iter().zip(self.used);
        components.map(|(component, used)| Component { used, ..component.clone() }).collect()
    }
}
