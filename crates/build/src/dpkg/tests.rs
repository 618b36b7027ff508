use super::*;
use crate::testing::{Directory, fuzz};

const STATUS: &str = "Package: gcc
Status: install ok installed
Architecture: amd64
Version: 4:12.2.0-3
Provides: c-compiler, gcc-x86-64-linux-gnu (= 4:12.2.0-3)
Depends: cpp (= 4:12.2.0-3), gcc-12 (>= 12.2.0-1~) | clang:any [amd64]
Description: GNU C compiler
 This is a continuation line: with a colon.

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: dpkg
Status: hold ok installed
Architecture: amd64
Version: 1.21

Package: gcc
Status: install ok installed
Architecture: i386
Version: 4:11
";

fn database(status: &str) -> Result<(Directory, Database), DpkgError> {
    let directory = Directory::new("dpkg");
    directory.write("var/lib/dpkg/status", status);
    directory.write("var/lib/dpkg/info/gcc:amd64.list", "/.\n/usr\n/usr/bin/gcc\n/bin/moved\n");
    directory.write("var/lib/dpkg/info/dpkg.list", "/bin/moved\n");
    directory.write("var/lib/dpkg/diversions", "/bin/moved\n/bin/moved.real\ndpkg\n");
    directory.write(
        "var/lib/dpkg/alternatives/cc",
        "auto\n/usr/bin/cc\ncc.1.gz\n/usr/share/man/man1/cc.1.gz\n\n/usr/bin/gcc\n20\n\n",
    );
    let database = Database::read(directory.path())?;
    Ok((directory, database))
}

#[test]
fn reads_what_is_installed_for_this_machine() {
    let (_directory, database) = database(STATUS).expect("it is good");
    let gcc = database.package("gcc").expect("it is installed");
    assert_eq!((gcc.version.as_str(), gcc.architecture.as_str()), ("4:12.2.0-3", "amd64"));
    assert_eq!(gcc.depends, [vec!["cpp"], vec!["gcc-12", "clang"]]);
    assert_eq!(gcc.provides, ["c-compiler", "gcc-x86-64-linux-gnu"]);
    assert_eq!(database.package("removed"), None);
    let group = ["tcc".to_owned(), "c-compiler".to_owned()];
    assert_eq!(database.satisfies(&group).map(|package| package.name.as_str()), Some("gcc"));
}

#[test]
fn a_diverted_file_is_where_it_went() {
    let (_directory, database) = database(STATUS).expect("it is good");
    let files = |name: &str| database.files(database.package(name).expect("it is installed")).expect("it is listed");
    assert_eq!(files("gcc"), ["/usr", "/usr/bin/gcc", "/bin/moved.real"]);
    assert_eq!(files("dpkg"), ["/bin/moved"]);
}

#[test]
fn alternatives_and_their_followers() {
    let (_directory, database) = database(STATUS).expect("it is good");
    let links: Vec<String> = database
        .alternatives()
        .expect("they are listed")
        .into_iter()
        .map(|a| format!("{} {}", a.name, a.link))
        .collect();
    assert_eq!(links, ["cc /usr/bin/cc", "cc.1.gz /usr/share/man/man1/cc.1.gz"]);
}

#[test]
fn another_system_and_broken_stanzas_are_named() {
    let directory = Directory::new("no-dpkg");
    assert!(matches!(Database::read(directory.path()), Err(DpkgError::Absent(_))));
    let status = STATUS.replace("Version: 1.21\n", "");
    let error = database(&status).expect_err("no version");
    assert!(matches!(error, DpkgError::Stanza { line: 15, field: "Version", .. }), "{error:?}");
}

#[test]
fn mutations_never_panic() {
    fuzz(STATUS.as_bytes(), |bytes| drop(parse_status(Path::new("status"), bytes)));
}
