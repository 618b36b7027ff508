//! What is particular to x86-64, gathered.
//!
//! Another architecture needs its own of: everything here; the table of calls (`supervise::calls`: numbers, and the older calls that
//! newer architectures lack); `AUDIT_ARCH` (`supervise::filter`). For aarch64 that is: no `open`, `stat`, `time`, `getdents` or `vfork`; the
//! vDSO's names are `__kernel_clock_gettime`, `__kernel_gettimeofday`, `__kernel_getrandom` and there is no `time`; registers are read and
//! written with `PTRACE_GETREGSET`, a call is skipped with `NT_ARM_SYSTEM_CALL` = -1, its instruction is 4 bytes long, and `struct stat` has
//! its times at the same distances from another beginning (88, 104, 120 instead of 72, 88, 104).
//!
//! Reference: System V ABI for x86-64; Linux 6.18 `arch/x86/include/uapi/asm/stat.h`, `arch/x86/entry/vdso/vdso.lds.S`.

use libc::user_regs_struct;

/// Bytes of `struct user_regs_struct` before `orig_rax`, the number of the call.
pub(crate) const CALL_OFFSET: usize = 15 * 8;
/// Before `rax`, its result.
pub(crate) const RESULT_OFFSET: usize = 10 * 8;
/// Before `rdi`, its first argument.
pub(crate) const FIRST_ARGUMENT_OFFSET: usize = 14 * 8;
/// Length of the instruction `syscall`.
const CALL_BYTES: u64 = 2;

/// What `/proc/cpuinfo` tells of one CPU from tier T1 on: the first CPU of its kind, which every other can stand in for. What a program
/// asks the CPU itself (`cpuid`) stays true, and may tell more.
pub(crate) const CPU: &str = "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 6\nmodel name\t: x86-64\nstepping\t: 1\n\
    cpu MHz\t\t: 1000.000\ncache size\t: 1024 KB\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: 13\nwp\t\t: yes\n\
    flags\t\t: fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 syscall nx lm\n\
    bogomips\t: 2000.00\nclflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: 40 bits physical, 48 bits virtual\n\
    power management:\n";

/// Returns the registers with which a thread that just left a call makes another one.
pub(crate) fn with_call(registers: &user_regs_struct, number: i64, arguments: [u64; 4]) -> user_regs_struct {
    let mut next = *registers;
    next.rip = registers.rip.wrapping_sub(CALL_BYTES);
    next.rax = number as u64;
    [next.rdi, next.rsi, next.rdx, next.r10] = arguments;
    next
}

/// Returns the result of the call that a thread just left.
pub(crate) fn call_result(registers: &user_regs_struct) -> i64 {
    registers.rax as i64
}

/// Returns the registers with another result of the call.
pub(crate) fn with_result(registers: &user_regs_struct, result: i64) -> user_regs_struct {
    user_regs_struct { rax: result as u64, ..*registers }
}

/// Returns where the stack of a thread ends.
pub(crate) fn stack_pointer(registers: &user_regs_struct) -> u64 {
    registers.rsp
}

/// Returns the registers with another end of the stack.
pub(crate) fn with_stack_pointer(registers: &user_regs_struct, pointer: u64) -> user_regs_struct {
    user_regs_struct { rsp: pointer, ..*registers }
}

/// Where `struct stat` and `struct statx` hold what is rewritten.
pub(crate) struct StatLayout {
    pub(crate) size: usize,
    /// `st_dev` as one word, or the offset of two half words, major and minor.
    pub(crate) device: DeviceField,
    pub(crate) inode: usize,
    /// Seconds (8 bytes) and nanoseconds (4 or 8 bytes, little-endian) of access, modification, change and, if known, birth.
    pub(crate) accessed: usize,
    pub(crate) modified: usize,
    pub(crate) changed: usize,
    pub(crate) born: Option<usize>,
    /// Bytes of the nanoseconds.
    pub(crate) nanoseconds: usize,
}

/// How a device number is written.
pub(crate) enum DeviceField {
    Word(usize),
    Halves(usize),
}

/// `struct stat`.
pub(crate) const STAT: StatLayout = StatLayout {
    size: 144,
    device: DeviceField::Word(0),
    inode: 8,
    accessed: 72,
    modified: 88,
    changed: 104,
    born: None,
    nanoseconds: 8,
};

