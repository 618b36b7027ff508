//! The marked copy of a script.

use wire::digest::Digest;

use super::grammar::{Form, Habits, Point, Scan};
use super::{Place, Shell, Untraced};

/// Where marks pretend to look.
pub(crate) const PREFIX: &str = "/.assay/";
/// Stands before each value in a mark.
pub(crate) const SEPARATOR: u8 = 0x1f;
/// Larger scripts are not marked. GNU hello's `configure` has 0.5 MiB.
pub(crate) const SCRIPT_BYTES_MAX: usize = 4 << 20;
/// Hexadecimal digits of the digest that stand in a mark.
const KEY_DIGITS: usize = 16;

/// Words that show that a script looks at what marks change: the last argument, statuses of a pipeline, commands as they are written.
const LOOKS: [(&str, &str); 5] = [
    ("PIPESTATUS", "it asks for `PIPESTATUS`"),
    ("BASH_COMMAND", "it asks for `BASH_COMMAND`"),
    ("BASH_EXECUTION_STRING", "it asks for `BASH_EXECUTION_STRING`"),
    ("BASH_XTRACEFD", "it chooses where its own trace goes"),
    (PREFIX, "it names what marks name"),
];
/// Words that may print functions as they are written.
const SHOWS: [&str; 6] = ["declare", "typeset", "export -f", "(set)", "`set", "compgen"];

/// Whether a shell prints the commands that it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prints {
    Never,
    Perhaps,
    Always,
}

/// A marked copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// What the shell gets.
    pub(crate) text: Vec<u8>,
    /// Beginning of the digest of the original.
    pub(crate) key: String,
    /// SHA-256 of the original.
    pub(crate) digest: Digest,
    /// By number; those without a mark are never reached.
    pub(crate) places: Vec<Place>,
    /// By number: whether the shell is about to read another script there.
    pub(crate) sources: Vec<bool>,
    /// Whether the shell may print what it does from here on.
    pub(crate) prints: bool,
    /// Whether something in it is not marked.
    pub(crate) is_partial: bool,
}

/// What is asked of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    /// Who reads it.
    pub(crate) shell: Shell,
    /// Whether it is the argument of `-c`.
    pub(crate) is_argument: bool,
    /// Whether it is read by another script, which may do what this one does not.
    pub(crate) is_sourced: bool,
    /// Whether the shell prints what it does (`-x`).
    pub(crate) prints: bool,
}

impl Copy {
    /// Marks a script. `Ok(None)` if there is nothing to mark: a single command, which the trace shows as a process.
    pub(crate) fn new(text: &[u8], wanted: Wanted) -> Result<Option<Copy>, Untraced> {
        let Wanted { shell, is_argument, is_sourced, prints } = wanted;
        let prints = judge(text)? || prints;
        let has_word = |word: &&str| find(text, word.as_bytes()).is_some();
        let is_bash = shell == Shell::Bash;
        let mut hides = is_bash && (is_sourced || SHOWS.iter().any(has_word));
        let mut scan = Scan::new(text, shell, is_argument, hides);
        scan.script()?;
        if is_bash && !hides && (scan.habits.shows_functions || scan.habits.sources) {
            hides = true;
            scan = Scan::new(text, shell, is_argument, hides);
            scan.script()?;
        }
        if is_argument && hides {
            return Err(Untraced("it may print its own text".to_owned()));
        }
        let Habits { sources, has_hidden, .. } = scan.habits;
        let prints = match (prints, sources || is_sourced, shell) {
            (true, ..) => Prints::Always,
            // Another script may turn printing on for this one; `case` is silent in one shell only.
            (false, true, Shell::Bash) => Prints::Always,
            (false, true, Shell::Dash) => Prints::Perhaps,
            (false, false, _) => Prints::Never,
        };
        let points = scan.points;
        if points.iter().all(|point| point.at == usize::MAX) {
            return Ok(None);
        }
        let digest = Digest::of(text);
        let key: String = digest.hex().chars().take(KEY_DIGITS).collect();
        let text = write(text, &points, &key, prints);
        let sources = points.iter().map(|point| point.sources).collect();
        let prints = prints == Prints::Always;
        Ok(Some(Copy { text, key, digest, places: places(points), sources, is_partial: has_hidden, prints }))
    }
}

/// Refuses scripts that see more than marks hide; returns whether one may print what it does.
fn judge(text: &[u8]) -> Result<bool, Untraced> {
    let refused = |why: &str| Err(Untraced(why.to_owned()));
    if text.len() > SCRIPT_BYTES_MAX {
        return Err(Untraced(format!("it is larger than {SCRIPT_BYTES_MAX} bytes")));
    }
    if text.contains(&0) {
        return refused("it holds a zero byte");
    }
    if let Some((_, why)) = LOOKS.iter().find(|(word, _)| find(text, word.as_bytes()).is_some()) {
        return refused(why);
    }
    if computes_prompt(text) {
        return refused("it computes how its own trace looks (`PS4`)");
    }
    if asks_last_argument(text) {
        return refused("it asks for `$_`");
    }
    let lines = || text.split(|&byte| byte == b'\n');
    let is_trap = |line: &[u8]| {
        find(line, b"trap").is_some() && (find(line, b"DEBUG").is_some() || find(line, b"RETURN").is_some())
    };
    if lines().any(is_trap) {
        return refused("it sets a trap for each command");
    }
    let mut prints = find(text, b"xtrace").is_some();
    for line in lines() {
        prints |= set_prints(line)?;
    }
    Ok(prints)
}

