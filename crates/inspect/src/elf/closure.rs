//! The library closure of a binary: every file and link that it needs in order to start.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use model::tree::{Entry, Tree};

use super::search::{self, Found};
use super::{ELF_BYTES_MAX, Elf, ElfError, LIBRARIES_MAX, Linkage, Machine, is_elf, parse};

/// What a binary needs of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    /// The machine of the binary.
    pub machine: Machine,
    /// Static binaries need nothing.
    pub linkage: Linkage,
    /// Loader, libraries and the links that lead to them, as paths of the tree, sorted.
    pub paths: Vec<String>,
    /// Directories with needed libraries in which the loader looks only because `/etc/ld.so.conf` says so. Where that
    /// file's cache is not at hand, they must stand in `LD_LIBRARY_PATH`.
    pub configured: Vec<String>,
}

/// Yields the bytes of a file by its path in the tree.
pub type Read<'a> = dyn FnMut(&str) -> io::Result<Vec<u8>> + 'a;

/// Finds the closure of a binary that will stand at `installed` (`/usr/bin/greeter`), inside `tree`.
///
/// A library of another machine or word size is passed over, as the loader does.
pub fn closure(installed: &str, binary: &[u8], tree: &Tree, read: &mut Read<'_>) -> Result<Closure, ElfError> {
    let elf = parse(installed, binary)?;
    let mut walk = Walk::new(tree, read, elf.machine, elf.interpreter.as_deref());
    if elf.linkage == Linkage::Dynamic {
        walk.interpreter(installed, &elf)?;
        walk.libraries(installed, &elf)?;
    }
    Ok(Closure {
        machine: elf.machine,
        linkage: elf.linkage,
        paths: walk.paths.into_iter().collect(),
        configured: walk.used_configured,
    })
}

/// A binary whose libraries are still to be found.
struct Waiting {
    name: String,
    origin: String,
    elf: Elf,
    /// `DT_RPATH` directories of those that led here, which the loader searches too.
    inherited: Vec<String>,
}

struct Walk<'a, 'r> {
    tree: &'a Tree,
    read: &'a mut Read<'r>,
    machine: Machine,
    standard: Vec<String>,
    configured: Vec<String>,
    musl: bool,
    paths: BTreeSet<String>,
    loaded: BTreeMap<String, String>,
    used_configured: Vec<String>,
}

impl<'a, 'r> Walk<'a, 'r> {
    fn new(tree: &'a Tree, read: &'a mut Read<'r>, machine: Machine, interpreter: Option<&str>) -> Walk<'a, 'r> {
        let musl = interpreter.is_some_and(|path| path.rsplit('/').next().is_some_and(|n| n.starts_with("ld-musl")));
        let standard = standard_directories(machine, musl);
        let mut bytes = |path: &str| read(path).ok();
        let configured = if musl { Vec::new() } else { search::configured(tree, &mut bytes) };
        Walk {
            tree,
            read,
            machine,
            standard,
            configured,
            musl,
            paths: BTreeSet::new(),
            loaded: BTreeMap::new(),
            used_configured: Vec::new(),
        }
    }

    fn interpreter(&mut self, installed: &str, elf: &Elf) -> Result<(), ElfError> {
        let Some(path) = &elf.interpreter else { return Ok(()) };
        let missing = || ElfError::Missing {
            library: path.clone(),
            needed_by: installed.to_owned(),
            looked_in: vec![path.clone()],
        };
        let found = search::follow(self.tree, path).ok_or_else(missing)?;
        let name = path.rsplit('/').next().unwrap_or(path);
        self.loaded.insert(name.to_owned(), found.file.clone());
        self.keep(found);
        Ok(())
    }

    fn libraries(&mut self, installed: &str, elf: &Elf) -> Result<(), ElfError> {
        let origin = parent(installed);
        let first = Waiting { name: installed.to_owned(), origin, elf: elf.clone(), inherited: Vec::new() };
        // Breadth first, as the loader does it: who is found first serves all that need the name.
        let mut waiting = VecDeque::from([first]);
        while let Some(next) = waiting.pop_front() {
            for library in &next.elf.needed {
                if self.loaded.contains_key(library) || self.is_musl_itself(library) {
                    continue;
                }
                if self.loaded.len() >= LIBRARIES_MAX {
                    return Err(ElfError::TooMany(installed.to_owned()));
                }
                let (found, elf) = self.find(library, &next)?;
                self.loaded.insert(library.clone(), found.file.clone());
                let mut inherited = next.own_rpath();
                inherited.extend(next.inherited.iter().cloned());
                let origin = parent(&format!("/{}", found.file));
                waiting.push_back(Waiting { name: found.file.clone(), origin, elf, inherited });
                self.keep(found);
            }
        }
        Ok(())
    }

