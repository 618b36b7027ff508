//! Facts about this machine, this user and this moment: the only place of the program that asks for them.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use model::run::Machine;
use wire::digest::hmac_sha256;
use wire::timestamp::Timestamp;

use crate::error::{Failure, Result};

/// The wall clock, to the second.
pub(crate) fn now() -> Result<Timestamp> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .and_then(Timestamp::from_unix_s)
        .ok_or_else(|| Failure::new("clock", "the clock stands before 1970 or after 9999").hint("set the clock"))
}

/// The machine, without its name: `secret` keys the digest of its id, so that two homes give it different names.
pub(crate) fn machine(secret: &[u8]) -> Machine {
    let uname = rustix::system::uname();
    let id = fs::read_to_string("/etc/machine-id")
        .or_else(|_| fs::read_to_string("/proc/sys/kernel/random/boot_id"))
        .unwrap_or_default();
    Machine {
        architecture: uname.machine().to_string_lossy().into_owned(),
        kernel: uname.release().to_string_lossy().into_owned(),
        cpu: cpu_model().unwrap_or_else(|| "unknown".to_owned()),
        machine: hex(&hmac_sha256(secret, id.trim().as_bytes())),
    }
}

fn cpu_model() -> Option<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = cpuinfo.lines().find(|line| line.starts_with("model name") || line.starts_with("CPU part"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Who asks, and who says so: `ada@laptop (local user)`, or a CI's own words.
///
/// A CI's variables are what the CI's environment claims; nothing here has been proven by a token.
pub(crate) fn invoker() -> String {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    if let (Some(actor), Some(repository)) = (set("GITHUB_ACTOR"), set("GITHUB_REPOSITORY")) {
        return format!("{actor} in {repository} (GitHub Actions environment)");
    }
    if let (Some(actor), Some(project)) = (set("GITLAB_USER_LOGIN"), set("CI_PROJECT_PATH")) {
        return format!("{actor} in {project} (GitLab CI environment)");
    }
    format!("{}@{} (local user)", user(), rustix::system::uname().nodename().to_string_lossy())
}

fn user() -> String {
    let uid = rustix::process::getuid().as_raw();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = passwd.lines().find(|line| line.split(':').nth(2) == Some(uid.to_string().as_str()));
    entry.and_then(|line| line.split(':').next()).map_or_else(|| uid.to_string(), str::to_owned)
}

/// This very program, also when its file was replaced by a newer one meanwhile.
pub(crate) fn this_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// 16 bytes from the kernel's random source, in hexadecimal: a name that will not come twice.
pub(crate) fn random_name() -> Result<String> {
    Ok(hex(&random::<16>()?))
}

/// Random bytes from the kernel.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    use std::io::Read;
    let mut bytes = [0; N];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| Failure::new("random", "reading `/dev/urandom`").because(&error))?;
    Ok(bytes)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
