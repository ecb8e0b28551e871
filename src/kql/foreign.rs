//! What looks like another language? `country == DE`, `a && b`, `'x'` and `SELECT …` are all legal KQL: each is a text that
//! is looked for as the whole value of any field. Nobody means that, so it is refused by name, with the right spelling, in
//! conditions and in questions; quotes say plainly that a text is meant.
//!
//! Works on the text before it is taken apart, one piece at a time: what stands up to the next character or word that means
//! something to KQL. A suggestion is made of what was typed, and has `…` where that is not known.

use super::mapped::FieldKind;
use super::scan::{SPECIAL, is_space, starts_with_word};
use super::{date, date_math};

/// What was seen, where, and what to write in its place.
#[derive(Debug, PartialEq)]
pub(super) struct Foreign {
    /// In bytes from the start of what was looked at.
    pub(super) at: usize,
    /// As it was typed, or in words.
    pub(super) seen: String,
    /// In KQL.
    pub(super) instead: String,
}

impl Foreign {
    fn new(at: usize, typed: &str, instead: String) -> Foreign {
        Foreign { at, seen: format!("`{typed}`"), instead }
    }
}

/// What stands between a field and a value in other languages, and how KQL says it: `F` is the field and `V` the value.
const OPERATORS: [(&str, &str); 32] = [
    ("===", "F : V"),
    ("!==", "not F : V"),
    ("==", "F : V"),
    ("!=", "not F : V"),
    ("=~", "F : *V*"),
    ("~=", "F : *V*"),
    ("!~", "not F : *V*"),
    ("=", "F : V"),
    ("~", "F : *V*"),
    ("between", "F >= V and F <= …"),
    ("contains", "F : *V*"),
    ("endswith", "F : *V"),
    ("eq", "F : V"),
    ("equals", "F : V"),
    ("exists", "F : *"),
    ("gt", "F > V"),
    ("gte", "F >= V"),
    ("ilike", "F : V"),
    ("in", "F : (V or …)"),
    ("is", "F : V"),
    ("is not", "not F : V"),
    ("is not null", "F : *"),
    ("is null", "not F : *"),
    ("like", "F : V"),
    ("lt", "F < V"),
    ("lte", "F <= V"),
    ("matches", "F : V"),
    ("ne", "not F : V"),
    ("not in", "not F : (V or …)"),
    ("not like", "not F : V"),
    ("rlike", "F : V"),
    ("startswith", "F : V*"),
];

/// What joins conditions in other languages.
const JOINS: [(&str, &str); 3] = [("&&", "and"), ("||", "or"), ("|", "and")];

/// What sentences of other languages begin with.
const BEGINNINGS: [&str; 7] = ["select", "where", "from", "filter", "search", "find", "if"];

/// What looks foreign where a condition begins: in the name of a field, or in free text.
pub(super) fn in_condition(rest: &str) -> Option<Foreign> {
    if let Some(text) = rest.strip_prefix('\'') {
        return Some(single_quotes(text, rest));
    }
    let piece = piece(rest);
    if ["and", "or"].iter().any(|word| is_same(word, piece.split(is_space).next().unwrap_or_default())) {
        return None;
    }
    let next = rest[piece.len()..].chars().next();
    let found = beginning(piece).or_else(|| operator(piece, rest, next)).or_else(|| join(piece));
    found.or_else(|| match next {
        Some(':' | '<' | '>') => in_field(piece, rest),
        _ => in_text(piece, next),
    })
}