    /// musl's loader is its C library, under every name that the C library has.
    fn is_musl_itself(&self, library: &str) -> bool {
        self.musl && (library == "libc.so" || library.starts_with("libc.musl-"))
    }

    fn find(&mut self, library: &str, by: &Waiting) -> Result<(Found, Elf), ElfError> {
        let mut directories = by.before_standard();
        let first_configured = directories.len();
        directories.extend(self.configured.iter().cloned());
        let first_standard = directories.len();
        directories.extend(self.standard.iter().cloned());
        if library.contains('/') {
            directories = vec![String::new()];
        }
        for (position, directory) in directories.iter().enumerate() {
            let Some(found) = search::follow(self.tree, &format!("{directory}/{library}")) else { continue };
            let Some(elf) = self.fitting(&found.file)? else { continue };
            let by_configuration = (first_configured..first_standard).contains(&position);
            if by_configuration && !self.is_standard(directory) && !self.used_configured.contains(directory) {
                self.used_configured.push(directory.clone());
            }
            return Ok((found, elf));
        }
        Err(ElfError::Missing { library: library.to_owned(), needed_by: by.name.clone(), looked_in: directories })
    }

    fn is_standard(&self, directory: &str) -> bool {
        self.standard.iter().any(|one| one == directory)
    }

    /// Parses the file if it is a binary of our machine.
    fn fitting(&mut self, path: &str) -> Result<Option<Elf>, ElfError> {
        if let Some(Entry::File { size, .. }) = self.tree.entry(path)
            && *size > ELF_BYTES_MAX
        {
            return Err(ElfError::TooLarge { name: path.to_owned(), size: *size });
        }
        let bytes = (self.read)(path).map_err(|cause| ElfError::Read { path: path.to_owned(), cause })?;
        if !is_elf(&bytes) {
            return Ok(None);
        }
        Ok(Some(parse(path, &bytes)?).filter(|elf| elf.machine == self.machine))
    }

    fn keep(&mut self, found: Found) {
        self.paths.insert(found.file);
        self.paths.extend(found.links);
    }
}

impl Waiting {
    fn own_rpath(&self) -> Vec<String> {
        // `DT_RPATH` counts only where there is no `DT_RUNPATH`.
        if self.elf.runpath.is_empty() { self.expand(&self.elf.rpath) } else { Vec::new() }
    }

    /// The directories that the loader searches before those of the system.
    fn before_standard(&self) -> Vec<String> {
        let mut directories = self.own_rpath();
        if self.elf.runpath.is_empty() {
            directories.extend(self.inherited.iter().cloned());
        }
        directories.extend(self.expand(&self.elf.runpath));
        directories
    }

    fn expand(&self, directories: &[String]) -> Vec<String> {
        let one = |directory: &String| {
            let from_origin = directory.strip_prefix("$ORIGIN").or_else(|| directory.strip_prefix("${ORIGIN}"));
            let expanded = match from_origin {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => climb(&format!("{}{rest}", self.origin)),
                _ => directory.clone(),
            };
            (expanded.starts_with('/') && !expanded.contains('$')).then_some(expanded)
        };
        directories.iter().filter_map(one).collect()
    }
}

/// Takes `..` out of a path, which is right here as an origin holds no links (and need not lie in the tree).
fn climb(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("/{}", parts.join("/"))
}

fn parent(path: &str) -> String {
    path.rsplit_once('/').map_or(String::new(), |(directory, _)| directory.to_owned())
}

/// Where a loader looks by itself: Debian's multiarch directories, then what glibc was built with; musl's own list.
fn standard_directories(machine: Machine, musl: bool) -> Vec<String> {
    let mut directories: Vec<&str> = Vec::new();
    if musl {
        directories.extend(["/lib", "/usr/local/lib", "/usr/lib"]);
    } else {
        match machine.oci_name() {
            Some("amd64") => directories.extend(["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"]),
            Some("arm64") => directories.extend(["/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]),
            _ => {}
        }
        if machine.bits == 64 {
            directories.extend(["/lib64", "/usr/lib64"]);
        }
        directories.extend(["/lib", "/usr/lib"]);
    }
    directories.into_iter().map(str::to_owned).collect()
}
