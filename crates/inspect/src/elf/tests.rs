use std::collections::BTreeMap;

use model::tree::{Entry, Tree};
use wire::digest::Digest;

use super::*;

/// A binary made for a test.
#[derive(Clone, Default)]
struct Made {
    bits: u8,
    machine: u16,
    interpreter: &'static str,
    needed: Vec<&'static str>,
    rpath: &'static str,
    runpath: &'static str,
}

fn amd64(needed: &[&'static str]) -> Made {
    Made { bits: 64, machine: X86_64, needed: needed.to_vec(), ..Made::default() }
}

impl Made {
    /// Lays it out: file header, three program headers, interpreter, strings, dynamic section, all loaded at address 0.
    fn bytes(&self) -> Vec<u8> {
        let wide = self.bits == 64;
        let word = |value: usize| {
            if wide { (value as u64).to_le_bytes().to_vec() } else { (value as u32).to_le_bytes().to_vec() }
        };
        let (header_size, segment_size) = if wide { (64, 56) } else { (52, 32) };
        let interpreter = [self.interpreter.as_bytes(), b"\0"].concat();
        let mut strings = b"\0".to_vec();
        let mut entries = Vec::new();
        let texts = self.needed.iter().map(|text| (1, *text));
        for (tag, text) in texts.chain([(15, self.rpath), (29, self.runpath)]).filter(|(_, text)| !text.is_empty()) {
            entries.push((tag, strings.len()));
            strings.extend([text.as_bytes(), b"\0"].concat());
        }
        let strings_at = header_size + 3 * segment_size + interpreter.len();
        let dynamic_at = (strings_at + strings.len()).next_multiple_of(8);
        entries.extend([(5, strings_at), (10, strings.len()), (0, 0)]);
        let dynamic: Vec<u8> = entries.iter().flat_map(|(tag, value)| [word(*tag), word(*value)].concat()).collect();
        let end = dynamic_at + dynamic.len();

        let mut out = vec![0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        out.extend([3u16.to_le_bytes(), self.machine.to_le_bytes()].concat());
        out.extend(1u32.to_le_bytes());
        out.extend([word(0), word(header_size), word(0)].concat());
        out.extend(0u32.to_le_bytes());
        for half in [header_size, segment_size, 3, 0, 0, 0] {
            out.extend((half as u16).to_le_bytes());
        }
        let no_interpreter = self.interpreter.is_empty();
        let segments = [
            (1u32, 0, end),
            (if no_interpreter { 0 } else { 3 }, header_size + 3 * segment_size, interpreter.len()),
            (2, dynamic_at, dynamic.len()),
        ];
        for (kind, at, size) in segments {
            out.extend(kind.to_le_bytes());
            if wide {
                out.extend(4u32.to_le_bytes());
            }
            out.extend([word(at), word(at), word(at), word(size), word(size)].concat());
            if !wide {
                out.extend(4u32.to_le_bytes());
            }
            out.extend(word(1));
        }
        out.extend(interpreter);
        out.extend(strings);
        out.resize(dynamic_at, 0);
        out.extend(dynamic);
        out
    }
}

/// A base made for a test: links by `path -> target`, files by their bytes.
#[derive(Default)]
struct Base {
    tree: Tree,
    files: BTreeMap<String, Vec<u8>>,
}

impl Base {
    fn file(mut self, path: &str, bytes: Vec<u8>) -> Base {
        let entry = Entry::File { digest: Digest::of(&bytes), size: bytes.len() as u64, executable: true };
        self.tree.insert(path, entry).expect("a path of the test");
        self.files.insert(path.to_owned(), bytes);
        self
    }

    fn link(mut self, path: &str, target: &str) -> Base {
        self.tree.insert(path, Entry::Link { target: target.to_owned() }).expect("a path of the test");
        self
    }

    /// A merged `/usr` as Debian has it, with a loader and a C library.
    fn debian() -> Base {
        Base::default()
            .link("lib", "usr/lib")
            .link("lib64", "usr/lib64")
            .link("usr/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
            .file("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", amd64(&[]).bytes())
            .file("usr/lib/x86_64-linux-gnu/libc.so.6", amd64(&["ld-linux-x86-64.so.2"]).bytes())
    }

    /// The closure of a binary at `/opt/app/bin/app`: its paths, what must be configured, or the error.
    fn check(&self, binary: &Made) -> String {
        let mut read = |path: &str| self.files.get(path).cloned().ok_or_else(|| std::io::ErrorKind::NotFound.into());
        match closure("/opt/app/bin/app", &binary.bytes(), &self.tree, &mut read) {
            Ok(closure) if closure.configured.is_empty() => closure.paths.join(" "),
            Ok(closure) => format!("{} + {}", closure.paths.join(" "), closure.configured.join(":")),
            Err(error) => format!("error: {error}"),
        }
    }
}

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

fn program(needed: &[&'static str]) -> Made {
    Made { interpreter: LOADER, ..amd64(needed) }
}

#[test]
fn reads_what_a_binary_says() {
    let made = Made { rpath: "/a:$ORIGIN/b", runpath: "/c", ..program(&["libz.so.1", "libc.so.6"]) };
    let elf = parse("app", &made.bytes()).expect("a binary");
    assert_eq!(elf.interpreter.as_deref(), Some(LOADER));
    assert_eq!(elf.needed, ["libz.so.1", "libc.so.6"]);
    assert_eq!((elf.rpath, elf.runpath), (vec!["/a".to_owned(), "$ORIGIN/b".to_owned()], vec!["/c".to_owned()]));
    assert_eq!((elf.linkage, elf.machine.oci_name()), (Linkage::Dynamic, Some("amd64")));

    let narrow = parse("app", &Made { bits: 32, machine: 3, ..amd64(&["libc.so.6"]) }.bytes()).expect("a binary");
    assert_eq!((narrow.needed.len(), narrow.machine.to_string()), (1, "machine 3 (32 bits)".to_owned()));
    assert_eq!(parse("app", &amd64(&[]).bytes()).expect("a binary").linkage, Linkage::Static);
    assert!(matches!(parse("script", b"#!/bin/sh"), Err(ElfError::NotElf(_))));
}

#[test]
fn reads_the_binary_of_this_test() {
    let path = std::env::current_exe().expect("a running test");
    let elf = parse("test", &std::fs::read(path).expect("its own file")).expect("a binary");
    assert!(elf.machine.oci_name().is_some());
    assert!(elf.linkage == Linkage::Static || elf.interpreter.is_some());
}

#[test]
fn follows_links_to_loader_and_libraries() {
    let libraries = "lib lib64 usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 usr/lib/x86_64-linux-gnu/libc.so.6";
    let base = Base::debian();
    assert_eq!(base.check(&program(&["libc.so.6"])), format!("{libraries} usr/lib64/ld-linux-x86-64.so.2"));
    assert_eq!(base.check(&amd64(&[])), "", "a static binary needs nothing");

    let base = Base::debian()
        .link("usr/lib/x86_64-linux-gnu/libz.so.1", "libz.so.1.2.13")
        .file("usr/lib/x86_64-linux-gnu/libz.so.1.2.13", amd64(&["libc.so.6"]).bytes());
    let found = base.check(&program(&["libz.so.1"]));
    assert!(
        found.contains("/libz.so.1 ") && found.contains("/libz.so.1.2.13") && found.contains("/libc.so.6"),
        "{found}"
    );
}

#[test]
fn names_what_is_missing_and_who_needs_it() {
    let base = Base::debian().file("usr/lib/liba.so", amd64(&["libb.so"]).bytes());
    assert_eq!(
        base.check(&program(&["liba.so"])),
        "error: `libb.so`, which `usr/lib/liba.so` needs, is not in the base (looked in /lib/x86_64-linux-gnu, \
         /usr/lib/x86_64-linux-gnu, /lib64, /usr/lib64, /lib, /usr/lib)"
    );
    assert_eq!(
        Base::default().check(&program(&[])),
        format!("error: `{LOADER}`, which `/opt/app/bin/app` needs, is not in the base (looked in {LOADER})")
    );
}

#[test]
fn passes_over_other_machines_and_texts() {
    let narrow = Made { bits: 32, machine: 3, ..amd64(&[]) };
    let base = Base::debian()
        .file("usr/lib/x86_64-linux-gnu/liba.so", narrow.bytes())
        .file("usr/lib64/liba.so", b"INPUT ( -lother )".to_vec())
        .file("usr/lib/liba.so", amd64(&[]).bytes());
    let found = base.check(&program(&["liba.so"]));
    assert!(found.contains("usr/lib/liba.so") && !found.contains("gnu/liba.so"), "{found}");
}

#[test]
fn searches_where_the_binary_says() {
    let base = || Base::debian().file("opt/app/lib/liba.so", amd64(&[]).bytes());
    for (rpath, runpath) in [("$ORIGIN/../lib", ""), ("", "${ORIGIN}/../lib"), ("/nowhere", "/opt/app/lib")] {
        let found = base().check(&Made { rpath, runpath, ..program(&["liba.so"]) });
        assert!(found.contains("opt/app/lib/liba.so"), "{rpath} {runpath}: {found}");
    }
    for (rpath, runpath) in [("/opt/app/lib", "/nowhere"), ("$LIB/x:lib", ""), ("", "")] {
        let found = base().check(&Made { rpath, runpath, ..program(&["liba.so"]) });
        assert!(found.starts_with("error: `liba.so`"), "{rpath} {runpath}: {found}");
    }
    // A library inherits `DT_RPATH`, not `DT_RUNPATH`.
    let base = Base::debian()
        .file("opt/app/lib/liba.so", amd64(&["libb.so"]).bytes())
        .file("opt/app/lib/libb.so", amd64(&[]).bytes());
    assert!(base.check(&Made { rpath: "/opt/app/lib", ..program(&["liba.so"]) }).contains("libb.so"));
    assert!(base.check(&Made { runpath: "/opt/app/lib", ..program(&["liba.so"]) }).starts_with("error: `libb.so`"));
}

#[test]
fn reads_the_loaders_configuration() {
    let base = Base::debian()
        .file("etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n# /not/this\n".to_vec())
        .file(
            "etc/ld.so.conf.d/a.conf",
            b"/lib/x86_64-linux-gnu\n/usr/local/lib # ours\ninclude /etc/ld.so.conf\n".to_vec(),
        )
        .file("etc/ld.so.conf.d/a.bak", b"/bak\n".to_vec())
        .file("usr/local/lib/liba.so", amd64(&[]).bytes());
    let found = base.check(&program(&["liba.so", "libc.so.6"]));
    assert!(found.ends_with(" usr/local/lib/liba.so + /usr/local/lib"), "{found}");
}

#[test]
fn knows_that_musls_loader_is_its_library() {
    let base = Base::default().file("lib/ld-musl-x86_64.so.1", amd64(&[]).bytes());
    let binary = Made { interpreter: "/lib/ld-musl-x86_64.so.1", ..amd64(&["libc.musl-x86_64.so.1"]) };
    assert_eq!(base.check(&binary), "lib/ld-musl-x86_64.so.1");
}

#[test]
fn ends_on_circles() {
    let base = Base::debian().link("usr/lib/liba.so", "libb.so").link("usr/lib/libb.so", "liba.so");
    assert!(base.check(&program(&["liba.so"])).starts_with("error: `liba.so`"));
    let base = Base::debian()
        .file("usr/lib/liba.so", amd64(&["libb.so"]).bytes())
        .file("usr/lib/libb.so", amd64(&["liba.so"]).bytes());
    assert!(base.check(&program(&["liba.so"])).contains("libb.so"));
}

#[test]
fn survives_mutation() {
    let made = Made { rpath: "/a", ..program(&["libz.so.1", "libc.so.6"]) };
    let mut random = wire::mutation::Mutator::new(11);
    for _ in 0..20_000 {
        if let Ok(elf) = parse("mutated", &random.damage(&made.bytes())) {
            assert!(elf.needed.iter().all(|name| name.len() <= TEXT_MAX));
        }
    }
}
