//! The text of a proposed `assay.toml`.

use super::{Findings, Proposal, Service};
use crate::lock::basic_string;

/// The environment that a proposal declares.
pub(super) const ENVIRONMENT: &str = "production";

pub(super) fn proposal(findings: &Findings) -> Proposal {
    let policy = format!("policies/{ENVIRONMENT}.toml");
    let binaries: Vec<String> = findings.members.iter().flat_map(|member| member.binaries.clone()).collect();
    let artifacts = artifacts(&binaries);
    let sections = [
        head(&findings.project, &findings.owners),
        base(findings),
        steps(findings),
        artifact_sections(findings, &artifacts),
        image(findings, &artifacts),
        tests(findings),
        environment(findings, &artifacts, &policy),
    ];
    Proposal {
        text: sections.join("\n"),
        project: findings.project.clone(),
        binaries,
        service: findings.service.is_some(),
        environment: ENVIRONMENT.to_owned(),
        policy,
        notes: notes(findings),
    }
}

/// Artifact name and binary; a name that a specification does not allow becomes one.
fn artifacts(binaries: &[String]) -> Vec<(String, String)> {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name = |binary: &String| binary.to_lowercase().chars().map(allowed).collect::<String>();
    let mut artifacts: Vec<(String, String)> = binaries.iter().map(|binary| (name(binary), binary.clone())).collect();
    artifacts.sort();
    artifacts.dedup_by(|a, b| a.0 == b.0);
    artifacts
}

pub(super) fn head(project: &str, owners: &[String]) -> String {
    format!(
        "# How this project is built, tested and deployed. `assay lock` pins everything that is named here.\n\
         version = 1\n\
         \n\
         [project]\n\
         name = {}\n\
         # Who answers for it.\n\
         owners = {}\n",
        basic_string(project),
        list_of(owners)
    )
}

fn base(findings: &Findings) -> String {
    let mut out =
        "# The build sees these Debian packages (with what they depend on), the toolchain, and nothing else of\n\
                   # this machine. Versions are pinned by the lock.\n"
            .to_owned();
    for reason in &findings.reasons {
        out.push_str(&format!("# {reason}\n"));
    }
    out.push_str(&format!("[base]\npackages = {}\ntoolchains = [\"rust\"]\n", list(&findings.packages)));
    if let Some(target) = &findings.target {
        out.push_str(&format!("targets = [{}]\n", basic_string(target)));
    }
    out.push_str(
        "\n[build]\n\
         # T0: one fixed path, constructed variables, fixed source times. T1 and T2 hide more of the machine.\n\
         tier = \"T0\"\n\
         # The number of CPUs can change a build's bytes, so it is part of the lock.\n\
         cpus = 2\n",
    );
    out
}

fn steps(findings: &Findings) -> String {
    let mut run = vec!["cargo", "build", "--release", "--locked"];
    if findings.is_workspace {
        for member in &findings.members {
            run.extend(["-p", &member.name]);
        }
    }
    format!(
        "# Steps run in order, in /build, without a network and without a shell. `--locked`: Cargo.lock decides.\n\
         [[step]]\n\
         name = \"compile\"\n\
         run = {}\n",
        list(&run)
    )
}

fn artifact_sections(findings: &Findings, artifacts: &[(String, String)]) -> String {
    let directory = match &findings.target {
        Some(target) => format!("target/{target}/release"),
        None => "target/release".to_owned(),
    };
    let section = |(name, binary): &(String, String)| {
        let path = basic_string(&format!("{directory}/{binary}"));
        format!("[[artifact]]\nname = {}\npath = {path}\n", basic_string(name))
    };
    let sections: Vec<String> = artifacts.iter().map(section).collect();
    format!("# What the steps leave: each is digested, signed for, and can be deployed.\n{}", sections.join("\n"))
}

