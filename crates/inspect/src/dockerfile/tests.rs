use expect_test::{Expect, expect};
use wire::mutation::Mutator;

use super::*;

/// Continued lines, comments, here-documents and flags, and what BuildKit's own parser makes of them (through the
/// Python package `dockerfile` 3.4.0, which compiles it in).
const NASTY: &str = include_str!("../../fixtures/dockerfile/nasty.Dockerfile");
const NASTY_EXPECTED: &str = include_str!("../../fixtures/dockerfile/nasty.expected");

fn parsed(text: &str) -> Dockerfile {
    parse("Dockerfile", text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn agrees_with_buildkit_about_instructions() {
    let shown = |one: &Instruction| {
        let (form, words) = match &one.arguments {
            Arguments::List(list) => ("list", list.join(" ")),
            Arguments::Text(text) => ("text", text.split_whitespace().collect::<Vec<_>>().join(" ")),
        };
        let words = if one.keyword == Keyword::Label { "-".to_owned() } else { words };
        let flags: Vec<String> = one.flags.iter().map(|flag| format!("--{}={}", flag.name, flag.value)).collect();
        let heredocs: Vec<String> = one.heredocs.iter().map(|one| format!("{}={:?}", one.name, one.content)).collect();
        let (line, keyword) = (one.line, one.keyword.as_str());
        let text = format!("{line} {keyword} {form} [{}] {words} {}", flags.join(" "), heredocs.join(" "));
        text.trim_end().to_owned()
    };
    let lines: Vec<String> = parsed(NASTY).instructions.iter().map(shown).collect();
    assert_eq!(lines.join("\n"), NASTY_EXPECTED.trim_end());
}

#[test]
fn finds_stages_images_and_what_is_open() {
    let file = parsed(NASTY);
    let mut lines: Vec<String> = Vec::new();
    for stage in &file.stages {
        let base = match &stage.base {
            Base::Scratch => "scratch".to_owned(),
            Base::Stage(position) => format!("stage {position}"),
            Base::Image(name) => format!("{name:?}"),
        };
        let name = stage.name.as_deref().unwrap_or("-");
        lines.push(format!("stage {} {name} {:?} from {base} on {:?}", stage.line, stage.instructions, stage.platform));
    }
    lines.extend(file.images.iter().map(|image| format!("image {} {:?}", image.line, image.name)));
    lines.extend(file.findings.iter().map(Finding::to_string));
    expect![[r#"
        stage 9 build 3..10 from Tag { repository: "debian", tag: Some("12.6-slim") } on Some("$BUILDPLATFORM")
        stage 27 - 10..15 from stage 0 on None
        stage 33 out 15..18 from scratch on None
        stage 36 - 18..19 from Open("$OPEN") on None
        image 1 Digest { repository: "docker/dockerfile", tag: Some("1.9"), digest: sha256:fe40cf4e92cd0c467be2cfc30657a680ae2398318afd50b0c80585784c604f28 }
        image 9 Tag { repository: "debian", tag: Some("12.6-slim") }
        image 16 Tag { repository: "golang", tag: Some("1.22") }
        image 24 Tag { repository: "0", tag: None }
        image 34 Tag { repository: "alpine", tag: Some("latest") }
        image 36 Open("$OPEN")
        Dockerfile:9: image `debian:12.6-slim` is named by a tag, which can be moved
        Dockerfile:12: `apt-get` installs `curl` in whatever version there is
        Dockerfile:16: image `golang:1.22` is named by a tag, which can be moved
        Dockerfile:17: `pip` installs `requests` in whatever version there is
        Dockerfile:24: image `0` is the latest there is
        Dockerfile:26: `https://example.org/b.tar.gz` is fetched, and no digest says what it must be
        Dockerfile:26: `https://github.com/moby/buildkit.git#v0.25.1` is cloned, and no commit says what it must be
        Dockerfile:34: image `alpine:latest` is the latest there is
        Dockerfile:36: image `$OPEN` depends on a build argument
    "#]].assert_eq(&(lines.join("\n") + "\n"));
    assert_eq!(file.pinned(), None);
    let digest = format!("sha256:{}", "0".repeat(64));
    let digests = parsed(&format!("FROM a:1@{digest}\nCOPY --from=b@{digest} / /\n")).pinned().expect("pinned");
    assert_eq!(digests.len(), 2);
}

/// What is found in a file that begins from nothing, one line each, without the file's name.
fn check(text: &str, expected: &str) {
    let found: Vec<String> = parsed(&format!("FROM scratch\n{text}")).findings.iter().map(Finding::to_string).collect();
    assert_eq!(found.join("\n").replace("Dockerfile:", ""), expected, "{text}");
}

#[test]
fn finds_what_package_managers_leave_open() {
    let open = |manager: &str, names: &str| format!("2: `{manager}` installs {names} in whatever version there is");
    check("RUN apt-get update && apt-get -y -t stable install curl=8.1 git -o A::B=c", &open("apt-get", "`git`"));
    check("RUN apt install -y ./local.deb", "");
    check("RUN sudo /usr/bin/apt-get dist-upgrade -y", "2: `apt-get` brings everything to whatever version there is");
    check("RUN apk add --no-cache --virtual .deps curl bash=5.2-r0 'a~=1'", &open("apk", "`curl`, `a~=1`"));
    check("RUN dnf install -y curl-7.76.1-29.el9 git", &open("dnf", "`git`"));
    check("RUN yum -y update", "2: `dnf` brings everything to whatever version there is");
    check(
        "RUN pip install --no-cache-dir flask==2.0 'requests>=2' && pip3.12 install -e .",
        &open("pip", "`requests>=2`"),
    );
    check("RUN python3 -m pip install -r requirements.txt", "2: `pip install -r` does not hold to the lock file");
    check("RUN pip install --require-hashes -r requirements.txt", "");
    check("RUN uv pip install six", &open("pip", "`six`"));
    check("RUN npm ci && npm install -g npm@10 yarn@1.22.22", &open("npm", "`npm@10`"));
    check("RUN npm install --omit=dev", "2: `npm install` does not hold to the lock file");
    check("RUN npm i @scope/a@1.0.0 @scope/b", &open("npm", "`@scope/b`"));
    check("RUN pnpm install --frozen-lockfile && pnpm i", "2: `pnpm install` does not hold to the lock file");
    check("RUN yarn --immutable && yarn && yarn --version", "2: `yarn install` does not hold to the lock file");
    check("RUN yarn global add serve", &open("yarn", "`serve`"));
    check("RUN gem install bundler -v 2.5.0 && gem install rake", &open("gem", "`rake`"));
    check("RUN cargo install just", &open("cargo", "`just`"));
    check("RUN cargo install just@1.36.0", "2: `cargo install` does not hold to the lock file");
    check("RUN cargo install --locked --version 1.36.0 just && cargo install --locked --path . && cargo build", "");
    check(
        "RUN go install golang.org/x/tools/gopls@latest && go install ./... && go install a.b/c@v1.2.3",
        &open("go", "`golang.org/x/tools/gopls@latest`"),
    );
    let many = (0..12).map(|index| format!("p{index}")).collect::<Vec<_>>().join(" ");
    let shown = (0..10).map(|index| format!("`p{index}`")).collect::<Vec<_>>().join(", ");
    check(&format!("RUN apt-get install {many}"), &open("apt-get", &format!("{shown} and 2 more")));
}

#[test]
fn finds_what_is_fetched_unchecked() {
    check(
        "RUN curl -fsSL https://u:p@h.org/install.sh | sudo bash -s",
        "2: `https://h.org/install.sh` is run as it comes from the network",
    );
    check(
        "RUN wget -qO- https://h.org/x.py |& python3 -",
        "2: `https://h.org/x.py` is run as it comes from the network",
    );
    check("RUN curl -o a https://h.org/a", "2: `https://h.org/a` is fetched, and no digest says what it must be");
    check("RUN curl -o a https://h.org/a && echo \"00  a\" | sha256sum --check", "");
    check(
        "RUN curl -o a https://h.org/a && md5sum a",
        "2: `https://h.org/a` is fetched, and no digest says what it must be",
    );
    check(
        "RUN (cd /x; git clone --depth 1 https://h.org/a.git) 2>&1",
        "2: `https://h.org/a.git` is cloned, and no commit says what it must be",
    );
    check("RUN git clone https://h.org/a && cd a && git checkout b9439241ee61ab47fe0bf4a91997881d860cbfd7", "");
    check(
        "RUN [\"curl\", \"-O\", \"https://h.org/a\"]",
        "2: `https://h.org/a` is fetched, and no digest says what it must be",
    );
    check(
        "RUN [\"/bin/bash\", \"-ec\", \"true\\ncurl https://h.org/a | sh\"]",
        "2: `https://h.org/a` is run as it comes from the network",
    );
    check(
        "RUN <<EOF\nset -e\n# curl https://h.org/b\ncurl https://h.org/a\nEOF",
        "5: `https://h.org/a` is fetched, and no digest says what it must be",
    );
    check(
        "RUN true \\\n # no\n && X=1 curl \\\n  https://h.org/a",
        "4: `https://h.org/a` is fetched, and no digest says what it must be",
    );
    check("RUN echo 'curl https://h.org/a | sh' \"; wget https://h.org/b\"", "");
    check("RUN echo a # curl https://h.org/a", "");
    let digest = format!("sha256:{}", "0".repeat(64));
    check(
        &format!("ADD --checksum={digest} https://h.org/a /a\nADD [\"https://h.org/b\", \"/b\"]"),
        "3: `https://h.org/b` is fetched, and no digest says what it must be",
    );
    check(
        "ADD https://h.org/a.git#main /a",
        "2: `https://h.org/a.git#main` is cloned, and no commit says what it must be",
    );
    check("ADD git@h.org:a/a.git#b9439241ee61ab47fe0bf4a91997881d860cbfd7:sub /a\nADD . /", "");
}

#[test]
fn puts_arguments_into_names() {
    let base = |text: &str| parsed(text).stages.pop().expect("a stage").base;
    let tag =
        |repository: &str, tag: &str| Base::Image(Name::Tag { repository: repository.into(), tag: Some(tag.into()) });
    assert_eq!(base("ARG A=1\nARG B=x$A\nFROM i:$B"), tag("i", "x1"));
    assert_eq!(base("ARG A\nFROM i:${A:-2}"), tag("i", "2"));
    assert_eq!(base("ARG A=1\nFROM i:t${A:+3}"), tag("i", "t3"));
    assert_eq!(base("ARG A\nFROM i:t${A:+3}"), tag("i", "t"));
    assert_eq!(base("ARG A='1' B=\"2\"\nFROM i:$A.$B"), tag("i", "1.2"));
    for open in
        ["FROM $A", "ARG A\nFROM $A", "ARG A=1\nFROM i:${A%x}", "FROM i:${A", "FROM i:${A:-$B}", "FROM A@sha256:00"]
    {
        assert!(matches!(base(open), Base::Image(Name::Open(_))), "{open}");
    }
    assert_eq!(base("FROM h.org:5000/a/b"), Base::Image(Name::Tag { repository: "h.org:5000/a/b".into(), tag: None }));
    let grown = (0..20).map(|i| format!("ARG A{}=$A{i}$A{i}\n", i + 1)).collect::<String>();
    assert!(matches!(base(&format!("ARG A0=xxxxxxxx\n{grown}FROM $A20")), Base::Image(Name::Open(_))));
}

fn refused(text: &str, expected: Expect) {
    expected.assert_eq(&parse("Dockerfile", text.as_bytes()).map(|_| ()).expect_err("refused").to_string());
}

#[test]
fn refuses_what_is_malformed() {
    refused("", expect!["Dockerfile:1: a stage begins with `FROM`, and only `ARG` may stand before the first"]);
    refused(
        "# only a comment",
        expect!["Dockerfile:1: a stage begins with `FROM`, and only `ARG` may stand before the first"],
    );
    refused(
        "RUN x\nFROM a",
        expect!["Dockerfile:1: a stage begins with `FROM`, and only `ARG` may stand before the first"],
    );
    refused("ARG A\n", expect!["Dockerfile:1: a stage begins with `FROM`, and only `ARG` may stand before the first"]);
    refused("FROM", expect!["Dockerfile:1: `FROM` cannot have `FROM`: expected something behind it"]);
    refused("FROM a as", expect!["Dockerfile:1: `FROM` cannot have `a as`: expected `IMAGE` or `IMAGE AS NAME`"]);
    refused("FROM a\nFORM b", expect!["Dockerfile:2: `FORM` is no instruction"]);
    refused("FROM a\nRUN <<EOF\nx\n EOF", expect!["Dockerfile:2: the here-document `EOF` has no end"]);
    refused(
        "FROM a\nRUN cat <<'A B'\nx\nA B",
        expect!["Dockerfile:2: `<<'A B'` begins a here-document whose name is no plain word"],
    );
    refused("# escape=x\nFROM a", expect!["Dockerfile:1: `# escape=x` is no parser directive that can stand here"]);
    refused(
        "# escape=`\n# Escape=`\nFROM a",
        expect!["Dockerfile:2: `# Escape=`` is no parser directive that can stand here"],
    );
    refused("FROM a AS b\nFROM c AS B", expect!["Dockerfile:2: stage `b` stands twice"]);
    let error = parse("f", b"FROM a\n\xff").expect_err("no text");
    assert_eq!((error.line, error.reason), (2, Reason::Encoding));
    assert!(matches!(parse("f", &vec![b'#'; BYTES_MAX + 1]), Err(DockerfileError { reason: Reason::TooLarge(_), .. })));
    let many = format!("FROM a\n{}", "USER a\n".repeat(INSTRUCTIONS_MAX));
    assert!(matches!(parse("f", many.as_bytes()), Err(DockerfileError { reason: Reason::TooMany, .. })));
}

#[test]
fn reads_the_other_escape_and_windows_lines() {
    let file =
        parsed("\u{feff}# ESCAPE = `\r\nFROM a@x AS b\r\nRUN dir C:\\ `\r\n  && x\r\n".replace("@x", "").as_str());
    assert_eq!((file.escape, file.instructions.len()), ('`', 2));
    assert_eq!(file.instructions[1].arguments, Arguments::Text("dir C:\\   && x".to_owned()));
    assert_eq!(parsed("#!/usr/bin/env x\n# syntax=a/b:1\nFROM scratch").syntax.map(|image| image.line), Some(2));
    assert_eq!(parsed("FROM a\n# syntax=a/b:1").syntax, None);
    assert_eq!(
        parsed("FROM a\nCOPY <<EOF /'\nUSER b").instructions.len(),
        3,
        "a quote left open begins no here-document"
    );
    let flag = parsed("# escape=`\nFROM a\nCOPY --from=a\\b / /").instructions.pop().expect("two");
    assert_eq!(flag.flag("from"), Some("ab"), "in flags a backslash escapes whatever else does");
    let list = |text: &str| parsed(&format!("FROM a\nCMD {text}")).instructions.pop().expect("two").arguments;
    assert_eq!(list("[\"x\"] # more"), Arguments::List(vec!["x".to_owned()]), "as BuildKit's decoder stops");
    assert_eq!(list("[\"x\", 1]"), Arguments::Text("[\"x\", 1]".to_owned()));
}

#[test]
fn survives_mutation() {
    Mutator::new(1).each(4000, NASTY.as_bytes(), |bytes| {
        let Ok(file) = parse("f", bytes) else { return };
        let lines = bytes.iter().filter(|&&b| b == b'\n').count() + 1;
        assert!(file.instructions.iter().all(|one| (1..=lines).contains(&one.line)));
        assert!(file.findings.iter().all(|one| (1..=lines).contains(&one.line)));
        assert!(!file.stages.is_empty());
        assert_eq!(file.pinned().is_some(), file.images.iter().all(|image| image.name.digest().is_some()));
    });
}
