//! The index: where are the members of a line, and is the line one JSON object?
//!
//! One pass of the SIMD library validates every byte and finds the top-level members; no tree is built. The library
//! recurses once per level of nesting, so a line that nests deeper than [`NESTING_DEPTH_MAX`] is turned away before it.

use super::space::{Member, Place, Space, Span};
use crate::flow::reject::{Reject, Stage};

/// How deep a line may nest, its own object included. Elasticsearch has the same limit.
pub const NESTING_DEPTH_MAX: usize = 1_000;

/// A longer name is not quoted.
const WORD_BYTES_MAX: usize = 32;

/// Up to this many members a name is looked for among all before it; more are sorted.
const FEW_MEMBERS: usize = 32;

/// Fills `space` with the members of `line`.
pub(super) fn index(line: &str, space: &mut Space) -> Result<(), Reject> {
    if nests_too_deeply(line.as_bytes()) {
        return Err(reject("nested_too_deeply", format!("nests deeper than {NESTING_DEPTH_MAX} levels")));
    }
    let mut position = 0;
    for entry in sonic_rs::to_object_iter(line) {
        let (name, value) = entry.map_err(|error| not_an_object(line, error.offset()))?;
        let value = span_of(line, value.as_raw_str());
        let name = match name {
            std::borrow::Cow::Borrowed(name) => span_of(line, name),
            std::borrow::Cow::Owned(name) => space.keep(&name),
        };
        let start = name_start(line, position, name);
        space.members.push(Member::of_line(name, value, start));
        position = value.end as usize;
    }
    end_of_object(line, position, space.members.is_empty())?;
    escapes(line)?;
    repeated_name(line, space)
}

/// Proves that every escape is one that JSON knows: the library passes over `\u` without a look at its digits. Only
/// strings of valid JSON have backslashes.
fn escapes(line: &str) -> Result<(), Reject> {
    let bytes = line.as_bytes();
    let mut position = 0;
    while let Some(distance) = memchr::memchr(b'\\', &bytes[position..]) {
        let escape = position + distance;
        position = match bytes.get(escape + 1) {
            Some(b'u')
                if bytes.get(escape + 2..escape + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) =>
            {
                escape + 6
            }
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => escape + 2,
            _ => return Err(not_an_object(line, escape)),
        };
    }
    Ok(())
}

/// Where the quote before a member's name stands, searched from the end of the member before it.
fn name_start(line: &str, from: usize, name: Span) -> u32 {
    match name.place {
        Place::Line => name.start - 1,
        Place::Arena => (from + memchr::memchr(b'"', &line.as_bytes()[from..]).unwrap_or(0)) as u32,
    }
}

/// The place of `part`, a slice of `line`, in it.
fn span_of(line: &str, part: &str) -> Span {
    let start = (part.as_ptr() as usize - line.as_ptr() as usize) as u32;
    Span { start, end: start + part.len() as u32, place: Place::Line }
}

/// Proves that nothing but white space follows the closing brace.
fn end_of_object(line: &str, last_value_end: usize, empty: bool) -> Result<(), Reject> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let bytes = line.as_bytes();
    let mut position = last_value_end;
    let braces: &[u8] = if empty { b"{}" } else { b"}" };
    for brace in braces {
        position += bytes[position..].iter().take_while(|byte| blank(byte)).count();
        if bytes.get(position) != Some(brace) {
            return Err(not_an_object(line, position));
        }
        position += 1;
    }
    match bytes[position..].iter().position(|byte| !blank(byte)) {
        None => Ok(()),
        Some(more) => {
            Err(reject("bytes_after_object", format!("something follows the object at byte {}", position + more)))
        }
    }
}

fn repeated_name(line: &str, space: &Space) -> Result<(), Reject> {
    let members = &space.members;
    let name = |member: &Member| space.text(line, member.name);
    let repeated = if members.len() <= FEW_MEMBERS {
        // Names of one length mostly differ in the last byte; asking for it first spares most comparisons.
        let same = |one: &str, other: &str| {
            one.len() == other.len() && one.as_bytes().last() == other.as_bytes().last() && one == other
        };
        members
            .iter()
            .enumerate()
            .position(|(n, member)| members[..n].iter().any(|other| same(name(other), name(member))))
    } else {
        let mut names: Vec<(&str, usize)> = members.iter().map(name).zip(0..).collect();
        names.sort_unstable();
        names.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1).min()
    };
    let Some(second) = repeated else { return Ok(()) };
    let first = members.iter().position(|member| name(member) == name(&members[second])).unwrap_or(second);
    let which = word(name(&members[second])).map(|name| format!(" `{name}`")).unwrap_or_default();
    let (first, second) = (first + 1, second + 1);
    Err(reject("repeated_name", format!("members {first} and {second} of the object have the same name{which}")))
}

/// A name as it may be quoted: one that is a word, such as programs give to members. Another one may be data.
fn word(name: &str) -> Option<&str> {
    let word = name.strip_prefix('@').unwrap_or(name);
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    (word.len() <= WORD_BYTES_MAX && word.split(['.', '_']).all(is_word)).then_some(name)
}

/// True when some value nests deeper than the limit. Brackets are counted first: lines with few cannot be deep.
fn nests_too_deeply(line: &[u8]) -> bool {
    line.len() > NESTING_DEPTH_MAX
        && line.iter().filter(|byte| (**byte | 0x20) == b'{').count() > NESTING_DEPTH_MAX
        && depth(line) > NESTING_DEPTH_MAX
}

/// The greatest depth of nesting of a line, valid or not.
fn depth(line: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn not_an_object(line: &str, offset_bytes: usize) -> Reject {
    let first = line.trim_start_matches([' ', '\t', '\r']).as_bytes().first();
    match first {
        Some(b'{') => {
            let number = no_number(line, offset_bytes).map(|word| format!(": JSON has no number `{word}`"));
            reject("invalid_json", format!("not valid JSON at byte {offset_bytes}{}", number.unwrap_or_default()))
        }
        _ => reject("not_an_object", "the line does not begin with `{`".to_owned()),
    }
}

/// A number of Python or JavaScript that JSON has not, if it stands at an offset or just before it.
fn no_number(line: &str, offset_bytes: usize) -> Option<&'static str> {
    let words = ["NaN", "-Infinity", "Infinity"];
    let starts = offset_bytes.saturating_sub(words[1].len())..=offset_bytes;
    let reaches = |start: usize, word: &&str| {
        start + word.len() >= offset_bytes
            && line.as_bytes().get(start..).is_some_and(|rest| rest.starts_with(word.as_bytes()))
    };
    starts.filter_map(|start| words.into_iter().find(|word| reaches(start, word))).next()
}

fn reject(reason: &'static str, detail: String) -> Reject {
    Reject::new(Stage::Decode, reason, detail)
}
