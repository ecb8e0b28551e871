//! The index: where are the members of a line, and is the line one JSON object?
//!
//! One pass of the SIMD library validates every byte and finds the top-level members; no tree is built. The library
//! recurses once per level of nesting, so a line that nests deeper than [`NESTING_DEPTH_MAX`] is turned away before it.
//!
//! The library's iterator over an object copies each name. So its parser, which lends them, is asked first, and the
//! iterator where that has no answer: where a name has escapes, or to say what is wrong with the line. Names that stand as in
//! a record before are not even parsed ([`super::known`]).

use sonic_rs::Read;
use sonic_rs::parser::{ParseStatus, Parser};

use super::head::Head;
use super::known::Followed;

use super::members::{Member, Members, Span};
use super::space::Space;
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
    let names = borrowed_names(line, space);
    if names.is_none() {
        space.members.clear();
        each_entry(line, space)?;
    }
    escapes(line)?;
    match names {
        Some(Names::Known) => return Ok(()),
        Some(Names::Different) => {}
        Some(Names::MayBeRepeated) | None => repeated_name(line, space)?,
    }
    if names.is_some() {
        space.known.missed(line, &space.members);
    }
    Ok(())
}

/// The names of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// Those of the record that is kept, of which none is repeated.
    Known,
    /// Each begins with something else, so that none is repeated.
    Different,
    MayBeRepeated,
}

/// Finds the members of an object whose names have no escapes; `None` for any other line.
fn borrowed_names(line: &str, space: &mut Space) -> Option<Names> {
    let Space { members, known, .. } = space;
    let mut parser = Parser::new(Read::from(line));
    match known.follow(line, &mut parser, members)? {
        Followed::ToTheEnd => Some(Names::Known),
        Followed::SoFar => further_names(line, &mut parser, members),
    }
}

/// Goes on behind the members that were found, or at the beginning of the line.
fn further_names<'l>(line: &'l str, parser: &mut Parser<Read<'l>>, members: &mut Members) -> Option<Names> {
    let mut are_shared = false;
    while goes_on(parser, members.is_empty())? {
        let (name, escapes) = parser.skip_one(true).ok()?;
        let name = name.strip_prefix(b"\"").filter(|_| escapes == ParseStatus::None)?;
        let name = span_of(line, &name[..name.len() - 1]);
        if parser.skip_space()? != b':' {
            return None;
        }
        let (value, _) = parser.skip_one(true).ok()?;
        let member = Member::of_line(name, span_of(line, value), name.start() as u32 - 1);
        are_shared |= members.push(member, Head::of(&line[name.start()..name.end()]));
    }
    let is_at_the_end = parser.skip_space().is_none();
    is_at_the_end.then_some(if are_shared { Names::MayBeRepeated } else { Names::Different })
}

/// Whether another member comes; `None` where neither that nor the end of the object does.
fn goes_on(parser: &mut Parser<Read<'_>>, is_first: bool) -> Option<bool> {
    match parser.skip_space()? {
        b'{' if is_first => {
            let is_empty = parser.skip_space_peek()? == b'}';
            if is_empty {
                parser.skip_space();
            }
            Some(!is_empty)
        }
        b',' if !is_first => Some(true),
        b'}' if !is_first => Some(false),
        _ => None,
    }
}

/// Finds the members one by one.
fn each_entry(line: &str, space: &mut Space) -> Result<(), Reject> {
    let mut position = 0;
    for entry in sonic_rs::to_object_iter(line) {
        let (name, value) = entry.map_err(|error| not_an_object(line, error.offset()))?;
        let value = span_of(line, value.as_raw_str().as_bytes());
        let head = Head::of(&name);
        let name = match name {
            std::borrow::Cow::Borrowed(name) => span_of(line, name.as_bytes()),
            std::borrow::Cow::Owned(name) => space.keep(&name),
        };
        let start = name_start(line, position, name);
        space.members.push(Member::of_line(name, value, start), head);
        position = value.end();
    }
    end_of_object(line, position, space.members.is_empty())
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
    if name.is_in_line() {
        return name.start() as u32 - 1;
    }
    (from + memchr::memchr(b'"', &line.as_bytes()[from..]).unwrap_or(0)) as u32
}

