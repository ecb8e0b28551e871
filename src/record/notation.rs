//! Notation: how is a field path written in a pipeline file, and which notations of other tools does it look like?
//!
//! Names with dots between them, and nothing else: `user.email`. What is below a path and what is in arrays is meant
//! anyway, so there are no brackets and no root sign, and wildcards only for rules that hide. A rule in such a notation would be about a name that no
//! log has, and a redaction that does nothing is the worst kind of quiet: it is refused, with the right spelling. Blanks,
//! slashes and brackets inside of a name are real (`content type`, `a/b`, `latency[ms]`) and stay. A name that really has
//! what is refused is written with `\` before it: `\/v1/predict`, `\*`, `users\[0\]`, `\$`, `x\ `.

use super::path::Path;
use super::wildcards::{PARTS_MAX, Part, PathPattern, Wildcards};

/// What `\` may stand before.
const ESCAPED: &str = "\\*[]$/#\"'` ";

/// Stands for an escaped character while a path is looked at. No path may have it: it is a control character.
const LITERAL: char = '\u{1}';

/// Why a text is no field path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    /// What is wrong.
    pub problem: String,
    /// What to write.
    pub hint: Option<String>,
}

impl Path {
    /// Reads a path as it is written in a pipeline file.
    ///
    /// # Errors
    /// Says what is wrong with it, and how it is spelled right.
    pub fn read(text: &str) -> Result<Path, PathError> {
        if text.chars().any(char::is_control) {
            return Err(error("a field path has a control character".to_owned(), None));
        }
        let (name, plain) = unescaped(text)?;
        if let Some(found) = foreign(&plain) {
            return Err(found.error(text, &plain));
        }
        Path::new(&name).map_err(|problem| {
            let right = right_spelling(&plain).map(|right| format!("write `{right}`"));
            error(problem, right.filter(|_| !plain.contains(LITERAL)))
        })
    }
}

impl PathPattern {
    /// Reads a path that may have wildcards, as it is written in a pipeline file: `*` is any part of a name, `**` any number
    /// of names. A `*` that is part of a name is written `\*`.
    ///
    /// # Errors
    /// Says what is wrong with it, and how it is spelled right.
    pub fn read(text: &str) -> Result<PathPattern, PathError> {
        if !text.contains('*') {
            return Path::read(text).map(PathPattern::Path);
        }
        let (_, plain) = unescaped(text)?;
        match foreign(&plain) {
            None => return Path::read(text).map(PathPattern::Path),
            Some(Foreign::Wildcard) => {}
            Some(found) => return Err(found.error(text, &plain)),
        }
        // Apart from its wildcards it has to be a path.
        let letters = wildcards_as_letters(text);
        Path::read(&letters).map_err(|refused| error(refused.problem.replace(&letters, text), None))?;
        let parts = parts(text)?;
        if parts.len() > PARTS_MAX {
            return Err(error(format!("a field path with wildcards has at most {PARTS_MAX} names"), None));
        }
        Ok(PathPattern::Wildcards(Wildcards::new(text, parts)))
    }
}

/// The text with a letter in place of each wildcard.
fn wildcards_as_letters(text: &str) -> String {
    let mut is_escaped = false;
    let letter = |character: char| {
        let shown = if character == '*' && !is_escaped { 'x' } else { character };
        is_escaped = character == '\\' && !is_escaped;
        shown
    };
    text.chars().map(letter).collect()
}

/// The parts of a text of which [`unescaped`] has found nothing wrong.
fn parts(text: &str) -> Result<Vec<Part>, PathError> {
    let part = |written: &str| {
        if written == "**" {
            return Ok(Part::AnyNames);
        }
        if written.contains("**") {
            let hint = "write `**.password` for that name at any depth, and `x-*` for all names that begin so";
            return Err(error(format!("`{text}` has a `**` that is part of a name"), Some(hint.to_owned())));
        }
        let mut pieces = vec![String::new()];
        let mut characters = written.chars();
        while let Some(character) = characters.next() {
            match character {
                '*' => pieces.push(String::new()),
                '\\' => pieces.iter_mut().last().into_iter().for_each(|piece| piece.extend(characters.next())),
                _ => pieces.iter_mut().last().into_iter().for_each(|piece| piece.push(character)),
            }
        }
        Ok(Part::Name(pieces))
    };
    text.split('.').map(part).collect()
}

fn error(problem: String, hint: Option<String>) -> PathError {
    PathError { problem, hint }
}

