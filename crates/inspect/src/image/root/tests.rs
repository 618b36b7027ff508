use expect_test::{Expect, expect};

use super::*;

/// A layer from lines: `d PATH`, `f PATH CONTENT`, `x PATH CONTENT`, `l PATH TARGET`, `h PATH TARGET`, `c PATH` (a device).
fn layer(lines: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.splitn(3, ' ');
        let mut next = || words.next().unwrap_or_default();
        let (kind, path, rest) = (next(), next(), next());
        let mut header = tar::Header::new_ustar();
        header.set_mode(if kind == "x" { 0o4755 } else { 0o644 });
        header.set_size(0);
        let (flag, content) = match kind {
            "d" => (tar::EntryType::Directory, ""),
            "l" => (tar::EntryType::Symlink, ""),
            "h" => (tar::EntryType::Link, ""),
            "c" => (tar::EntryType::Char, ""),
            _ => (tar::EntryType::Regular, rest),
        };
        header.set_entry_type(flag);
        if matches!(kind, "l" | "h") {
            header.set_link_name_literal(rest).expect("it is short");
        }
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content.as_bytes()).expect("a vector takes every byte");
    }
    tar.into_inner().expect("a vector takes every byte")
}

/// Puts layers upon one another and shows what there is.
fn show(layers: &[&str]) -> String {
    let mut root = Root::default();
    let mut contents = BTreeMap::new();
    for (index, lines) in layers.iter().enumerate() {
        let mut keep = |at: Place, bytes: &mut dyn Read| {
            let mut text = String::new();
            bytes.read_to_string(&mut text).map_err(ArchiveError::Read)?;
            contents.insert(at, text);
            Ok(())
        };
        let applied = read(&mut layer(lines).as_slice(), index, &mut keep).and_then(|changes| root.apply(changes));
        if let Err(error) = applied {
            return format!("layer {index}: {error}\n");
        }
    }
    let mut out = String::new();
    for (path, node) in root.entries() {
        out.push_str(&match node {
            Node::Directory => format!("{path}/\n"),
            Node::Link { target } => format!("{path} -> {target}\n"),
            Node::File { at, executable } => {
                let mark = if *executable { "* " } else { " " };
                format!("{path}{mark}= {}\n", contents.get(at).map_or("NOT KEPT", String::as_str))
            }
        });
    }
    if root.dropped() > 0 {
        out.push_str(&format!("{} dropped\n", root.dropped()));
    }
    out
}

fn check(layers: &[&str], expected: Expect) {
    expected.assert_eq(&show(layers));
}

