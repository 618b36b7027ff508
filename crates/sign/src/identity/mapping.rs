//! From a token's claims to the name and the extensions of a certificate.

use std::collections::BTreeMap;

use super::{IdentityError, Kind};
use crate::certificate::SubjectName;
use crate::issuing::FulcioValue;
use crate::jwt::Claims;

type Mapped = Result<(SubjectName, Vec<FulcioValue>), IdentityError>;

/// GitHub's claims, by the extension's number; `{server}` is the server of links. The name is the first.
/// <https://docs.github.com/en/actions/reference/security/oidc#oidc-token-claims>
const GITHUB: [(u32, &str); 21] = [
    (9, "{server}/{job_workflow_ref}"),
    (2, "{event_name}"),
    (3, "{sha}"),
    (4, "{workflow}"),
    (5, "{repository}"),
    (6, "{ref}"),
    (10, "{job_workflow_sha}"),
    (11, "{runner_environment}"),
    (12, "{server}/{repository}"),
    (13, "{sha}"),
    (14, "{ref}"),
    (15, "{repository_id}"),
    (16, "{server}/{repository_owner}"),
    (17, "{repository_owner_id}"),
    (18, "{server}/{workflow_ref}"),
    (19, "{workflow_sha}"),
    (20, "{event_name}"),
    (21, "{server}/{repository}/actions/runs/{run_id}/attempts/{run_attempt}"),
    (22, "{repository_visibility}"),
    (23, "{environment}"),
    (24, "{sub}"),
];

/// GitLab's claims. The name is the first.
/// <https://docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload>
const GITLAB: [(u32, &str); 16] = [
    (9, "https://{ci_config_ref_uri}"),
    (10, "{ci_config_sha}"),
    (11, "{runner_environment}"),
    (12, "{server}/{project_path}"),
    (13, "{sha}"),
    (14, "{full_ref}"),
    (15, "{project_id}"),
    (16, "{server}/{namespace_path}"),
    (17, "{namespace_id}"),
    (18, "https://{ci_config_ref_uri}"),
    (19, "{ci_config_sha}"),
    (20, "{pipeline_source}"),
    (21, "{server}/{project_path}/-/jobs/{job_id}"),
    (22, "{project_visibility}"),
    (23, "{environment}"),
    (24, "{sub}"),
];

/// What a workflow's token must state, so that its certificate says what was built.
const GITHUB_NEEDS: [&str; 6] = ["job_workflow_ref", "sha", "event_name", "repository", "workflow", "ref"];
const GITLAB_NEEDS: [&str; 8] =
    ["ci_config_ref_uri", "sha", "pipeline_source", "project_path", "namespace_path", "job_id", "ref", "ref_type"];

pub(super) fn map(kind: &Kind, claims: &Claims) -> Mapped {
    match kind {
        Kind::GithubActions(server) => {
            needs(claims, &GITHUB_NEEDS)?;
            workflow(&GITHUB, &|name| if name == "server" { Some(server.clone()) } else { claims.text(name) })
        }
        Kind::GitlabCi(server) => {
            needs(claims, &GITLAB_NEEDS)?;
            let full_ref = gitlab_ref(claims)?;
            workflow(&GITLAB, &|name| match name {
                "server" => Some(server.clone()),
                "full_ref" => Some(full_ref.clone()),
                _ => claims.text(name),
            })
        }
        Kind::Kubernetes => kubernetes(claims),
        Kind::Email => email(claims),
        Kind::Spiffe(domain) => spiffe(claims, domain),
        Kind::Uri(domain) => uri_of(claims, domain),
        Kind::Generic { subject, extensions } => generic(claims, subject, extensions),
    }
}

fn needs(claims: &Claims, names: &[&str]) -> Result<(), IdentityError> {
    match names.iter().find(|name| claims.text(name).is_none()) {
        Some(name) => Err(IdentityError::Claim((*name).to_owned())),
        None => Ok(()),
    }
}

