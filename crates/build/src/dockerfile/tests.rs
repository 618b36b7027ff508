use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use sandbox::outcome::{Collected, CollectedKind};

use super::root::Root;
use super::*;
use crate::base::reference::ImageReference;
use crate::image::{Content, Entry};

const DIGEST: &str = "sha256:b6afd42430b15f2d2a4c5a02b919e98a525b785b1aaff16747d2f623364e39b6";

fn settings() -> crate::spec::Dockerfile {
    let images = BTreeMap::from([("pinned:1".to_owned(), ImageReference::parse("oci:base").expect("a layout"))]);
    crate::spec::Dockerfile { path: "Dockerfile".to_owned(), target: None, arguments: BTreeMap::new(), images }
}

fn read(text: &str) -> Result<Program, String> {
    let text = text.replace("@@", &format!("@{DIGEST}"));
    let source = Source::read(&settings(), text.as_bytes(), b"");
    let program = source.and_then(|source| source.program(&BTreeMap::new()));
    program.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// The actions of the last stage, one a line.
fn actions(text: &str) -> String {
    let program = read(text).expect("it is good");
    let stage = program.stages.last().expect("there is one");
    let said = |action: &Action| match action {
        Action::Directory { path } => format!("dir {path}"),
        Action::Copy(copy) => {
            let into = if copy.into { "/" } else { "" };
            format!("copy {:?} {:?} -> {}{into}", copy.giver, copy.sources, copy.to)
        }
        Action::Run(run) => format!("run {} {:?} in {}", run.name, run.argv, run.cwd),
    };
    stage.actions.iter().map(said).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn refused(text: &str, expected: Expect) {
    expected.assert_eq(&read(text).expect_err("it is refused"));
}

#[test]
fn arguments_and_variables_are_put_in() {
    let text = r#"ARG TAG=1
ARG DIR=/srv
FROM pinned:$TAG AS one
ARG DIR
ARG UNSET
ENV NAME=app GREETING="hello  $DIR" PATH=/opt/$DIR:$PATH
ENV OLD style of value
WORKDIR ${DIR}/${NAME:-none}
WORKDIR sub
COPY a\ b.txt ${UNSET:-c.txt} 'd$NAME' ./${UNSET:+x}
RUN echo $NAME "$DIR"
LABEL a=b "c d"="e $NAME"
EXPOSE 80 53/udp 8000-8001
"#;
    assert_eq!(
        actions(text),
        "dir /srv/app\ndir /srv/app/sub\ncopy Context [\"a b.txt\", \"c.txt\", \"d$NAME\"] -> /srv/app/sub/\n\
         run one:11 [\"/bin/sh\", \"-c\", \"echo $NAME \\\"$DIR\\\"\"] in /srv/app/sub"
    );
    let program = read(text).expect("it is good");
    let execution = &program.stages[0].execution;
    let labels = execution.labels.as_ref().expect("some");
    assert_eq!((labels["a"].as_str(), labels["c d"].as_str()), ("b", "e app"));
    let env = ["GREETING=hello  /srv", "NAME=app", "OLD=style of value", "PATH=/opt//srv:"];
    assert_eq!(execution.env.as_ref().expect("some"), &env);
    let ports: Vec<&str> = execution.exposed_ports.iter().flatten().map(|(port, _)| port.as_str()).collect();
    assert_eq!(ports, ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]);
    let Action::Run(run) = &program.stages[0].actions[3] else { panic!("the fourth") };
    assert_eq!((run.variables["DIR"].as_str(), run.variables["HOME"].as_str()), ("/srv", "/root"));
    assert!(!run.variables.contains_key("UNSET"));
}

#[test]
fn forms_of_commands() {
    let text = "FROM scratch\nSHELL [\"/bin/bash\", \"-ec\"]\nRUN [\"/bin/x\", \"$A\"]\nRUN <<EOF\none\ntwo\nEOF\nRUN cat <<A > /a\nx\nA\n\
                COPY <<B /etc/b\nline\nB\nENTRYPOINT [\"/x\"]\nCMD run it\n";
    assert_eq!(
        actions(text),
        "run stage-0:3 [\"/bin/x\", \"$A\"] in /\n\
         run stage-0:4 [\"/bin/bash\", \"-ec\", \"one\\ntwo\\n\"] in /\n\
         run stage-0:8 [\"/bin/bash\", \"-ec\", \"cat <<A > /a\\nx\\nA\"] in /\n\
         copy Here({\"B\": \"line\\n\"}) [\"B\"] -> /etc/b"
    );
    let program = read(text).expect("it is good");
    let execution = &program.stages[0].execution;
    assert_eq!(execution.entrypoint, Some(vec!["/x".to_owned()]));
    assert_eq!(execution.cmd, Some(["/bin/bash", "-ec", "run it"].map(str::to_owned).to_vec()));
}

#[test]
fn only_what_the_target_needs_is_built() {
    let text = "FROM debian@@ AS a\nRUN x\nFROM a AS b\nFROM scratch AS c\nCOPY --from=a /x /x\nFROM b AS d\nCOPY --from=docker.io/library/busybox@@ /bin /bin\n";
    let names = |target: Option<&str>| {
        let settings = crate::spec::Dockerfile { target: target.map(str::to_owned), ..settings() };
        let text = text.replace("@@", &format!("@{DIGEST}"));
        let source = Source::read(&settings, text.as_bytes(), b"").expect("it is good");
        let program = source.program(&BTreeMap::new()).expect("it is good");
        let names = program.stages.iter().map(|stage| stage.name.clone()).collect::<Vec<_>>().join(" ");
        format!("{names}: {}", source.images().len())
    };
    assert_eq!(names(None), "a b d: 2");
    assert_eq!(names(Some("c")), "a c: 1");
    assert_eq!(names(Some("0")), "a: 1");
    let settings = crate::spec::Dockerfile { target: Some("e".to_owned()), ..settings() };
    assert!(Source::read(&settings, text.replace("@@", &format!("@{DIGEST}")).as_bytes(), b"").is_err());
}

#[test]
fn what_cannot_be_made_again_is_refused_with_its_place() {
    refused(
        "FROM debian:12\nRUN make\n",
        expect![[r#"
        Dockerfile:1:6: image `debian:12`: it has no digest, so it may be another image tomorrow
          | FROM debian:12
          |      ^
          = write the digest behind it, as `skopeo inspect --format '{{.Digest}}' docker://docker.io/library/debian:12` says it, or pin it in assay.toml: [build] images = { "debian:12" = "docker.io/library/debian:12@sha256:…" }"#]],
    );
    refused(
        "FROM scratch\nCOPY --from=busybox /bin/sh /bin/sh\n",
        expect![[r#"
        Dockerfile:2:6: image `busybox`: it has no digest, so it may be another image tomorrow
          | COPY --from=busybox /bin/sh /bin/sh
          |      ^
          = write the digest behind it, as `skopeo inspect --format '{{.Digest}}' docker://docker.io/library/busybox` says it, or pin it in assay.toml: [build] images = { "busybox" = "docker.io/library/busybox@sha256:…" }"#]],
    );
    refused(
        "FROM scratch\nADD https://example.org/x /x\n",
        expect![[r#"
        Dockerfile:2:5: a build has no network, and what a URL gives may change
          | ADD https://example.org/x /x
          |     ^
          = name it in assay.toml with its digest, `[[fetch]]`; a `RUN` finds it below `/fetched`"#]],
    );
    refused(
        "FROM scratch\nADD git@example.org:x.git /x\n",
        expect![[r#"
        Dockerfile:2:5: a build has no network, and what a URL gives may change
          | ADD git@example.org:x.git /x
          |     ^
          = name it in assay.toml with its digest, `[[fetch]]`; a `RUN` finds it below `/fetched`"#]],
    );
    refused(
        "FROM debian@@\nRUN apt-get update \\\n    && apt-get install -y gcc\n",
        expect![[r#"
        Dockerfile:3:8: `apt-get` installs `gcc` in whatever version there is
          |     && apt-get install -y gcc
          |        ^
          = a `RUN` has no network: take a base image that has it, by digest, or fetch the files with `[[fetch]]`"#]],
    );
    refused(
        "FROM debian@@\nRUN apk add curl\nRUN pip install flask\nRUN npm install\n",
        expect![[r#"
        Dockerfile:2:5: `apk` installs `curl` in whatever version there is
          | RUN apk add curl
          |     ^
          = a `RUN` has no network: take a base image that has it, by digest, or fetch the files with `[[fetch]]`
        Dockerfile:3:5: `pip` installs `flask` in whatever version there is
          | RUN pip install flask
          |     ^
          = a `RUN` has no network: take a base image that has it, by digest, or fetch the files with `[[fetch]]`
        Dockerfile:4:5: `npm install` does not hold to the lock file
          | RUN npm install
          |     ^
          = a `RUN` has no network: take a base image that has it, by digest, or fetch the files with `[[fetch]]`"#]],
    );
    refused(
        "FROM debian@@\nRUN curl -o x https://example.org/x\nRUN wget https://example.org/y\n",
        expect![[r#"
        Dockerfile:2:15: `https://example.org/x` is fetched, and no digest says what it must be
          | RUN curl -o x https://example.org/x
          |               ^
          = a `RUN` has no network: name the file in assay.toml with its digest, `[[fetch]]`, and find it below `/fetched`
        Dockerfile:3:10: `https://example.org/y` is fetched, and no digest says what it must be
          | RUN wget https://example.org/y
          |          ^
          = a `RUN` has no network: name the file in assay.toml with its digest, `[[fetch]]`, and find it below `/fetched`"#]],
    );
    refused(
        "FROM debian@@\nRUN --mount=type=secret,id=a make\nRUN --mount=type=ssh make\nRUN --mount=type=bind,target=/x make\n",
        expect![[r#"
            Dockerfile:2:5: a build sees no secret
              | RUN --mount=type=secret,id=a make
              |     ^
              = fetch what needs it with `assay lock`, and give secrets to the running service
            Dockerfile:3:5: a build sees no secret
              | RUN --mount=type=ssh make
              |     ^
              = fetch what needs it with `assay lock`, and give secrets to the running service
            Dockerfile:4:5: no mount of type `bind`
              | RUN --mount=type=bind,target=/x make
              |     ^
              = `COPY` what it shows"#]],
    );
    refused(
        "FROM debian@@\nRUN --network=host make\nRUN --security=insecure make\n",
        expect![[r#"
        Dockerfile:2:5: no network `host`
          | RUN --network=host make
          |     ^
          = leave it out: a `RUN` has no network
        Dockerfile:3:5: no `--security=insecure`
          | RUN --security=insecure make
          |     ^
          = leave it out: nothing has privileges here"#]],
    );
    refused(
        "FROM debian@@\nUSER app\nRUN make\n",
        expect![[r#"
        Dockerfile:3:1: this would run as user `app`, and the sandbox has one user, root
          | RUN make
          | ^
          = run it above `USER`; what it makes may be read by everybody"#]],
    );
    refused(
        "FROM debian@@\nCOPY --chown=app:app . /app\nCOPY --chmod=4755 x /x\nCOPY ../x /x\n",
        expect![[r#"
        Dockerfile:2:6: owner `app:app`: trees have no owners
          | COPY --chown=app:app . /app
          |      ^
          = leave it out: all that is added belongs to 0:0, and may be read by everybody; what a service writes lies in a volume
        Dockerfile:3:6: mode `4755` cannot be given
          | COPY --chmod=4755 x /x
          |      ^
          = 755 or 644: a tree knows whether a file may be executed, and no more of its mode
        Dockerfile:4:6: `../x` leads out of what is copied from
          | COPY ../x /x
          |      ^
          = a path below it"#]],
    );
    refused(
        "FROM debian@@\nHEALTHCHECK CMD true\nONBUILD RUN x\nMAINTAINER Ada\n",
        expect![[r#"
        Dockerfile:2:1: an OCI image has no place for `HEALTHCHECK`
          | HEALTHCHECK CMD true
          | ^
          = leave it out: say how health is asked where it is deployed, as `health` of an environment
        Dockerfile:3:1: `ONBUILD` would do in another build what this one does not say
          | ONBUILD RUN x
          | ^
          = write the instruction where it is to happen
        Dockerfile:4:1: `MAINTAINER` is of the past, and OCI images have no place for it
          | MAINTAINER Ada
          | ^
          = write `LABEL org.opencontainers.image.authors="…"`"#]],
    );
    refused(
        "FROM debian@@\nENV API_TOKEN=x\nARG DB_PASSWORD\nENV A=${B#x}\nEXPOSE http\n",
        expect![[r#"
        Dockerfile:2:5: `API_TOKEN` looks like a secret, and it would be in the image and in every statement
          | ENV API_TOKEN=x
          |     ^
          = leave it out: give secrets to the running service
        Dockerfile:3:5: `DB_PASSWORD` looks like a secret, and it would be in the image and in every statement
          | ARG DB_PASSWORD
          |     ^
          = leave it out: give secrets to the running service
        Dockerfile:4:5: `${B#x}` is a form that is not known here
          | ENV A=${B#x}
          |     ^
          = as `NAME="value of $OTHER"`
        Dockerfile:5:8: `http` is no port
          | EXPOSE http
          |        ^
          = as `EXPOSE 8080` or `53/udp`"#]],
    );
    refused(
        "FROM --platform=linux/s390x debian@@\n",
        expect![[r#"
        Dockerfile:1:6: platform `linux/s390x` is not this machine's
          | FROM --platform=linux/s390x debian@sha256:b6afd42430b15f2d2a4c5a02b919e98a525b785b1aaff16747d2f623364e39b6
          |      ^
          = leave it out, or say `--platform=linux/amd64`: nothing is emulated"#]],
    );
}

#[test]
fn what_is_pinned_or_plain_is_taken() {
    let text = "# syntax=docker/dockerfile:1\nFROM --platform=$BUILDPLATFORM debian:12@@ AS b\nRUN --mount=type=cache,target=/root/.cache --network=none make\n\
                FROM pinned:1\nCOPY --link --chmod=755 --chown=0:0 --from=b /x /x\nADD x y /z/\nUSER 65532\nVOLUME /data\nSTOPSIGNAL SIGINT\nHEALTHCHECK NONE\n";
    let program = read(text).expect("it is good");
    assert_eq!(program.stages[0].from, From::Image(format!("docker.io/library/debian:12@{DIGEST}")));
    assert_eq!(program.stages[1].from, From::Image("oci:base".to_owned()));
    let Action::Run(run) = &program.stages[0].actions[0] else { panic!("a run") };
    assert_eq!(run.scratch, ["/root/.cache"]);
    let Action::Copy(copy) = &program.stages[1].actions[0] else { panic!("a copy") };
    assert_eq!(copy.executable, Some(true));
    let execution = &program.stages[1].execution;
    assert_eq!((execution.user.as_deref(), execution.stop_signal.as_deref()), (Some("65532"), Some("SIGINT")));
}

#[test]
fn a_stage_goes_on_as_its_image_says() {
    let text = format!("FROM a/b@{DIGEST}\nENV PATH=/opt:$PATH\nENTRYPOINT [\"/x\"]\nRUN y\n");
    let source = Source::read(&settings(), text.as_bytes(), b"").expect("it is good");
    let execution = Execution {
        env: Some(vec!["PATH=/bin".to_owned()]),
        cmd: Some(vec!["sh".to_owned()]),
        working_dir: Some("/srv".to_owned()),
        ..Execution::default()
    };
    let images = BTreeMap::from([(format!("docker.io/a/b@{DIGEST}"), execution)]);
    let program = source.program(&images).expect("it is good");
    let stage = &program.stages[0];
    assert_eq!(stage.execution.env, Some(vec!["PATH=/opt:/bin".to_owned()]));
    assert_eq!(stage.execution.cmd, None, "it was for another entry point");
    let Action::Run(run) = &stage.actions[0] else { panic!("a run") };
    assert_eq!((run.cwd.as_str(), run.variables["PATH"].as_str()), ("/srv", "/opt:/bin"));
}

#[test]
fn ignored_files_are_no_part_of_the_context() {
    let ignore = b"# none\n*.log\n!keep.log\n/target\nsub/**/x?\n**/[a-c].txt\n";
    let source = Source::read(&settings(), b"FROM scratch\n", ignore).expect("it is good");
    let seen = |path: &&str| source.is_in_context(path);
    let paths = [
        "a.log",
        "keep.log",
        "d/a.log",
        "target/x/y",
        "sub/x1",
        "sub/a/b/x2",
        "sub/xyz",
        "b.txt",
        "d/c.txt",
        "d/d.txt",
    ];
    let left: Vec<&str> = paths.into_iter().filter(seen).collect();
    assert_eq!(left, ["keep.log", "d/a.log", "sub/xyz", "d/d.txt"]);
    let many = "**/a/".repeat(40) + "b";
    let source = Source::read(&settings(), b"FROM scratch\n", many.as_bytes()).expect("it is good");
    assert!(source.is_in_context(&("a/".repeat(2_000) + "c")), "found without trying every way");
}

/// A root of files, `x` executable where the name ends so, links as `a -> b`, and directories that end in `/`.
fn root(paths: &[&str]) -> Root {
    let mut tree = model::tree::Tree::default();
    for path in paths {
        let (path, entry) = match path.split_once(" -> ") {
            Some((path, target)) => (path, model::tree::Entry::Link { target: target.to_owned() }),
            None if path.ends_with('/') => (path.trim_end_matches('/'), model::tree::Entry::Directory),
            None => {
                let digest = Digest::of(path.as_bytes());
                (*path, model::tree::Entry::File { digest, size: 1, executable: path.ends_with(".x") })
            }
        };
        tree.insert(path, entry).expect(path);
    }
    Root::of_tree(&tree, std::path::Path::new("/store"))
}

fn paths(root: &Root) -> Vec<String> {
    root.tree()
        .expect("a tree")
        .entries()
        .filter(|(_, e)| **e != model::tree::Entry::Directory)
        .map(|(p, _)| p.to_owned())
        .collect()
}

fn copied(to: &Root, giver: &Root, sources: &[&str], place: &str) -> Result<Vec<String>, String> {
    let mut root = to.clone();
    let copy = Copy {
        line: 1,
        giver: Giver::Context,
        sources: sources.iter().map(|source| (*source).to_owned()).collect(),
        to: translate::absolute("/", place),
        into: place.ends_with('/') || sources.len() > 1,
        executable: None,
        is_add: false,
    };
    root.copy(&copy, giver, &|path| !path.ends_with(".log")).map_err(|error| error.to_string())?;
    let before = paths(to);
    Ok(paths(&root).into_iter().filter(|path| !before.contains(path)).collect())
}

#[test]
fn copies_go_where_docker_puts_them() {
    let giver = root(&["a.c", "b.c", "dir/x", "dir/deep/y", "dir/z.log", "ln -> dir", "to -> a.c", "out.log"]);
    let base = root(&["bin -> usr/bin", "usr/bin/sh", "srv/", "etc/conf"]);
    let check = |sources: &[&str], to: &str, expected: &[&str]| {
        assert_eq!(copied(&base, &giver, sources, to).expect("it goes"), expected, "{sources:?} {to}");
    };
    check(&["a.c"], "/srv", &["srv/a.c"]);
    check(&["a.c"], "/new", &["new"]);
    check(&["a.c"], "/new/", &["new/a.c"]);
    check(&["*.c"], "/new/", &["new/a.c", "new/b.c"]);
    check(&["[b-z].c"], "/bin/b", &["usr/bin/b"]);
    check(&["dir"], "/new", &["new/deep/y", "new/x"]);
    check(&["dir/"], "/", &["deep/y", "x"]);
    check(&["ln"], "/new", &["new/deep/y", "new/x"]);
    check(&["ln/x"], "/new", &["new"]);
    check(&["to"], "/new/", &["new/to"]);
    check(&["."], "/app", &["app/a.c", "app/b.c", "app/dir/deep/y", "app/dir/x", "app/ln", "app/to"]);
    check(&["a.c", "dir"], "/bin/", &["usr/bin/a.c", "usr/bin/deep/y", "usr/bin/x"]);
    let refused = |sources: &[&str], to: &str| copied(&base, &giver, sources, to).expect_err("it is refused");
    assert_eq!(refused(&["none"], "/x"), "nothing fits `none`");
    assert_eq!(refused(&["out.log"], "/x"), "nothing fits `out.log`", "it is ignored");
    assert_eq!(refused(&["*.c"], "/x"), "`*.c` fits several, and `/x` is no directory: end it with `/`");
    assert_eq!(refused(&["a.c"], "/etc/conf/x"), "`/etc/conf` is no directory");
    assert_eq!(
        copied(&root(&["a -> b", "b -> a"]), &giver, &["a.c"], "/a/x").expect_err("a circle").matches("links").count(),
        1
    );
}

#[test]
fn a_layer_says_what_came_and_what_went() {
    let base = root(&["a", "b/x", "b/deep/y", "c/z", "d -> a", "tmp/", "e"]);
    let mut now = base.clone();
    let one = |path: &str, kind| Collected { path: path.to_owned(), kind };
    let file = || CollectedKind::File { digest: Digest::of(b"new"), size: 3, executable: true };
    let collected = [
        one("/a", CollectedKind::Directory),
        one("/a/f", file()),
        one("/b", CollectedKind::Removed),
        one("/c", CollectedKind::Link { to: "a".to_owned() }),
        one("/e", CollectedKind::Removed),
        one("/new/f", file()),
        one("/tmp/t", file()),
    ];
    now.apply(&collected, std::path::Path::new("/collected")).expect("it fits");
    let said = |entry: &Entry| {
        let what = match &entry.content {
            Content::File { executable, .. } => format!("file {executable}"),
            Content::Link { target } => format!("link {target}"),
            Content::Directory { shared } => format!("directory {shared}"),
            Content::Gone => "gone".to_owned(),
        };
        format!("{} {what}", entry.path)
    };
    let said: Vec<String> = now.changes(&base).iter().map(said).collect();
    let expected = [
        "a directory false",
        "a/f file true",
        "b gone",
        "c link a",
        "e gone",
        "new directory false",
        "new/f file true",
        "tmp/t file true",
    ];
    assert_eq!(said, expected);
    assert!(now.has_directory("tmp") && base.changes(&base).is_empty());
    assert!(
        root(&["tmp/x"]).changes(&Root::default()).iter().any(|e| e.content == Content::Directory { shared: true })
    );
}

#[test]
fn runs_go_together_until_something_is_added() {
    let text = "FROM pinned:1\nCOPY a /a\nRUN a\nRUN b\nRUN --mount=type=cache,target=/c c\nRUN d\nWORKDIR /x\n";
    let program = read(text).expect("it is good");
    let lengths: Vec<usize> = layers::parts(&program.stages[0].actions)
        .iter()
        .map(|part| match part {
            layers::Part::Added(all) => all.len(),
            layers::Part::Ran(all) => 10 + all.len(),
        })
        .collect();
    assert_eq!(lengths, [1, 12, 11, 11, 1]);
}

#[test]
fn an_image_that_does_more_than_it_says_is_refused() {
    let manifest =
        format!(r#"{{"schemaVersion":2,"config":{{"mediaType":"c","digest":"{DIGEST}","size":1}},"layers":[]}}"#);
    let config = |more: &str| {
        format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{{more}}},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#
        )
    };
    let parse = |config: String| layers::BaseImage::parse("base", manifest.as_bytes(), config.as_bytes());
    assert!(parse(config(r#""OnBuild":[],"User":"1""#)).is_ok());
    let error = parse(config(r#""OnBuild":["RUN make"]"#)).expect_err("it is refused");
    assert_eq!(error.to_string(), "the image `base` says `ONBUILD RUN make`, which this build does not");
    assert!(parse("{".to_owned()).is_err());
    assert!(parse(config("").replace("\"diff_ids\":[]", &format!("\"diff_ids\":[\"{DIGEST}\"]"))).is_err());
}

#[test]
fn mutations_never_panic() {
    let text = "ARG A=1\nFROM scratch AS a\nENV B=\"${A:-x}\" C='d'\nCOPY --from=a <<EOF /x\nt\nEOF\nRUN --mount=type=cache,target=/x a\nEXPOSE 1-9\n";
    crate::testing::fuzz(text.as_bytes(), |bytes| {
        drop(Source::read(&settings(), bytes, bytes));
    });
}