/// Whether a line may turn on the shell's own trace.
fn set_prints(line: &[u8]) -> Result<bool, Untraced> {
    let mut prints = false;
    let mut rest = line;
    while let Some(found) = find(rest, b"set") {
        rest = &rest[found + 3..];
        if !rest.first().is_some_and(u8::is_ascii_whitespace) {
            continue;
        }
        let mut words = rest.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
        while let Some(option) = words.next().filter(|word| matches!(word[0], b'-' | b'+') && !word.starts_with(b"--"))
        {
            let is_verbose = option.contains(&b'v')
                || (option.ends_with(b"o") && words.next().is_some_and(|name| name.starts_with(b"verbose")));
            if is_verbose {
                return Err(Untraced("it prints itself (`set -v`)".to_owned()));
            }
            prints |= option.contains(&b'x');
        }
    }
    Ok(prints)
}

/// Whether `PS4` is given anything but a constant: it would be computed for marks, too.
fn computes_prompt(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(found) = find(rest, b"PS4") {
        rest = &rest[found + 3..];
        let constant = rest.strip_prefix(b"='").and_then(|value| value.split(|&byte| byte == b'\'').next());
        if constant.is_none_or(|value| value.iter().any(|byte| matches!(byte, b'$' | b'`' | b'\\'))) {
            return true;
        }
    }
    false
}

fn asks_last_argument(text: &[u8]) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_none_or(|&byte| !super::words::is_name(byte));
    let pairs = text.windows(2).enumerate().filter(|(_, pair)| *pair == b"$_");
    let braced = text.windows(3).enumerate().filter(|(_, three)| *three == b"${_");
    pairs.map(|(at, _)| at + 2).chain(braced.map(|(at, _)| at + 3)).any(|end| is_end(text.get(end)))
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    let first = *word.first()?;
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|&byte| byte == first) {
        if text[from + at..].starts_with(word) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn write(text: &[u8], points: &[Point], key: &str, prints: Prints) -> Vec<u8> {
    let mut copy = Vec::with_capacity(text.len() + points.len() * 96);
    let mut from = 0;
    for (number, point) in points.iter().enumerate().filter(|(_, point)| point.at != usize::MAX) {
        copy.extend_from_slice(&text[from..point.at]);
        from = point.at;
        copy.extend_from_slice(mark(point, &format!("{PREFIX}{key}/{number}"), prints).as_bytes());
    }
    copy.extend_from_slice(&text[from..]);
    copy
}

fn mark(point: &Point, path: &str, prints: Prints) -> String {
    let values: String = point.place.names.iter().map(|name| format!("{}${{{name}-}}", SEPARATOR as char)).collect();
    let yes = format!("[ ! -w \"{path}{values}\" ]");
    let no = format!("[ -w \"{path}{values}\" ]");
    let high = format!(". \"{path}/$?\"");
    match point.form {
        Form::Before => {
            format!("{};", quiet(&format!("case $? in 0){yes};;1){no};;*){high};;esac&&:"), prints))
        }
        Form::Empty => format!(" {}", quiet(&yes, prints)),
        Form::And => format!("{}&& ", quiet(&yes, prints)),
        Form::Or => format!("{}|| ", quiet(&format!("case $? in 1){no};;*){high};;esac"), prints)),
        Form::Else => format!("else {};", quiet(&yes, prints)),
        Form::NoMatch(is_open) => format!("{}*) {};; ", if is_open { ";;" } else { "" }, quiet(&yes, prints)),
    }
}

/// Keeps a mark out of the shell's own trace. Neither braces nor `case` end a shell by `set -e` themselves.
fn quiet(mark: &str, prints: Prints) -> String {
    match prints {
        Prints::Never => mark.to_owned(),
        Prints::Always => format!("{{ {mark};}} 2>/dev/null"),
        Prints::Perhaps => format!("case $- in *x*){{ {mark};}} 2>/dev/null;;*){mark};;esac"),
    }
}

fn places(points: Vec<Point>) -> Vec<Place> {
    let dropped: Vec<bool> = points.iter().map(|point| point.at == usize::MAX).collect();
    let place = |mut point: Point| {
        if let Some(branch) = &mut point.place.branch {
            branch.of = branch.of.filter(|&of| !dropped[of]);
        }
        point.place
    };
    points.into_iter().map(place).collect()
}
