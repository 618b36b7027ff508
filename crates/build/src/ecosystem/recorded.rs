//! Whatever a command fetched while it was recorded: `assay.record`, its bodies by SHA-256, as files and as a list to answer from.
//!
//! ```text
//! /recorded/files/repo.maven.apache.org/maven2/junit/junit/4.13.2/junit-4.13.2.pom → ../../…/bodies/569b6977…
//! /recorded/bodies/569b6977ee4603c965c1c46c3058fa6e969291b0160eb6964dd092cd89eadd94
//! /recorded/assay.record
//! /recorded/authority.pem
//! ```
//!
//! A step may read the files, or ask the same addresses again: whoever runs the plan answers on [`sandbox::door::PORT`] of the
//! loopback interface from the record, and from nothing else. The variables here lead clients there.
//!
//! **The authority** whose certificate stands here signs for every host, and its key is public: it is a part of the program.
//! Nothing but the one listener can be reached from a sandbox, so there is nobody to tell apart; what it must have is the
//! same bytes in every build, or a plan would differ. Real servers' certificates are verified where a record is made.

use std::collections::BTreeMap;

use inspect::lock_file::record::{self, Record};
use sandbox::door;
use sandbox::plan::Mount;
use wire::digest::Digest;
use wire::purl::Purl;

use super::download::{self, Integrity, Wanted};
use super::{Contribution, Ecosystem, Pinned, ProjectFile, Request};
use crate::inputs::{TreeEntry, TreeSource};
use crate::lock::{Dependency, DependencyKind, Lock};
use crate::pin::{PinError, World};
use crate::problem::Problem;

/// The file's name.
pub const FILE: &str = "assay.record";

/// What a plan calls the tree.
pub const TREE: &str = "recorded";

/// Where it is inside.
pub const DIRECTORY: &str = "/recorded";

/// The authority's certificate, as PEM.
pub const AUTHORITY: &str = include_str!("recorded/authority.pem");

/// The same for Java, which reads no PEM: `keytool -importcert -storetype JKS`, with Java's usual password.
const AUTHORITY_JAVA: &[u8] = include_bytes!("recorded/authority.jks");

/// Names in the tree.
pub const BODIES: &str = "bodies";
const FILES: &str = "files";
const AUTHORITY_FILE: &str = "authority.pem";
const AUTHORITY_JAVA_FILE: &str = "authority.jks";

/// What Maven of Debian reads for every project. It goes by no variable and no property of Java.
const MAVEN_SETTINGS: &str = "/etc/maven/settings.xml";

/// Reads a record of the project.
fn read(file: &ProjectFile) -> Result<Record, PinError> {
    record::record(&file.path, &file.bytes)
        .map_err(|error| PinError::LockFile(Box::new(Problem::of_lock_file(&file.bytes, &error))))
}

/// Pins the bodies of all records, and makes their tree.
pub(super) fn pin(request: &Request<'_>, world: &World<'_>) -> Result<Pinned, PinError> {
    let mut all = Record::default();
    let mut wanted: BTreeMap<(String, Digest), Wanted> = BTreeMap::new();
    for file in request.files {
        file.parse()?;
        let record = read(file)?;
        for answer in &record.answers {
            let Some(digest) = answer.digest else { continue };
            wanted.entry((answer.url.clone(), digest)).or_insert_with(|| Wanted {
                what: format!("`{}`", answer.url),
                url: answer.url.clone(),
                integrity: Integrity::Bytes(vec![digest]),
                stated_by: file.path.clone(),
            });
        }
        all.command.extend(record.command);
        all.answers.extend(record.answers);
    }
    all.answers.sort();
    all.answers.dedup_by(|a, b| a.url == b.url && a.accept == b.accept);
    let list: Vec<Wanted> = wanted.values().cloned().collect();
    let (_, counts) = download::bring(&list, world)?;
    let tree = world.inputs.import(layout(&all))?.digest();
    let dependencies = wanted.keys().map(|(url, digest)| dependency(url, digest)).collect();
    Ok(Pinned { tree: Some(tree), dependencies, counts })
}

/// The authority's certificate in the forms that clients read.
pub fn authority() -> Vec<TreeEntry> {
    let entry = |path: &str, bytes: &[u8]| TreeEntry {
        path: path.to_owned(),
        source: TreeSource::Bytes { bytes: bytes.to_vec(), executable: false },
    };
    vec![entry(AUTHORITY_FILE, AUTHORITY.as_bytes()), entry(AUTHORITY_JAVA_FILE, AUTHORITY_JAVA)]
}

