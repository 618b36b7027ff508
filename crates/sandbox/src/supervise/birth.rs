//! What is done to a program between `execve` and its first instruction: fixed random bytes, and a vDSO that tells our time.
//!
//! Reference: `getauxval(3)`. `AT_RANDOM` are the 16 bytes from which a C library makes its canaries. The kernel leaves the last word of the stack,
//! behind the program's name (`AT_EXECFN`), unused: there each process counts how often it read the clock.

use std::io;

use libc::pid_t;

use super::record::Program;
use super::tracer::Tracer;
use super::world::Birth;
use crate::sys::trace;

#[cfg(test)]
mod tests;

/// What `AT_RANDOM` points to at tier T1.
const RANDOM_BYTES: [u8; 16] = *b"assay fixed seed";
/// The auxiliary vector has some twenty entries.
const VECTOR_BYTES_MAX: usize = 8192;

impl Tracer<'_> {
    /// Prepares a program that has not run yet.
    pub(super) fn begin_program(&mut self, pid: pid_t, program: &Program) {
        self.world.listings.end(pid);
        if self.world.is_seeded() {
            self.world.streams.execute(pid, &program.argv);
        }
        if let Err(error) = self.prepare(pid) {
            self.lose_unless_gone(pid, &format!("preparation of a program ({error})"));
        }
    }

    fn prepare(&mut self, pid: pid_t) -> io::Result<()> {
        if self.world.patch().is_none() && !self.world.is_fixed() {
            return Ok(());
        }
        let vector = std::fs::read(format!("/proc/{pid}/auxv"))?;
        let entry = |kind: libc::c_ulong| auxiliary(&vector, kind);
        let counter = if self.world.has_clock() { counter(pid, entry(libc::AT_EXECFN))? } else { 0 };
        let birth = Birth { vdso: entry(libc::AT_SYSINFO_EHDR), counter };
        let mut pieces: Vec<(u64, &[u8])> = Vec::new();
        let stub;
        if let (Some(vdso), Some(patch)) = (birth.vdso, self.world.patch()) {
            stub = patch.stub(self.world.clock.base_ns(), counter);
            pieces.push((vdso + patch.symbols.0, &patch.symbols.1));
            pieces.push((vdso + patch.stub.0, &stub));
        }
        if let (Some(random), true) = (entry(libc::AT_RANDOM), self.world.is_fixed()) {
            pieces.push((random, &RANDOM_BYTES));
        }
        trace::force_memory(pid, &pieces)?;
        if self.world.has_clock() {
            self.world.births.insert(pid, birth);
        }
        Ok(())
    }

    /// Tells every process the time anew.
    pub(super) fn set_clocks(&mut self) {
        let time = self.world.clock.base_ns().to_le_bytes();
        let Some(place) = self.world.patch().map(super::vdso::Patch::base) else { return };
        for process in self.live_processes() {
            let Some(vdso) = self.world.births.get(&process).and_then(|birth| birth.vdso) else { continue };
            // One that is about to end reads no clock any more.
            trace::force_memory(process, &[(vdso + place, &time)]).ok();
        }
    }
}

/// Returns an entry of an auxiliary vector.
fn auxiliary(vector: &[u8], kind: libc::c_ulong) -> Option<u64> {
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
    let bounded = &vector[..vector.len().min(VECTOR_BYTES_MAX)];
    bounded.chunks_exact(16).find(|pair| word(&pair[..8]) == kind).map(|pair| word(&pair[8..]))
}

/// Returns where the last word of the stack is: behind the zero that ends the program's name.
fn counter(pid: pid_t, name: Option<u64>) -> io::Result<u64> {
    let name = name.ok_or_else(|| io::Error::other("no AT_EXECFN"))?;
    let place = name + trace::read_string(pid, name)?.len() as u64 + 1;
    let mut word = [0xff_u8; 8];
    let count = trace::read_memory(pid, place, &mut word)?;
    if !place.is_multiple_of(8) || count != word.len() || word != [0; 8] {
        return Err(io::Error::other("the stack does not end as expected"));
    }
    Ok(place)
}
