use super::*;
use crate::mutation::Mutator;

/// Text read and its canonical form; most are of the specification's own test suite.
const SAMPLES: &[(&str, &str)] = &[
    ("pkg:cargo/serde@1.0.229", "pkg:cargo/serde@1.0.229"),
    ("pkg:cargo/rand@0.7.2", "pkg:cargo/rand@0.7.2"),
    ("pkg:maven/org.apache.commons/io@1.3.4", "pkg:maven/org.apache.commons/io@1.3.4"),
    (
        "pkg:golang/google.golang.org/genproto#/googleapis/api/annotations/",
        "pkg:golang/google.golang.org/genproto#googleapis/api/annotations",
    ),
    (
        "pkg:GOLANG/google.golang.org/genproto@abcdedf#/googleapis/api/annotations/",
        "pkg:golang/google.golang.org/genproto@abcdedf#googleapis/api/annotations",
    ),
    (
        "pkg:golang/google.golang.org/genproto@abcdedf#googleapis/../api/annotations",
        "pkg:golang/google.golang.org/genproto@abcdedf#googleapis/api/annotations",
    ),
    (
        "pkg:bitbucket/birKenfeld/pyGments-main@244fd47e07d1014f0aed9c",
        "pkg:bitbucket/birkenfeld/pygments-main@244fd47e07d1014f0aed9c",
    ),
    (
        "pkg:github/Package-url/purl-Spec@244fd47e07d1004f0aed9c",
        "pkg:github/package-url/purl-spec@244fd47e07d1004f0aed9c",
    ),
    ("pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie", "pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie"),
    ("pkg:gem/ruby-advisory-db-check@0.12.4", "pkg:gem/ruby-advisory-db-check@0.12.4"),
    ("pkg:npm/%40angular/animation@12.3.1", "pkg:npm/%40angular/animation@12.3.1"),
    ("pkg:Npm/foobar@12.3.1", "pkg:npm/foobar@12.3.1"),
    ("pkg:npm/@babel/core", "pkg:npm/%40babel/core"),
    ("pkg:npm/@babel/core@7.0.0", "pkg:npm/%40babel/core@7.0.0"),
    ("pkg:PYPI/Django_package@1.11.1.dev1", "pkg:pypi/django-package@1.11.1.dev1"),
    (
        "pkg:Rpm/fedora/curl@7.50.3-1.fc25?Arch=i386&Distro=fedora-25",
        "pkg:rpm/fedora/curl@7.50.3-1.fc25?arch=i386&distro=fedora-25",
    ),
    ("pkg://npm//%40babel/core#/googleapis/api/annotations/", "pkg:npm/%40babel/core#googleapis/api/annotations"),
    (
        "pkg:docker/customer/dockerimage@sha256:244fd47e07d1004f0aed9c?repository_url=gcr.io",
        "pkg:docker/customer/dockerimage@sha256:244fd47e07d1004f0aed9c?repository_url=gcr.io",
    ),
    (
        "pkg:maven/mygroup/myartifact@1.0.0%20Final?mykey=my%20value",
        "pkg:maven/mygroup/myartifact@1.0.0%20Final?mykey=my%20value",
    ),
    ("pkg:nuget/EnterpriseLibrary.Common@6.0.1304", "pkg:nuget/EnterpriseLibrary.Common@6.0.1304"),
    ("pkg:generic/greeter?b=2&a=1&c=", "pkg:generic/greeter?a=1&b=2"),
    ("pkg:cargo/a@1.0.0%2Bb", "pkg:cargo/a@1.0.0%2Bb"),
    ("pkg:deb/debian/gcc-12@12.2.0-14%2Bdeb12u1?arch=amd64", "pkg:deb/debian/gcc-12@12.2.0-14%2Bdeb12u1?arch=amd64"),
];

#[test]
fn canonical_form_is_that_of_the_specification() {
    for (text, canonical) in SAMPLES {
        let purl: Purl = text.parse().expect(text);
        assert_eq!(purl.to_string(), *canonical);
        assert_eq!(canonical.parse(), Ok(purl), "{canonical}");
    }
}

