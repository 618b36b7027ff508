//! Java projects with Maven: what `pom.xml` says of name and version. Maven has no lock file of its own that names all it
//! reads, so a record of what it asks for is the lock file.

use std::path::Path;

use inspect::pom::{self, Pom};

use super::draft::{Draft, Step, texts};
use super::{InitError, name_of, read_text};
use crate::ecosystem::recorded;
use crate::problem::Problem;

/// Maven of Debian with the JDK that it is built for, and what its script calls.
const PACKAGES: [&str; 6] = ["coreutils", "dash", "grep", "maven", "openjdk-17-jdk-headless", "sed"];

/// What keeps the clock out of archives, where the project does not: 1980 is the first year that a zip can name.
const FIXED_TIME: &str = "-Dproject.build.outputTimestamp=1980-02-01T00:00:00Z";

/// `None` if the directory holds no `pom.xml`.
pub(super) fn look(directory: &Path) -> Result<Option<Draft>, InitError> {
    if !directory.join("pom.xml").is_file() {
        return Ok(None);
    }
    let text = read_text(directory, "pom.xml")?;
    let pom = pom::parse(&text).map_err(|message| {
        let mend = Some("let `mvn help:effective-pom` show what Maven reads".to_owned());
        InitError::Manifest(Box::new(Problem::at("pom.xml", &text, 0, message, mend)))
    })?;
    Ok(Some(draft(&pom, directory.join("settings.xml").is_file())))
}

fn draft(pom: &Pom, has_settings: bool) -> Draft {
    let mut maven = vec!["mvn", "-B", "-ntp"];
    if has_settings {
        maven.extend(["-s", "settings.xml"]);
    }
    if !pom.fixes_times {
        maven.push(FIXED_TIME);
    }
    let called = |goal: &'static str| [maven.as_slice(), &[goal]].concat();
    let record = format!("assay lock --record -- {}", called("package").join(" "));
    let extension = if ["war", "ear"].contains(&pom.packaging.as_str()) { &pom.packaging } else { "jar" };
    let file = match &pom.final_name {
        Some(name) => format!("{name}.{extension}"),
        None => format!("{}-{}.{extension}", pom.artifact, pom.version),
    };
    let main = pom.modules.first().map_or(String::new(), |module| format!("{module}/"));
    Draft {
        about_base: texts(&["Maven and the JDK of Debian. What Maven fetches, a record pins:", &record]),
        packages: texts(&PACKAGES),
        lock_files: texts(&[recorded::FILE]),
        tier: Some((
            "T1".to_owned(),
            "Java asks for the machine's memory and CPUs when it starts; from T1 on it is told the same everywhere."
                .to_owned(),
        )),
        steps: vec![Step::new(
            "package",
            &called("package"),
            &["Answered from the record alone. Plugins and tests run here, in the sandbox."],
        )],
        about_artifacts: match pom.modules.is_empty() {
            true => Vec::new(),
            false => texts(&["The archive of the first module, by a guess: name those that are shipped."]),
        },
        artifacts: vec![(name_of(&file), format!("{main}target/{file}"))],
        test: Some(texts(&called("test"))),
        check: texts(&["/bin/true"]),
        about_check: texts(&["Replace this check by one that shows that the release works."]),
        notes: vec![format!("builds {file}"), format!("run `{record}` to pin what Maven fetches")],
        project: name_of(&pom.artifact),
        ..Draft::default()
    }
}
