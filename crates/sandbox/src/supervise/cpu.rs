//! A fixed CPU count: which CPUs to run on, and what programs that count them are told.

#[cfg(test)]
mod tests;

/// How the count is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// The kernel's own answer is right: CPUs 0 to N-1, nothing else allowed.
    Real(Vec<usize>),
    /// The tracer answers `sched_getaffinity`; the process runs on these CPUs.
    Told(Vec<usize>),
}

/// Decides from the CPUs that this machine allows.
///
/// Where there are more than wanted, the lowest are used, for programs that index tables by CPU number.
pub(super) fn count(wanted: u32, allowed: &[usize]) -> Count {
    let wanted = wanted as usize;
    let used: Vec<usize> = allowed.iter().copied().take(wanted).collect();
    if used.len() == wanted && used.iter().copied().eq(0..wanted) { Count::Real(used) } else { Count::Told(used) }
}

/// Returns the answer to `sched_getaffinity` with a buffer of `size` bytes: the mask, or the error number.
pub(super) fn affinity_mask(cpus: u32, size: u64) -> Result<Vec<u8>, i32> {
    let words = u64::from(cpus).div_ceil(64);
    if !size.is_multiple_of(8) || size < words * 8 {
        return Err(libc::EINVAL);
    }
    let mut mask = vec![0_u8; words as usize * 8];
    for cpu in 0..cpus as usize {
        mask[cpu / 8] |= 1 << (cpu % 8);
    }
    Ok(mask)
}

/// Returns `/proc/cpuinfo` for `cpus` CPUs like the machine's first, but for its speed, which is another at each look. Model and features
/// stay the machine's: programs that use them ask the CPU itself.
pub(super) fn cpuinfo(machine: &str, cpus: u32) -> String {
    let first = machine.split("\n\n").next().unwrap_or_default();
    (0..cpus).map(|cpu| processor(first, cpu, cpus)).collect()
}

fn processor(template: &str, cpu: u32, cpus: u32) -> String {
    let mut text = String::new();
    for line in template.lines() {
        let key = line.split(':').next().unwrap_or_default();
        match key.trim() {
            "processor" | "core id" | "apicid" | "initial apicid" => text.push_str(&format!("{key}: {cpu}\n")),
            "siblings" | "cpu cores" => text.push_str(&format!("{key}: {cpus}\n")),
            "cpu MHz" => text.push_str(&format!("{key}: 1000.000\n")),
            "bogomips" => text.push_str(&format!("{key}: 2000.00\n")),
            "physical id" => text.push_str(&format!("{key}: 0\n")),
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    text.push('\n');
    text
}