/// The place of `part`, a slice of `line`, in it.
fn span_of(line: &str, part: &[u8]) -> Span {
    let start = part.as_ptr() as usize - line.as_ptr() as usize;
    Span::in_line(start, start + part.len())
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
        let heads = members.heads();
        let is_repeated = |n: usize| {
            heads[..n].contains(&heads[n]) && members[..n].iter().any(|other| name(other) == name(&members[n]))
        };
        (1..members.len()).find(|n| is_repeated(*n))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The members by their names, which the iterator keeps elsewhere.
    fn found<'s>(line: &'s str, space: &'s Space) -> Vec<(&'s str, &'s str, u32, u32, u32)> {
        let member = |it: &'s Member| {
            let (name, value) = (space.text(line, it.name), space.text(line, it.value));
            (name, value, it.source_start, it.source_value_start, it.source_end)
        };
        space.members.iter().map(member).collect()
    }

    /// Holds what is found with borrowed names against what the iterator finds.
    fn check(line: &str) {
        check_in(&mut Space::default(), line);
    }

    /// The same in a space that has seen other lines.
    fn check_in(fast: &mut Space, line: &str) {
        let mut slow = Space::default();
        fast.begin();
        let names = borrowed_names(line, fast);
        if names.is_some() {
            assert_eq!(each_entry(line, &mut slow), Ok(()), "{line}");
            assert_eq!(found(line, fast), found(line, &slow), "{line}");
            assert_eq!(fast.members.heads(), slow.members.heads(), "{line}");
        }
        fast.begin();
        slow.begin();
        assert_eq!(index(line, fast), index(line, &mut slow), "{line}");
        assert!(slow.members.heads().iter().all(|head| fast.members.may_have(*head)), "{line}");
    }

    #[test]
    fn borrowed_names_are_found_wherever_they_can_be() {
        for (line, expected) in [
            (r#"{"a":1,"b":"x"}"#, true),
            (" { \"a\" :\t[1, {\"a\":2}] , \"b\" : { } }\r", true),
            ("{}", true),
            (r#"{"a":"},{","b":":,"}"#, true),
            (r#"{"":1,"a:b,c":{"d":"}"}}"#, true),
            (r#"{"a":1,"a":2}"#, true),
            (r#"{"\u0061":1}"#, false),
            ("{\"a\u{1}\":1}", false),
            ("{\"a\":\"\u{1}\"}", false),
            (r#"{1:2}"#, false),
            (r#"{"a":tru}"#, false),
            (r#"{"a":-}"#, false),
            (r#"{"a" 1}"#, false),
            (r#"{"a":1 "b":2}"#, false),
            (r#"{,"a":1}"#, false),
            (r#"{"a":1} {"b":2}"#, false),
            (r#"{"a":1}}"#, false),
            (r#"{"a":1,}"#, false),
            (r#"{"a":01}"#, false),
            (r#"[{"a":1}]"#, false),
            ("", false),
        ] {
            assert_eq!(borrowed_names(line, &mut Space::default()).is_some(), expected, "{line}");
            check(line);
        }
    }

    proptest! {
        #[test]
        fn both_ways_find_the_same_members(
            parts in proptest::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ":", ",", "\"", "\"a\":", "\"b\":", "\"é,:\"", "1", "-2.5e3", "true", "null", " ", "\t",
                    "\\", "\\u0041", "{}", "[]", "\"x\"", "{\"a\":1}", "\u{1}", "",
                ]),
                0..14,
            )
        ) {
            let inside: String = parts.concat();
            check(&inside);
            check(&format!("{{{inside}}}"));
            check(&format!("{{\"k\":{inside},\"l\":[{inside}]}}"));
        }

        #[test]
        fn a_line_is_the_same_whatever_came_before(
            names in proptest::collection::vec(
                prop::sample::select(vec!["a", "b", "é", "latency_ms", "latency_s", "\\u0061"]), 1..5),
            many in prop::sample::select(vec![0, 0, 0, 30, 70]),
            // What stands before each value, and the value.
            values in proptest::collection::vec(
                (
                    prop::sample::select(vec!["", "", "", " ", "  ", "\t \t", LONG_BLANK]),
                    prop::sample::select(vec![
                        "1", "-0.5e3", "true", "\"x\"", "\"\\n,\\\"\"", "{\"a\":1}", "[ ]", LONG_TEXT, "nul", "01", "\"\u{1}\"", "",
                    ]),
                ),
                4,
            ),
            // Which of the names a line has, what comes behind them, how often it comes, and which values vary.
            lines in proptest::collection::vec(
                (
                    0_usize..5,
                    prop::sample::select(vec!["}", "}", "}", " }", "}\r", "} 1", ",}", "", ",\"c\":2}", ",\"a\":2}"]),
                    prop::sample::select(vec![1, 1, 2, 9]),
                    0_usize..4,
                ),
                1..5,
            ),
        ) {
            let filled: String = (0..many).map(|n| format!("\"filled{n}\":0,")).collect();
            let mut space = Space::default();
            for (count, end, times, from) in lines {
                let member = |(n, name): (usize, &&str)| {
                    let (blank, value) = values[(from + n) % values.len()];
                    format!("\"{name}\"{}:{blank}{value}", &blank[..blank.len().min(1)])
                };
                let members: Vec<String> = names.iter().take(count).enumerate().map(member).collect();
                let line = format!("{{{filled}{}{end}", members.join(","));
                for _ in 0..times {
                    check_in(&mut space, &line);
                }
            }
        }
    }

    /// Longer than what the library looks at together.
    const LONG_BLANK: &str = "                                                                                ";
    const LONG_TEXT: &str =
        "\"a text of which there is more than what the library looks at together, with a \\n in its midst\"";
}
