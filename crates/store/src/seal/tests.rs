use super::*;
use crate::scratch::Scratch;

fn sample() -> (Scratch, Vec<Root>) {
    let scratch = Scratch::new("seal");
    for (path, text) in [("home/keys/a.pem", "key"), ("home/VERSION", "1"), ("home/runs/x", "y"), ("data/lock", "")] {
        let path = scratch.path().join(path);
        fs::create_dir_all(durable::parent(&path)).expect("made");
        fs::write(path, text).expect("written");
    }
    let root = |name: &str, except: &[&str]| Root {
        name: name.to_owned(),
        path: scratch.path().join(name),
        except: except.iter().map(|name| (*name).to_owned()).collect(),
    };
    let roots = vec![root("home", &["runs"]), root("data", &[])];
    (scratch, roots)
}

#[test]
fn covers_all_but_what_is_excepted() {
    let (_scratch, roots) = sample();
    let blob = Digest::of(b"blob");
    let seal = Seal::make(&roots, vec![blob], Vec::new()).expect("made");
    let paths: Vec<_> = seal.files.iter().map(|file| format!("{}/{}", file.root, file.path)).collect();
    assert_eq!(paths, ["data/lock", "home/VERSION", "home/keys/a.pem"]);
    assert_eq!(Seal::parse(&seal.to_json()).expect("parsed"), seal);
    assert_eq!(seal.files_of("home")["VERSION"], Digest::of(b"1"));
}

#[test]
fn any_changed_byte_is_damage() {
    let (_scratch, roots) = sample();
    let json = Seal::make(&roots, vec![Digest::of(b"blob")], Vec::new()).expect("made").to_json();
    for position in 0..json.len() {
        for flip in [1, 0x20, 0x80] {
            let mut changed = json.clone();
            changed[position] ^= flip;
            assert!(Seal::parse(&changed).is_err(), "byte {position} ^ {flip}");
        }
        assert!(Seal::parse(&json[..position]).is_err(), "cut at {position}");
    }
    assert!(Seal::parse(&[&json[..], b"\n"].concat()).is_err());
}

#[test]
fn a_later_version_is_named() {
    let json = br#"{"version":2,"something":"new"}"#;
    assert!(matches!(Seal::parse(json), Err(SealError::Version(2))));
}
