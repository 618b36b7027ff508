use serde_json::Value;

use super::*;
use crate::mutation::Mutator;

/// Writes a random value twice, with the keys of each object in another order and other blanks.
fn written(random: &mut Mutator, depth: usize) -> (String, String) {
    const TEXTS: [&str; 6] = ["", "a", "\u{fc}\u{1f600}", "q\\\"", "\u{7f}\n\u{1}", "\u{2028}</"];
    let text = |random: &mut Mutator| serde_json::to_string(TEXTS[random.below(6)]).expect("a text");
    let same = |text: String| (text.clone(), text);
    match random.below(if depth == 0 { 4 } else { 6 }) {
        0 => same(["null", "true", "false"][random.below(3)].to_owned()),
        1 => same((random.next() as i32).to_string()),
        2 => same(format!("{}.{}e{}", random.below(1000), random.below(100_000), random.below(40) as i32 - 20)),
        3 => same(text(random)),
        4 => {
            let items: Vec<_> = (0..random.below(4)).map(|_| written(random, depth - 1)).collect();
            let joined = |items: Vec<&str>| format!("[{}]", items.join(", "));
            (joined(items.iter().map(|i| &*i.0).collect()), joined(items.iter().map(|i| &*i.1).collect()))
        }
        _ => {
            let count = random.below(5);
            let fields: Vec<_> = (0..count)
                .map(|number| {
                    let key = text(random);
                    let key = format!("{}{number}\"", &key[..key.len() - 1]);
                    let (one, other) = written(random, depth - 1);
                    (format!("{key}:{one}"), format!("{key} : {other}"))
                })
                .collect();
            let one: Vec<&str> = fields.iter().map(|field| &*field.0).collect();
            let other: Vec<&str> = fields.iter().rev().map(|field| &*field.1).collect();
            (format!("{{{}}}", one.join(",")), format!("{{ {} }}", other.join(" ,\n")))
        }
    }
}

#[test]
fn once_is_enough_and_neither_order_nor_blanks_count() {
    let mut random = Mutator::new(8785);
    let mut objects = 0;
    for _ in 0..5_000 {
        let (one, other) = written(&mut random, 4);
        objects += usize::from(one.starts_with('{'));
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let canonical = to_vec(&parsed(&one));
        assert_eq!(to_vec(&parsed(&other)), canonical, "{one}\n{other}");
        let text = String::from_utf8(canonical.clone()).expect("JSON is UTF-8");
        assert_eq!(to_vec(&parsed(&text)), canonical, "{text}");
    }
    assert!(objects > 300, "only {objects} objects");
}

/// The example of RFC 8785 section 3.2.3.
#[test]
fn keys_are_sorted_by_their_utf_16_units() {
    let value: Value = serde_json::from_str(
        r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#,
    )
    .expect("the example");
    let text = String::from_utf8(to_vec(&value)).expect("text");
    let places: Vec<usize> = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"]
        .map(|word| text.find(word).expect("it is there"))
        .to_vec();
    assert!(places.is_sorted(), "{text}");
}