/// What looks foreign where a value begins. `field` and `before` are what stands before it: `confidence`, and `:` or `<`.
pub(super) fn in_value(field: &str, before: &str, rest: &str) -> Option<Foreign> {
    let trimmed = piece(rest).trim();
    let foreign = |typed: &str, instead: String| Some(Foreign::new(0, typed, instead));
    if let Some(text) = rest.strip_prefix('\'') {
        let instead = single_quotes(text, rest).instead;
        return foreign("'", format!("{field} {before} {instead}"));
    }
    if let Some(bounds) = trimmed.strip_prefix('[').and_then(|text| text.split_once(" TO ")) {
        let upper = bounds.1.trim_end_matches(']');
        return foreign("[… TO …]", bounded(field, [">=", "<="], [bounds.0, upper]));
    }
    if let Some(after) = rest.strip_prefix(['<', '>']).filter(|_| before == ":") {
        let sign = &rest[..1 + usize::from(after.starts_with('='))];
        return foreign(&format!(": {sign}"), format!("{field} {sign} {}", value(piece(&rest[sign.len()..]))));
    }
    if let Some((sign, form)) = OPERATORS.iter().find(|(sign, _)| !is_word(sign) && trimmed.starts_with(sign)) {
        let is_path = *sign == "~" && !trimmed[1..].starts_with(is_space);
        let text = rest.trim_start()[sign.len()..].trim();
        let instead = if form_is_equal(form, before) {
            format!("{field} {}= {}", before.trim_end_matches('='), value(text))
        } else {
            spelled(form, field, text)
        };
        return if is_path { None } else { foreign(sign, instead) };
    }
    if trimmed.starts_with('!') && trimmed[1..].starts_with(char::is_alphanumeric) {
        return foreign("!", format!("not {field} {before} {}", value(&trimmed[1..])));
    }
    let first = trimmed.split(is_space).next().unwrap_or_default();
    let is_comparison = ["between", "like", "ilike", "rlike", "matches"].iter().any(|word| is_same(word, first));
    let is_list = is_same(first, "in") && first == trimmed && rest[piece(rest).len()..].starts_with('(');
    if (is_comparison && first != trimmed) || is_list {
        let (_, form) = OPERATORS.iter().find(|(word, _)| is_same(word, first))?;
        let text = trimmed[first.len()..].trim();
        let text = if is_list { value_at(&rest[piece(rest).len()..]) } else { text.to_owned() };
        return foreign(first, spelled(form, field, &text));
    }
    let delimited = trimmed.split(is_space).find(|token| ["=", "==", "!=", "=~"].contains(token));
    if let Some(sign) = delimited {
        let at = rest.find(sign).unwrap_or(0);
        return Some(Foreign::new(at, sign, format!("{field} : \"…\"")));
    }
    join(piece(rest))
}

/// What looks foreign between braces: the bounds of a range in Lucene's language.
pub(super) fn in_braces(field: &str, inside: &str) -> Option<Foreign> {
    let inside = &inside[..inside.find('}').unwrap_or(inside.len())];
    let (lower, upper) = inside.split_once(" TO ")?;
    let instead = bounded(field, [">", "<"], [lower, upper]);
    Some(Foreign::new(0, "{… TO …}", instead))
}

/// What looks foreign behind a whole condition, where `and` or `or` would stand.
pub(super) fn behind_condition(rest: &str) -> Option<Foreign> {
    let found = |typed: &str, instead: &str| Foreign::new(0, typed, instead.to_owned());
    if let Some((sign, word)) = JOINS.iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Some(found(sign, word));
    }
    let (sign, form) = OPERATORS.iter().find(|(sign, _)| !is_word(sign) && rest.starts_with(sign))?;
    Some(found(sign, &form.replace('F', "field").replace('V', "value")))
}

/// What stands up to the next special character, or `and` or `or` between spaces.
fn piece(rest: &str) -> &str {
    let mut before_was_space = false;
    for (at, character) in rest.char_indices() {
        let is_keyword = |word: &str| {
            starts_with_word(&rest[at..], word) && rest[at + word.len()..].chars().next().is_none_or(is_space)
        };
        let is_wildcard = character == '*';
        if (SPECIAL.contains(character) && !is_wildcard)
            || (before_was_space && (is_keyword("and") || is_keyword("or")))
        {
            return &rest[..at];
        }
        before_was_space = is_space(character);
    }
    rest
}

/// `a == b`, `a=b`, `a like b`, `a <> b`: a name, an operator, and perhaps a value.
fn operator(piece: &str, rest: &str, next: Option<char>) -> Option<Foreign> {
    if rest[piece.len()..].starts_with("<>") {
        let text = value_at(&rest[piece.len() + 2..]);
        let instead = spelled("not F : V", piece.trim(), &text);
        return Some(Foreign::new(piece.len(), "<>", instead));
    }
    symbol(piece, rest, next).or_else(|| word(piece, rest, next))
}

