use super::directory;

#[test]
fn a_directory_of_the_project_stands_for_the_registry() {
    let source = |replaced: &str, directory: &str| {
        format!("[source.crates-io]\nreplace-with = \"{replaced}\"\n[source.v]\ndirectory = \"{directory}\"\n")
    };
    let cases = [
        (source("v", "vendor"), Some("vendor")),
        (source("v", "third/party"), Some("third/party")),
        (source("w", "vendor") + "[source.w]\nreplace-with = \"v\"\n", Some("vendor")),
        // Outside of the project, nothing pins it.
        (source("v", "/usr/share/cargo/registry"), None),
        (source("v", "../vendor"), None),
        (source("v", ""), None),
        // Another registry, a circle, another key, and what is no TOML.
        (source("w", "vendor") + "[source.w]\nregistry = \"https://x.example\"\n", None),
        (source("crates-io", "vendor"), None),
        ("[build]\njobs = 1\n".to_owned(), None),
        ("[source".to_owned(), None),
    ];
    for (text, expected) in cases {
        assert_eq!(directory(text.as_bytes()).as_deref(), expected, "{text}");
    }
    assert_eq!(directory(b"\xff"), None);
}
