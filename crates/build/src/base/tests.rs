use expect_test::expect;

use super::*;
use crate::inputs::manifest;
use crate::testing::{Directory, DirectoryInputs};

/// A small merged-usr system: `gcc` needs `libc6` and (left out) `dpkg`.
fn system(directory: &Directory) {
    let stanza = |name: &str, version: &str, depends: &str| {
        format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n{depends}\n")
    };
    let status = [
        stanza("gcc", "4:12.2.0-3", "Depends: libc6 (>= 2), dpkg\n"),
        stanza("libc6", "2.36-9+deb12u14", ""),
        stanza("dpkg", "1.21", "Depends: tar\n"),
        stanza("broken", "1", "Depends: absent | gone\n"),
    ];
    directory.write("root/var/lib/dpkg/status", status.concat());
    directory.write("root/etc/os-release", "NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\n");
    let list = "/.\n/usr\n/usr/bin\n/usr/bin/gcc\n/usr/bin/gcc-link\n/usr/share/doc/gcc/README\n/etc/gcc.conf\n/lib/gcc/spec\n";
    directory.write("root/var/lib/dpkg/info/gcc.list", list);
    directory.write("root/var/lib/dpkg/info/libc6:amd64.list", "/lib/libc.so.6\n/etc/ld.so.conf\n/usr/lib/x.pyc\n");
    directory.write("root/var/lib/dpkg/alternatives/cc", "auto\n/usr/bin/cc\n\n/usr/bin/gcc\n20\n\n");
    directory.write("root/usr/bin/gcc", "the compiler");
    directory.link("root/usr/bin/gcc-link", "gcc");
    directory.link("root/usr/bin/cc", "/etc/alternatives/cc");
    directory.link("root/etc/alternatives/cc", "/usr/bin/gcc");
    directory.write("root/usr/lib/libc.so.6", "the library");
    directory.write("root/usr/lib/gcc/spec", "spec");
    directory.write("root/etc/ld.so.conf", "include\n");
    directory.write("root/etc/shadow", "root:secret");
    for link in ["bin", "lib", "sbin"] {
        directory.link(&format!("root/{link}"), &format!("usr/{link}"));
    }
}

fn names(names: &[&str]) -> Vec<NamedPackage> {
    names.iter().map(|name| NamedPackage::parse(name)).collect()
}

