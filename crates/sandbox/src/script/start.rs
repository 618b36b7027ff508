//! Which script a shell was started with: from its program, arguments and variables.

use std::collections::BTreeMap;

use super::Shell;

/// What a shell runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The argument of this number.
    Argument { shell: Shell, index: usize, prints: bool },
    /// The file that is named by the argument of this number.
    File { shell: Shell, index: usize, prints: bool },
    /// Something that is not traced.
    Untraced(String),
}

/// Shells that are known by name only.
const OTHERS: [&str; 7] = ["zsh", "ksh", "ksh93", "mksh", "yash", "busybox", "fish"];

/// Returns what a program runs, if it is a shell.
pub(crate) fn start(exe: &str, argv: &[String], variables: &BTreeMap<String, String>) -> Option<Start> {
    let name = exe.rsplit('/').next().unwrap_or_default();
    let shell = match name {
        "dash" => Shell::Dash,
        "bash" => Shell::Bash,
        other if OTHERS.contains(&other) => {
            let applet = argv.first().map_or("", |name| name.rsplit('/').next().unwrap_or_default());
            let is_shell = other != "busybox" || ["sh", "ash"].contains(&applet);
            return is_shell.then(|| Start::Untraced(format!("scripts of the shell `{other}` are not understood")));
        }
        _ => return None,
    };
    let mut prints = false;
    if let Some(options) = variables.get("SHELLOPTS").filter(|_| shell == Shell::Bash) {
        if options.split(':').any(|option| option == "verbose") {
            return Some(untraced("it prints itself (`SHELLOPTS`)"));
        }
        prints = options.split(':').any(|option| option == "xtrace");
    }
    if variables.contains_key("PS4") || variables.contains_key("BASH_XTRACEFD") {
        return Some(untraced("its own trace is redirected by variables"));
    }
    Some(operand(shell, argv, prints))
}

fn untraced(why: &str) -> Start {
    Start::Untraced(why.to_owned())
}

fn operand(shell: Shell, argv: &[String], mut prints: bool) -> Start {
    let mut index = 1;
    let mut is_argument = false;
    while let Some(option) = argv.get(index) {
        match option.as_str() {
            "--" | "-" => {
                index += 1;
                break;
            }
            "--posix" | "--norc" | "--noprofile" if shell == Shell::Bash => {}
            long if long.starts_with("--") => return Start::Untraced(format!("the option `{long}` is not understood")),
            short if short.starts_with(['-', '+']) => {
                for letter in short[1..].chars() {
                    match letter {
                        'c' => is_argument = true,
                        'x' => prints = true,
                        'e' | 'u' | 'f' | 'a' | 'b' | 'C' | 'm' | 'p' | 'h' | 'B' | 'E' | 'l' => {}
                        'o' => {
                            index += 1;
                            match argv.get(index).map(String::as_str) {
                                Some("xtrace") => prints = true,
                                Some("verbose") | None => return untraced("it prints itself (`-o verbose`)"),
                                Some(_) => {}
                            }
                        }
                        's' => return untraced("it is read from standard input"),
                        other => return Start::Untraced(format!("the option `-{other}` is not understood")),
                    }
                }
            }
            _ => break,
        }
        index += 1;
    }
    match argv.get(index) {
        None => untraced("it is read from standard input"),
        Some(_) if is_argument => Start::Argument { shell, index, prints },
        Some(_) => Start::File { shell, index, prints },
    }
}
