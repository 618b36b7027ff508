use super::*;
use crate::testing::{Directory, DirectoryInputs};

fn host(directory: &Directory) -> Host {
    let mut host = directory.host();
    let bin = directory.path().join("node/bin");
    host.variables.insert("PATH".to_owned(), format!("relative:{}:/usr/bin:/bin", bin.display()));
    host
}

fn program(directory: &Directory, text: &str) {
    directory.write("node/bin/node", text);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(directory.path().join("node/bin/node"), executable).expect("it is there");
}

#[test]
fn takes_node_and_npm_without_its_documentation() {
    let directory = Directory::new("node");
    program(&directory, "#!/bin/sh\necho v20.1.0\n");
    directory.write("node/lib/node_modules/npm/package.json", r#"{"version":"10.9.0"}"#);
    directory.write("node/lib/node_modules/npm/docs/x.html", "");
    directory.write("node/lib/node_modules/other/package.json", "{}");
    directory.write("node/include/node/node.h", "");
    directory.write("node/share/doc/node", "");
    directory.link("node/bin/npm", "../lib/node_modules/npm/bin/npm-cli.js");
    let resolved = resolve(Path::new("/nowhere"), &host(&directory)).expect("it is one");
    assert_eq!(resolved.version, "node v20.1.0, npm 10.9.0");
    let files: Vec<&str> = resolved.files.iter().map(|(path, ..)| path.as_str()).collect();
    assert_eq!(files, ["bin/node", "bin/npm", "include/node/node.h", "lib/node_modules/npm/package.json"]);
    let inputs = DirectoryInputs::new(&directory);
    let other = resolve(directory.path(), &host(&directory)).ok();
    assert!(other.is_none_or(|other| other.version != resolved.version), "a node of the project is not asked");
    assert_eq!(super::super::import(&resolved, &inputs).expect("it is readable").name, "node");
}

#[test]
fn refusals_say_what_to_do() {
    let directory = Directory::new("node-refused");
    let mut without = host(&directory);
    without.variables.insert("PATH".to_owned(), directory.path().to_string_lossy().into_owned());
    assert!(
        resolve(Path::new("/nowhere"), &without)
            .expect_err("there is none")
            .to_string()
            .contains("no `node` in the search path")
    );
    program(&directory, "#!/bin/sh\nexit 1\n");
    let error = resolve(Path::new("/nowhere"), &host(&directory)).expect_err("no npm").to_string();
    assert!(error.contains("add `nodejs` and `npm` to `packages`"), "{error}");
    directory.write("node/lib/node_modules/npm/package.json", r#"{"version":"10.9.0"}"#);
    let error = resolve(Path::new("/nowhere"), &host(&directory)).expect_err("it fails").to_string();
    assert!(error.contains("does not answer"), "{error}");
}
