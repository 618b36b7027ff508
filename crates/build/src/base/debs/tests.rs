use expect_test::expect;

use super::*;
use crate::inputs::Inputs;
use crate::testing::{Directory, DirectoryInputs, Network, NoRegistry};

/// A member of a package: path, kind (`f`, `x`, `l`, `h`, `c`) and content or target.
type Member<'a> = (&'a str, char, &'a str);

fn tar(members: &[Member<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, kind, text) in members {
        let mut header = tar::Header::new_ustar();
        header.set_mode(if *kind == 'x' { 0o4755 } else { 0o644 });
        let (flag, content) = match kind {
            'l' => (tar::EntryType::Symlink, ""),
            'h' => (tar::EntryType::Link, ""),
            'c' => (tar::EntryType::Char, ""),
            _ => (tar::EntryType::Regular, *text),
        };
        header.set_entry_type(flag);
        if matches!(kind, 'l' | 'h') {
            header.set_link_name_literal(text).expect("it is short");
        }
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content.as_bytes()).expect("a vector takes every byte");
    }
    tar.into_inner().expect("a vector takes every byte")
}

fn deb(members: &[Member<'_>], postinst: &str) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    let control = tar(&[("./postinst", 'f', postinst)]);
    for (name, bytes) in [("debian-binary", b"2.0\n".to_vec()), ("control.tar", control), ("data.tar", tar(members))] {
        out.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, bytes.len()).as_bytes());
        out.extend(bytes);
    }
    out
}

/// Packages by name, as apt would list them.
fn repository(packages: &[(&str, Vec<u8>)]) -> (Vec<Listed>, Network) {
    let mut network = Network::default();
    let listed = packages.iter().map(|(name, bytes)| {
        let url = format!("http://deb.example.org/{name}_1-1_amd64.deb");
        network = std::mem::take(&mut network).with(&url, bytes);
        let (size, digest) = (bytes.len() as u64, Digest::of(bytes));
        Listed { name: (*name).into(), version: "1-1".into(), architecture: "amd64".into(), url, size, digest }
    });
    let listed = listed.collect();
    (listed, network)
}

struct Scene {
    directory: Directory,
    inputs: DirectoryInputs,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let directory = Directory::new(name);
        fs::create_dir_all(directory.path().join("scratch")).expect("it is writable");
        let inputs = DirectoryInputs::new(&directory);
        Scene { directory, inputs }
    }

    fn with<T>(&self, network: &Network, work: impl FnOnce(&World<'_>) -> T) -> T {
        let host = self.directory.host();
        work(&World { inputs: &self.inputs, fetch: network, images: &NoRegistry, host: &host, progress: &|_| {} })
    }

    fn refused(&self, packages: &[(&str, Vec<u8>)]) -> String {
        let (listed, network) = repository(packages);
        let error = self.with(&network, |world| make(&listed, "debian 12", world)).expect_err("it is refused");
        let left = fs::read_dir(self.directory.path().join("scratch")).expect("it is there").count();
        assert_eq!(left, 0, "nothing is left of {error}");
        match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        }
    }
}

fn packages() -> Vec<(&'static str, Vec<u8>)> {
    let gcc = deb(
        &[
            ("./usr/bin/gcc", 'x', "compiler"),
            ("./usr/share/doc/gcc/copyright", 'f', "left out"),
            ("./usr/bin/g", 'h', "./usr/bin/gcc"),
        ],
        "update-alternatives --install /usr/bin/cc cc /usr/bin/gcc 20 \\\n --slave /usr/bin/c89 c89 /usr/bin/none\n",
    );
    let tcc = deb(
        &[("./bin/tcc", 'x', "small")],
        "update-alternatives --install /usr/bin/cc cc /bin/tcc 10\ndpkg-divert x\n",
    );
    let libc = deb(
        &[
            ("./lib/x/libc.so.6", 'f', "libc"),
            ("./lib64/ld.so", 'l', "/lib/x/libc.so.6"),
            ("./etc/secret", 'f', "left out"),
            ("./dev/null", 'c', ""),
        ],
        "",
    );
    vec![("gcc", gcc), ("libc6", libc), ("tcc", tcc)]
}

