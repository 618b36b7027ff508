//! What a Maven `pom.xml` says of the project itself.
//!
//! Specification: <https://maven.apache.org/pom.html>. Properties, profiles and plugins are not interpreted: that is Maven's.

use roxmltree::{Document, Node, ParsingOptions};

/// How large a POM may be, in nodes of its document.
const NODES_MAX: u32 = 200_000;

/// A project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pom {
    /// `artifactId`
    pub artifact: String,
    /// `version`, its own or its parent's.
    pub version: String,
    /// `packaging`; `jar` where it says none.
    pub packaging: String,
    /// `build.finalName`
    pub final_name: Option<String>,
    /// Whether it fixes the times in its archives: the property `project.build.outputTimestamp`.
    pub fixes_times: bool,
    /// Directories of its modules.
    pub modules: Vec<String>,
}

/// Reads a POM; the error says what is wrong and where.
pub fn parse(text: &str) -> Result<Pom, String> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| error.to_string())?;
    let root = document.root_element();
    if root.tag_name().name() != "project" {
        return Err(format!("its root is `{}`: expected `project`", root.tag_name().name()));
    }
    let own = |name: &str| child(root, name).and_then(text_of);
    let parent = child(root, "parent");
    let build = child(root, "build");
    let modules = child(root, "modules").into_iter().flat_map(|modules| modules.children());
    Ok(Pom {
        artifact: own("artifactId").ok_or("`artifactId` is missing")?,
        version: own("version")
            .or_else(|| parent.and_then(|parent| child(parent, "version")).and_then(text_of))
            .ok_or("`version` is missing")?,
        packaging: own("packaging").unwrap_or_else(|| "jar".to_owned()),
        final_name: build.and_then(|build| child(build, "finalName")).and_then(text_of),
        fixes_times: child(root, "properties").is_some_and(|p| child(p, "project.build.outputTimestamp").is_some()),
        modules: modules.filter(|node| node.tag_name().name() == "module").filter_map(text_of).collect(),
    })
}

fn child<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

fn text_of(node: Node<'_, '_>) -> Option<String> {
    node.text().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_its_own_is_its_parents() {
        let text = "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><parent><artifactId>p</artifactId><version>2</version></parent>\
                    <artifactId>a</artifactId><modules><module>x</module></modules></project>";
        let pom = parse(text).expect("it is good");
        assert_eq!((pom.artifact.as_str(), pom.version.as_str(), pom.packaging.as_str()), ("a", "2", "jar"));
        assert_eq!((pom.modules, pom.fixes_times), (vec!["x".to_owned()], false));
        assert_eq!(parse("<project/>"), Err("`artifactId` is missing".to_owned()));
        assert!(parse("<a/>").is_err() && parse("<project>").is_err());
        assert!(parse("<!DOCTYPE p [<!ENTITY e \"x\">]><project/>").is_err(), "no entities");
    }
}
