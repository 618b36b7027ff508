//! Shell text as simple commands.

/// One simple command.
pub(super) struct Command {
    /// The line that it begins on.
    pub(super) line: usize,
    /// Its words, with quotes taken off and nothing expanded.
    pub(super) words: Vec<String>,
    /// Whether its output goes into the next one.
    pub(super) feeds_next: bool,
}

/// Words that stand before a command and are none.
const BEFORE: [&str; 14] =
    ["sudo", "env", "exec", "time", "nice", "then", "do", "else", "if", "while", "until", "!", "{", "eatmydata"];

impl Command {
    fn start(&self) -> usize {
        let skipped = |word: &String| {
            let assigns = word.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            });
            assigns || BEFORE.contains(&word.as_str())
        };
        self.words.iter().position(|word| !skipped(word)).unwrap_or(self.words.len())
    }

    /// Returns the name of the program, without its directory.
    pub(super) fn name(&self) -> &str {
        let word = self.words.get(self.start()).map(String::as_str).unwrap_or_default();
        word.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the words behind the name.
    pub(super) fn arguments(&self) -> &[String] {
        self.words.get(self.start() + 1..).unwrap_or_default()
    }
}

/// Cuts text into commands; `line` says which line an offset stands on.
pub(super) fn split(text: &str, escape: char, line: impl Fn(usize) -> usize) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut open = Open::default();
    let mut quote: Option<char> = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some('"') | None, c) if c == escape || c == '\\' => {
                if let Some((_, next)) = chars.next().filter(|&(_, next)| next != '\n') {
                    open.push(at, next);
                }
            }
            (Some(_), c) => open.push(at, c),
            (None, '"' | '\'') => {
                open.begin(at);
                quote = Some(c);
            }
            (None, '#') if open.word.is_none() => while chars.next_if(|&(_, c)| c != '\n').is_some() {},
            (None, ';' | '\n' | '(' | ')' | '`') => commands.extend(open.end(&line, false)),
            (None, '&' | '|') => {
                let doubled = chars.next_if(|&(_, next)| next == c).is_some();
                // `|&` feeds as well; `>&2` and `&>file` do not end a command.
                let redirects =
                    c == '&' && !doubled && (open.redirects() || chars.peek().is_some_and(|&(_, next)| next == '>'));
                if redirects {
                    open.push(at, c);
                } else {
                    chars.next_if(|&(_, next)| c == '|' && next == '&');
                    commands.extend(open.end(&line, c == '|' && !doubled));
                }
            }
            (None, c) if c.is_whitespace() => open.space(),
            (None, c) => open.push(at, c),
        }
    }
    commands.extend(open.end(&line, false));
    commands
}

/// A command while it is read.
#[derive(Default)]
struct Open {
    start: Option<usize>,
    words: Vec<String>,
    word: Option<String>,
}

impl Open {
    fn begin(&mut self, at: usize) {
        self.start.get_or_insert(at);
        self.word.get_or_insert_default();
    }

    fn push(&mut self, at: usize, c: char) {
        self.begin(at);
        self.word.get_or_insert_default().push(c);
    }

    fn space(&mut self) {
        self.words.extend(self.word.take());
    }

    fn redirects(&self) -> bool {
        self.word.as_ref().is_some_and(|word| word.ends_with(['>', '<']))
    }

    fn end(&mut self, line: &impl Fn(usize) -> usize, feeds_next: bool) -> Option<Command> {
        self.space();
        let start = self.start.take()?;
        let words = std::mem::take(&mut self.words);
        (!words.is_empty()).then(|| Command { line: line(start), words, feeds_next })
    }
}
