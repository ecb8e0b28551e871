//! Edits inside a member: the member alone is rewritten, everything else in it stays as written.

use std::borrow::Cow;

use super::path;
use crate::flow::reject::{Reject, Stage};

/// What is done to each value at a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edit<'e> {
    Remove,
    /// By this raw value.
    Replace(&'e str),
}

/// Writes `raw` to `out` with the edit done at `path` inside it. Returns how many values were edited; when none was,
/// `out` is of no use.
pub(super) fn rewrite(raw: &str, path: &str, edit: Edit<'_>, out: &mut String) -> Result<usize, Reject> {
    match raw.as_bytes().first() {
        Some(b'{') => rewrite_object(raw, path, edit, out),
        Some(b'[') => rewrite_array(raw, path, edit, out),
        _ => {
            out.push_str(raw);
            Ok(0)
        }
    }
}

fn rewrite_object(raw: &str, path: &str, edit: Edit<'_>, out: &mut String) -> Result<usize, Reject> {
    let members: Vec<(Cow<'_, str>, &str)> =
        sonic_rs::to_object_iter(raw).flatten().map(|(name, value)| (name, place(raw, value.as_raw_str()))).collect();
    let mut edited = 0;
    let mut copied = 1; // The opening brace is written below.
    let mut first = true;
    let mut comma_too_many = false;
    out.push('{');
    for (name, value) in &members {
        let value_start = value.as_ptr() as usize - raw.as_ptr() as usize;
        let below = path::below(path, name);
        let value_end = value_start + value.len();
        if matches!((below, edit), (Some(""), Edit::Remove)) {
            edited += 1;
            copied = value_end;
            comma_too_many = first;
            continue;
        }
        // What stands between this member and the one before it: a comma, white space, the name and its colon.
        let lead = &raw[copied..value_start];
        out.push_str(if comma_too_many { lead.trim_start_matches([',', ' ', '\t', '\r', '\n']) } else { lead });
        (first, comma_too_many) = (false, false);
        match (below, edit) {
            (Some(""), Edit::Replace(new)) => {
                out.push_str(new);
                edited += 1;
            }
            (Some(rest), _) => edited += rewrite(value, rest, edit, out)?,
            (None, _) => out.push_str(value),
        }
        copied = value_end;
    }
    out.push_str(if first { "}" } else { &raw[copied..] });
    if edited > 0 && repeats_a_name(&members) {
        return Err(repeated_name());
    }
    Ok(edited)
}

fn rewrite_array(raw: &str, path: &str, edit: Edit<'_>, out: &mut String) -> Result<usize, Reject> {
    let mut edited = 0;
    let mut copied = 0;
    for element in path::elements(raw) {
        let element = place(raw, element.as_raw_str());
        let start = element.as_ptr() as usize - raw.as_ptr() as usize;
        out.push_str(&raw[copied..start]);
        edited += rewrite(element, path, edit, out)?;
        copied = start + element.len();
    }
    out.push_str(&raw[copied..]);
    Ok(edited)
}

/// `part`, which the library lends for the life of its iterator, as the slice of `raw` that it is.
fn place<'r>(raw: &'r str, part: &str) -> &'r str {
    let start = part.as_ptr() as usize - raw.as_ptr() as usize;
    &raw[start..start + part.len()]
}

fn repeats_a_name(members: &[(Cow<'_, str>, &str)]) -> bool {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

fn repeated_name() -> Reject {
    let detail = "a member that must be edited repeats a name inside".to_owned();
    Reject::new(Stage::Enrich, "repeated_name", detail)
}
