//! Shows any JSON value as a table: fields as rows, inner objects as groups of rows, a list of objects as a table with
//! columns, digests as links.
//!
//! Statements may come from anybody, so every text is escaped, and depth, rows and text are limited; the raw JSON stands
//! beside it in full.

use serde_json::{Map, Value};

use crate::picture::escape;

/// Deeper values are shown as raw JSON.
const DEPTH_MAX: usize = 6;

/// Rows of one list or object that are shown.
const ROWS_MAX: usize = 60;

/// Columns of a list of objects; wider ones are shown one below the other.
const COLUMNS_MAX: usize = 5;

/// Characters of one text that are shown.
const TEXT_MAX: usize = 2_000;

/// Returns HTML for a value.
pub(crate) fn table(value: &Value) -> String {
    let mut out = String::new();
    show(&mut out, value, 0);
    out
}

fn show(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Null => out.push_str("<span class=\"dim\">none</span>"),
        Value::Bool(yes) => out.push_str(if *yes { "yes" } else { "no" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => show_text(out, text),
        Value::Array(list) if list.is_empty() => out.push_str("<span class=\"dim\">none</span>"),
        Value::Object(map) if map.is_empty() => out.push_str("<span class=\"dim\">none</span>"),
        deep if depth >= DEPTH_MAX => show_raw(out, deep),
        Value::Array(list) => match columns(list) {
            Some(columns) => show_columns(out, list, &columns, depth),
            None => show_list(out, list, depth),
        },
        Value::Object(map) => show_object(out, map, depth),
    }
}

fn show_object(out: &mut String, map: &Map<String, Value>, depth: usize) {
    if let Some(text) = digest_set(map) {
        return show_text(out, &text);
    }
    out.push_str("<table class=\"fields\"><tbody>");
    show_rows(out, map, "", depth);
    out.push_str("</tbody></table>");
    left_out(out, map.len());
}

/// Fields first; then each object among them as a group under its path, so that depth costs no width.
fn show_rows(out: &mut String, map: &Map<String, Value>, path: &str, depth: usize) {
    let is_group = |value: &Value| {
        depth < DEPTH_MAX && value.as_object().is_some_and(|inner| !inner.is_empty() && digest_set(inner).is_none())
    };
    for (key, value) in map.iter().take(ROWS_MAX).filter(|(_, value)| !is_group(value)) {
        out.push_str("<tr><th scope=\"row\">");
        out.push_str(&escape(&clip(key)));
        out.push_str("</th><td>");
        match named(key, value) {
            Some(text) => show_text(out, &text),
            None => show(out, value, depth + 1),
        }
        out.push_str("</td></tr>");
    }
    for (key, value) in map.iter().take(ROWS_MAX).filter(|(_, value)| is_group(value)) {
        let Some(inner) = value.as_object() else { continue };
        let path = if path.is_empty() { clip(key) } else { format!("{path} › {}", clip(key)) };
        out.push_str("<tr class=\"group\"><th colspan=\"2\" scope=\"colgroup\">");
        out.push_str(&escape(&path));
        out.push_str("</th></tr>");
        show_rows(out, inner, &path, depth + 1);
    }
}

/// A digest set of one is a name that can be followed.
fn digest_set(map: &Map<String, Value>) -> Option<String> {
    let mut fields = map.iter();
    let (name, value) = fields.next()?;
    if fields.next().is_some() { None } else { named(name, value) }
}

/// The name in the chain of a field of a digest set.
fn named(name: &str, value: &Value) -> Option<String> {
    match (name, value) {
        ("sha256" | "sha512", Value::String(value)) => Some(format!("{name}:{value}")),
        ("gitCommit", Value::String(value)) => Some(format!("git:{value}")),
        _ => None,
    }
}

fn show_list(out: &mut String, list: &[Value], depth: usize) {
    out.push_str("<ul>");
    for value in list.iter().take(ROWS_MAX) {
        out.push_str("<li>");
        show(out, value, depth + 1);
        out.push_str("</li>");
    }
    out.push_str("</ul>");
    left_out(out, list.len());
}

fn show_columns(out: &mut String, list: &[Value], columns: &[&str], depth: usize) {
    out.push_str("<table><thead><tr>");
    for column in columns {
        out.push_str("<th scope=\"col\">");
        out.push_str(&escape(&clip(column)));
        out.push_str("</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for row in list.iter().take(ROWS_MAX) {
        out.push_str("<tr>");
        for column in columns {
            out.push_str("<td>");
            if let Some(value) = row.get(column) {
                show(out, value, depth + 1);
            }
            out.push_str("</td>");
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
    left_out(out, list.len());
}

/// Returns the columns if all are objects that have few keys between them.
fn columns(list: &[Value]) -> Option<Vec<&str>> {
    let mut columns: Vec<&str> = Vec::new();
    for value in list.iter().take(ROWS_MAX) {
        for key in value.as_object()?.keys() {
            if !columns.contains(&key.as_str()) {
                columns.push(key);
            }
        }
        if columns.len() > COLUMNS_MAX {
            return None;
        }
    }
    (list.len() > 1).then_some(columns)
}

fn show_text(out: &mut String, text: &str) {
    let shown = escape(&clip(text));
    let is_link = text.parse::<wire::digest::Digest>().is_ok() || text.starts_with("git:") || text.starts_with("pkg:");
    if is_link {
        let query = escape(&crate::send::percent(&clip(text)));
        out.push_str(&format!("<a href=\"/search?q={query}\"><code>{shown}</code></a>"));
    } else if text.is_empty() {
        out.push_str("<span class=\"dim\">empty</span>");
    } else if text.contains('\n') {
        out.push_str(&format!("<pre>{shown}</pre>"));
    } else {
        out.push_str(&shown);
    }
}

fn show_raw(out: &mut String, value: &Value) {
    out.push_str("<code>");
    out.push_str(&escape(&clip(&value.to_string())));
    out.push_str("</code>");
}

fn left_out(out: &mut String, count: usize) {
    if count > ROWS_MAX {
        out.push_str(&format!("<p class=\"dim\">{} more in the raw JSON</p>", count - ROWS_MAX));
    }
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
