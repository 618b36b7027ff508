use super::*;

#[test]
fn links_with_a_digest_are_found_however_they_are_written() {
    let hex = "a".repeat(64);
    let page = format!(
        "<a href=\"https://files.example/a/b/x-1.0-py3-none-any.whl#sha256={hex}\" data-requires-python=\"&gt;=3\">x</a>\n\
         <a class='y' href='../../packages/x-1.0.tar.gz#sha256={hex}'>x</a>\n\
         <a href=\"/root/x-1.0%2Blocal.zip?a=1&amp;b=2#sha256={hex}\">x</a>\n\
         <a href=\"//cdn.example/x-2.0.tar.gz#sha256={hex}\">x</a>\n\
         <a href=\"x-3.0.tar.gz\">no digest</a><a href=\"x-4.0.tar.gz#md5=abc\">weak</a>\n\
         <a href=\"x-5.0.exe#sha256={hex}\">no package</a><a href=unquoted>"
    );
    let found: Vec<String> = links("https://pypi.example/simple/x/", &page)
        .into_iter()
        .map(|(name, url, _)| format!("{name} {url}"))
        .collect();
    assert_eq!(
        found,
        [
            "x-1.0-py3-none-any.whl https://files.example/a/b/x-1.0-py3-none-any.whl",
            "x-1.0.tar.gz https://pypi.example/packages/x-1.0.tar.gz",
            "x-1.0+local.zip https://pypi.example/root/x-1.0%2Blocal.zip?a=1&b=2",
            "x-2.0.tar.gz https://cdn.example/x-2.0.tar.gz",
        ]
    );
}

#[test]
fn names_that_are_paths_are_no_file_names() {
    for name in ["../x.whl", "a/b.whl", ".x.whl", "x.exe", "", "x .whl"] {
        assert!(!is_file_name(name), "{name}");
    }
    assert!(is_file_name("x-1!2.0+local-py3-none-any.whl"));
}

#[test]
fn mutations_of_a_page_never_panic() {
    let page = format!("<a href=\"../../x-1.0.tar.gz#sha256={}\">x</a>", "a".repeat(64));
    crate::testing::fuzz(page.as_bytes(), |bytes| drop(links("https://x/y/", &String::from_utf8_lossy(bytes))));
}