/// Fills a table in; the name is its first row, and a row of which a claim is absent is left out.
fn workflow(table: &[(u32, &str)], claim: &dyn Fn(&str) -> Option<String>) -> Mapped {
    let name = fill(table[0].1, claim).map_err(IdentityError::Claim)?;
    let values = table.iter().filter_map(|(number, text)| FulcioValue::new(*number, fill(text, claim).ok()?));
    let mut values: Vec<FulcioValue> = values.collect();
    values.sort_by_key(FulcioValue::number);
    Ok((SubjectName::Uri(encoded(&name)), values))
}

fn gitlab_ref(claims: &Claims) -> Result<String, IdentityError> {
    let name = claims.text("ref").unwrap_or_default();
    match claims.text("ref_type").as_deref() {
        Some("branch") => Ok(format!("refs/heads/{name}")),
        Some("tag") => Ok(format!("refs/tags/{name}")),
        _ => Err(IdentityError::Form { claim: "ref_type", expected: "`branch` or `tag`" }),
    }
}

fn kubernetes(claims: &Claims) -> Mapped {
    let part = |claim: &'static str| {
        let text = claims.text(claim).ok_or_else(|| IdentityError::Claim(claim.to_owned()))?;
        // RFC 1123 names: nothing in them can lead out of their place in the URI.
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
        if plain { Ok(text) } else { Err(IdentityError::Form { claim, expected: "a name of Kubernetes" }) }
    };
    let (space, account) = (part("kubernetes.io/namespace")?, part("kubernetes.io/serviceaccount/name")?);
    let uri = format!("https://kubernetes.io/namespaces/{space}/serviceaccounts/{account}");
    Ok((SubjectName::Uri(uri), Vec::new()))
}

fn email(claims: &Claims) -> Mapped {
    let address = claims.text("email").ok_or_else(|| IdentityError::Claim("email".to_owned()))?;
    let verified = claims.text("email_verified").as_deref() == Some("true");
    let (user, domain) = address.split_once('@').unwrap_or_default();
    let plain = address.bytes().all(|byte| byte.is_ascii_graphic());
    if !verified || !plain || user.is_empty() || domain.is_empty() || domain.contains('@') {
        return Err(IdentityError::Form { claim: "email", expected: "a verified e-mail address" });
    }
    Ok((SubjectName::Email(address), Vec::new()))
}

fn spiffe(claims: &Claims, domain: &str) -> Mapped {
    let subject = claims.text("sub").unwrap_or_default();
    let path = subject.strip_prefix("spiffe://").and_then(|rest| rest.strip_prefix(domain));
    let segment = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    match path.and_then(|path| path.strip_prefix('/')).is_some_and(|path| path.split('/').all(segment)) {
        true => Ok((SubjectName::Uri(subject), Vec::new())),
        false => Err(IdentityError::Form { claim: "sub", expected: "a SPIFFE id of the issuer's trust domain" }),
    }
}

fn uri_of(claims: &Claims, domain: &str) -> Mapped {
    let subject = claims.text("sub").unwrap_or_default();
    let inside = subject.strip_prefix(domain).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match inside && subject.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok((SubjectName::Uri(subject), Vec::new())),
        false => Err(IdentityError::Form { claim: "sub", expected: "a URI of the issuer's subject domain" }),
    }
}

fn generic(claims: &Claims, subject: &str, extensions: &BTreeMap<u32, String>) -> Mapped {
    let claim = |name: &str| claims.text(name);
    let name = fill(subject, &claim).map_err(IdentityError::Claim)?;
    let values = extensions.iter().filter_map(|(number, text)| FulcioValue::new(*number, fill(text, &claim).ok()?));
    Ok((SubjectName::Uri(encoded(&name)), values.collect()))
}

/// Puts claims in place of their names in braces; the name of one that is absent is the error.
fn fill(text: &str, claim: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(before);
        out.push_str(&claim(name).ok_or_else(|| name.to_owned())?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Writes what a URI cannot hold as `%XX`: names of branches may have any letters.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte.is_ascii_graphic() {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
