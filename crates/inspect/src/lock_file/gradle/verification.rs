//! `gradle/verification-metadata.xml`.

use roxmltree::{Document, Node, ParsingOptions};

use super::{Positions, add, position};
use crate::lock_file::document::{Lines, text_of};
use crate::lock_file::finding::{PackageProblem, Position, Problem, Reason, Refusal, shorten};
use crate::lock_file::jvm::Coordinates;
use crate::lock_file::pin::{Artifact, Role};
use crate::lock_file::reading::{Digests, Reading, is_name};

/// How many nodes the document may have, texts between elements included: a file of a module has about eight.
const NODES_MAX: u32 = 2_000_000;

pub(super) fn read(reading: &mut Reading<'_>, bytes: &[u8], positions: &mut Positions) -> Result<(), Refusal> {
    let text = text_of(bytes)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| {
        let at = error.pos();
        let at = Position { line: at.row as usize, column: at.col as usize };
        // The place stands at the end of the message as well.
        let message = error.to_string();
        let message = message.rsplit_once(" at ").map_or(message.as_str(), |(before, _)| before);
        Refusal::new(at, Reason::Syntax(shorten(message)))
    })?;
    let places = Places { text, lines: Lines::of(text) };
    let root = document.root_element();
    if root.tag_name().name() != "verification-metadata" {
        let found = shorten(root.tag_name().name());
        return Err(Refusal::new(places.of(root), Reason::Format { found, known: "`verification-metadata`" }));
    }
    for section in root.children().filter(Node::is_element) {
        match section.tag_name().name() {
            "configuration" => configuration(reading, &places, section),
            "components" => {
                for node in elements(section, "component") {
                    component(reading, &places, positions, node)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

struct Places<'a> {
    text: &'a str,
    lines: Lines,
}

impl Places<'_> {
    fn of(&self, node: Node<'_, '_>) -> Position {
        self.lines.position(self.text, node.range().start)
    }
}

fn elements<'a, 'b>(node: Node<'a, 'b>, name: &'static str) -> impl Iterator<Item = Node<'a, 'b>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// Reports what is exempt from verification.
fn configuration(reading: &mut Reading<'_>, places: &Places<'_>, configuration: Node<'_, '_>) {
    for node in configuration.descendants().filter(Node::is_element) {
        match node.tag_name().name() {
            "verify-metadata" if node.text().map(str::trim) != Some("true") => {
                reading.found(places.of(node), "", Problem::Exempt { what: "POMs and module files".to_owned() });
            }
            "trust" => {
                let attributes: Vec<String> = node
                    .attributes()
                    .filter(|attribute| attribute.name() != "reason")
                    .map(|attribute| format!("{} {}", attribute.name(), attribute.value()))
                    .collect();
                reading.found(places.of(node), "", Problem::Exempt { what: shorten(&attributes.join(", ")) });
            }
            _ => {}
        }
    }
}

fn component(
    reading: &mut Reading<'_>,
    places: &Places<'_>,
    positions: &mut Positions,
    node: Node<'_, '_>,
) -> Result<(), Refusal> {
    let at = places.of(node);
    let attribute = |name: &'static str| node.attribute(name).ok_or(Refusal::new(at, Reason::Missing(name)));
    let coordinates = Coordinates::checked(at, attribute("group")?, attribute("name")?, attribute("version")?)?;
    let position = position(reading, positions, at, coordinates)?;
    let name = coordinates.name();
    for artifact in elements(node, "artifact") {
        let at = places.of(artifact);
        let file = artifact.attribute("name").ok_or(Refusal::new(at, Reason::Missing("name")))?;
        if !is_name(file) || file.contains('/') {
            return Err(Refusal::package(at, file, PackageProblem::Name));
        }
        let (alternatives, problem) = digests(at, &name, artifact)?;
        let described = [".pom", ".module", ".xml"].iter().any(|end| file.ends_with(end));
        let role = if described { Role::Description } else { Role::Package };
        for digests in alternatives {
            let pins = reading.pins(at, &name, digests);
            add(reading, position, Artifact { role, file: Some(file.to_owned()), pins, ..Artifact::default() });
        }
        if let Some(problem) = problem {
            reading.found(at, &name, problem);
            add(reading, position, Artifact { role, file: Some(file.to_owned()), ..Artifact::default() });
        }
    }
    Ok(())
}

/// Returns the digests that a file may have, each set an alternative; or why it has none.
///
/// A checksum and what is trusted beside it (`also-trust`) are alternatives; checksums of two algorithms both hold, but
/// only for the first alternative, as nothing says which of the others belong together.
fn digests(at: Position, name: &str, artifact: Node<'_, '_>) -> Result<(Vec<Digests>, Option<Problem>), Refusal> {
    let refuse = |problem| Refusal::package(at, name, problem);
    let mut main = Digests::default();
    let mut others = Vec::new();
    let mut signed = false;
    for node in artifact.children().filter(Node::is_element) {
        let algorithm = node.tag_name().name();
        match algorithm {
            "sha256" | "sha512" | "sha1" | "md5" => {
                let value = |node: Node<'_, '_>| {
                    node.attribute("value").map(str::to_lowercase).ok_or(Refusal::new(at, Reason::Missing("value")))
                };
                main.add(algorithm, &value(node)?).map_err(refuse)?;
                for also in elements(node, "also-trust") {
                    let mut digests = Digests::default();
                    digests.add(algorithm, &value(also)?).map_err(refuse)?;
                    others.extend(digests.problem().is_none().then_some(digests));
                }
            }
            "pgp" => signed = true,
            _ => {}
        }
    }
    match main.problem() {
        None => {
            let mut all = vec![main];
            all.append(&mut others);
            Ok((all, None))
        }
        Some(Problem::NoDigest) if signed => Ok((others, Some(Problem::OnlySigned))),
        Some(problem) => Ok((others, Some(problem))),
    }
}
