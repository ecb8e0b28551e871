//! Members that Filebeat adds: `add` says the same of single values.

use super::Report;
use super::settings::{Settings, quoted, text};
use super::table::Section;

/// A step that adds one tag.
pub(super) fn tag(
    tags: &[String],
    path: &str,
    (section, option): (Section, &str),
    when: &str,
    report: &mut Report,
) -> Option<String> {
    match tags {
        [one] => {
            report.known(section, option);
            Some(format!("- add: {{ fields: {{ {}: {} }}{when} }}", quoted(path), quoted(one)))
        }
        _ => report.cannot(section, option, "`add` adds single values and no lists: several tags are none"),
    }
}

/// Steps that add members below a path.
pub(super) fn add(
    fields: &Settings,
    above: &str,
    (section, option): (Section, &str),
    when: &str,
    report: &mut Report,
) -> Vec<String> {
    let (mut members, mut comments) = (Vec::new(), Vec::new());
    for (path, value) in fields.values() {
        let path = if above.is_empty() { path } else { format!("{above}.{path}") };
        let Some(words) = text(&value) else {
            comments.extend(report.cannot(
                section,
                option,
                "`add` adds single values: lists and empty ones are left out",
            ));
            continue;
        };
        let value = match is_named_like_a_secret(&path) && !words.starts_with("${") {
            true => quoted(&format!("${{{}}}", variable(&path))),
            false if value.is_string() => quoted(&words),
            false => words,
        };
        members.push(format!("{}: {value}", quoted(&path)));
    }
    if !members.is_empty() {
        report.known(section, option);
        comments.push(format!("- add: {{ fields: {{ {} }}{when} }}", members.join(", ")));
    }
    comments
}

/// Whether a name says that its value is a secret.
fn is_named_like_a_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["pass", "secret", "token", "credential", "api_key", "apikey", "private_key"].iter().any(|word| name.contains(word))
}

/// The variable that a secret is asked of.
fn variable(path: &str) -> String {
    path.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
