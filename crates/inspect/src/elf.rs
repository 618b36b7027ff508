//! ELF binaries: what they need to run, and the libraries that fulfil it inside a tree.
//!
//! Specification: System V ABI, "Program Loading and Dynamic Linking"
//! <https://gabi.xinuos.com/v42/elf/08-dynamic.html>, and glibc's `ld.so(8)` for the order of the search
//! <https://man7.org/linux/man-pages/man8/ld.so.8.html>; musl's loader where the interpreter is musl's.
//!
//! What a program opens with `dlopen` at run time stands nowhere in its headers, so it is not found here. Of the
//! loader's variables only `$ORIGIN` is known; a search path with another one is passed over, and if the library lies
//! only there the answer is that it is missing.

mod closure;

mod search;

use object::elf::{self, FileHeader32, FileHeader64};
use object::endian::Endianness;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

pub use closure::{Closure, Read, closure};

/// The largest binary that is looked into: LLVM's shared library has some 150 MB.
pub const ELF_BYTES_MAX: u64 = 1 << 30;

/// How many libraries one binary may need, directly or not.
pub const LIBRARIES_MAX: usize = 1000;

/// How many entries of one kind a dynamic section may have.
const ENTRIES_MAX: usize = 1000;

/// `e_machine` of x86-64.
const X86_64: u16 = 62;

/// `e_machine` of AArch64.
const AARCH64: u16 = 183;

/// The longest name or search path in a dynamic section.
const TEXT_MAX: usize = 4096;

/// What a binary says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// The machine it is for.
    pub machine: Machine,
    /// Whether it has a dynamic section with libraries or names a loader.
    pub linkage: Linkage,
    /// The loader (`PT_INTERP`): `/lib64/ld-linux-x86-64.so.2`.
    pub interpreter: Option<String>,
    /// Libraries (`DT_NEEDED`) in their order.
    pub needed: Vec<String>,
    /// Its own name as a library (`DT_SONAME`).
    pub soname: Option<String>,
    /// Directories of `DT_RPATH`.
    pub rpath: Vec<String>,
    /// Directories of `DT_RUNPATH`.
    pub runpath: Vec<String>,
}

/// The machine and word size of a binary: libraries fit only if both agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `e_machine`: 62 is x86-64, 183 is AArch64.
    pub number: u16,
    /// 32 or 64.
    pub bits: u8,
    /// Byte order.
    pub little_endian: bool,
}

/// Whether a binary needs a loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// It runs by itself (this includes static position-independent executables).
    Static,
    /// It needs a loader or libraries.
    Dynamic,
}

/// Why a binary or its libraries could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// No ELF file.
    #[error("`{0}` is no ELF binary")]
    NotElf(String),
    /// An ELF file whose headers lead nowhere or are too long.
    #[error("`{name}` is a malformed ELF binary: {problem}")]
    Malformed {
        /// The binary.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// More than [`ELF_BYTES_MAX`] bytes.
    #[error("`{name}` has {size} bytes, more than is looked into")]
    TooLarge {
        /// The binary.
        name: String,
        /// Its size.
        size: u64,
    },
    /// A library or loader that the tree does not hold.
    #[error("`{library}`, which `{needed_by}` needs, is not in the base (looked in {})", looked_in.join(", "))]
    Missing {
        /// The library's name or the loader's path.
        library: String,
        /// Who needs it.
        needed_by: String,
        /// The directories that were searched.
        looked_in: Vec<String>,
    },
    /// More than [`LIBRARIES_MAX`] libraries.
    #[error("`{0}` needs more than {LIBRARIES_MAX} libraries")]
    TooMany(String),
    /// A file of the tree could not be read.
    #[error("reading `{path}` of the base")]
    Read {
        /// Which one.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

impl Machine {
    /// Returns the name that OCI images and Go have for it; `None` for machines that few services run on.
    pub fn oci_name(&self) -> Option<&'static str> {
        match (self.number, self.bits, self.little_endian) {
            (X86_64, 64, true) => Some("amd64"),
            (AARCH64, 64, true) => Some("arm64"),
            _ => None,
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.oci_name() {
            Some(name) => write!(f, "{name}"),
            None => write!(f, "machine {} ({} bits)", self.number, self.bits),
        }
    }
}

/// Parses a binary; `name` is for messages only.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Elf, ElfError> {
    if bytes.len() as u64 > ELF_BYTES_MAX {
        return Err(ElfError::TooLarge { name: name.to_owned(), size: bytes.len() as u64 });
    }
    match bytes.get(..5) {
        Some([0x7f, b'E', b'L', b'F', 1]) => Reader::<FileHeader32<Endianness>>::open(name, bytes)?.elf(32),
        Some([0x7f, b'E', b'L', b'F', 2]) => Reader::<FileHeader64<Endianness>>::open(name, bytes)?.elf(64),
        _ => Err(ElfError::NotElf(name.to_owned())),
    }
}

/// Whether the bytes begin as an ELF file does.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// The parts of a binary that say what it needs.
struct Reader<'a, H: FileHeader<Endian = Endianness>> {
    name: &'a str,
    bytes: &'a [u8],
    header: &'a H,
    endian: Endianness,
    segments: &'a [H::ProgramHeader],
}

