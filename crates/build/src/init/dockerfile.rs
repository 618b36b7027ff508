//! A project that has a Dockerfile, and nothing that is known better.

use std::path::Path;

use inspect::dockerfile::Problem;

use super::{InitError, Proposal, directory_name, read_text};
use crate::lock::basic_string;

/// The names that are looked for, the first that is there.
pub(super) const NAMES: [&str; 2] = ["Dockerfile", "Containerfile"];

/// Proposes a build that the Dockerfile says; `None` where there is none.
pub(super) fn look(directory: &Path, owner: &str) -> Result<Option<Proposal>, InitError> {
    let Some(name) = NAMES.into_iter().find(|name| directory.join(name).is_file()) else { return Ok(None) };
    let text = read_text(directory, name)?;
    let mut notes = vec![format!("builds what {name} says: see docs/dockerfiles.md")];
    match inspect::dockerfile::parse(name, text.as_bytes()) {
        Ok(parsed) => notes.extend(parsed.findings.iter().map(|finding| {
            let open = matches!(finding.problem, Problem::Tag { .. } | Problem::Latest { .. });
            let pin = if open { "; write the digest behind it, or name it in `images` of [build]" } else { "" };
            format!("{finding}{pin}")
        })),
        Err(error) => notes.push(error.to_string()),
    }
    let project = directory_name(directory);
    let text = format!(
        r#"version = 1

[project]
name = {project}
owners = [{owner}]

# The Dockerfile is the build. Its images need digests: in the file, or here as
# images = {{ "debian:12" = "docker.io/library/debian:12@sha256:…" }}
[build]
dockerfile = {dockerfile}

[image]
name = {project}
"#,
        project = basic_string(&project),
        owner = basic_string(owner),
        dockerfile = basic_string(name),
    );
    Ok(Some(Proposal {
        text,
        project,
        binaries: Vec::new(),
        service: false,
        environment: "production".to_owned(),
        policy: "policies/production.toml".to_owned(),
        notes,
    }))
}
