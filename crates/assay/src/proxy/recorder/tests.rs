use build::inputs::{InputsError, TreeEntry};
use model::tree::Tree;

use super::*;

/// A store that keeps nothing: what is noted does not ask it.
struct Nowhere;

impl Inputs for Nowhere {
    fn has(&self, _: &Digest) -> Result<bool, InputsError> {
        Ok(false)
    }
    fn open(&self, digest: &Digest) -> Result<Box<dyn std::io::Read + Send>, InputsError> {
        Err(InputsError::Absent(*digest))
    }
    fn put(&self, _: &mut dyn std::io::Read, _: Option<&Digest>) -> Result<Digest, InputsError> {
        Err(InputsError::Io(std::io::Error::other("nowhere")))
    }
    fn import(&self, _: Vec<TreeEntry>) -> Result<Tree, InputsError> {
        Err(InputsError::Io(std::io::Error::other("nowhere")))
    }
    fn tree(&self, _: &Digest) -> Result<Option<std::path::PathBuf>, InputsError> {
        Ok(None)
    }
}

fn answer(body: &[u8]) -> Answer {
    let digest = Some(Digest::of(body));
    Answer { url: "https://a.example/x".to_owned(), status: 200, digest, ..Answer::default() }
}

#[test]
fn the_same_question_has_one_answer() {
    let recorder = Recorder::new(crate::fetch::client_without_redirects().expect("a client"), &Nowhere);
    assert_eq!(recorder.note(answer(b"one")), None);
    assert_eq!(recorder.note(answer(b"one")), None);
    let reason = recorder.note(answer(b"two")).expect("it differs");
    assert!(reason.contains(&Digest::of(b"one").to_string()) && reason.contains(&Digest::of(b"two").to_string()));
    let html = Answer { accept: Some("text/html".to_owned()), ..answer(b"two") };
    assert_eq!(recorder.note(html), None, "another question");
    let gone = Answer { status: 404, digest: None, ..answer(b"") };
    assert!(recorder.note(gone).expect("it differs").ends_with("then status 404"));
    assert_eq!(recorder.finish().expect("nothing was refused").len(), 2);
}

#[test]
fn statuses_that_may_pass_are_not_kept() {
    let kept: Vec<u16> = (100..600).filter(|status| is_kept(*status)).collect();
    assert!([200, 301, 302, 307, 308, 401, 403, 404, 410].iter().all(|status| kept.contains(status)));
    assert!([100, 201, 204, 206, 304, 408, 425, 429, 500, 503].iter().all(|status| !kept.contains(status)));
}
