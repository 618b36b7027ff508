use serde_json::json;

use super::*;

#[test]
fn objects_become_rows_and_lists_of_objects_columns() {
    let shown = table(&json!({"b": [{"x": 1, "y": true}, {"x": 2}], "a": ["one", null]}));
    assert_eq!(
        shown,
        "<table class=\"fields\"><tbody><tr><th scope=\"row\">a</th><td><ul><li>one</li>\
         <li><span class=\"dim\">none</span></li></ul></td></tr><tr><th scope=\"row\">b</th><td><table><thead><tr>\
         <th scope=\"col\">x</th><th scope=\"col\">y</th></tr></thead><tbody><tr><td>1</td><td>yes</td></tr>\
         <tr><td>2</td><td></td></tr></tbody></table></td></tr></tbody></table>"
    );
}

#[test]
fn inner_objects_become_groups() {
    let shown = table(&json!({"a": {"b": {"c": 1}, "d": 2}, "z": 3}));
    assert_eq!(
        shown,
        "<table class=\"fields\"><tbody><tr><th scope=\"row\">z</th><td>3</td></tr>\
         <tr class=\"group\"><th colspan=\"2\" scope=\"colgroup\">a</th></tr><tr><th scope=\"row\">d</th><td>2</td></tr>\
         <tr class=\"group\"><th colspan=\"2\" scope=\"colgroup\">a › b</th></tr><tr><th scope=\"row\">c</th><td>1</td></tr>\
         </tbody></table>"
    );
}

#[test]
fn digests_are_links() {
    let digest = wire::digest::Digest::of(b"x");
    assert!(table(&json!(digest.to_string())).contains(&format!("href=\"/search?q={digest}\"")));
    assert!(table(&json!({"git": {"gitCommit": "4c1f"}})).contains("href=\"/search?q=git:4c1f\""));
    assert!(table(&json!({"sha256": digest.hex()})).contains(&format!("href=\"/search?q={digest}\"")));
}

#[test]
fn texts_from_outside_are_escaped_and_cut() {
    let shown = table(&json!({"<b>": "</td><script>", "long": "é".repeat(5000), "\"": "a\n<i>"}));
    assert!(!shown.contains("<script>") && !shown.contains("<b>") && !shown.contains("<i>"), "{shown}");
    assert!(shown.len() < 6000);
}

#[test]
fn depth_and_length_are_limited() {
    let mut deep = json!("end");
    for _ in 0..100 {
        deep = json!([deep]);
    }
    assert!(table(&deep).len() < 1000);
    let mut deep = json!("end");
    for _ in 0..100 {
        deep = json!({ "in": deep });
    }
    assert!(table(&deep).len() < 20_000);
    let long: Vec<u32> = (0..10_000).collect();
    assert!(table(&json!(long)).contains("9940 more"));
}
