//! How much of the machine a step is kept from seeing: the tier and the source of randomness, chosen for each step.
//!
//! A tier adds to the one below; `docs/formats/assay.toml.md` has the table for users. What no tier fixes: the order in which parallel
//! processes run, process ids that follow from it, CPU features (`cpuid`), the cycle counter, the CPU that a thread runs on, inode and device numbers, free disk space,
//! CPU time used, `CLOCK_MONOTONIC`, and inherited resource limits that the plan does not name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How much determinism a step is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tier {
    /// Namespaces, one fixed path, constructed variables, sources with fixed times, a fixed CPU count.
    #[default]
    T0,
    /// Also a fixed kernel version, memory size and load; sorted directories; no address randomisation; fixed `AT_RANDOM`.
    T1,
    /// Also the wall clock and file times, both from one logical clock ([`crate::plan::Plan::epoch_unix_s`]).
    T2,
}

impl Tier {
    /// All tiers, the least first.
    pub const ALL: [Self; 3] = [Self::T0, Self::T1, Self::T2];

    /// Returns `T0`, `T1` or `T2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::T0 => "T0",
            Self::T1 => "T1",
            Self::T2 => "T2",
        }
    }

    /// Returns the tier of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }

    /// The variables that a step of this tier needs: seeds of hash tables that programs would draw themselves.
    pub fn variables(self) -> BTreeMap<String, String> {
        let seeds: &[(&str, &str)] = match self {
            Self::T0 => &[],
            Self::T1 | Self::T2 => &[("PERL_HASH_SEED", "0"), ("PYTHONHASHSEED", "0")],
        };
        seeds.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl std::fmt::Display for Tier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Where a step's randomness comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Randomness {
    /// The kernel; each process that asks is recorded.
    #[default]
    Real,
    /// A generator with a known seed: `getrandom`, `/dev/random`, `/dev/urandom`, `/proc/sys/kernel/random/uuid`. No key may be made
    /// from it; each process that asks is recorded.
    Seeded,
}

impl Randomness {
    /// Returns `real` or `seeded`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Seeded => "seeded",
        }
    }
}
