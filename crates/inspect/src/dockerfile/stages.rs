//! Stages, what each is based on, and what they copy from elsewhere.

use std::collections::BTreeMap;
use std::ops::Range;

use super::image::{Image, Name, expand};
use super::instruction::{Instruction, Keyword};
use super::{Reason, Refusal, shorten};

/// A stage of the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// `build`, in small letters as the file may spell it in others.
    pub name: Option<String>,
    /// What it begins from.
    pub base: Base,
    /// `linux/amd64`, or an argument, as it stands.
    pub platform: Option<String>,
    /// Positions of its instructions, `FROM` among them.
    pub instructions: Range<usize>,
    /// The line of its `FROM`, from 1.
    pub line: usize,
}

/// What a stage begins from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Nothing: `scratch`.
    Scratch,
    /// An earlier stage, by its position.
    Stage(usize),
    /// An image from elsewhere.
    Image(Name),
}

/// Finds the stages, and adds to `images` what they take from elsewhere.
pub(super) fn of(instructions: &[Instruction], images: &mut Vec<Image>) -> Result<Vec<Stage>, Refusal> {
    let mut arguments: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut stages: Vec<Stage> = Vec::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for (position, instruction) in instructions.iter().enumerate() {
        match instruction.keyword {
            Keyword::From => {
                let stage = stage(instruction, position, &arguments, &names)?;
                if let Base::Image(name) = &stage.base {
                    images.push(Image { line: stage.line, name: name.clone() });
                }
                if let Some(name) = &stage.name
                    && names.insert(name.clone(), stages.len()).is_some()
                {
                    return Err((stage.line, Reason::Twice(shorten(name))));
                }
                stages.push(stage);
            }
            Keyword::Arg if stages.is_empty() => argument(instruction, &mut arguments),
            _ => match stages.last_mut() {
                None => return Err((instruction.line, Reason::Stage)),
                Some(stage) => {
                    stage.instructions.end = position + 1;
                    let earlier = stages.len() - 1;
                    images.extend(copied(instruction, &names, earlier));
                }
            },
        }
        if let Some(stage) = stages.last_mut() {
            stage.instructions.end = position + 1;
        }
    }
    if stages.is_empty() {
        return Err((instructions.last().map_or(1, |last| last.line), Reason::Stage));
    }
    Ok(stages)
}

/// Reads `ARG NAME[=DEFAULT] …` before the first stage: what the names of images may use.
fn argument(instruction: &Instruction, arguments: &mut BTreeMap<String, Option<String>>) {
    for word in instruction.arguments.words() {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let value = value.map(|value| value.trim_matches(['"', '\'']));
        let value = value.and_then(|value| expand(value, arguments));
        arguments.insert(name.to_owned(), value);
    }
}

/// Reads `FROM [--platform=…] IMAGE [AS NAME]`.
fn stage(
    instruction: &Instruction,
    position: usize,
    arguments: &BTreeMap<String, Option<String>>,
    names: &BTreeMap<String, usize>,
) -> Result<Stage, Refusal> {
    let words = instruction.arguments.words();
    let (spelled, name) = match words[..] {
        [image] => (image, None),
        [image, verb, name] if verb.eq_ignore_ascii_case("as") => (image, Some(name.to_ascii_lowercase())),
        _ => {
            let (found, expected) = (shorten(&words.join(" ")), "`IMAGE` or `IMAGE AS NAME`");
            return Err((instruction.line, Reason::Arguments { keyword: "FROM", found, expected }));
        }
    };
    let base = match expand(spelled, arguments) {
        None => Base::Image(Name::Open(shorten(spelled))),
        Some(image) if image == "scratch" => Base::Scratch,
        Some(image) => match names.get(&image.to_ascii_lowercase()) {
            Some(&position) => Base::Stage(position),
            None => Base::Image(Name::parse(&image)),
        },
    };
    let platform = instruction.flag("platform").map(str::to_owned);
    Ok(Stage { name, base, platform, instructions: position..position + 1, line: instruction.line })
}

/// Returns the images that `COPY --from` and `RUN --mount=…,from=` name, if those are no stages.
///
/// Arguments are not put in there by BuildKit's `COPY`, and in mounts only those of the stage: such a name is open.
fn copied(instruction: &Instruction, names: &BTreeMap<String, usize>, earlier: usize) -> Vec<Image> {
    let mut images = Vec::new();
    let mut add = |from: &str| {
        let is_stage =
            names.contains_key(&from.to_ascii_lowercase()) || from.parse().is_ok_and(|at: usize| at < earlier);
        if !is_stage && from != "scratch" && !from.is_empty() {
            let name = if from.contains('$') { Name::Open(shorten(from)) } else { Name::parse(from) };
            images.push(Image { line: instruction.line, name });
        }
    };
    for flag in &instruction.flags {
        match (instruction.keyword, flag.name.as_str()) {
            (Keyword::Copy, "from") => add(&flag.value),
            (Keyword::Run, "mount") => {
                flag.value.split(',').filter_map(|part| part.strip_prefix("from=")).for_each(&mut add);
            }
            _ => {}
        }
    }
    images
}
