//! One step's first process, from fork to `execve`.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::calls::{Knobs, rules};
use super::filter;
use super::inside::{Orders, Trouble, fence_in};
use super::translate::Translation;
use crate::plan::{Level, Limits, Step};
use crate::sys;
use crate::sys::process::fix_addresses;
use crate::tier::Tier;

/// A shell's word for "found but cannot be run" and "not found".
const CANNOT_RUN: i32 = 126;
const NOT_FOUND: i32 = 127;
/// No core dump, to no file and to no program: `core(5)` says that a limit of 0 does not hold for a `core_pattern` that is a pipe to a program
/// of the host; the kernel (`fs/coredump.c`) takes 1 for "none", for that case and, as less than a page, for files.
const CORE_BYTES: u64 = 1;
/// The usual soft limit, made the same everywhere: the kernel derives from it how many arguments fit.
const STACK_BYTES: u64 = 8 << 20;

/// Runs step `number`; never returns.
pub(super) fn run(orders: &Orders<'_>, number: usize) -> ! {
    let Some(step) = orders.plan.steps.get(number) else { sys::exit(CANNOT_RUN) };
    let program = Program::new(orders, step);
    let knobs = Knobs::from(step);
    if let Err(error) = enter(&program, &orders.plan.limits) {
        complain(&format!("cannot enter `{}`", program.cwd.display()), &error);
        sys::exit(CANNOT_RUN);
    }
    if let Err(trouble) = confine(orders, knobs) {
        complain(&trouble.what, &io::Error::other(trouble.reason));
        sys::exit(CANNOT_RUN);
    }
    let error = program.execute();
    complain(&format!("cannot run `{}`", step.argv[0]), &error);
    sys::exit(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN })
}

fn complain(what: &str, error: &io::Error) {
    let line = format!("sandbox: {what}: {error}\n");
    // Standard error is the only way to tell; if it is gone, the exit code remains.
    io::Write::write_all(&mut io::stderr(), line.as_bytes()).ok();
}

fn enter(program: &Program, limits: &Limits) -> io::Result<()> {
    sys::prctl(libc::PR_SET_DUMPABLE, 1)?;
    sys::new_session()?;
    sys::null_stdin()?;
    sys::close_on_exec_from(3)?;
    sys::default_signals();
    sys::limit(libc::RLIMIT_CORE, CORE_BYTES)?;
    sys::limit(libc::RLIMIT_STACK, STACK_BYTES)?;
    sys::limit(libc::RLIMIT_NOFILE, limits.open_files)?;
    sys::limit(libc::RLIMIT_FSIZE, limits.file_bytes)?;
    std::env::set_current_dir(&program.cwd)
}

/// Confines this process as the step with the most is: what a machine refuses shows here.
pub(super) fn check(orders: &Orders<'_>) -> Result<(), Trouble> {
    let knobs = Knobs { tier: orders.plan.tier(), ..Knobs::default() };
    confine(orders, knobs)
}

/// Takes everything from this process that a step shall not have.
fn confine(orders: &Orders<'_>, knobs: Knobs) -> Result<(), Trouble> {
    let refused = |what: &str, error: io::Error| Trouble {
        machine: true,
        what: what.to_owned(),
        place: String::new(),
        reason: error.to_string(),
        errno: error.raw_os_error(),
    };
    if knobs.tier >= Tier::T1 {
        fix_addresses().map_err(|error| refused("turning off address randomisation", error))?;
    }
    sys::drop_capabilities().map_err(|error| refused("dropping capabilities", error))?;
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(|error| refused("giving up privileges for good", error))?;
    fence_in(orders)?;
    let filter = filter::program(&rules(orders.settings, knobs));
    sys::install_filter(&filter).map_err(|error| refused("installing the seccomp filter", error))
}

struct Program {
    candidates: Vec<CString>,
    argv: Vec<CString>,
    variables: Vec<CString>,
    cwd: PathBuf,
}

impl Program {
    fn new(orders: &Orders<'_>, step: &Step) -> Self {
        let translation =
            (orders.level == Level::TraceOnly).then(|| Translation::new(orders.plan, &orders.host.scratch));
        let text = |text: &str| translation.as_ref().map_or_else(|| text.to_owned(), |one| one.text(text));
        let cwd = translation.as_ref().map_or_else(|| PathBuf::from(&step.cwd), |one| one.path(&step.cwd));
        let mut variables: std::collections::BTreeMap<String, String> =
            step.variables.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        if translation.is_some() && !orders.host.path.is_empty() {
            variables.insert("PATH".to_owned(), orders.host.path.clone());
        }
        let argv: Vec<String> = step.argv.iter().map(|argument| text(argument)).collect();
        let candidates = candidates(&argv[0], variables.get("PATH").map_or("", String::as_str));
        let variables = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Self { candidates: c_strings(candidates), argv: c_strings(argv), variables: c_strings(variables), cwd }
    }

    /// Tries each candidate; returns the most telling error.
    fn execute(&self) -> io::Error {
        let mut worst = io::Error::from_raw_os_error(libc::ENOENT);
        for candidate in &self.candidates {
            let error = sys::execve(candidate, &self.argv, &self.variables);
            let not_there = matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR));
            if !not_there || is_there(candidate) {
                worst = error;
                break;
            }
        }
        worst
    }
}

fn is_there(path: &CStr) -> bool {
    Path::new(std::ffi::OsStr::from_bytes(path.to_bytes())).exists()
}

/// A zero byte cannot come this far: the plan was checked.
fn c_strings(texts: Vec<String>) -> Vec<CString> {
    texts.into_iter().filter_map(|text| CString::new(text).ok()).collect()
}

/// Returns where a program may be, as a shell would look for it.
fn candidates(program: &str, path: &str) -> Vec<String> {
    if program.contains('/') {
        return vec![program.to_owned()];
    }
    let directories = path.split(':').filter(|directory| !directory.is_empty());
    directories.map(|directory| format!("{directory}/{program}")).collect()
}
