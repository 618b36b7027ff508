//! Which Debian packages a Cargo project needs, as far as its lock file tells.

use std::collections::BTreeSet;

use serde::Deserialize;

/// What every Rust program needs: the linker driver, the C library, a shell and its tools for build scripts.
const ALWAYS: [&str; 4] = ["coreutils", "dash", "gcc", "libc6-dev"];

/// Crates that build against a library or run a tool of the system: crate, packages.
const NEEDS: [(&str, &[&str]); 36] = [
    ("alsa-sys", &["libasound2-dev", "pkg-config"]),
    ("autotools", &["autoconf", "automake", "libtool", "make"]),
    ("cairo-sys-rs", &["libcairo2-dev", "pkg-config"]),
    ("clang-sys", &["libclang-dev"]),
    ("cmake", &["cmake", "g++", "make"]),
    ("cxx-build", &["g++"]),
    ("freetype-sys", &["libfreetype-dev", "pkg-config"]),
    ("fuse3-sys", &["libfuse3-dev", "pkg-config"]),
    ("fuser", &["libfuse3-dev", "pkg-config"]),
    ("glib-sys", &["libglib2.0-dev", "pkg-config"]),
    ("gtk-sys", &["libgtk-3-dev", "pkg-config"]),
    ("hidapi", &["libudev-dev", "pkg-config"]),
    ("ldap3_sys", &["libldap-dev", "pkg-config"]),
    ("libdbus-sys", &["libdbus-1-dev", "pkg-config"]),
    ("libgssapi-sys", &["libkrb5-dev", "libclang-dev"]),
    ("libpulse-sys", &["libpulse-dev", "pkg-config"]),
    ("librocksdb-sys", &["g++", "libclang-dev"]),
    ("libsodium-sys", &["libsodium-dev", "pkg-config"]),
    ("libsqlite3-sys", &["libsqlite3-dev", "pkg-config"]),
    ("libudev-sys", &["libudev-dev", "pkg-config"]),
    ("link-cplusplus", &["g++"]),
    ("mysqlclient-sys", &["default-libmysqlclient-dev", "pkg-config"]),
    ("nasm-rs", &["nasm"]),
    ("odbc-sys", &["unixodbc-dev"]),
    ("openssl-src", &["make", "perl"]),
    ("openssl-sys", &["libssl-dev", "pkg-config"]),
    ("pam-sys", &["libpam0g-dev"]),
    ("pq-sys", &["libpq-dev"]),
    ("prost-build", &["protobuf-compiler"]),
    ("rdkafka-sys", &["g++", "make"]),
    ("sdl2-sys", &["libsdl2-dev"]),
    ("systemd", &["libsystemd-dev", "pkg-config"]),
    ("tikv-jemalloc-sys", &["make"]),
    ("x11", &["libx11-dev", "pkg-config"]),
    ("yeslogic-fontconfig-sys", &["libfontconfig1-dev", "pkg-config"]),
    ("zmq-sys", &["libzmq3-dev", "pkg-config"]),
];

/// Crates that bring the library along: crate, and the dependency that only that build has.
const BUNDLED: [(&str, &str); 3] = [("libsqlite3-sys", "cc"), ("openssl-sys", "openssl-src"), ("libdbus-sys", "cc")];

/// Crates that depend on `cmake` but build without it on Linux.
const WITHOUT_CMAKE: [&str; 2] = ["aws-lc-sys", "aws-lc-fips-sys"];

/// A package of the lock file with what it depends on.
#[derive(Deserialize)]
pub(super) struct Locked {
    name: String,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// Reads names and dependencies; the lock file was parsed strictly before.
pub(super) fn read(bytes: &[u8]) -> Vec<Locked> {
    #[derive(Default, Deserialize)]
    struct Document {
        #[serde(default)]
        package: Vec<Locked>,
    }
    let text = String::from_utf8_lossy(bytes);
    toml::from_str::<Document>(&text).unwrap_or_default().package
}

/// Returns the packages, sorted, and why those beyond the usual are there.
pub(super) fn packages(lock: &[Locked]) -> (Vec<&'static str>, Vec<String>) {
    let mut packages: BTreeSet<&'static str> = ALWAYS.into_iter().collect();
    let mut reasons = Vec::new();
    for (name, needed) in NEEDS {
        if is_needed(name, lock) {
            packages.extend(needed.iter().copied());
            reasons.push(format!("{} for the crate {name}", needed.join(", ")));
        }
    }
    (packages.into_iter().collect(), reasons)
}

fn is_needed(name: &str, lock: &[Locked]) -> bool {
    // In the lock a dependency is `name`, or `name version` where several versions are there.
    let depends_on = |package: &Locked, on: &str| {
        package.dependencies.iter().any(|dependency| dependency.split(' ').next() == Some(on))
    };
    let is_bundled =
        |package: &Locked| BUNDLED.iter().any(|(bundled, with)| *bundled == package.name && depends_on(package, with));
    match name {
        "cmake" => lock.iter().any(|p| depends_on(p, name) && !WITHOUT_CMAKE.contains(&p.name.as_str())),
        _ => lock.iter().any(|package| package.name == name && !is_bundled(package)),
    }
}
