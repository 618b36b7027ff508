//! Turning what `[base]` of `assay.toml` says loosely into exact pins, in the user's own text.
//!
//! Only the strings that change are replaced; comments, order and layout stay as they are. The file is read leniently, for
//! an image without a digest is a problem everywhere else.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wire::oci_distribution::Location;

use super::reference::{ImageReference, ImageReferenceError};
use crate::lock::basic_string;
use crate::problem::Problem;
use crate::spec::{self, NamedPackage};

/// What `[base]` names, and where it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    text: String,
    /// The image.
    pub image: Option<Place<Image>>,
    /// The packages.
    pub packages: Vec<Place<NamedPackage>>,
    /// Whether they come as files, and need not be installed.
    pub from_archive: bool,
}

/// A string of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<T> {
    /// What it says.
    pub value: T,
    at: Range<usize>,
}

/// An image, pinned or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// It has a digest.
    Pinned(ImageReference),
    /// A tag, or no tag, of a repository.
    Tag(Location),
    /// A layout of which none is named.
    Layout(String),
}

/// A string that is to be another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    at: Range<usize>,
    /// What it says.
    pub from: String,
    /// What it shall say.
    pub to: String,
}

impl Named {
    /// Reads the section of a file; `file` is its name in messages.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Named, Problem> {
        let text = spec::text_of(file, bytes)?;
        let document = DeTable::parse(text).map_err(|error| Problem::of_toml(file, text, &error))?;
        let refuse = |at: &Range<usize>, message: String, allowed: &str| {
            Problem::at(file, text, at.start, message, Some(allowed.to_owned()))
        };
        let base = document.get_ref().get("base").and_then(|base| base.get_ref().as_table());
        let base = base.ok_or_else(|| refuse(&(0..0), "the file has no `[base]`".to_owned(), "run `assay init`"))?;
        let image = match base.get("image") {
            None => None,
            Some(value) => {
                let named = value.get_ref().as_str().ok_or(ImageReferenceError::Malformed("it is no text".to_owned()));
                let image = named.and_then(image).map_err(|error| {
                    refuse(&value.span(), format!("this is no image: {error}"), "as \"HOST/NAME[:TAG]\" or \"oci:DIR\"")
                })?;
                Some(Place { value: image, at: value.span() })
            }
        };
        let packages = base.get("packages").and_then(|list| list.get_ref().as_array());
        let package = |item: &Spanned<DeValue<'_>>| {
            Some(Place { value: NamedPackage::parse(item.get_ref().as_str()?), at: item.span() })
        };
        let packages = packages.into_iter().flat_map(|list| list.iter()).filter_map(package).collect();
        let from_archive = base.get("from").and_then(|from| from.get_ref().as_str()) == Some("archive");
        Ok(Named { text: text.to_owned(), image, packages, from_archive })
    }

    /// Returns the text with some of its strings replaced.
    pub fn apply(&self, changes: &[Change]) -> String {
        let mut sorted: Vec<&Change> = changes.iter().collect();
        sorted.sort_by_key(|change| change.at.start);
        let mut out = String::new();
        let mut done = 0;
        for change in sorted {
            out.push_str(&self.text[done..change.at.start]);
            out.push_str(&basic_string(&change.to));
            done = change.at.end;
        }
        out.push_str(&self.text[done..]);
        out
    }
}

impl<T> Place<T> {
    /// Replaces it.
    pub fn becomes(&self, from: String, to: String) -> Option<Change> {
        (from != to).then(|| Change { at: self.at.clone(), from, to })
    }
}

fn image(text: &str) -> Result<Image, ImageReferenceError> {
    match ImageReference::parse(text) {
        Ok(ImageReference::Layout { directory, digest: None }) => Ok(Image::Layout(directory)),
        Ok(pinned) => Ok(Image::Pinned(pinned)),
        Err(ImageReferenceError::NoDigest) => {
            let location = text.parse::<Location>();
            location.map(Image::Tag).map_err(|error| ImageReferenceError::Malformed(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
