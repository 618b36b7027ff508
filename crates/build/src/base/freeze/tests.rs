use expect_test::expect;

use super::*;

const TEXT: &str = r#"# what we build with
[project]
name = "demo"

[base] # pinned by hand until now
packages = [
    "gcc",            # the compiler
    'libc6-dev=2.36', # and its headers
    "make" ]
image =   "docker.io/library/debian:12" # not both, in truth
"#;

#[test]
fn only_what_changes_is_replaced() {
    let named = Named::parse("assay.toml", TEXT.as_bytes()).expect("it is good");
    let place = named.image.as_ref().expect("it is there");
    let Image::Tag(location) = &place.value else { panic!("it has no digest") };
    let mut changes = Vec::from_iter(place.becomes(location.to_string(), format!("{location}@sha256:1")));
    for (package, version) in named.packages.iter().zip(["4:12.2.0-3", "2.36-9", "4.3"]) {
        changes.extend(package.becomes(package.value.name.clone(), format!("{}={version}", package.value.name)));
    }
    assert_eq!(named.packages[1].value.version.as_deref(), Some("2.36"));
    expect![[r#"
        # what we build with
        [project]
        name = "demo"

        [base] # pinned by hand until now
        packages = [
            "gcc=4:12.2.0-3",            # the compiler
            "libc6-dev=2.36-9", # and its headers
            "make=4.3" ]
        image =   "docker.io/library/debian:12@sha256:1" # not both, in truth
    "#]]
    .assert_eq(&named.apply(&changes));
    assert_eq!(named.apply(&[]), TEXT);
    assert_eq!(place.becomes("same".to_owned(), "same".to_owned()), None);
}

#[test]
fn images_are_told_apart() {
    let of = |text: &str| {
        let named = Named::parse("assay.toml", format!("[base]\nimage = \"{text}\"\n").as_bytes());
        named.map(|named| named.image.expect("it is there").value).map_err(|problem| problem.one_line())
    };
    let digest = "sha256:9a93b2b7dfdac77ceba5a558a580e74667dd6fede4585b91eefb60f03b72df23";
    assert!(matches!(of(&format!("a.org/b@{digest}")), Ok(Image::Pinned(_))));
    assert!(matches!(of(&format!("oci:x@{digest}")), Ok(Image::Pinned(_))));
    assert_eq!(of("oci:x"), Ok(Image::Layout("x".to_owned())));
    assert!(matches!(of("a.org/b"), Ok(Image::Tag(_))));
    expect![[r#"assay.toml:2:9: this is no image: it names no registry; as "HOST/NAME[:TAG]" or "oci:DIR""#]]
        .assert_eq(&of("debian").expect_err("it names no registry"));
}

#[test]
fn files_without_the_section_are_refused() {
    for (text, expected) in [
        ("", "assay.toml:1:1: the file has no `[base]`; run `assay init`"),
        ("base = 1", "assay.toml:1:1: the file has no `[base]`; run `assay init`"),
        ("[base]\nimage = 1", "assay.toml:2:9: this is no image: it is no text; as \"HOST/NAME[:TAG]\" or \"oci:DIR\""),
    ] {
        let problem = Named::parse("assay.toml", text.as_bytes()).expect_err(text);
        assert_eq!(problem.one_line(), expected);
    }
    assert!(Named::parse("assay.toml", b"[base").is_err());
}
