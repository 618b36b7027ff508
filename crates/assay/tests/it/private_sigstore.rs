//! A private Sigstore from nothing: certificates, times and log of one `assay serve`, used by clients as they are released.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::place::{Place, Ran, ran};
use crate::serving::{Server, fetch};

/// An issuer of identity tokens; it ends with this value.
struct Issuer {
    child: Child,
    url: String,
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/foreign/sigstore-clients")
}

fn python() -> PathBuf {
    let python = clients().join("venv/bin/python");
    assert!(python.exists(), "`scripts/test` installs sigstore-python first");
    python
}

impl Issuer {
    fn start() -> Issuer {
        let mut command = Command::new(python());
        command.arg(clients().join("issuer.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the issuer starts");
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut url).expect("a line");
        Issuer { child, url: url.trim().to_owned() }
    }

    fn token(&self, email: &str) -> String {
        let url = format!("{}/token?email={email}", self.url);
        let output = Command::new("curl").args(["--silent", "--fail", &url]).output().expect("curl runs");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("a token")
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// One server, an issuer whose tokens it takes for `example.org`, and what clients need of both.
struct Instance {
    place: Place,
    issuer: Issuer,
    server: Server,
}

impl Instance {
    fn start(name: &str) -> Instance {
        let place = Place::new(name);
        let issuer = Issuer::start();
        let work = place.work();
        let rules = format!(
            "version = 1\n[[issuer]]\ntype = \"email\"\nurl = \"{}\"\nallow = [{{ email = \"*@example.org\" }}]\n",
            issuer.url
        );
        fs::write(work.join("issuers.toml"), rules).expect("written");
        let server = Server::start_with(&place, &["--anonymous-read", "--issuers", "issuers.toml"]);
        for name in ["trust_config.json", "trusted_root.json"] {
            let (status, json) = fetch(&server, &format!("/api/v1/{name}"), None);
            assert_eq!(status, "200");
            fs::write(work.join(name), json).expect("written");
        }
        fs::write(work.join("artifact"), "made by hand\n").expect("written");
        fs::write(work.join("token"), issuer.token("jane@example.org")).expect("written");
        Instance { place, issuer, server }
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> Ran {
        ran(Command::new(program).args(arguments).current_dir(self.place.work()).output().expect("it runs"))
    }

    /// sigstore-python's command line, in a home of its own.
    fn sigstore(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(python());
        command.args(["-m", "sigstore", "--trust-config", "trust_config.json"]).args(arguments);
        ran(command.current_dir(self.place.work()).env("HOME", self.place.work()).output().expect("it runs"))
    }

    fn sign(&self, bundle: &str) -> Ran {
        let token = fs::read_to_string(self.place.work().join("token")).expect("a token");
        self.sigstore(&["sign", "--identity-token", &token, "--overwrite", "--bundle", bundle, "artifact"])
    }

    fn verify(&self, bundle: &str, identity: &str) -> Ran {
        let issuer = &self.issuer.url;
        self.sigstore(&[
            "verify",
            "identity",
            "--bundle",
            bundle,
            "--cert-identity",
            identity,
            "--cert-oidc-issuer",
            issuer,
            "artifact",
        ])
    }

    fn assay_verify(&self, bundle: &str, identity: &str) -> Ran {
        let issuer = &self.issuer.url;
        let arguments = [
            "sigstore",
            "verify-bundle",
            "--bundle",
            bundle,
            "--trusted-root",
            "trusted_root.json",
            "--certificate-identity",
            identity,
            "--certificate-oidc-issuer",
            issuer,
            "artifact",
        ];
        self.place.assay(&self.place.work(), &arguments)
    }
}

/// M3.2 M6.1 M10.1: sigstore-python and sigstore-js get certificates and times here, log here, and verify each other's
/// bundles, and so do we; after a revocation they get no certificate more.
#[test]
fn stock_clients_sign_and_verify() {
    let instance = Instance::start("private-sigstore");
    instance.sign("python.json").exits(0);
    instance.verify("python.json", "jane@example.org").exits(0);
    instance.verify("python.json", "john@example.org").exits(1);
    instance.assay_verify("python.json", "jane@example.org").exits(0);
    instance.assay_verify("python.json", "john@example.org").exits(1);

    let script = clients().join("sign.mjs");
    let (script, work) = (script.to_str().expect("UTF-8"), instance.place.work());
    let node = [script, &instance.server.address, work.to_str().expect("UTF-8"), "python.json"];
    let js = instance.run(Path::new("node"), &node).exits(0);
    assert_eq!(js.stdout, "verified js-blob.json\nverified js-dsse.json\nverified python.json\n");
    instance.verify("js-blob.json", "jane@example.org").exits(0);
    instance.assay_verify("js-dsse.json", "jane@example.org").exits(0);

    // Nobody else's tokens, and nobody's whom no rule lets in.
    let stranger = instance.issuer.token("jane@example.net");
    fs::write(work.join("token"), stranger).expect("written");
    assert_ne!(instance.sign("stranger.json").exit, 0);
    assert!(!work.join("stranger.json").exists());

    fs::write(work.join("token"), instance.issuer.token("jane@example.org")).expect("written");
    let revoke = ["admin", "revoke", &instance.issuer.url, "jane@example.org", "--reason", "left"];
    instance.place.json(&work, 0, &revoke);
    assert_ne!(instance.sign("revoked.json").exit, 0);
    assert!(!work.join("revoked.json").exists());
    fs::write(work.join("token"), instance.issuer.token("john@example.org")).expect("written");
    instance.sign("john.json").exits(0);

    let Instance { place, server, .. } = instance;
    server.stop();
    place.assay(&place.work(), &["admin", "fsck"]).exits(0);
    place.json(&place.work(), 0, &["sigstore", "trust-config", "--url", "https://sigstore.example.org"]);
}

/// OpenSSL reads what we issue: the chain of a certificate, its extensions, a time-stamp.
#[test]
fn openssl_accepts_certificates_and_times() {
    let instance = Instance::start("openssl");
    instance.sign("python.json").exits(0);
    let work = instance.place.work();
    let script = "import base64, json; \
        der = json.load(open('python.json'))['verificationMaterial']['certificate']['rawBytes']; \
        root = json.load(open('trusted_root.json'))['certificateAuthorities'][0]['certChain']['certificates']; \
        open('leaf.der', 'wb').write(base64.b64decode(der)); \
        [open(f'ca{i}.der', 'wb').write(base64.b64decode(c['rawBytes'])) for i, c in enumerate(root)]";
    instance.run(&python(), &["-c", script]).exits(0);
    let openssl = |arguments: &[&str]| instance.run(Path::new("openssl"), arguments);
    for name in ["leaf", "ca0", "ca1"] {
        openssl(&["x509", "-inform", "der", "-in", &format!("{name}.der"), "-out", &format!("{name}.pem")]).exits(0);
    }
    openssl(&["verify", "-x509_strict", "-CAfile", "ca1.pem", "-untrusted", "ca0.pem", "leaf.pem"]).exits(0);
    assert_ne!(openssl(&["verify", "-CAfile", "ca1.pem", "leaf.pem"]).exit, 0);
    let text = openssl(&["x509", "-in", "leaf.pem", "-noout", "-text"]).exits(0).stdout;
    for expected in [
        "Subject: \n",
        "X509v3 Subject Alternative Name: critical\n                email:jane@example.org\n",
        "CT Precertificate SCTs",
        "Code Signing",
    ] {
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
    let parsed = openssl(&["asn1parse", "-inform", "der", "-in", "leaf.der", "-i"]).exits(0).stdout;
    // The issuer's second form is DER: a UTF8String in the extension.
    let line = parsed.lines().skip_while(|line| !line.contains("1.3.6.1.4.1.57264.1.8")).nth(1).expect("its value");
    let value = line.rsplit_once("DUMP]:").or(line.rsplit_once(':')).expect("a value").1;
    assert!(value.starts_with("0C"), "{line}");

    openssl(&["ts", "-query", "-data", "artifact", "-sha512", "-cert", "-out", "query"]).exits(0);
    let url = format!("{}/api/v1/timestamp", instance.server.address);
    let head = "Content-Type: application/timestamp-query";
    let curl = ["--silent", "--fail", "-H", head, "--data-binary", "@query", "-o", "reply", &url];
    instance.run(Path::new("curl"), &curl).exits(0);
    let chain = format!("{url}/certchain");
    instance.run(Path::new("curl"), &["--silent", "--fail", "-o", "chain.pem", &chain]).exits(0);
    let pem = fs::read_to_string(work.join("chain.pem")).expect("PEM");
    let anchor = &pem[pem.rfind("-----BEGIN").expect("two certificates")..];
    fs::write(work.join("anchor.pem"), anchor).expect("written");
    openssl(&["ts", "-verify", "-queryfile", "query", "-in", "reply", "-CAfile", "anchor.pem"]).exits(0);
    openssl(&["ts", "-verify", "-data", "artifact", "-in", "reply", "-CAfile", "anchor.pem"]).exits(0);
    assert_ne!(openssl(&["ts", "-verify", "-data", "query", "-in", "reply", "-CAfile", "anchor.pem"]).exit, 0);
}
