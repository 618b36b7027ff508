//! What instructions fetch without saying what it must be.
//!
//! Shell text is cut at the marks that end a command, with quotes seen and nothing expanded. That finds what is written
//! plainly, which is nearly always; it proves nothing about what is not.

mod managers;
mod shell;

use super::instruction::{Arguments, Instruction, Keyword};
use super::{Problem, shorten};
use crate::lock_file::Commit;
use shell::{Command, split};

/// Adds what an instruction leaves open.
pub(super) fn findings(instruction: &Instruction, escape: char, out: &mut Vec<(usize, Problem)>) {
    match instruction.keyword {
        Keyword::Add => added(instruction, out),
        Keyword::Run => run(instruction, escape, out),
        _ => {}
    }
}

/// `ADD URL PATH`: a file with `--checksum`, or a git repository with a commit.
fn added(instruction: &Instruction, out: &mut Vec<(usize, Problem)>) {
    let words = instruction.arguments.words();
    let sources = words.split_last().map_or(&[][..], |(_, sources)| sources);
    for source in sources {
        let (address, fragment) = source.split_once('#').unwrap_or((source, ""));
        let is_git = address.starts_with("git@") || address.starts_with("git://") || address.starts_with("ssh://");
        if is_git || (address.contains("://") && address.ends_with(".git")) {
            let reference = fragment.split(':').next().unwrap_or_default();
            let checked = instruction.flag("checksum").or(Some(reference));
            if checked.and_then(Commit::parse).is_none() {
                out.push((instruction.line, Problem::Clone { url: clean(source) }));
            }
        } else if is_url(address) {
            let checksum = instruction.flag("checksum").and_then(|text| text.parse::<wire::digest::Digest>().ok());
            if checksum.is_none() {
                out.push((instruction.line, Problem::Download { url: clean(source) }));
            }
        }
    }
}

fn is_url(text: &str) -> bool {
    ["http://", "https://", "ftp://"].iter().any(|scheme| text.starts_with(scheme))
}

/// Returns an address without user and password.
fn clean(url: &str) -> String {
    shorten(&crate::lock_file::without_password(url))
}

fn run(instruction: &Instruction, escape: char, out: &mut Vec<(usize, Problem)>) {
    let mut commands: Vec<Command> = Vec::new();
    match &instruction.arguments {
        Arguments::List(words) => match &words[..] {
            [shell, option, script] if managers::is_shell(shell) && option.ends_with('c') => {
                commands.extend(split(script, '\\', |_| instruction.line));
            }
            words => commands.push(Command { line: instruction.line, words: words.to_vec(), feeds_next: false }),
        },
        Arguments::Text(text) => commands.extend(split(text, escape, |offset| instruction.line_at(offset))),
    }
    for heredoc in &instruction.heredocs {
        let mut starts: Vec<usize> = vec![0];
        starts.extend(heredoc.content.match_indices('\n').map(|(at, _)| at + 1));
        commands.extend(split(&heredoc.content, '\\', |offset| {
            heredoc.line + starts.partition_point(|&start| start <= offset).saturating_sub(1)
        }));
    }
    let checks_digests = commands.iter().any(|command| managers::checks_digests(command.name()));
    let checks_out = commands.iter().any(checks_commit_out);
    for (index, command) in commands.iter().enumerate() {
        let problem = match command.name() {
            "curl" | "wget" => {
                let url = command.arguments().iter().find(|word| is_url(word)).map(|url| clean(url));
                let piped =
                    command.feeds_next && commands.get(index + 1).is_some_and(|next| managers::is_shell(next.name()));
                match url {
                    Some(url) if piped => Some(Problem::Piped { url }),
                    Some(url) if !checks_digests => Some(Problem::Download { url }),
                    _ => None,
                }
            }
            "git" if command.arguments().first().is_some_and(|verb| verb == "clone") && !checks_out => {
                let arguments: Vec<&str> = command.arguments().iter().map(String::as_str).collect();
                let url = managers::operands(&arguments, GIT_CLONE_VALUES).get(1).copied();
                url.map(|url| Problem::Clone { url: clean(url) })
            }
            _ => managers::problem(command),
        };
        out.extend(problem.map(|problem| (command.line, problem)));
    }
}

/// Options of `git clone` whose value is a word of its own.
const GIT_CLONE_VALUES: &[&str] =
    &["--depth", "-b", "--branch", "-o", "--origin", "-c", "--config", "-j", "--jobs", "--filter", "--reference"];

/// Whether it is `git checkout COMMIT`, or a reset or fetch of one.
fn checks_commit_out(command: &Command) -> bool {
    command.name() == "git" && command.arguments().iter().any(|word| Commit::parse(word).is_some())
}