fn symbol(piece: &str, rest: &str, next: Option<char>) -> Option<Foreign> {
    let is_sign = |character: char| matches!(character, '=' | '!' | '~');
    let (at, sign, form) = piece.char_indices().filter(|(_, character)| is_sign(*character)).find_map(|(at, _)| {
        let run = &piece[at..];
        let run = &run[..run.find(|character| !is_sign(character)).unwrap_or(run.len())];
        let (sign, form) = OPERATORS.iter().find(|(sign, _)| *sign == run)?;
        Some((at, *sign, *form))
    })?;
    let (before, after) = (&piece[..at], &piece[at + sign.len()..]);
    let is_apart = before.ends_with(is_space) || (after.starts_with(is_space) && sign != "~");
    let has_value = !after.trim().is_empty() || matches!(next, Some('"' | '<' | '>' | '('));
    // `dGVzdA==` is a text, and so is `~/logs`.
    if !is_apart && (!has_value || sign == "~") {
        return None;
    }
    if matches!(next, Some('<' | '>')) && after.trim().is_empty() && sign == "=" {
        let instead = format!("{} {}= {}", before.trim(), next?, value(&value_at(&rest[piece.len() + 1..])));
        return Some(Foreign::new(at, &format!("={}", next?), instead));
    }
    let field = before.trim().rsplit(is_space).next().unwrap_or_default();
    let value = if after.trim().is_empty() { value_at(&rest[piece.len()..]) } else { after.to_owned() };
    Some(Foreign::new(at, sign, spelled(form, field, &value)))
}

fn word(piece: &str, rest: &str, next: Option<char>) -> Option<Foreign> {
    if matches!(next, Some(':')) {
        return None;
    }
    let field = piece.split(is_space).next().filter(|name| !name.is_empty())?;
    let behind = piece[field.len()..].trim_start_matches(is_space);
    let (word, form) = OPERATORS
        .iter()
        .filter(|(word, _)| is_word(word) && starts_with_word(behind, word))
        .filter(|(word, _)| behind[word.len()..].chars().next().is_none_or(is_space))
        .max_by_key(|(word, _)| word.len())?;
    let after = behind[word.len()..].trim();
    let is_listed = matches!(next, Some('(' | '"')) && after.is_empty();
    let is_whole = form.ends_with(": *");
    if after.is_empty() && !is_listed && !is_whole {
        return None;
    }
    let value = if after.is_empty() { value_at(&rest[piece.len()..]) } else { after.to_owned() };
    let value = if word.contains("like") { value.replace('%', "*") } else { value };
    Some(Foreign::new(piece.len() - behind.len(), &behind[..word.len()], spelled(form, field, &value)))
}

/// `&&`, `||` and `|`, but for those of date math.
fn join(piece: &str) -> Option<Foreign> {
    let (at, (sign, word)) =
        JOINS.iter().filter_map(|join| Some((piece.find(join.0)?, *join))).min_by_key(|(at, _)| *at)?;
    let (before, after) = (&piece[..at], &piece[at + sign.len()..]);
    let is_apart = before.is_empty() || before.ends_with(is_space) || after.starts_with(is_space);
    let is_date =
        date::read(before.trim()).is_some() || date_math::read(piece.trim(), chrono::DateTime::UNIX_EPOCH).is_some();
    let is_meant = match sign {
        "|" => is_apart,
        "||" => is_apart || !is_date,
        _ => true,
    };
    is_meant.then(|| Foreign::new(at, sign, word.to_owned()))
}

/// `SELECT …`, `where …`.
fn beginning(piece: &str) -> Option<Foreign> {
    let first = piece.split(is_space).next()?;
    let is_known = BEGINNINGS.iter().any(|word| is_same(word, first)) && !piece[first.len()..].trim().is_empty();
    is_known.then(|| Foreign::new(0, first, "field : value and other < 3".to_owned()))
}