#[test]
fn a_layer_adds_changes_and_removes() {
    check(
        &[
            "d etc/\n f etc/a one\n f etc/b two\n x bin/tool first\n d var/lib\n f var/lib/x 1",
            "f etc/a new\n f etc/.wh.b\n f .wh.var\n x bin/other second",
        ],
        expect![[r#"
            bin/
            bin/other* = second
            bin/tool* = first
            etc/
            etc/a = new
        "#]],
    );
}

#[test]
fn deletions_touch_only_what_lies_below_their_layer() {
    // Also where they stand behind what their own layer brings.
    check(
        &[
            "f d/old 1\n f d/kept 2\n f e/old 3",
            "f d/old new\n f d/.wh.old\n f e/new 4\n f e/.wh..wh..opq\n f .wh.nothing\n f nowhere/.wh.x",
        ],
        expect![[r#"
            d/
            d/kept = 2
            d/old = new
            e/
            e/new = 4
        "#]],
    );
    check(
        &["f a 1\n d b", "f .wh..wh..opq\n f c 2"],
        expect![[r#"
        c = 2
    "#]],
    );
}

#[test]
fn names_that_begin_alike_are_not_below() {
    check(
        &["f d/x 1\n f d.e 2\n f d0 3\n f d-f/y 4", "f .wh.d"],
        expect![[r#"
            d-f/
            d-f/y = 4
            d.e = 2
            d0 = 3
        "#]],
    );
}

#[test]
fn what_stood_there_gives_way() {
    check(
        &["f a file\n d b\n f b/x 1\n l c b\n d k\n f k/x 1", "d a\n f a/y 2\n f b file\n d c\n d k"],
        expect![[r#"
            a/
            a/y = 2
            b = file
            c/
            k/
            k/x = 1
        "#]],
    );
}

#[test]
fn links_of_lower_layers_are_followed_inside_the_root() {
    check(
        &[
            "d usr/lib\n l lib usr/lib\n l out ../../..\n l abs /usr/lib\n f usr/lib/old 1\n l twice lib/",
            "f lib/a 1\n f out/b 2\n f abs/c 3\n f lib/.wh.old\n f twice/new/d 4\n h usr/e lib/a",
        ],
        expect![[r#"
            abs -> /usr/lib
            b = 2
            lib -> usr/lib
            out -> ../../..
            twice -> lib/
            usr/
            usr/e = 1
            usr/lib/
            usr/lib/a = 1
            usr/lib/c = 3
            usr/lib/new/
            usr/lib/new/d = 4
        "#]],
    );
    // A link to what is not there yet makes it, as a kernel would not: the directories are made as tar makes them.
    check(
        &["l run var/run", "f run/x 1"],
        expect![[r#"
        run -> var/run
        var/
        var/run/
        var/run/x = 1
    "#]],
    );
}

#[test]
fn hard_links_share_a_file_of_any_layer_below() {
    check(
        &["x bin/a program\n h bin/b bin/a\n l s a", "h c bin/a\n h d s\n f bin/a changed"],
        expect![[r#"
            bin/
            bin/a = changed
            bin/b* = program
            c* = program
            d -> a
            s -> a
        "#]],
    );
}

#[test]
fn devices_are_left_out_and_counted() {
    check(
        &["c dev/null\n f a 1", "c dev/zero"],
        expect![[r#"
        a = 1
        2 dropped
    "#]],
    );
}

#[test]
fn bad_layers_are_refused_with_their_path() {
    for (layers, expected) in [
        (&["f a 1", "f a/b 2"][..], "layer 1: `a` lies below something that is no directory\n"),
        (&["l a a", "f a/b 2"], "layer 1: `a` leads through more than 40 links\n"),
        (&["l a b\n l b a", "f a/.wh.x"], "layer 1: `a` leads through more than 40 links\n"),
        (&["l a gone/../../b", "f a/x 1"], "layer 1: `a` lies below something that is no directory\n"),
        (&["h a nothing"], "layer 0: `a` is a hard link to `nothing`, which is no file\n"),
        (&["d d", "h a d"], "layer 1: `a` is a hard link to `d`, which is no file\n"),
        (&["h a ../b"], "layer 0: `a` links to `../b`, which is not allowed\n"),
        (&["f .wh.a text"], "layer 0: `.wh.a` is no deletion: those are empty files with a name behind `.wh.`\n"),
        (&["d .wh.a"], "layer 0: `.wh.a` is no deletion: those are empty files with a name behind `.wh.`\n"),
        (&["f x/.wh."], "layer 0: `x/.wh.` is no deletion: those are empty files with a name behind `.wh.`\n"),
        (&["f .wh..."], "layer 0: `.wh...` is no deletion: those are empty files with a name behind `.wh.`\n"),
        (
            &["f .wh..wh.aufs"],
            "layer 0: `.wh..wh.aufs` is no deletion: those are empty files with a name behind `.wh.`\n",
        ),
        (&["f ../a 1"], "layer 0: member 0: `../a` is no path inside the archive\n"),
        (&["f /a 1"], "layer 0: member 0: `/a` is no path inside the archive\n"),
        (&["f a 1\n f a 2"], "layer 0: `a` stands twice in the archive\n"),
    ] {
        assert_eq!(show(layers), expected, "{layers:?}");
    }
}

#[test]
fn files_are_found_through_links_inside_the_root() {
    let mut root = Root::default();
    let lines = "f usr/lib/os-release text\n l etc/os-release ../usr/lib/os-release\n l abs /etc/os-release\n l loop loop\n l up ../../usr";
    let changes = read(&mut layer(lines).as_slice(), 0, &mut |_, _| Ok(())).expect("it is good");
    root.apply(changes).expect("it is good");
    let file = Node::File { at: Place { layer: 0, file: 0 }, executable: false };
    for path in ["usr/lib/os-release", "etc/os-release", "abs", "/abs", "up/lib/os-release"] {
        assert_eq!(root.follow(path), Some(&file), "{path}");
    }
    for path in ["loop", "nothing", "abs/x", "up/nothing"] {
        assert_eq!(root.follow(path), None, "{path}");
    }
}
