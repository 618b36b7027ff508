use inspect::lock_file::record::Answer;

use super::*;

fn answer(url: &str, status: u16) -> Answer {
    let digest = (status == 200).then(|| Digest::of(url.as_bytes()));
    Answer { url: url.to_owned(), status, digest, size: url.len() as u64, ..Answer::default() }
}

#[test]
fn bodies_can_be_read_as_files_where_their_address_is_a_path() {
    let urls =
        ["https://a.example/m2/x.jar", "https://a.example/m2", "https://a.example/q?x=1", "https://a.example/a/../b"];
    let mut answers: Vec<Answer> = urls.iter().map(|url| answer(url, 200)).collect();
    answers.push(answer("https://a.example/gone", 404));
    let entries = layout(&Record { command: vec!["true".to_owned()], answers });
    let paths: Vec<&str> =
        entries.iter().map(|entry| entry.path.as_str()).filter(|path| path.starts_with("files")).collect();
    assert_eq!(paths, ["files/a.example/m2"], "a file has nothing below it, and no address leads out");
    let link = entries.iter().find(|entry| entry.path == "files/a.example/m2").expect("it is there");
    let expected = format!("../../bodies/{}", Digest::of(b"https://a.example/m2").hex());
    assert_eq!(link.source, TreeSource::Link(expected));
    assert_eq!(entries.iter().filter(|entry| entry.path.starts_with("bodies/")).count(), urls.len());
}

#[test]
fn java_trusts_the_same_certificate() {
    let text: String = AUTHORITY.lines().filter(|line| !line.starts_with('-')).collect();
    let der = wire::base64::decode(&text).expect("it is PEM");
    assert!(AUTHORITY_JAVA.windows(der.len()).any(|window| window == der));
}

#[test]
fn clients_are_led_to_the_listener() {
    let variables = variables(DIRECTORY);
    assert_eq!(variables["https_proxy"], "http://127.0.0.1:3128");
    assert_eq!(variables["SSL_CERT_FILE"], "/recorded/authority.pem");
}