/// `-a : b` and `_exists_ : a`. A name may have a space in it, as in Kibana.
fn in_field(piece: &str, rest: &str) -> Option<Foreign> {
    let name = piece.trim();
    let foreign = |typed: &str, instead: String| Some(Foreign::new(0, typed, instead));
    let behind = rest[piece.len()..].trim_start_matches([':', ' ']);
    if name == "_exists_" {
        return foreign(name, format!("{} : *", value_at(behind)));
    }
    if let Some(bare) = name.strip_prefix(['-', '!', '+']).filter(|bare| bare.starts_with(char::is_alphanumeric)) {
        let not = if name.starts_with('+') { "" } else { "not " };
        return foreign(&name[..1], format!("{not}{bare} : {}", value(&value_at(behind))));
    }
    None
}

/// The bare name of a field, `exists(a)`, `!a`, `a;`.
fn in_text(piece: &str, next: Option<char>) -> Option<Foreign> {
    let text = piece.trim();
    let foreign = |typed: &str, instead: String| Some(Foreign::new(0, typed, instead));
    if next == Some('(') && ["exists", "missing", "isnull"].iter().any(|word| is_same(word, text)) {
        let form = if is_same(text, "exists") { "field : *" } else { "not field : *" };
        return foreign(&format!("{text}("), form.to_owned());
    }
    if let Some(bare) = text.strip_prefix('!').filter(|bare| bare.starts_with(char::is_alphanumeric)) {
        return foreign("!", format!("not {bare}"));
    }
    let form = match FieldKind::of_field(text)? {
        FieldKind::Boolean => "true",
        FieldKind::Keyword | FieldKind::Number | FieldKind::Date => "*",
    };
    let seen = format!("`{text}` without a value");
    Some(Foreign { at: 0, seen, instead: format!("{text} : {form}") })
}

fn single_quotes(text: &str, rest: &str) -> Foreign {
    let text = &text[..text.find('\'').unwrap_or_else(|| piece(text).trim_end().len())];
    let behind = rest[1 + text.len()..].trim_start_matches('\'');
    let after = operator(&format!("x{}", piece(behind)), &format!("x{behind}"), None).map_or("", |_| " : …");
    Foreign::new(0, "'", format!("\"{text}\"{after}"))
}

/// The bounds of a range, of which `*` is none.
fn bounded(field: &str, signs: [&str; 2], bounds: [&str; 2]) -> String {
    let bound = |(sign, text): (&str, &str)| match text.trim() {
        "*" | "" => None,
        text => Some(format!("{field} {sign} {}", value(text))),
    };
    let parts: Vec<String> = signs.into_iter().zip(bounds).filter_map(bound).collect();
    if parts.is_empty() { format!("{field} : *") } else { parts.join(" and ") }
}

/// `a >= = 5`: the sign before says more than the one behind.
fn form_is_equal(form: &str, before: &str) -> bool {
    form == "F : V" && before != ":"
}

/// A form of [`OPERATORS`] with its field and value.
fn spelled(form: &str, field: &str, text: &str) -> String {
    let field = if field.is_empty() { "field" } else { field };
    let text = join(text).map_or(text, |join| &text[..join.at]);
    let value = value(text);
    let starred = form.contains("*V") || form.contains("V*");
    let value = if starred { value.trim_matches(['"', '*']) } else { &value };
    let part = |part: &str| if part == "F" { field.to_owned() } else { part.replace('V', value) };
    form.split(' ').map(part).collect::<Vec<_>>().join(" ")
}

/// The first value of what follows an operator: what stands in quotes or brackets, or a piece.
fn value_at(rest: &str) -> String {
    let rest = rest.trim_start_matches(|character: char| is_space(character) || character == '(');
    match rest.strip_prefix('"') {
        Some(text) => format!("\"{}\"", &text[..text.find('"').unwrap_or(text.len())]),
        None => piece(rest).trim().split(',').next().unwrap_or_default().to_owned(),
    }
}

/// A text as a value of KQL; `…` for none.
fn value(text: &str) -> String {
    let text = text.trim().trim_matches(['\'', '`']).trim_end_matches(';');
    let is_plain = text.starts_with('"') || !text.contains(|character: char| is_space(character));
    match text {
        "" => "…".to_owned(),
        _ if is_plain => text.to_owned(),
        _ => format!("\"{text}\""),
    }
}

fn is_word(operator: &str) -> bool {
    operator.starts_with(|character: char| character.is_ascii_alphabetic())
}

fn is_same(word: &str, text: &str) -> bool {
    word.eq_ignore_ascii_case(text)
}
