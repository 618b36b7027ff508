//! The page of code that the kernel gives every process (vDSO), with some of its functions led elsewhere.
//!
//! Time is read there without any system call, so no filter sees it. A program finds the functions by name after `execve`, in the symbol table;
//! before its first instruction the tracer writes other places into that table (the page becomes the process's own copy). No instruction is
//! changed, and `CLOCK_MONOTONIC` runs on in the original. Rejected: hiding the whole page (`AT_SYSINFO_EHDR`), which makes each reading of any
//! clock a system call: 25 times as dear for the clock that timers use.
//! Reference: `vdso(7)`; ELF gABI, chapter 4.

use crate::machine::{ORIGINAL, REPLACED, STUB, STUB_BASE, STUB_COUNTER, STUB_ORIGINAL};

#[cfg(test)]
mod tests;

const SYMBOLS_SECTION: u32 = 11; // SHT_DYNSYM
const SYMBOL_BYTES: usize = 24;
/// A vDSO has a dozen; a table that says more is not read.
const SYMBOLS_MAX: usize = 256;

/// What to write over the vDSO of a process, at these distances from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Patch {
    /// The symbol table, with some places changed.
    pub(super) symbols: (u64, Vec<u8>),
    /// The code that they lead to.
    pub(super) stub: (u64, Vec<u8>),
}

impl Patch {
    /// Makes the patch for a vDSO; `clock` if the wall clock is led elsewhere too. `None`: there is nothing to lead elsewhere.
    pub(super) fn new(image: &[u8], clock: bool) -> Result<Option<Self>, &'static str> {
        let table = Symbols::find(image).ok_or("its symbol table is not where it should be")?;
        let place = image.len().checked_sub(STUB.len()).map(|place| place & !15).ok_or("it is too small")?;
        if image[place..].iter().any(|&byte| byte != 0) {
            return Err("it has no room at its end");
        }
        let original = table.named(image, ORIGINAL).map(|(_, value)| value);
        let mut symbols = table.bytes(image).to_vec();
        let mut is_changed = false;
        for &(name, at, is_clock) in REPLACED.iter().filter(|(_, _, is_clock)| clock || !is_clock) {
            let Some((index, _)) = table.named(image, name) else {
                // A kernel without the function has no caller of it; but the clock must not run beside ours.
                if is_clock && original.is_none() {
                    return Err("it has no `__vdso_clock_gettime`");
                }
                continue;
            };
            let value = index * SYMBOL_BYTES + 8;
            symbols[value..value + 8].copy_from_slice(&(place as u64 + at).to_le_bytes());
            is_changed = true;
        }
        let mut stub = STUB.to_vec();
        let from = place as i64 + STUB_ORIGINAL as i64 + 4;
        let distance = original.map_or(0, |original| original as i64 - from) as i32;
        stub[STUB_ORIGINAL..STUB_ORIGINAL + 4].copy_from_slice(&distance.to_le_bytes());
        let patch = Self { symbols: (table.offset as u64, symbols), stub: (place as u64, stub) };
        Ok(is_changed.then_some(patch))
    }

    /// Returns the stub for one process: the time, and where its readings are counted.
    pub(super) fn stub(&self, base_ns: u64, counter: u64) -> Vec<u8> {
        let mut stub = self.stub.1.clone();
        stub[STUB_BASE..STUB_BASE + 8].copy_from_slice(&base_ns.to_le_bytes());
        stub[STUB_COUNTER..STUB_COUNTER + 8].copy_from_slice(&counter.to_le_bytes());
        stub
    }

    /// Returns where the time stands in the vDSO of a process.
    pub(super) fn base(&self) -> u64 {
        self.stub.0 + STUB_BASE as u64
    }
}

/// The dynamic symbol table of an ELF file of 64 bits.
struct Symbols {
    offset: usize,
    count: usize,
    names: usize,
}

impl Symbols {
    fn find(image: &[u8]) -> Option<Self> {
        if !image.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        let (sections, size, count) = (word(image, 40)? as usize, half(image, 58)? as usize, half(image, 60)? as usize);
        let at = |index: usize| sections.checked_add(index.checked_mul(size)?);
        let table = (0..count).filter_map(at).find(|&at| quarter(image, at + 4) == Some(SYMBOLS_SECTION))?;
        let names = at(quarter(image, table + 40)? as usize)?;
        let (offset, bytes) = (word(image, table + 24)? as usize, word(image, table + 32)? as usize);
        let count = bytes / SYMBOL_BYTES;
        let found = Self { offset, count, names: word(image, names + 24)? as usize };
        image.get(offset..offset.checked_add(bytes)?)?;
        (count <= SYMBOLS_MAX).then_some(found)
    }

    fn bytes<'a>(&self, image: &'a [u8]) -> &'a [u8] {
        &image[self.offset..self.offset + self.count * SYMBOL_BYTES]
    }

    /// Returns index and value of a symbol.
    fn named(&self, image: &[u8], name: &str) -> Option<(usize, u64)> {
        let is_named = |index: &usize| {
            let start = quarter(image, self.offset + index * SYMBOL_BYTES).map(|name| self.names + name as usize);
            let rest = start.and_then(|start| image.get(start..));
            rest.is_some_and(|rest| rest.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0)))
        };
        let index = (0..self.count).find(is_named)?;
        Some((index, word(image, self.offset + index * SYMBOL_BYTES + 8)?))
    }
}

fn word(image: &[u8], at: usize) -> Option<u64> {
    image.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}

fn quarter(image: &[u8], at: usize) -> Option<u32> {
    image.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn half(image: &[u8], at: usize) -> Option<u16> {
    image.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}
