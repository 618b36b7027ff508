//! Maven, with Debian's packages of artifacts as the repository that is asked and then deleted; no public repository was asked.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{Upstream, artifact, locked_and_built_twice, outlives_its_upstream, project};
use crate::place::{Place, git};

const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>org.example</groupId>
  <artifactId>sundial</artifactId>
  <version>1.0</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source>
    <maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency><groupId>commons-io</groupId><artifactId>commons-io</artifactId><version>2.11.0</version></dependency>
    <dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.13.2</version><scope>test</scope></dependency>
  </dependencies>
</project>
"#;

/// Everything from one repository; without it Maven 3.8 refuses any address that has no TLS.
const SETTINGS: &str = "<settings><mirrors><mirror><id>upstream</id><mirrorOf>*</mirrorOf><url>UPSTREAM/maven2</url></mirror>\
                        </mirrors></settings>\n";

const SUNDIAL: &str = "package org.example;\n\nimport org.apache.commons.io.FilenameUtils;\n\npublic class Sundial {\n    \
                       public static String noon() { return FilenameUtils.getBaseName(\"a/noon.txt\"); }\n}\n";
const TEST: &str = "package org.example;\n\nimport org.junit.Assert;\nimport org.junit.Test;\n\npublic class SundialTest {\n    \
                    @Test public void noon() { Assert.assertEquals(\"noon\", Sundial.noon()); }\n}\n";

#[test]
fn maven_is_answered_from_its_record() {
    let place = Place::new("maven");
    let upstream = Upstream::at("127.0.0.2");
    upstream.serve_directory("/maven2", Path::new("/usr/share/maven-repo"));
    let settings = SETTINGS.replace("UPSTREAM", &upstream.url());
    let files = [
        ("pom.xml", POM),
        ("settings.xml", settings.as_str()),
        ("src/main/java/org/example/Sundial.java", SUNDIAL),
        ("src/test/java/org/example/SundialTest.java", TEST),
        (".gitignore", "target/\n"),
    ];
    let project = project(&place, &files);
    place.assay(&project, &["init"]).exits(0);
    let error = place.json(&project, 2, &["lock"]);
    assert!(error.to_string().contains("assay lock --record -- COMMAND"), "{error}");
    let spec = fs::read_to_string(project.join("assay.toml")).expect("assay.toml");
    let line =
        spec.lines().find_map(|line| line.split_once("# assay lock --record -- ")).expect("the command stands there").1;
    let command: Vec<&str> = ["lock", "--json", "--record", "--"].into_iter().chain(line.split(' ')).collect();
    let locked = place.assay(&project, &command).exits(0).json();
    assert!(locked["recorded"].as_u64().is_some_and(|count| count > 100), "{locked}");
    git(&project, &["add", "--all"]);
    git(&project, &["commit", "--quiet", "-m", "recorded"]);
    drop(upstream);
    let built = locked_and_built_twice(&place, &project);
    assert_eq!(built["artifacts"][0]["name"], json!("sundial-1.0.jar"));
    outlives_its_upstream(&place, &project);
    let jar = artifact(&place, &project, "sundial-1.0.jar");
    assert!(jar.starts_with(b"PK\x03\x04"));
    // Another dependency is no part of the record.
    let other = POM.replace("<version>2.11.0<", "<version>2.12.0<");
    fs::write(project.join("pom.xml"), other).expect("a file");
    let error = place.json(&project, 1, &["build"]);
    assert!(error.to_string().contains("commons-io-2.12.0.pom"), "{error}");
}