#[test]
fn packages_become_a_tree_and_stay_blobs() {
    let scene = Scene::new("debs");
    let (listed, network) = repository(&packages());
    let (pinned, is_new) = scene.with(&network, |world| make(&listed, "debian 12", world)).expect("it is good");
    assert!(is_new);
    let tree = crate::inputs::manifest(&scene.inputs, &pinned.base.tree).expect("it is held");
    let shown: Vec<String> = tree
        .entries()
        .filter(|(_, entry)| **entry != model::tree::Entry::Directory)
        .map(|(path, entry)| match entry {
            model::tree::Entry::Link { target } => format!("{path} -> {target}"),
            model::tree::Entry::File { executable: true, .. } => format!("{path}*"),
            _ => path.to_owned(),
        })
        .collect();
    expect![[r#"
        bin -> usr/bin
        etc/alternatives/cc -> /usr/bin/gcc
        etc/group
        etc/hosts
        etc/nsswitch.conf
        etc/passwd
        lib -> usr/lib
        lib64 -> usr/lib64
        usr/bin/cc -> /etc/alternatives/cc
        usr/bin/g*
        usr/bin/gcc*
        usr/bin/tcc*
        usr/lib/x/libc.so.6
        usr/lib64/ld.so -> /lib/x/libc.so.6"#]]
    .assert_eq(&shown.join("\n"));
    assert_eq!(pinned.notes, ["`tcc`: a script, which is not run, diverts files"]);
    let gcc = &pinned.base.packages[0];
    assert_eq!((gcc.deb, gcc.url.as_deref()), (Some(listed[0].digest), Some(listed[0].url.as_str())));
    assert_eq!(gcc.purl, "pkg:deb/debian/gcc@1-1?arch=amd64&distro=debian-12");
    assert!(listed.iter().all(|package| scene.inputs.has(&package.digest).expect("the store is there")));

    // The mirror is gone, and what was found as well: the blobs make the same tree.
    let away = Network::default();
    let (same, is_new) = scene.with(&away, |world| make(&listed, "debian 12", world)).expect("the store has it");
    assert_eq!((&same, is_new), (&pinned, false));
    fs::remove_dir_all(scene.directory.path().join("cache")).expect("it is there");
    let base = scene.with(&away, |world| again_of(&pinned.base, world));
    assert_eq!(base, pinned.base);
    let fresh = Scene::new("debs-fresh");
    let base = fresh.with(&network, |world| again_of(&pinned.base, world));
    assert_eq!(base.tree, pinned.base.tree, "the lock says where they are");
    let error = Scene::new("debs-away").with(&away, |world| again(&pinned.base, world)).expect_err("nobody has them");
    assert_eq!(error.to_string(), "fetching `gcc`");
}

fn again_of(base: &lock::Base, world: &World<'_>) -> lock::Base {
    again(base, world).expect("all is there")
}

#[test]
fn what_cannot_stand_together_is_refused_with_names() {
    let scene = Scene::new("debs-refused");
    let one = |members: &[Member<'_>]| deb(members, "");
    let both = |first: &[Member<'_>], second: &[Member<'_>]| [("a", one(first)), ("b", one(second))];
    let same = both(&[("./usr/x", 'f', "1"), ("./y", 'l', "x")], &[("./usr/x", 'f', "1"), ("./y", 'l', "x")]);
    let (listed, network) = repository(&same);
    scene.with(&network, |world| make(&listed, "debian 12", world)).expect("the same twice is no harm");
    let conflict = "`usr/x` comes with `a` and with `b`, and is not the same";
    assert_eq!(scene.refused(&both(&[("./usr/x", 'f', "1")], &[("./usr/x", 'f', "2")])), conflict);
    assert_eq!(scene.refused(&both(&[("./usr/x", 'f', "1")], &[("./usr/x", 'x', "1")])), conflict);
    assert_eq!(scene.refused(&both(&[("./usr/x", 'f', "1")], &[("./usr/x", 'l', "1")])), conflict);
    assert_eq!(
        scene.refused(&[("a", one(&[("./usr/x", 'h', "./usr/y")]))]),
        "`usr/x` of `a` is a hard link to `usr/y`, which the package does not bring"
    );
    assert_eq!(
        scene.refused(&[("a", b"no package".to_vec())]),
        "unpacking `a`: this is no Debian package: it does not begin as an archive of `ar`"
    );
    let (mut listed, network) = repository(&[("a", one(&[]))]);
    listed[0].digest = Digest::of(b"other");
    let error = scene.with(&network, |world| make(&listed, "debian 12", world)).expect_err("it is another");
    assert!(matches!(error, DebsError::Inputs(InputsError::Differs { .. })), "{error}");
}

#[test]
fn lines_of_apt_are_read_or_refused() {
    let hex = "ab".repeat(32);
    let text = format!(
        "'http://deb.example.org/gcc_12.2.0-3_amd64.deb' gcc_4%3a12.2.0-3_amd64.deb 5210 SHA256:{hex}\n\
         'file:/srv/a_1_all.deb' a_1_all.deb 7 SHA256:{hex}\n"
    );
    let listed = parse(&text).expect("it is good");
    let shown: Vec<String> =
        listed.iter().map(|l| format!("{} {} {} {} {}", l.name, l.version, l.architecture, l.size, l.url)).collect();
    assert_eq!(
        shown,
        ["a 1 all 7 file:/srv/a_1_all.deb", "gcc 4:12.2.0-3 amd64 5210 http://deb.example.org/gcc_12.2.0-3_amd64.deb"]
    );
    for bad in [
        "E: something",
        "'http://x/a.deb' a_1_all.deb 7 MD5Sum:8e7e741807b1e1939df8f58323affdcb",
        "'http://x/a.deb' a_1_all.deb many SHA256:ab",
        "'http://x/a.deb' a_1.deb 7 SHA256:ab",
        "'http://x/a.deb a_1_all.deb",
    ] {
        assert!(matches!(parse(bad), Err(DebsError::Line(line)) if line == bad), "{bad}");
    }
}
