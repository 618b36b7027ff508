use wire::mutation::Mutator;

use super::*;

/// Writes a document as one value a line: its place, its path, what it is.
fn shown(node: &Node) -> String {
    fn walk(node: &Node, path: &str, out: &mut Vec<String>) {
        let value = match &node.value {
            Value::Null => "null".to_owned(),
            Value::Flag(flag) => flag.to_string(),
            Value::Number(text) => format!("number {text}"),
            Value::Text(text) => format!("{text:?}"),
            Value::List(list) => format!("list of {}", list.len()),
            Value::Map(map) => format!("table of {}", map.0.len()),
        };
        out.push(format!("{} {path} {value}", node.at));
        match &node.value {
            Value::List(list) => list.iter().for_each(|one| walk(one, &format!("{path}[]"), out)),
            Value::Map(map) => map.iter().for_each(|(key, one)| walk(one, &format!("{path}.{key}"), out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(node, "", &mut out);
    out.join("\n")
}

const JSON: &str = "{\n  \"a\": [\"ü\", 1,\n    {\"b\": true}],\n\t\"ü\" : null, \"c\": -2.5\n}\n";

#[test]
fn json_knows_its_places() {
    let expected = "1:1  table of 3\n2:3 .a list of 3\n2:9 .a[] \"ü\"\n2:14 .a[] number 1\n3:5 .a[] table of 1\n\
                    3:6 .a[].b true\n4:2 .ü null\n4:14 .c number -2.5";
    assert_eq!(shown(&json(JSON).expect("JSON")), expected);
}

#[test]
fn toml_keeps_the_order_of_the_file() {
    let text = "z = \"1\"\na = [true, 2]\n[[m]]\nb = \"x\"\n  [[m]]\n";
    let expected = "1:1  table of 3\n1:5 .z \"1\"\n2:5 .a list of 2\n2:6 .a[] true\n2:12 .a[] number 2\n\
                    3:1 .m list of 2\n3:1 .m[] table of 1\n4:5 .m[].b \"x\"\n5:3 .m[] table of 0";
    assert_eq!(shown(&toml(text).expect("TOML")), expected);
}

#[test]
fn yaml_knows_its_places() {
    let text = "# c\na: ['x', 8,\n  {ü: true}]\n? \"é b\"\n: ~\nd:\n- 1.0\n- 'null'\n";
    let expected = "2:1  table of 3\n2:1 .a list of 3\n2:5 .a[] \"x\"\n2:10 .a[] number 8\n3:3 .a[] table of 1\n\
                    3:4 .a[].ü true\n4:3 .é b null\n6:1 .d list of 2\n7:3 .d[] \"1.0\"\n8:3 .d[] \"null\"";
    assert_eq!(shown(&yaml(text).expect("YAML")), expected);
}

#[test]
fn refusals_say_where() {
    let json = |text: &str| json(text).map_err(|refusal| refusal.in_file("f").to_string());
    let toml = |text: &str| toml(text).map_err(|refusal| refusal.in_file("f").to_string());
    let cases = [
        (json("{\"a\":1,\n \"a\":2}"), "f:2:2: key `a` stands twice"),
        (json("{\"a\":1} x"), "f:1:9: trailing characters"),
        (json(""), "f:1:1: EOF while parsing a value"),
        (json(&"[".repeat(66)), "f:1:66: the file has more levels than the 64 allowed"),
        (toml("a = 1\na = 2"), "f:2:1: duplicate key"),
        (
            toml(&format!("a = {}1{}", "[".repeat(70), "]".repeat(70))),
            "f:1:69: the file has more levels than the 64 allowed",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found.expect_err(expected), expected);
    }
    let many = format!("[{}0]", "0,".repeat(NODES_MAX));
    assert!(json(&many).expect_err("too many").contains("more values than the 2000000 allowed"));
    assert_eq!(
        text_of(b"a\n\xff").map_err(|r| r.in_file("f").to_string()),
        Err("f:2:1: the file is not UTF-8 text".into())
    );
    assert!(matches!(text_of(&vec![b' '; LOCK_BYTES_MAX + 1]), Err(Refusal { reason: Reason::TooLarge { .. }, .. })));
}

#[test]
fn accessors_name_the_key() {
    let node = json("{\"a\": 1, \"b\": \"x\", \"c\": null, \"d\": -1}").expect("JSON");
    let map = node.map("").expect("a table");
    let said = |refusal: Option<Refusal>| refusal.map(|one| one.in_file("f").to_string()).expect("refused");
    assert_eq!(said(map.text("a").err()), "f:1:2: `a` is a number: expected a text");
    assert_eq!(said(map.flag("b").err()), "f:1:10: `b` is a text: expected true or false");
    assert_eq!(said(map.list("b").err()), "f:1:10: `b` is a text: expected a list");
    assert_eq!(said(map.size("d").err()), "f:1:31: `d` is a number: expected a whole number that is not negative");
    assert_eq!(said(map.required("c", node.at).err()), "f:1:1: `c` is missing");
    assert_eq!(map.texts("b").expect("one"), ["x"]);
}

#[test]
fn survives_mutation() {
    Mutator::new(1).each(2000, JSON.as_bytes(), |bytes| drop(text_of(bytes).map(json)));
    Mutator::new(3).each(2000, b"a: ['x', 8,\n  {b: true}]\n? \"b\"\n: ~\nd:\n- 1.0\n- |\n  x", |bytes| {
        drop(text_of(bytes).map(yaml));
    });
    Mutator::new(2)
        .each(2000, b"z = \"1\"\na = [true, {b=2}]\n[[m]]\nb = \"x\"", |bytes| drop(text_of(bytes).map(toml)));
}
