//! What a package's scripts would link by `update-alternatives`, as far as they say it in plain words.
//!
//! ```sh
//! update-alternatives --quiet \
//!     --install /usr/bin/cc cc /usr/bin/gcc 20 \
//!     --slave /usr/bin/c89 c89 /usr/bin/c89-gcc
//! ```
//!
//! The script is not run: a call within a condition counts, and one with a variable does not, and is told.

/// A link, by way of `/etc/alternatives`, to a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alternative {
    /// `/usr/bin/cc`
    pub(super) link: String,
    /// `cc`
    pub(super) name: String,
    /// `/usr/bin/gcc`
    pub(super) target: String,
    /// The highest wins.
    pub(super) priority: i64,
}

/// What a script would do beside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Links that it says plainly.
    pub(super) links: Vec<Alternative>,
    /// Words of what it does else, which is not done.
    pub(super) not_done: Vec<&'static str>,
}

/// Programs whose calls change files that a build may need.
const TELLING: [(&str, &str); 4] = [
    ("dpkg-divert", "diverts files"),
    ("ln -s", "makes links"),
    ("mkfontdir", "makes an index of fonts"),
    ("update-ca-certificates", "makes the list of certificates"),
];

/// Reads a script.
pub(super) fn read(script: &str) -> Found {
    let mut found = Found::default();
    let joined = script.replace("\\\n", " ");
    for line in joined.lines().map(|line| line.trim().split(" #").next().unwrap_or_default()) {
        if line.starts_with('#') {
            continue;
        }
        if let Some((_, call)) = line.split_once("update-alternatives ")
            && call.contains("--install")
        {
            match links(call) {
                Some(links) => found.links.extend(links),
                None => found.not_done.push("makes alternatives by variables"),
            }
        }
        found.not_done.extend(TELLING.iter().filter(|(word, _)| line.contains(word)).map(|(_, told)| *told));
    }
    found.not_done.sort_unstable();
    found.not_done.dedup();
    found
}

/// The links of one call; `None` if a word is no plain one.
fn links(call: &str) -> Option<Vec<Alternative>> {
    let mut words = call.split_whitespace();
    let mut links = Vec::new();
    let mut priority = 0;
    while let Some(word) = words.next() {
        if !matches!(word, "--install" | "--slave") {
            continue;
        }
        let three = [words.next()?, words.next()?, words.next()?];
        let plain = |word: &&str| !word.contains(['$', '"', '\'', '`', '*', '(', ';']);
        if !three.iter().all(plain)
            || !three[0].starts_with('/')
            || !three[2].starts_with('/')
            || three[1].contains('/')
        {
            return None;
        }
        if word == "--install" {
            priority = words.next()?.parse().ok()?;
        }
        let [link, name, target] = three.map(str::to_owned);
        links.push(Alternative { link, name, target, priority });
    }
    Some(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(script: &str) -> String {
        let found = read(script);
        let links = found.links.iter().map(|l| format!("{} {} {} {}\n", l.link, l.name, l.target, l.priority));
        links.chain(found.not_done.iter().map(|told| format!("{told}\n"))).collect()
    }

    #[test]
    fn plain_calls_are_links() {
        // As in the package gcc of Debian 12.
        let gcc = "#! /bin/sh\nset -e\nupdate-alternatives --quiet \\\n    --install /usr/bin/cc cc /usr/bin/gcc 20 \\\n    \
                   #--slave /usr/share/man/man1/cc.1.gz cc.1.gz /usr/share/man/man1/gcc.1.gz\n";
        assert_eq!(shown(gcc), "/usr/bin/cc cc /usr/bin/gcc 20\n");
        // As in the package mawk.
        let mawk = "if [ \"$1\" = configure ]; then\n update-alternatives --install /usr/bin/awk awk /usr/bin/mawk 5 \\\n  \
                    --slave /usr/bin/nawk nawk /usr/bin/mawk\nfi\n";
        assert_eq!(shown(mawk), "/usr/bin/awk awk /usr/bin/mawk 5\n/usr/bin/nawk nawk /usr/bin/mawk 5\n");
    }

    #[test]
    fn what_is_not_plain_is_told() {
        for (script, expected) in [
            ("update-alternatives --install /usr/bin/$x $x /usr/bin/y 1", "makes alternatives by variables\n"),
            ("update-alternatives --install /usr/bin/x x", "makes alternatives by variables\n"),
            ("update-alternatives --install /usr/bin/x x /usr/bin/y high", "makes alternatives by variables\n"),
            ("dpkg-divert --add /bin/sh\nln -sf a b", "diverts files\nmakes links\n"),
            ("# update-alternatives --install $a\nupdate-alternatives --remove x /usr/bin/x", ""),
        ] {
            assert_eq!(shown(script), expected, "{script}");
        }
    }
}