fn image(findings: &Findings, artifacts: &[(String, String)]) -> String {
    let names: Vec<&str> = artifacts.iter().map(|(name, _)| name.as_str()).collect();
    let entrypoint = format!("/{}", main_artifact(findings, artifacts));
    let ports = findings.service.as_ref().map_or(String::new(), |service| format!("ports = [{}]\n", service.port));
    format!(
        "# An OCI image of the artifacts, each at /NAME. \"closure\" packs the libraries that they need; \"none\" is for\n\
         # static programs.\n\
         [image]\n\
         name = {}\n\
         artifacts = {}\n\
         entrypoint = {}\n\
         libraries = \"closure\"\n\
         {ports}",
        basic_string(&image_name(findings, &names)),
        list(&names),
        list(&[&entrypoint]),
    )
}

/// The project's name, unless an artifact has it.
fn image_name(findings: &Findings, artifacts: &[&str]) -> String {
    let mut name = findings.project.chars().take(58).collect::<String>();
    while artifacts.contains(&name.as_str()) {
        name.push_str("-image");
    }
    name
}

/// The artifact named like the project, or the first.
fn main_artifact<'a>(findings: &Findings, artifacts: &'a [(String, String)]) -> &'a str {
    let own = artifacts.iter().find(|(name, _)| *name == findings.project);
    own.or(artifacts.first()).map_or("", |(name, _)| name)
}

fn tests(findings: &Findings) -> String {
    let workspace = if findings.is_workspace { ", \"--workspace\"" } else { "" };
    let section = format!(
        "[[test]]\n\
         name = \"unit\"\n\
         run = [\"cargo\", \"test\", \"--release\", \"--locked\"{workspace}]\n\
         repetitions = 2\n\
         format = \"cargo\"\n"
    );
    let says = "# Tests run in the same sandbox, as often as said; a case whose outcome differs counts as failed.\n";
    match findings.has_tests {
        true => format!("{says}{section}"),
        false => {
            let commented: String = section.lines().map(|line| format!("# {line}\n")).collect();
            format!("{says}# No test was found in the sources; with one, take this in:\n{commented}")
        }
    }
}

fn environment(findings: &Findings, artifacts: &[(String, String)], policy: &str) -> String {
    let program = main_artifact(findings, artifacts);
    let says = "# Where it is deployed, and the policy that must let it.\n";
    let head = format!("{says}[environment.{ENVIRONMENT}]\npolicy = {}\n", basic_string(policy));
    match &findings.service {
        Some(Service { because, port, health }) => format!(
            "{head}\
             # It depends on {because}, so it is taken for a service. Check the port and the path of the health check.\n\
             kind = \"service\"\n\
             run = {}\n\
             health = \"http://127.0.0.1:{port}{health}\"\n\
             stop = \"SIGTERM\"\n",
            list(&[program])
        ),
        None => format!(
            "{head}\
             # It depends on no HTTP server, so it is deployed as a directory, good when this command succeeds. For a\n\
             # service, write kind = \"service\" with `run` and `health`.\n\
             kind = \"release\"\n\
             check = {}\n",
            list(&[program, "--help"])
        ),
    }
}

fn notes(findings: &Findings) -> Vec<String> {
    let binaries: Vec<&str> =
        findings.members.iter().flat_map(|member| member.binaries.iter().map(String::as_str)).collect();
    let mut notes = vec![format!("builds {}", binaries.join(", "))];
    notes.extend(findings.reasons.iter().map(|reason| format!("needs {reason}")));
    notes.push(match &findings.service {
        Some(service) => {
            let Service { because, port, health } = service;
            format!("taken for a service, since it depends on {because}: port {port}, health check {health}")
        }
        None => "no HTTP server among its dependencies: deployed as a release directory".to_owned(),
    });
    if !findings.has_tests {
        notes.push("no test was found".to_owned());
    }
    notes
}

fn list(items: &[&str]) -> String {
    let items: Vec<String> = items.iter().map(|item| basic_string(item)).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML list of texts.
pub(super) fn list_of(items: &[String]) -> String {
    list(&items.iter().map(String::as_str).collect::<Vec<_>>())
}
