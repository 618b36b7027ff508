use super::*;
use crate::testing::{Directory, DirectoryInputs};

/// A toolchain of a few bytes, with a `rustc` that answers as the real one does.
fn toolchain(directory: &Directory) -> Host {
    let sysroot = directory.path().join("toolchain");
    for file in [
        "toolchain/bin/cargo",
        "toolchain/bin/rustdoc",
        "toolchain/bin/rust-gdb",
        "toolchain/lib/librustc_driver-1.so",
        "toolchain/lib/rustlib/x86_64-unknown-linux-gnu/lib/libstd.rlib",
        "toolchain/lib/rustlib/src/rust/README",
        "toolchain/share/doc/README",
    ] {
        directory.write(file, file);
    }
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --print ]; then echo {}; else\n\
         printf 'rustc 1.95.0 (abc 2026-04-14)\\nhost: x86_64-unknown-linux-gnu\\n'; fi\n",
        sysroot.display()
    );
    directory.write("toolchain/bin/rustc", script);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(sysroot.join("bin/rustc"), executable).expect("it is there");
    let mut host = directory.host();
    host.variables.insert("PATH".to_owned(), format!("{}:/usr/bin:/bin", sysroot.join("bin").display()));
    host
}

#[test]
fn takes_the_compiler_and_leaves_the_rest() {
    let directory = Directory::new("toolchain");
    let host = toolchain(&directory);
    let inputs = DirectoryInputs::new(&directory);
    let resolved = resolve("rust", directory.path(), &[], &host).expect("it answers");
    assert_eq!(resolved.version, "rustc 1.95.0 (abc 2026-04-14)");
    let pinned = import(&resolved, &inputs).expect("it is readable");
    let tree = crate::inputs::manifest(&inputs, &pinned.tree).expect("it is held");
    let files: Vec<&str> =
        tree.entries().map(|(path, _)| path).filter(|path| path.contains('.') || path.starts_with("bin/")).collect();
    let expected = [
        "bin/cargo",
        "bin/rustc",
        "bin/rustdoc",
        "lib/librustc_driver-1.so",
        "lib/rustlib/x86_64-unknown-linux-gnu/lib/libstd.rlib",
    ];
    assert_eq!(files, expected);
    assert!(matches!(tree.entry("bin/rustc"), Some(model::tree::Entry::File { executable: true, .. })));
}

#[test]
fn the_fingerprint_follows_the_files() {
    let directory = Directory::new("toolchain-print");
    let host = toolchain(&directory);
    let print = || fingerprint(&resolve("rust", directory.path(), &[], &host).expect("it answers"));
    let before = print();
    assert_eq!(before, print());
    directory.write("toolchain/lib/librustc_driver-1.so", "another size");
    assert_ne!(before, print());
}

#[test]
fn refusals_say_what_to_do() {
    let directory = Directory::new("toolchain-refused");
    let mut host = toolchain(&directory);
    let error = resolve("rust", directory.path(), &["wasm32-wasip2".to_owned()], &host).expect_err("not installed");
    assert_eq!(
        error.to_string(),
        "the standard library of `wasm32-wasip2` is not installed; run `rustup target add wasm32-wasip2`"
    );
    directory.write("project/rust-toolchain.toml", "[toolchain]\npath = \"./evil\"\n");
    let error = resolve("rust", &directory.path().join("project"), &[], &host).expect_err("named by path");
    assert!(matches!(error, ToolchainError::ByPath(_)), "{error}");
    directory.write(
        "toolchain/bin/rustc",
        "#!/bin/sh\nif [ $1 = --print ]; then echo /usr; else echo rustc 1; echo host: x; fi\n",
    );
    let error = resolve("rust", directory.path(), &[], &host).expect_err("the system's own");
    assert!(error.to_string().contains("add `rustc` and `cargo` to `packages`"), "{error}");
    directory.write("toolchain/bin/rustc", "#!/bin/sh\necho error: toolchain 1.2 is not installed >&2; exit 1\n");
    let error = resolve("rust", directory.path(), &[], &host).expect_err("it fails");
    assert!(error.to_string().ends_with("error: toolchain 1.2 is not installed"), "{error}");
    host.variables.insert("PATH".to_owned(), "/nonexistent".to_owned());
    let error = resolve("rust", directory.path(), &[], &host).expect_err("no rustc");
    assert!(matches!(error, ToolchainError::Start(_)), "{error}");
}

/// The real one, as far as it can be looked at without importing its 600 MB.
#[test]
fn the_toolchain_of_this_machine() {
    let directory = Directory::new("toolchain-real");
    match resolve("rust", directory.path(), &[], &directory.host()) {
        Ok(resolved) => {
            assert!(resolved.version.starts_with("rustc 1."), "{}", resolved.version);
            let has = |path: &str| resolved.files.iter().any(|(file, _, _)| file.contains(path));
            assert!(has("bin/cargo") && has("bin/rustc") && has("/libstd-") && has("librustc_driver"));
            assert!(!has("share/doc") && !has("rustlib/src"));
        }
        Err(error) => assert!(matches!(error, ToolchainError::System(_)), "{error}"),
    }
}
