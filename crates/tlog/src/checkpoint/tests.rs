use wire::mutation::Mutator;

use super::*;

fn sample() -> Checkpoint {
    Checkpoint { origin: "example.org/log".to_owned(), size: 20_852_163, root: [0xab; 32] }
}

#[test]
fn text_and_back() {
    let body = "example.org/log\n20852163\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n";
    assert_eq!(sample().body(), body);
    assert_eq!(Checkpoint::parse(body), Ok(sample()));
    assert_eq!(Checkpoint::parse(&format!("{body}an extension\n")), Ok(sample()));
}

#[test]
fn other_texts_are_refused() {
    let body = sample().body();
    for (text, part) in [
        (String::new(), "end"),
        (body.trim_end().to_owned(), "end"),
        (format!("\n{body}"), "origin"),
        (body.replace("20852163", "020852163"), "size"),
        (body.replace("20852163", "+20852163"), "size"),
        (body.replace("20852163", "-1"), "size"),
        (body.replace("20852163", "9223372036854775808"), "size"),
        (body.replace("20852163", ""), "size"),
        (body.replace("q6s=", "q6s"), "root"),
        (body.replace("q6ur", ""), "root"),
        ("example.org/log\n1\n".to_owned(), "root"),
        (format!("{body}\n"), "extension line"),
    ] {
        assert_eq!(Checkpoint::parse(&text), Err(CheckpointError::Form(part)), "{text:?}");
    }
}

#[test]
fn only_the_log_itself_speaks_for_it() {
    let key = LogKey::generate().expect("key");
    let log = NoteKey::new("example.org/log", key.public()).expect("name");
    let text = sample().sign(&key);
    assert_eq!(Checkpoint::open(&text, &log), Ok(sample()));

    let other = NoteKey::new("example.org/log", LogKey::generate().expect("key").public()).expect("name");
    assert!(matches!(Checkpoint::open(&text, &other), Err(CheckpointError::Note(NoteError::Unsigned(_)))));
    let changed = text.replace("20852163", "20852164");
    assert!(matches!(Checkpoint::open(&changed, &log), Err(CheckpointError::Note(NoteError::Signature(_)))));

    let foreign = note::sign(&key, "example.org/log", &sample().body().replace("example.org/log", "example.org/other"));
    assert!(matches!(Checkpoint::open(&foreign, &log), Err(CheckpointError::Origin { .. })));
    let not_one = note::sign(&key, "example.org/log", "hello\n");
    assert_eq!(Checkpoint::open(&not_one, &log), Err(CheckpointError::Form("size")));
}

#[test]
fn what_parses_prints_the_same() {
    Mutator::new(22).each(20_000, sample().body().as_bytes(), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(checkpoint) = Checkpoint::parse(&text) {
            assert!(text.starts_with(&checkpoint.body()), "{text:?}");
        }
    });
}