impl<'a, H: FileHeader<Endian = Endianness>> Reader<'a, H> {
    fn open(name: &'a str, bytes: &'a [u8]) -> Result<Reader<'a, H>, ElfError> {
        let malformed = |problem| ElfError::Malformed { name: name.to_owned(), problem };
        let header = H::parse(bytes).map_err(|_| malformed("file header"))?;
        let endian = header.endian().map_err(|_| malformed("byte order"))?;
        let segments = header.program_headers(endian, bytes).map_err(|_| malformed("program headers"))?;
        Ok(Reader { name, bytes, header, endian, segments })
    }

    fn malformed(&self, problem: &'static str) -> ElfError {
        ElfError::Malformed { name: self.name.to_owned(), problem }
    }

    fn elf(&self, bits: u8) -> Result<Elf, ElfError> {
        let dynamic = self.dynamic()?;
        let strings = self.strings(&dynamic)?;
        let texts = |tag| self.texts(&dynamic, strings, tag);
        let needed = texts(elf::DT_NEEDED)?;
        let interpreter = self.interpreter()?;
        let linkage = if interpreter.is_none() && needed.is_empty() { Linkage::Static } else { Linkage::Dynamic };
        Ok(Elf {
            machine: Machine {
                number: self.header.e_machine(self.endian).0,
                bits,
                little_endian: self.header.is_little_endian(),
            },
            linkage,
            interpreter,
            needed,
            soname: texts(elf::DT_SONAME)?.pop(),
            rpath: directories(texts(elf::DT_RPATH)?),
            runpath: directories(texts(elf::DT_RUNPATH)?),
        })
    }

    fn interpreter(&self) -> Result<Option<String>, ElfError> {
        for segment in self.segments {
            let raw = segment.interpreter(self.endian, self.bytes).map_err(|_| self.malformed("interpreter"))?;
            if let Some(raw) = raw {
                return self.text(raw).map(Some);
            }
        }
        Ok(None)
    }

    /// Returns tag and value of each entry of the dynamic section, up to its end mark.
    fn dynamic(&self) -> Result<Vec<(elf::DynamicTag, u64)>, ElfError> {
        let mut entries = Vec::new();
        for segment in self.segments {
            let raw = segment.dynamic(self.endian, self.bytes).map_err(|_| self.malformed("dynamic section"))?;
            let raw = raw.unwrap_or_default().iter().map(|entry| (entry.tag(self.endian), entry.val(self.endian)));
            entries.extend(raw.take_while(|(tag, _)| *tag != elf::DT_NULL));
        }
        Ok(entries)
    }

    /// Returns the dynamic section's string table, which its entries name by address.
    fn strings(&self, dynamic: &[(elf::DynamicTag, u64)]) -> Result<&'a [u8], ElfError> {
        let value = |tag| dynamic.iter().find(|entry| entry.0 == tag).map(|entry| entry.1);
        let (Some(address), Some(size)) = (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) else { return Ok(&[]) };
        for segment in self.segments.iter().filter(|segment| segment.p_type(self.endian) == elf::PT_LOAD) {
            if let Ok(Some(strings)) = segment.data_range(self.endian, self.bytes, address, size) {
                return Ok(strings);
            }
        }
        Err(self.malformed("string table"))
    }

    fn texts(
        &self,
        dynamic: &[(elf::DynamicTag, u64)],
        strings: &[u8],
        tag: elf::DynamicTag,
    ) -> Result<Vec<String>, ElfError> {
        let mut texts = Vec::new();
        for (_, offset) in dynamic.iter().filter(|entry| entry.0 == tag) {
            let from = usize::try_from(*offset).ok().and_then(|offset| strings.get(offset..));
            let from = from.ok_or_else(|| self.malformed("string offset"))?;
            let end = from.iter().position(|&byte| byte == 0).ok_or_else(|| self.malformed("string end"))?;
            texts.push(self.text(&from[..end])?);
            if texts.len() > ENTRIES_MAX {
                return Err(self.malformed("too many dynamic entries"));
            }
        }
        Ok(texts)
    }

    fn text(&self, raw: &[u8]) -> Result<String, ElfError> {
        match std::str::from_utf8(raw) {
            Ok(text) if text.len() <= TEXT_MAX && !text.contains(char::is_control) => Ok(text.to_owned()),
            _ => Err(self.malformed("name")),
        }
    }
}

fn directories(lists: Vec<String>) -> Vec<String> {
    lists.iter().flat_map(|list| list.split(':')).filter(|one| !one.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
