//! Which wheels fit: the tags in a wheel's name against the base's Python, machine and C library.
//!
//! Specification: Platform compatibility tags
//! <https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/>.

use std::fmt;

use crate::ecosystem::architecture;
use crate::lock::Base;

/// The Python of a base, as tags see it. CPython only, with glibc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interpreter {
    /// The 11 of 3.11.
    minor: u32,
    /// `x86_64`
    machine: &'static str,
    /// The 36 of glibc 2.36.
    glibc_minor: u32,
}

impl fmt::Display for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Python 3.{} on {} with glibc 2.{}", self.minor, self.machine, self.glibc_minor)
    }
}

impl Interpreter {
    /// `None` if no package of the base is a Python.
    pub(super) fn of(base: &Base) -> Option<Interpreter> {
        let minor = |name: &str| name.strip_prefix("python3.")?.parse::<u32>().ok();
        let glibc =
            base.packages.iter().find(|package| package.name == "libc6").map(|package| package.version.as_str());
        let glibc_minor = glibc.and_then(|version| {
            let digits: String = version.strip_prefix("2.")?.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        Some(Interpreter {
            minor: base.packages.iter().filter_map(|package| minor(&package.name)).max()?,
            machine: if architecture(base) == "arm64" { "aarch64" } else { "x86_64" },
            glibc_minor: glibc_minor.unwrap_or(17),
        })
    }

    /// Whether a wheel of that file name can be installed.
    pub(super) fn takes(&self, file: &str) -> bool {
        let Some(stem) = file.strip_suffix(".whl") else { return false };
        let mut tags = stem.rsplitn(4, '-');
        let (Some(platforms), Some(abis), Some(pythons)) = (tags.next(), tags.next(), tags.next()) else {
            return false;
        };
        tags.next().is_some_and(|rest| rest.contains('-'))
            && platforms.split('.').any(|platform| self.runs_on(platform))
            && pythons.split('.').any(|python| abis.split('.').any(|abi| self.speaks(python, abi)))
    }

    fn speaks(&self, python: &str, abi: &str) -> bool {
        if python == "py3" {
            return abi == "none";
        }
        if let Some(minor) = python.strip_prefix("py3") {
            return abi == "none" && minor.parse::<u32>().is_ok_and(|minor| minor <= self.minor);
        }
        let Some(minor) = python.strip_prefix("cp3").and_then(|minor| minor.parse::<u32>().ok()) else { return false };
        match abi {
            "abi3" => minor <= self.minor,
            "none" => minor == self.minor,
            abi => minor == self.minor && abi == format!("cp3{minor}"),
        }
    }

    fn runs_on(&self, platform: &str) -> bool {
        if platform == "any" {
            return true;
        }
        let Some(system) = platform.strip_suffix(self.machine).and_then(|rest| rest.strip_suffix('_')) else {
            return false;
        };
        let glibc_minor = match system {
            "linux" => return true,
            "manylinux1" => 5,
            "manylinux2010" => 12,
            "manylinux2014" => 17,
            system => match system.strip_prefix("manylinux_2_").and_then(|minor| minor.parse().ok()) {
                Some(minor) => minor,
                None => return false,
            },
        };
        glibc_minor <= self.glibc_minor
    }
}

#[cfg(test)]
mod tests;
