use expect_test::{Expect, expect};

use crate::base::reference::ImageReference;
use crate::spec::tests::GREETER;
use crate::spec::{FILE, Root, Spec};

const PACKAGES: &str = "packages = [\"gcc\", \"libc6-dev\"]";

/// The greeter's specification with other packages.
fn with(base: &str) -> Result<Spec, String> {
    assert!(GREETER.contains(PACKAGES));
    let text = GREETER.replacen(PACKAGES, base, 1);
    Spec::parse(FILE, text.as_bytes())
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn refused(base: &str, expected: Expect) {
    expected.assert_eq(&with(base).expect_err("it has a problem"));
}

#[test]
fn an_image_may_stand_in_place_of_packages() {
    let digest = "sha256:9a93b2b7dfdac77ceba5a558a580e74667dd6fede4585b91eefb60f03b72df23";
    for text in [
        format!("registry.example.org:5000/team/base@{digest}"),
        format!("docker.io/library/debian:12-slim@{digest}"),
        format!("oci:../images/base@{digest}"),
        "oci:base".to_owned(),
    ] {
        let spec = with(&format!("image = \"{text}\"")).expect("it is good");
        let Root::Image(reference) = &spec.base.root else { panic!("{text} is an image") };
        assert_eq!(reference.to_string(), text);
        assert_eq!(ImageReference::parse(&text).as_ref(), Ok(reference));
        assert!(spec.base.root.packages().is_empty());
    }
}

#[test]
fn an_image_without_a_digest_names_the_command_that_pins_it() {
    refused(
        "image = \"docker.io/library/debian:12\"",
        expect![[r#"
        assay.toml:8:9: `docker.io/library/debian:12`: it has no digest, so it may be another image tomorrow
          | image = "docker.io/library/debian:12"
          |         ^
          = run `assay env freeze`, which writes the digest behind it"#]],
    );
}

#[test]
fn what_is_no_image_is_refused_with_its_place() {
    refused(
        "image = \"debian@sha256:9a93b2b7dfdac77ceba5a558a580e74667dd6fede4585b91eefb60f03b72df23\"",
        expect![[r#"
        assay.toml:8:9: `debian@sha256:9a93b2b7dfdac77ceba5a558a580e74667dd6fede4585b`: it names no registry
          | image = "debian@sha256:9a93b2b7dfdac77ceba5a558a580e74667dd6fede4585b91eefb60f03b72df23"
          |         ^
          = as "docker.io/library/debian@sha256:…", or "oci:DIR" for a layout"#]],
    );
    refused(
        "image = \"example.org/UPPER@sha256:9a93b2b7dfdac77ceba5a558a580e74667dd6fede4585b91eefb60f03b72df23\"",
        expect![[r#"
        assay.toml:8:9: `example.org/UPPER@sha256:9a93b2b7dfdac77ceba5a558a580e74667d`: `UPPER` is not a repository name: expected lower-case letters, digits and `.`, `_`, `-` between them, parts divided by `/`, at most 255 characters
          | image = "example.org/UPPER@sha256:9a93b2b7dfdac77ceba5a558a580e74667dd6fede4585b91eefb60f03b72df23"
          |         ^
          = as "HOST/NAME[:TAG]@sha256:…", or "oci:DIR[@sha256:…]" for a layout"#]],
    );
    refused(
        "image = \"example.org/a@sha256:12\"",
        expect![[r#"
        assay.toml:8:9: `example.org/a@sha256:12`: reference has a malformed digest
          | image = "example.org/a@sha256:12"
          |         ^
          = as "HOST/NAME[:TAG]@sha256:…", or "oci:DIR[@sha256:…]" for a layout"#]],
    );
    refused(
        "image = \"oci:/srv/base\"",
        expect![[r#"
        assay.toml:8:9: `oci:/srv/base`: a layout's directory is a path relative to the project
          | image = "oci:/srv/base"
          |         ^
          = as "HOST/NAME[:TAG]@sha256:…", or "oci:DIR[@sha256:…]" for a layout"#]],
    );
    refused(
        "image = \"oci:\"",
        expect![[r#"
        assay.toml:8:9: `oci:`: a layout's directory is a path relative to the project
          | image = "oci:"
          |         ^
          = as "HOST/NAME[:TAG]@sha256:…", or "oci:DIR[@sha256:…]" for a layout"#]],
    );
    refused(
        "image = 1",
        expect![[r#"
        assay.toml:8:9: `image` is an integer here
          | image = 1
          |         ^
          = expected a text in quotes"#]],
    );
    refused(
        "image = \"oci:base\"\npackages = [\"gcc\"]",
        expect![[r#"
        assay.toml:9:12: `[base]` names both `image` and `packages`
          | packages = ["gcc"]
          |            ^
          = take one of the two: an image is the whole root file system of a build"#]],
    );
}

#[test]
fn packages_may_have_a_version() {
    let spec = with("packages = [\"gcc=4:12.2.0-3\", \"libc6-dev\"]").expect("it is good");
    let shown: Vec<_> = spec.base.root.packages().iter().map(|p| (p.name.as_str(), p.version.as_deref())).collect();
    assert_eq!(shown, [("gcc", Some("4:12.2.0-3")), ("libc6-dev", None)]);
    refused(
        "packages = [\"gcc=\", \"make=1 2\", \"a\"]",
        expect![[r#"
        assay.toml:8:13: `gcc=` is no name of a Debian package
          | packages = ["gcc=", "make=1 2", "a"]
          |             ^
          = lower-case letters, digits, `+`, `-` and `.`; with a version as "gcc=4:12.2.0-3"
        assay.toml:8:21: `make=1 2` is no name of a Debian package
          | packages = ["gcc=", "make=1 2", "a"]
          |                     ^
          = lower-case letters, digits, `+`, `-` and `.`; with a version as "gcc=4:12.2.0-3"
        assay.toml:8:33: `a` is no name of a Debian package
          | packages = ["gcc=", "make=1 2", "a"]
          |                                 ^
          = lower-case letters, digits, `+`, `-` and `.`; with a version as "gcc=4:12.2.0-3""#]],
    );
    refused(
        "packages = [\"gcc=1\", \"gcc=2\"]",
        expect![[r#"
        assay.toml:8:22: `gcc` is named with two versions
          | packages = ["gcc=1", "gcc=2"]
          |                      ^"#]],
    );
}

#[test]
fn packages_may_come_from_the_archive() {
    let spec = with("packages = [\"gcc\"]\nfrom = \"archive\"").expect("it is good");
    assert!(matches!(&spec.base.root, Root::Archive(packages) if packages.len() == 1));
    let spec = with("packages = [\"gcc\"]\nfrom = \"installed\"").expect("it is good");
    assert!(matches!(&spec.base.root, Root::Packages(packages) if packages.len() == 1));
    refused(
        "packages = [\"gcc\"]\nfrom = \"debs\"",
        expect![[r#"
        assay.toml:9:8: `debs` is no value of `from`
          | from = "debs"
          |        ^
          = allowed: `installed`, `archive`"#]],
    );
    refused(
        "image = \"oci:base\"\nfrom = \"archive\"",
        expect![[r#"
        assay.toml:9:8: `from` says nothing about an image
          | from = "archive"
          |        ^
          = leave it out: it is for `packages`"#]],
    );
}
