//! Which paths and links an archive may hold.

/// The longest path, as Linux has it (PATH_MAX).
const PATH_MAX: usize = 4096;

/// The longest name of one file, as Linux's file systems have it (NAME_MAX).
const NAME_MAX: usize = 255;

/// Returns the path as parts joined by `/`, without `./` before and `/` after it; `None` if it leaves the archive's
/// root or no file could have it. The root itself is the empty text.
pub(super) fn clean(bytes: &[u8], directory: bool) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.is_empty() || text.len() > PATH_MAX || text.contains('\0') {
        return None;
    }
    let mut text = text;
    while let Some(rest) = text.strip_prefix("./") {
        text = rest;
    }
    if directory {
        text = text.strip_suffix('/').unwrap_or(text);
        if text.is_empty() || text == "." {
            return Some(String::new());
        }
    }
    let fine = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() <= NAME_MAX;
    text.split('/').all(fine).then(|| text.to_owned())
}

/// Whether a symbolic link can have that target.
pub(super) fn is_target(target: &str) -> bool {
    !target.is_empty() && target.len() < PATH_MAX && !target.contains('\0')
}

/// Whether a symbolic link's target stays inside the root, where an absolute one begins at the root.
pub(super) fn stays_inside(link: &str, target: &str) -> bool {
    if target.is_empty() || target.len() > PATH_MAX || target.contains('\0') {
        return false;
    }
    let mut depth = if target.starts_with('/') { 0 } else { link.matches('/').count() };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return false,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}
