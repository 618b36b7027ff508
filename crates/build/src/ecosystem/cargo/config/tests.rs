use expect_test::expect;

use super::*;

#[test]
fn every_source_is_replaced_once() {
    let sources = [
        "registry+https://github.com/rust-lang/crates.io-index",
        "git+https://git.example.org/a%20b?branch=feature%2Fx&other=1",
        "git+file:///x",
        "git+file:///x",
        "sparse+https://crates.example/",
        "registry+https://index.example/",
    ];
    expect![[r#"
        [net]
        offline = true

        [source.assay]
        directory = "ven\"dor"

        [source.crates-io]
        replace-with = "assay"

        [source."git+file:///x"]
        git = "file:///x"
        replace-with = "assay"

        [source."git+https://git.example.org/a%20b?branch=feature%2Fx&other=1"]
        git = "https://git.example.org/a%20b"
        branch = "feature/x"
        replace-with = "assay"

        [source."registry+https://index.example/"]
        registry = "https://index.example/"
        replace-with = "assay"

        [source."sparse+https://crates.example/"]
        registry = "sparse+https://crates.example/"
        replace-with = "assay"
    "#]]
    .assert_eq(&text(sources.into_iter(), Some("ven\"dor")));
    assert_eq!(text(sources.into_iter(), None), "[net]\noffline = true\n");
}

#[test]
fn what_is_no_percent_encoding_stays() {
    for (from, to) in
        [("%", "%"), ("%2", "%2"), ("%zz", "%zz"), ("a%2Fb%", "a/b%"), ("%ff", "\u{fffd}"), ("%+1", "%+1")]
    {
        assert_eq!(decoded(from), to);
    }
}