/// The name that is meant, and the same with [`LITERAL`] in place of what was escaped.
fn unescaped(text: &str) -> Result<(String, String), PathError> {
    let (mut name, mut plain) = (String::new(), String::new());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            name.push(character);
            plain.push(character);
            continue;
        }
        match characters.next().filter(|next| ESCAPED.contains(*next)) {
            Some(next) => {
                name.push(next);
                plain.push(LITERAL);
            }
            None => {
                let problem = format!("`{text}` has a `\\` that stands before nothing special");
                let hint = "write `\\\\` for a backslash in a name; a dot needs none, since `a.b` means every spelling";
                return Err(error(problem, Some(hint.to_owned())));
            }
        }
    }
    Ok((name, plain))
}

/// A notation of another tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Foreign {
    /// `user.*`, `*.email`, `head*`
    Wildcard,
    /// `$.user.email`, `$['user']`
    Root,
    /// `/user/email`, `#/user/email`
    Pointer,
    /// `users[0]`, `users[*]`, `[user][email]`
    Brackets,
    /// `"user.email"` in quotes of its own
    Quotes,
    /// `user.email ` with a blank at an end of a name
    Blank,
}

fn foreign(plain: &str) -> Option<Foreign> {
    let parts = || plain.split('.');
    let is_quoted = |part: &str| {
        part.len() > 1 && part.starts_with(['"', '\'', '`']) && part.chars().next_back() == part.chars().next()
    };
    if plain == "$" || plain.starts_with("$.") || plain.starts_with("$[") {
        Some(Foreign::Root)
    } else if plain.starts_with('/') || plain.starts_with("#/") {
        Some(Foreign::Pointer)
    } else if brackets(plain).any(|bracket| bracket.is_foreign) {
        Some(Foreign::Brackets)
    } else if plain.contains('*') {
        Some(Foreign::Wildcard)
    } else if is_quoted(plain) || parts().any(is_quoted) {
        Some(Foreign::Quotes)
    } else if parts().any(|part| part.trim() != part) {
        Some(Foreign::Blank)
    } else {
        None
    }
}

impl Foreign {
    fn error(self, text: &str, plain: &str) -> PathError {
        let problem = match self {
            Foreign::Wildcard => {
                format!("`{text}` has a `*`: this field path has no wildcards, it means all that is below it")
            }
            Foreign::Root => format!("`{text}` is JSONPath: a field path begins with a name"),
            Foreign::Pointer => format!("`{text}` is a JSON pointer: the names of a field path have dots between them"),
            Foreign::Brackets => format!("`{text}` has brackets: a field path reaches into arrays without them"),
            Foreign::Quotes => format!("`{text}` has quotes of its own"),
            Foreign::Blank => format!("`{text}` has a blank at an end of a name"),
        };
        let literal = match self {
            Foreign::Wildcard => "a `*` that is part of a name is written `\\*`",
            Foreign::Root => "a name that is `$` is written `\\$`",
            Foreign::Pointer => "a name that begins so is written with `\\` before the `/` or `#`",
            Foreign::Brackets => "brackets that are part of a name are written `\\[` and `\\]`",
            Foreign::Quotes => "quotes that are part of a name are written with `\\` before them",
            Foreign::Blank => "a blank that is part of a name is written `\\ `",
        };
        let right = right_spelling(plain).filter(|_| !plain.contains(LITERAL));
        let write = match right {
            Some(right) => format!("write `{right}`"),
            None => "name each field by its whole path, such as `user.email`".to_owned(),
        };
        error(problem, Some(format!("{write}; {literal}")))
    }
}

/// The text in a pair of brackets.
struct Bracket<'p> {
    inside: &'p str,
    start: usize,
    /// It is no part of a name.
    is_foreign: bool,
}

impl Bracket<'_> {
    fn end(&self) -> usize {
        self.start + self.inside.len() + 2
    }

    /// It names a member, as `['email']` does, or `[user]` where a name would begin.
    fn is_name(&self) -> bool {
        !self.inside.is_empty() && !self.inside.chars().all(|c| "0123456789*:,-".contains(c))
    }
}

fn brackets(plain: &str) -> impl Iterator<Item = Bracket<'_>> {
    plain.match_indices('[').filter_map(move |(start, _)| {
        let inside =
            plain[start + 1..].split(']').next().filter(|inside| plain[start + 1 + inside.len()..].starts_with(']'))?;
        let mut bracket = Bracket { inside, start, is_foreign: false };
        let begins_a_name = start == 0 || plain[..start].ends_with(['.', ']']);
        bracket.is_foreign = !bracket.is_name() || begins_a_name || inside.starts_with(['"', '\'', '?', '@']);
        Some(bracket)
    })
}