/// `struct statx`, the same everywhere.
pub(crate) const STATX: StatLayout = StatLayout {
    size: 144,
    device: DeviceField::Halves(136),
    inode: 32,
    accessed: 64,
    modified: 112,
    changed: 96,
    born: Some(80),
    nanoseconds: 4,
};

/// The vDSO's functions that are led elsewhere, each with where [`STUB`] has what replaces it, and whether only the logical clock needs that.
pub(crate) const REPLACED: &[(&str, u64, bool)] = &[
    ("__vdso_clock_gettime", 0x10, true),
    ("clock_gettime", 0x10, true),
    ("__vdso_gettimeofday", 0x33, true),
    ("gettimeofday", 0x33, true),
    ("__vdso_time", 0x60, true),
    ("time", 0x60, true),
    ("__vdso_getrandom", 0x6e, false),
    ("getrandom", 0x6e, false),
];
/// Where the stub holds the logical time (nanoseconds since 1970).
pub(crate) const STUB_BASE: usize = 0;
/// Where it holds the address of the process's count of readings.
pub(crate) const STUB_COUNTER: usize = 8;
/// Where it holds the distance to the original `clock_gettime`: 4 bytes, counted from their end.
pub(crate) const STUB_ORIGINAL: usize = 0x2f;
/// The name of that function.
pub(crate) const ORIGINAL: &str = "__vdso_clock_gettime";

/// ```text
/// clock_gettime:  CLOCK_REALTIME, _COARSE, _ALARM, CLOCK_TAI: now; any other clock: the original
/// gettimeofday:   now, in microseconds; a time zone of zero
/// time:           now, in seconds
/// getrandom:      -ENOSYS, so that programs make the real call, which is seen
/// now:            k = min(count++, 2^20); base + k² µs   (k counts the readings of one process, see `supervise::clock`)
/// ```
pub(crate) const STUB: [u8; 176] = [
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, //
    0x83, 0xff, 0x0b, 0x77, 0x19, 0xb8, 0x21, 0x09, 0x00, 0x00, 0x0f, 0xa3, 0xf8, 0x73, 0x0f, 0xe8, //
    0x52, 0x00, 0x00, 0x00, 0x48, 0x89, 0x06, 0x48, 0x89, 0x56, 0x08, 0x31, 0xc0, 0xc3, 0xe9, 0x00, //
    0x00, 0x00, 0x00, 0x48, 0x85, 0xff, 0x74, 0x19, 0xe8, 0x39, 0x00, 0x00, 0x00, 0x48, 0x89, 0x07, //
    0x48, 0x89, 0xd0, 0x31, 0xd2, 0xb9, 0xe8, 0x03, 0x00, 0x00, 0x48, 0xf7, 0xf1, 0x48, 0x89, 0x47, //
    0x08, 0x48, 0x85, 0xf6, 0x74, 0x07, 0x48, 0xc7, 0x06, 0x00, 0x00, 0x00, 0x00, 0x31, 0xc0, 0xc3, //
    0xe8, 0x11, 0x00, 0x00, 0x00, 0x48, 0x85, 0xff, 0x74, 0x03, 0x48, 0x89, 0x07, 0xc3, 0x48, 0xc7, //
    0xc0, 0xda, 0xff, 0xff, 0xff, 0xc3, 0x48, 0x8b, 0x0d, 0x8b, 0xff, 0xff, 0xff, 0xb8, 0x01, 0x00, //
    0x00, 0x00, 0xf0, 0x48, 0x0f, 0xc1, 0x01, 0xb9, 0x00, 0x00, 0x10, 0x00, 0x48, 0x39, 0xc8, 0x48, //
    0x0f, 0x47, 0xc1, 0x48, 0x0f, 0xaf, 0xc0, 0x48, 0x69, 0xc0, 0xe8, 0x03, 0x00, 0x00, 0x48, 0x03, //
    0x05, 0x5b, 0xff, 0xff, 0xff, 0x31, 0xd2, 0xb9, 0x00, 0xca, 0x9a, 0x3b, 0x48, 0xf7, 0xf1, 0xc3, //
];
