use super::*;

#[test]
fn shows_place_text_and_what_is_allowed() {
    let text = "a = 1\nübel = 2\n";
    let problem = Problem::at("x.toml", text, text.find('=').expect("has one") + 10, "wrong".into(), Some("b".into()));
    assert_eq!(problem.to_string(), "x.toml:2:6: wrong\n  | übel = 2\n  |      ^\n  = b");
    assert_eq!(problem.one_line(), "x.toml:2:6: wrong; b");
}

#[test]
fn an_offset_beyond_the_end_or_inside_a_character_is_held() {
    for offset in 0..10 {
        let problem = Problem::at("x", "ü\nö", offset, String::new(), None);
        assert!(problem.line <= 2 && problem.column <= 2, "{offset}");
    }
    assert_eq!(Problem::at("x", "", 5, String::new(), None).line, 1);
}

#[test]
fn finds_the_word_that_was_meant() {
    let known = ["name", "owners", "packages"];
    for (word, meant) in [("nmae", Some("name")), ("pakages", Some("packages")), ("zebra", None), ("", None)] {
        assert_eq!(nearest(word, &known), meant, "{word}");
    }
}
