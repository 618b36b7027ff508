use super::*;

fn read(kind: LockFileKind, name: &str, text: &str) -> Result<Registries, String> {
    let beside = vec![(format!("web/{name}"), text.as_bytes().to_vec())];
    let file = ProjectFile { path: "web/any".to_owned(), kind, bytes: Vec::new(), beside };
    Registries::of(&file).map_err(|error| error.to_string())
}

#[test]
fn a_scope_may_have_a_registry_of_its_own() {
    let npmrc = "; ours\nregistry = \"https://a.example/\"\n@company:registry=https://b.example\n//a.example/:_authToken=secret\n";
    let rc = "npmRegistryServer: https://a.example\nnpmScopes: {company: {npmRegistryServer: https://b.example/}}\n";
    let both = [(LockFileKind::Pnpm, ".npmrc", npmrc), (LockFileKind::YarnBerry, ".yarnrc.yml", rc)];
    for (kind, name, text) in both {
        let registries = read(kind, name, text).expect("it is good");
        assert_eq!(registries.tarball("ms", "2.1.3"), "https://a.example/ms/-/ms-2.1.3.tgz");
        assert_eq!(registries.tarball("@company/a", "1.0.0+b"), "https://b.example/@company/a/-/a-1.0.0.tgz");
        assert_eq!(registries.manifest("@company/a", "1.0.0"), "https://b.example/@company%2fa/1.0.0");
    }
    assert_eq!(read(LockFileKind::Pnpm, "package.json", "{}"), Ok(Registries::public()));
}

#[test]
fn an_address_that_depends_on_the_machine_is_refused() {
    let error = read(LockFileKind::Pnpm, ".npmrc", "\nregistry=${REGISTRY}\n").expect_err("a variable");
    assert!(error.starts_with("web/.npmrc:2:1: `${REGISTRY}` is no plain address of a registry"), "{error}");
    let error = read(LockFileKind::YarnBerry, ".yarnrc.yml", "npmRegistryServer: file:///srv\n").expect_err("a path");
    assert!(error.contains("write it out, as `https://registry.example.org`"), "{error}");
    let error = read(LockFileKind::YarnBerry, ".yarnrc.yml", "npmScopes: [").expect_err("malformed");
    assert!(error.starts_with("web/.yarnrc.yml:"), "{error}");
}