#[test]
fn parts_are_found() {
    let purl: Purl = "pkg:npm/%40angular/animation@12.3.1?a=b%2Fc#x/y".parse().expect("purl");
    assert_eq!(purl.namespace.as_deref(), Some("@angular"));
    assert_eq!(purl.name, "animation");
    assert_eq!(purl.version.as_deref(), Some("12.3.1"));
    assert_eq!(purl.qualifiers["a"], "b/c");
    assert_eq!(purl.subpath.as_deref(), Some("x/y"));
    let made = Purl::new("deb", "gcc-12", "12.2.0-14+deb12u1").in_namespace("debian").with("arch", "amd64");
    assert_eq!(made.to_string(), "pkg:deb/debian/gcc-12@12.2.0-14%2Bdeb12u1?arch=amd64");
}

#[test]
fn other_texts_are_refused() {
    for (text, expected) in [
        ("", "`` is not a package URL: expected `pkg:TYPE/NAME@VERSION`"),
        (
            "EnterpriseLibrary.Common@6.0.1304",
            "`EnterpriseLibrary.Common@6.0.1304` is not a package URL: expected `pkg:TYPE/NAME@VERSION`",
        ),
        (
            "pkg:EnterpriseLibrary.Common@6.0.1304",
            "package URL `pkg:EnterpriseLibrary.Common@6.0.1304` has a malformed type",
        ),
        ("pkg:n&g?inx/nginx@0.8.9", "package URL `pkg:n&g?inx/nginx@0.8.9` has a malformed type"),
        ("pkg:3nginx/a", "package URL `pkg:3nginx/a` has a malformed type"),
        ("pkg:cargo/", "package URL `pkg:cargo/` has a malformed type"),
        ("pkg:maven/@1.3.4", "package URL `pkg:maven/@1.3.4` has a malformed name"),
        ("pkg:cargo/a@%zz", "package URL `pkg:cargo/a@%zz` has a malformed version"),
        ("pkg:cargo/a@%ff", "package URL `pkg:cargo/a@%ff` has a malformed version"),
        ("pkg:npm/a%2fb/c", "package URL `pkg:npm/a%2fb/c` has a malformed namespace"),
        ("pkg:npm/c#a%2fb", "package URL `pkg:npm/c#a%2fb` has a malformed subpath"),
        (
            "pkg:npm/myartifact@1.0.0?in%20production=true",
            "package URL `pkg:npm/myartifact@1.0.0?in%20production=true` has a malformed qualifier",
        ),
        ("pkg:npm/c?a=1&a=2", "package URL `pkg:npm/c?a=1&a=2` has a malformed qualifier"),
        ("pkg:npm/c?a", "package URL `pkg:npm/c?a` has a malformed qualifier"),
    ] {
        assert_eq!(text.parse::<Purl>().expect_err(text).to_string(), expected);
    }
    let long = format!("pkg:cargo/{}", "a".repeat(SIZE_MAX));
    assert_eq!(long.parse::<Purl>(), Err(PurlError::Size(SIZE_MAX + 10)));
}

#[test]
fn what_parses_prints_stably() {
    let mut mutator = Mutator::new(38);
    for (text, _) in SAMPLES {
        mutator.each(1_000, text.as_bytes(), |bytes| {
            if let Ok(purl) = String::from_utf8_lossy(bytes).parse::<Purl>() {
                let text = purl.to_string();
                assert_eq!(text.parse(), Ok(purl), "{text}");
            }
        });
    }
}

/// Found by fuzzing: 3,000 bytes that print as 9,000 were taken, and their own print was refused.
#[test]
fn what_would_print_too_long_to_be_read_again_is_refused() {
    let text = |count: usize| format!("pkg:generic/{}", " ".repeat(count));
    for count in [1, 1_000, SIZE_MAX / 3, SIZE_MAX - 20] {
        match text(count).parse::<Purl>() {
            Ok(purl) => assert_eq!(purl.to_string().parse::<Purl>(), Ok(purl), "{count}"),
            Err(error) => assert_eq!(error, PurlError::Size("pkg:generic/".len() + 3 * count), "{count}"),
        }
    }
    assert!(text(1_000).parse::<Purl>().is_ok() && text(SIZE_MAX - 20).parse::<Purl>().is_err());
}
