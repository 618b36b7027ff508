//! `[[normalise]]`: which artifacts are put into their normal form.

use super::read::{relative, shown};
use super::{Artifact, Normalise};
use crate::document::{Reader, Table};
use crate::normalise::Kind;

/// Reads the tables, and finds the artifacts of each. Without artifacts, whose problems are told elsewhere, there are none.
pub(super) fn read(
    reader: &mut Reader<'_>,
    top: &Table<'_, '_>,
    artifacts: Option<&[Artifact]>,
) -> Option<Vec<Normalise>> {
    let kinds = Kind::ALL.map(|kind| (kind.name(), kind));
    let mut found: Vec<(usize, Normalise)> = Vec::new();
    let mut fine = true;
    for table in reader.tables(top, "normalise") {
        reader.keys(&table, &["path", "kind", "check", "recompress"]);
        let kind = reader.one_of(&table, "kind", &kinds);
        let check = reader.boolean(&table, "check").is_some_and(|check| check.value);
        let recompress = reader.boolean(&table, "recompress").is_some_and(|recompress| recompress.value);
        let path = reader.required_string(&table, "path");
        let offset = path.as_ref().map_or(table.span.start, |path| path.offset);
        let Some(pattern) = path.and_then(|path| relative(reader, path)) else {
            fine = false;
            continue;
        };
        let Some(artifacts) = artifacts else { continue };
        let fitting = artifacts.iter().enumerate().filter(|(_, artifact)| fits(&pattern, &artifact.path));
        let before = found.len();
        for (place, artifact) in fitting {
            if found.iter().any(|(taken, _)| *taken == place) {
                let message = format!("`{}` is normalised twice", shown(&artifact.path));
                reader.problem(offset, message, "name each artifact once".to_owned());
                fine = false;
            } else {
                found.push((place, Normalise { path: artifact.path.clone(), kind, check, recompress }));
            }
        }
        if found.len() == before && fine {
            let paths: Vec<&str> = artifacts.iter().map(|artifact| artifact.path.as_str()).collect();
            let message = format!("no artifact lies at `{}`", shown(&pattern));
            reader.problem(offset, message, format!("the artifacts lie at {}", paths.join(", ")));
            fine = false;
        }
    }
    found.sort_by_key(|(place, _)| *place);
    fine.then(|| found.into_iter().map(|(_, normalise)| normalise).collect())
}

/// Whether a path fits a pattern, in which `*` stands for any characters of one component.
fn fits(pattern: &str, path: &str) -> bool {
    let (patterns, parts): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(pattern, part)| component_fits(pattern, part))
}

/// The pieces between the stars must follow one another; the leftmost place of each is as good as any.
fn component_fits(pattern: &str, part: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == part };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut inner) = part.strip_prefix(first).and_then(|inner| inner.strip_suffix(last)) else { return false };
    for piece in middle.split('*') {
        match inner.find(piece) {
            Some(at) => inner = &inner[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests;