#[test]
fn imports_packages_links_and_nothing_else() {
    let directory = Directory::new("base");
    system(&directory);
    let (host, inputs) = (directory.host(), DirectoryInputs::new(&directory));
    let resolved = resolve(&host, &names(&["gcc"])).expect("both are installed");
    let base = import(&resolved, &host, &inputs).expect("all files are there");
    let tree = manifest(&inputs, &base.tree).expect("it is held");
    let lines: Vec<String> = tree
        .entries()
        .filter(|(_, entry)| **entry != model::tree::Entry::Directory)
        .map(|(path, entry)| match entry {
            model::tree::Entry::Link { target } => format!("{path} -> {target}"),
            _ => path.to_owned(),
        })
        .collect();
    expect![[r#"
        bin -> usr/bin
        etc/alternatives/cc -> /usr/bin/gcc
        etc/group
        etc/hosts
        etc/ld.so.conf
        etc/nsswitch.conf
        etc/passwd
        lib -> usr/lib
        usr/bin/cc -> /etc/alternatives/cc
        usr/bin/gcc
        usr/bin/gcc-link -> gcc
        usr/lib/gcc/spec
        usr/lib/libc.so.6"#]]
    .assert_eq(&lines.join("\n"));
    let packages: Vec<&str> = base.packages.iter().map(|package| package.purl.as_str()).collect();
    expect![[r#"
        pkg:deb/debian/gcc@4:12.2.0-3?arch=amd64&distro=debian-12
        pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12"#]]
    .assert_eq(&packages.join("\n"));
    assert_ne!(base.packages[0].digest, base.packages[1].digest);
    assert_eq!(base.distribution, "debian 12");
}

#[test]
fn two_machines_with_the_same_packages_make_the_same_base() {
    let made = || {
        let directory = Directory::new("base-twice");
        system(&directory);
        let host = directory.host();
        let resolved = resolve(&host, &names(&["gcc"])).expect("both are installed");
        let base = import(&resolved, &host, &DirectoryInputs::new(&directory)).expect("all files are there");
        (base, fingerprint(&resolved, &host).expect("it is readable"))
    };
    assert_eq!(made(), made());
}

#[test]
fn missing_packages_are_named_with_the_command() {
    let directory = Directory::new("base-missing");
    system(&directory);
    let error = resolve(&directory.host(), &names(&["gcc", "libssl-dev", "broken"])).expect_err("two are missing");
    expect![[r#"not installed on this machine: `libssl-dev`, `absent` (needed by `broken`); run `apt-get install libssl-dev absent`"#]].assert_eq(&error.to_string());
}

#[test]
fn a_file_that_is_gone_is_named() {
    let directory = Directory::new("base-damaged");
    system(&directory);
    fs::remove_file(directory.path().join("root/usr/bin/gcc")).expect("it is there");
    let host = directory.host();
    let resolved = resolve(&host, &names(&["gcc"])).expect("both are installed");
    let error = import(&resolved, &host, &DirectoryInputs::new(&directory)).expect_err("a file is gone");
    expect!["`/usr/bin/gcc` of package `gcc` is missing; run `apt-get install --reinstall gcc`"]
        .assert_eq(&error.to_string());
}

#[test]
fn the_fingerprint_follows_versions_lists_and_alternatives() {
    let directory = Directory::new("base-fingerprint");
    system(&directory);
    let host = directory.host();
    let print = || {
        let resolved = resolve(&host, &names(&["gcc"])).expect("both are installed");
        fingerprint(&resolved, &host).expect("it is readable")
    };
    let mut seen = vec![print()];
    directory.write("root/var/lib/dpkg/info/gcc.md5sums", "0  usr/bin/gcc\n");
    seen.push(print());
    fs::remove_file(directory.path().join("root/etc/alternatives/cc")).expect("it is there");
    directory.link("root/etc/alternatives/cc", "/usr/bin/clang");
    seen.push(print());
    let status = fs::read_to_string(directory.path().join("root/var/lib/dpkg/status")).expect("it is there");
    directory.write("root/var/lib/dpkg/status", status.replace("2.36-9+deb12u14", "2.36-9+deb12u15"));
    seen.push(print());
    let distinct: BTreeSet<Digest> = seen.iter().copied().collect();
    assert_eq!(distinct.len(), seen.len());
}

#[test]
fn differences_from_a_lock_are_told_by_version() {
    let directory = Directory::new("base-compare");
    system(&directory);
    let host = directory.host();
    let resolved = resolve(&host, &names(&["gcc"])).expect("both are installed");
    let mut base = import(&resolved, &host, &DirectoryInputs::new(&directory)).expect("all files are there");
    assert_eq!(compare(&base, &host).expect("it is readable"), []);
    base.packages[0].version = "4:12.2.0-2".to_owned();
    base.packages[1].name = "musl".to_owned();
    let lines: Vec<String> = compare(&base, &host).expect("it is readable").iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["gcc 4:12.2.0-2 ≠ 4:12.2.0-3", "musl 2.36-9+deb12u14 ≠ not installed"]);
}

/// Elsewhere than on Debian and its kin there is nothing to import, and `resolve` says so.
#[test]
fn the_base_of_this_machine() {
    let directory = Directory::new("base-real");
    let mut host = directory.host();
    host.root = PathBuf::from("/");
    if !Path::new("/var/lib/dpkg/status").exists() {
        let error = resolve(&host, &names(&["dash"])).expect_err("no package database");
        assert!(matches!(error, BaseError::Dpkg(DpkgError::Absent(_))), "{error}");
        return;
    }
    let inputs = DirectoryInputs::new(&directory);
    let resolved = resolve(&host, &names(&["dash"])).expect("every Debian has a shell");
    let base = import(&resolved, &host, &inputs).expect("its files are there");
    let tree = manifest(&inputs, &base.tree).expect("it is held");
    let place = inputs.tree(&base.tree).expect("it can be asked").expect("it is held");
    for program in ["bin/sh", "usr/bin/dash"] {
        let target = fs::canonicalize(place.join(program)).expect("it leads to a file of the tree");
        assert!(target.starts_with(&place), "{program}");
    }
    assert!(tree.entries().any(|(path, _)| path.ends_with("/libc.so.6")), "what it needs came along");
    for (path, _) in tree.entries() {
        assert!(!path.starts_with("var/") && !path.starts_with("usr/share/doc/") && path != "etc/shadow", "{path}");
    }
    assert!(base.packages.iter().all(|package| package.name != "dpkg"));
}

#[test]
fn a_version_that_assay_toml_names_must_be_the_one_that_is_installed() {
    let directory = Directory::new("base-versions");
    system(&directory);
    let host = directory.host();
    let installed = resolve(&host, &names(&["gcc"])).expect("it is installed").packages;
    let version = &installed.iter().find(|package| package.name == "gcc").expect("it is in").version;
    resolve(&host, &names(&[&format!("gcc={version}")])).expect("it is that one");
    let error = resolve(&host, &names(&["gcc=4:12.2.0-14"])).expect_err("it is another");
    let expected = format!(
        "this machine differs from assay.toml: gcc 4:12.2.0-14 ≠ {version}; install those versions, or run `assay env freeze --refresh`"
    );
    assert_eq!(error.to_string(), expected);
}