/// The path that was probably meant; `None` where one path cannot say it.
fn right_spelling(plain: &str) -> Option<String> {
    let mut text = String::new();
    let mut copied = 0;
    for bracket in brackets(plain).filter(|bracket| bracket.is_foreign) {
        if bracket.start < copied || bracket.inside.starts_with(['?', '@']) {
            return None;
        }
        text.push_str(&plain[copied..bracket.start]);
        if bracket.is_name() {
            text.push('.');
            text.push_str(bracket.inside);
        }
        copied = bracket.end();
    }
    text.push_str(&plain[copied..]);
    if plain.starts_with('/') || plain.starts_with("#/") {
        text = text.trim_start_matches('#').replace('/', ".");
    }
    let mut parts: Vec<&str> = text
        .split('.')
        .map(|part| part.trim().trim_matches(['"', '\'', '`']))
        .filter(|part| !part.is_empty())
        .collect();
    if parts.first() == Some(&"$") {
        parts.remove(0);
    }
    // What is below a path is meant anyway.
    while parts.last().is_some_and(|part| part.chars().all(|c| c == '*')) {
        parts.pop();
    }
    let is_path = !parts.is_empty() && !parts.iter().any(|part| part.contains('*'));
    is_path.then(|| parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_real_logs_are_paths() {
        for (text, name) in [
            ("user.email", "user.email"),
            ("@timestamp", "@timestamp"),
            ("$type", "$type"),
            ("content type", "content type"),
            ("a/b", "a/b"),
            ("latency[ms]", "latency[ms]"),
            ("is_ok?", "is_ok?"),
            ("it's", "it's"),
            ("x[", "x["),
            ("größe", "größe"),
            (r"\/v1/predict.count", "/v1/predict.count"),
            (r"\*", "*"),
            (r"users\[0\].name", "users[0].name"),
            (r"\$.x", "$.x"),
            (r"x\ ", "x "),
            (r"DOMAIN\\user", r"DOMAIN\user"),
            (r#"\"x\""#, "\"x\""),
        ] {
            assert_eq!(Path::read(text).unwrap().as_str(), name, "{text}");
        }
    }

    #[test]
    fn wildcards_are_read_where_they_may_be() {
        for (text, expected) in [
            ("user.email", Some("path")),
            (r"\*", Some("path")),
            ("user.*", Some("wildcards")),
            (r"a\*.*", Some("wildcards")),
            ("**.password", Some("wildcards")),
            ("**", Some("wildcards")),
            ("a**", None),
            ("a**b.c", None),
            ("***", None),
            ("a..*", None),
            ("users[*].email", None),
            ("$.*", None),
            ("/a/*", None),
            ("a.* ", None),
            ("a.*\u{1}", None),
        ] {
            let read = PathPattern::read(text);
            let kind = read.as_ref().ok().map(|read| if read.path().is_some() { "path" } else { "wildcards" });
            assert_eq!(kind, expected, "{text}");
        }
        assert!(PathPattern::read(r"a\*b.*").unwrap().covers("a*b.c"));
        assert!(!PathPattern::read(r"a\*b.*").unwrap().covers("aXb.c"));
    }

    #[test]
    fn other_notations_are_refused_with_the_right_spelling() {
        for (text, right) in [
            ("user.*", Some("user")),
            ("user.**", Some("user")),
            ("*.email", None),
            ("**", None),
            ("head*", None),
            ("a.*.b", None),
            ("$.user.email", Some("user.email")),
            ("$['user']['email']", Some("user.email")),
            ("$..email", Some("email")),
            ("$", None),
            ("/user/email", Some("user.email")),
            ("#/user/email", Some("user.email")),
            ("users[*].email", Some("users.email")),
            ("users[0]", Some("users")),
            ("users[].email", Some("users.email")),
            ("users[-1:]", Some("users")),
            ("user[\"email\"]", Some("user.email")),
            ("[user][email]", Some("user.email")),
            ("users[?(@.x>1)].y", None),
            ("user.email ", Some("user.email")),
            (" user.email", Some("user.email")),
            ("user .email", Some("user.email")),
            ("\"user.email\"", Some("user.email")),
            ("`user`.email", Some("user.email")),
            (".user.email", Some("user.email")),
            ("user..email", Some("user.email")),
            ("user.email.", Some("user.email")),
            (r"user\.email", None),
            (r"user\", None),
            ("", None),
            ("a\u{1}b", None),
        ] {
            let refused = Path::read(text).unwrap_err();
            let hint = refused.hint.unwrap_or_default();
            match right {
                Some(right) => assert!(hint.starts_with(&format!("write `{right}`")), "{text}: {hint}"),
                None => assert!(!hint.starts_with("write `user"), "{text}: {hint}"),
            }
        }
    }
}