/// Bodies, files that lead to them, the record itself and the authority.
fn layout(record: &Record) -> Vec<TreeEntry> {
    let bytes = |text: &str| TreeSource::Bytes { bytes: text.into(), executable: false };
    let mut entries = BTreeMap::from([(FILE.to_owned(), bytes(&record.to_text()))]);
    entries.extend(authority().into_iter().map(|entry| (entry.path, entry.source)));
    let mut files: BTreeMap<String, Digest> = BTreeMap::new();
    for answer in &record.answers {
        let Some(digest) = answer.digest else { continue };
        entries.insert(format!("{BODIES}/{}", digest.hex()), TreeSource::Held { digest, executable: false });
        if answer.status == 200
            && let Some(path) = file_path(&answer.url)
        {
            files.entry(path).or_insert(digest);
        }
    }
    for (path, digest) in &files {
        // What lies below another file can only be asked for.
        let lies_below = path.char_indices().any(|(at, c)| c == '/' && files.contains_key(&path[..at]));
        if !lies_below {
            let up = "../".repeat(path.split('/').count());
            let target = format!("{up}{BODIES}/{}", digest.hex());
            entries.insert(format!("{FILES}/{path}"), TreeSource::Link(target));
        }
    }
    entries.into_iter().map(|(path, source)| TreeEntry { path, source }).collect()
}

/// `HOST/PATH` of an address that is a plain file's: without a query, and with parts that can be names.
fn file_path(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let plain = |part: &str| {
        let good =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+' | b'@' | b'~' | b'=' | b':');
        !part.is_empty() && part.len() <= 255 && part != "." && part != ".." && part.bytes().all(good)
    };
    (rest.contains('/') && rest.split('/').all(plain)).then(|| rest.to_owned())
}

fn dependency(url: &str, digest: &Digest) -> Dependency {
    let name = url.split(['?', '#']).next().unwrap_or("").rsplit('/').next().unwrap_or("");
    let purl = Purl::new("generic", if name.is_empty() { "answer" } else { name }, &digest.to_string());
    Dependency {
        ecosystem: Some(Ecosystem::Recorded),
        name: url.to_owned(),
        version: String::new(),
        source: url.to_owned(),
        file: None,
        kind: DependencyKind::Url,
        commit: None,
        integrity: None,
        digest: *digest,
        purl: purl.with("download_url", url).to_string(),
    }
}

/// The variables that lead clients to the listener, and make them trust the authority.
pub(super) fn contribute(lock: &Lock) -> Contribution {
    contribution(lock, DIRECTORY)
}

/// The same for an authority's certificate in another directory inside.
pub(crate) fn contribution(lock: &Lock, directory: &str) -> Contribution {
    let port = door::PORT;
    let proxy = |protocol: &str| {
        format!(
            "<proxy><id>{protocol}</id><active>true</active><protocol>{protocol}</protocol><host>127.0.0.1</host>\
             <port>{port}</port><nonProxyHosts>localhost|127.0.0.1</nonProxyHosts></proxy>"
        )
    };
    // As Maven's own: plain HTTP is asked only where a project's settings say so.
    let settings = format!(
        "<settings><proxies>{}{}</proxies><mirrors><mirror><id>maven-default-http-blocker</id>\
         <mirrorOf>external:http:*</mirrorOf><url>http://0.0.0.0/</url><blocked>true</blocked></mirror></mirrors></settings>\n",
        proxy("http"),
        proxy("https")
    );
    let has_maven = lock.base.packages.iter().any(|package| package.name == "maven");
    let settings = Mount::File { target: MAVEN_SETTINGS.to_owned(), content: settings, executable: false };
    let mounts = has_maven.then_some(settings).into_iter().collect();
    Contribution { variables: variables(directory), mounts, ..Contribution::default() }
}

fn variables(directory: &str) -> BTreeMap<String, String> {
    let authority = format!("{directory}/{AUTHORITY_FILE}");
    let proxy = format!("http://127.0.0.1:{}", door::PORT);
    let port = door::PORT;
    let java = format!(
        "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort={port} -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort={port} \
         -Dhttp.nonProxyHosts=localhost|127.0.0.1 -Djavax.net.ssl.trustStore={directory}/{AUTHORITY_JAVA_FILE}"
    );
    let to_proxy = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "http_proxy", "https_proxy"];
    let to_authority = [
        "CARGO_HTTP_CAINFO",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "NODE_EXTRA_CA_CERTS",
        "PIP_CERT",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
    ];
    let pairs = to_proxy.map(|name| (name, proxy.clone())).into_iter();
    let pairs = pairs.chain(to_authority.map(|name| (name, authority.clone())));
    let more = [("JAVA_TOOL_OPTIONS", java), ("NO_PROXY", "127.0.0.1,localhost".to_owned())];
    let more = more.into_iter().chain([("no_proxy", "127.0.0.1,localhost".to_owned())]);
    pairs.chain(more).map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests;
