//! Rules: which program is it that says this of itself?
//!
//! `uap-core.json` is `regexes.yaml` of <https://github.com/ua-parser/uap-core> (Apache License 2.0) as JSON: that of
//! 11 August 2026, commit e3c5e63. To bring it up to date, convert a newer one:
//! `python -c 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout, separators=(",", ":"))'`.

use std::sync::LazyLock;

use ua_parser::{Extractor, Regexes};

use crate::record::json;

/// What is found in a text, as JSON: name and version of the program, name and version of its system, and its device.
pub(super) type Found = [Option<Box<str>>; PARTS];

/// How many parts that has.
pub(super) const PARTS: usize = 5;

/// The rules, made ready when the first text is met. `None` is impossible: a test reads them.
static RULES: LazyLock<Option<Extractor<'static>>> = LazyLock::new(|| {
    let rules: Regexes<'static> = serde_json::from_str(include_str!("uap-core.json")).ok()?;
    Extractor::try_from(rules).ok()
});

/// What the rules say of a text; `None` where they know nothing of it.
pub(super) fn find(text: &str) -> Option<Found> {
    let (program, system, device) = RULES.as_ref()?.extract(text);
    let mut found = Found::default();
    if let Some(it) = program {
        found[0] = quoted(&it.family);
        found[1] = version([it.major, it.minor, it.patch, it.patch_minor]);
    }
    if let Some(it) = system {
        found[2] = quoted(&it.os);
        found[3] = version([&it.major, &it.minor, &it.patch, &it.patch_minor].map(Option::as_deref));
    }
    found[4] = device.and_then(|it| quoted(&it.device));
    found.iter().any(Option::is_some).then_some(found)
}

fn quoted(text: &str) -> Option<Box<str>> {
    let mut raw = String::new();
    json::write_string(text, &mut raw);
    (!text.is_empty()).then(|| raw.into())
}

/// The parts of a version up to the first that is not known, with dots between them.
fn version(parts: [Option<&str>; 4]) -> Option<Box<str>> {
    let known: Vec<&str> = parts.into_iter().map_while(|part| part.filter(|part| !part.is_empty())).collect();
    quoted(&known.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_by_what_they_say_of_themselves() {
        for (text, expected) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.6478.61 Safari/537.36",
                r#""Chrome" "126.0.6478.61" "Windows" "10" -"#,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                r#""Mobile Safari" "17.5" "iOS" "17.5.1" "iPhone""#,
            ),
            ("python-requests/2.32.3", r#""Python Requests" "2.32" - - -"#),
            ("curl/8.5.0", r#""curl" "8.5.0" - - -"#),
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                r#""Googlebot" "2.1" - - "Spider""#,
            ),
        ] {
            let found = find(text).unwrap_or_default();
            let shown: Vec<&str> = found.iter().map(|part| part.as_deref().unwrap_or("-")).collect();
            assert_eq!(shown.join(" "), expected, "{text}");
        }
        for text in ["", "-", "our-batch-job", "\u{0}\u{ffff}", &"(".repeat(2_000)] {
            assert!(find(text).is_none(), "{text:?}: {:?}", find(text));
        }
    }
}
