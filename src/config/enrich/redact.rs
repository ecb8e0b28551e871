//! Options of `redact`: which members, or which patterns in which texts, does nobody see, and what stands in their place?

use regex::Regex as TextRegex;
use regex::bytes::Regex;

use super::{drop_name, made, patterns};
use crate::config::field::{Choice, Field};
use crate::config::section::Section;
use crate::enrich::{Action, HashKey, Mask, Redact, Redacted, Step, With};
use crate::record::{PathPattern, json};
use crate::text::pattern_redaction::{Patterns, names};

/// The most characters of a value that a mask may leave at one of its ends.
const MASK_CHARACTERS_MAX: u32 = 64;

pub(super) fn redact(section: &mut Section<'_>) -> Option<Step> {
    let fields = section.field("fields");
    let (named, custom) = (section.field("patterns"), section.field("custom"));
    let with = section.field("with");
    let (text, kept) = (section.field("text"), section.field("keep_only"));
    let others = [&fields, &named, &custom, &with].into_iter().flatten().count();
    let redact = match (text, kept) {
        (Some(text), None) if others == 0 => self::text(&text),
        (None, Some(kept)) if others == 0 => {
            let redact = |kept| Redact { what: Redacted::AllBut(kept), with: redacted() };
            patterns(&kept).map(redact)
        }
        (None, None) => {
            let with = with.map_or_else(|| Some(redacted()), |field| self::with(&field));
            let has_patterns = named.is_some() || custom.is_some();
            let what = match has_patterns {
                true => found(section, named.as_ref(), custom.as_ref(), fields.as_ref()),
                false => section.required("fields", patterns).map(Redacted::Members),
            };
            what.zip(with).map(|(what, with)| Redact { what, with })
        }
        (text, kept) => {
            let alone = if kept.is_some() { "keep_only" } else { "text" };
            let hint = format!("make it a `redact` of its own: `- redact: {{ {alone}: … }}`");
            text.or(kept).and_then(|field| field.refuse_with("it stands beside other options", Some(hint)))
        }
    };
    made(section, redact.map(Action::Redact))
}

fn redacted() -> With {
    With::Text("\"[redacted]\"".to_owned())
}

/// A text, or what is made of the value.
fn with(field: &Field<'_>) -> Option<With> {
    if !field.is_map() {
        let mut text = String::new();
        json::write_string(&field.typed()?.text, &mut text);
        return Some(With::Text(text));
    }
    let Choice { name, mut section } = field.choice("replacement", &["hash", "mask"])?;
    let with = match name {
        "hash" => section.required("key", Field::secret).map(|key| With::Hash(HashKey::new(None, key))),
        _ => Some(With::Mask(mask(&mut section))),
    };
    section.finish();
    with
}

fn mask(section: &mut Section<'_>) -> Mask {
    let count = |field: &Field<'_>| field.integer(0..=MASK_CHARACTERS_MAX);
    let keep_first = section.optional("keep_first", count).unwrap_or(0) as usize;
    let keep_last = section.optional("keep_last", count).unwrap_or(0) as usize;
    let character = section.optional("character", |field| {
        let mut characters = field.text()?.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) if !character.is_control() => Some(character),
            _ => field.refuse("it has to be one character"),
        }
    });
    Mask { keep_first, keep_last, character: character.unwrap_or('*') }
}

/// Texts of people, and what is kept of them.
fn text(field: &Field<'_>) -> Option<Redact> {
    let mut section = field.section()?;
    let fields = section.required("fields", patterns);
    let keep = section.required("keep", |field| field.word(&["none", "length", "hash", "pattern_redacted"]));
    let key = section.field("key");
    if let Some(key) = key.as_ref().filter(|_| keep.is_some_and(|keep| keep != "hash")) {
        key.complain("a key is for `keep: hash`".to_owned(), None);
    }
    let members = |with| fields.clone().map(|fields| Redact { what: Redacted::Members(fields), with });
    let redact = match keep {
        Some("length") => members(With::Length),
        Some("hash") => {
            let key = section.required("key", Field::secret);
            key.and_then(|key| members(With::Hash(HashKey::new(None, key))))
        }
        Some("pattern_redacted") => {
            let all = Patterns::new(&names(), &[]);
            let what = all.zip(fields).map(|(all, fields)| Redacted::Found(all, fields));
            what.map(|what| Redact { what, with: redacted() })
        }
        Some(_) => members(redacted()),
        None => None,
    };
    section.finish();
    redact
}

fn found(
    section: &Section<'_>,
    named: Option<&Field<'_>>,
    custom: Option<&Field<'_>>,
    fields: Option<&Field<'_>>,
) -> Option<Redacted> {
    let known = names();
    let named = named.map_or(Some(Vec::new()), |field| field.list(|field| field.word(&known)));
    let custom = custom.map_or(Some(Vec::new()), |field| field.list(custom_pattern));
    let fields: Option<Vec<PathPattern>> = fields.map_or(Some(Vec::new()), patterns);
    let all = Patterns::new(&named?, &custom?);
    if all.is_none() {
        section.complain("its patterns are too large to be looked for together".to_owned(), None);
    }
    all.zip(fields).map(|(all, fields)| Redacted::Found(all, fields))
}

/// `{ name, regex }`, the name for those who read the file.
fn custom_pattern(field: &Field<'_>) -> Option<Regex> {
    let mut section = field.section()?;
    let name = section.required("name", drop_name);
    let regex = section.required("regex", regex);
    section.finish();
    name.and(regex)
}

fn regex(field: &Field<'_>) -> Option<Regex> {
    let text = field.text()?;
    // An expression of texts matches whole characters, in bytes as well.
    match (TextRegex::new(text), Regex::new(text)) {
        (Ok(expression), Ok(_)) if expression.is_match("") => {
            field.refuse_with("it matches an empty text, and would hide nothing", Some("write `+` for `*`".to_owned()))
        }
        (Ok(_), Ok(expression)) => Some(expression),
        _ => {
            let hint = "the syntax is that of the Rust crate `regex`: no look-around, no back-references";
            field.refuse_with("this is not a regular expression", Some(hint.to_owned()))
        }
    }
}
