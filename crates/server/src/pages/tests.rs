use std::collections::BTreeMap;

use super::*;

/// The colours of one palette of the style sheet, red, green and blue.
fn palette(css: &str) -> BTreeMap<String, [f64; 3]> {
    let mut colours = BTreeMap::new();
    for part in css.split(';') {
        let Some((name, value)) = part.trim().rsplit_once(": #") else { continue };
        let name = name.rsplit("--").next().expect("a name").to_owned();
        let channel = |at: usize| f64::from(u8::from_str_radix(&value[at..at + 2], 16).expect("a colour")) / 255.0;
        colours.insert(name, [channel(0), channel(2), channel(4)]);
    }
    colours
}

/// Relative luminance, WCAG 2.2 <https://www.w3.org/TR/WCAG22/#dfn-relative-luminance>.
fn luminance(colour: [f64; 3]) -> f64 {
    let linear = |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
    0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2])
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Text, and the grounds that it stands on.
const PAIRS: &[(&str, &[&str])] = &[
    (
        "ink",
        &[
            "ground",
            "sheet",
            "plain-ground",
            "made",
            "input",
            "said",
            "live",
            "good-ground",
            "bad-ground",
            "open-ground",
        ],
    ),
    ("dim", &["ground", "sheet", "plain-ground", "made", "input", "said", "live"]),
    ("link", &["ground", "sheet", "plain-ground", "good-ground", "bad-ground", "open-ground"]),
    ("good", &["good-ground"]),
    ("bad", &["bad-ground"]),
    ("open", &["open-ground"]),
];

#[test]
fn text_is_readable_in_light_and_dark() {
    let (light, rest) = STYLE.split_once("@media (prefers-color-scheme: dark)").expect("two palettes");
    let dark = rest.split("* { box-sizing").next().expect("the second palette");
    for (name, css) in [("light", light), ("dark", dark)] {
        let colours = palette(css);
        for (text, grounds) in PAIRS {
            for ground in *grounds {
                let found = contrast(colours[*text], colours[*ground]);
                assert!(found >= 4.5, "{name}: {text} on {ground} has a contrast of {found:.2}");
            }
        }
        for ground in ["ground", "sheet"] {
            let found = contrast(colours["focus"], colours[ground]);
            assert!(found >= 3.0, "{name}: the focus ring on {ground} has a contrast of {found:.2}");
        }
    }
}

#[test]
fn no_template_has_script() {
    for template in [
        include_str!("../../templates/base.html"),
        include_str!("../../templates/node.html"),
        include_str!("../../templates/login.html"),
        include_str!("../../templates/problem.html"),
    ] {
        assert!(!template.contains("<script") && !template.contains(" onclick") && !template.contains(" style="));
    }
}
