//! Wildcards: which members does one path mean that stands for many?
//!
//! `*` is any part of one name, `**` any number of whole names, also none: `headers.x-*`, `*.email`, `**.password`. As a
//! plain path does, one with wildcards means every spelling (nested, dotted, mixed, inside of arrays) of what it matches,
//! and everything below that. `user.*` means what is inside of `user`, and leaves a `user` that is a text alone.
//!
//! A path with wildcards is walked name by name, with the set of its parts that may come next, so that a name is looked at
//! once, however many ways there are to match it.

use std::fmt;
use std::sync::Arc;

use super::head::Head;
use super::path::{self, Path, Reach};

/// The most names of a path with wildcards: the parts that may come next are the bits of a number.
pub(super) const PARTS_MAX: usize = 60;

/// One path, or many by wildcards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathPattern {
    /// A plain one.
    Path(Path),
    /// One with wildcards.
    Wildcards(Wildcards),
}

/// A path with wildcards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wildcards {
    /// As it is written.
    text: Arc<str>,
    parts: Arc<[Part]>,
}

/// What stands between two dots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The pieces of a name, with any text between them: one piece is the name itself.
    Name(Vec<String>),
    /// `**`
    AnyNames,
}

impl Wildcards {
    /// `text` is how it is written, `parts` what that means.
    pub(super) fn new(text: &str, parts: Vec<Part>) -> Wildcards {
        Wildcards { text: text.into(), parts: parts.into() }
    }
}

impl PathPattern {
    /// How it is written, for messages and for what is counted by it; a plain one is the path.
    pub fn as_str(&self) -> &str {
        match self {
            PathPattern::Path(path) => path.as_str(),
            PathPattern::Wildcards(wildcards) => &wildcards.text,
        }
    }

    /// The path, if there is but one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            PathPattern::Path(path) => Some(path),
            PathPattern::Wildcards(_) => None,
        }
    }

    /// The head of each member that has to do with it, if that is one.
    pub(super) fn head(&self) -> Option<Head> {
        self.path().map(Path::head)
    }

    /// All of what it means, to be walked.
    pub(super) fn rest(&self) -> Rest<'_> {
        match self {
            PathPattern::Path(path) => Rest::Path(path.as_str()),
            PathPattern::Wildcards(Wildcards { parts, .. }) => Rest::Wildcards(parts, with_empty(parts, 1)),
        }
    }

    /// Whether a path is meant, or is below what is meant.
    pub fn covers(&self, path: &str) -> bool {
        matches!(self.rest().reach(path), Some(Reach::At | Reach::Below(_)))
    }

    /// Whether a path is meant, is below what is meant, or may hold some of it.
    pub fn meets(&self, path: &str) -> bool {
        self.rest().reach(path).is_some()
    }

    /// What it means where what is at `from` is at `to`: nothing, if it has nothing to do with that.
    pub fn moved(&self, from: &Path, to: &Path) -> Vec<PathPattern> {
        match (self, self.rest().reach(from.as_str())) {
            (_, None) => Vec::new(),
            (_, Some(Reach::At | Reach::Below(_))) => vec![to.clone().into()],
            (PathPattern::Path(path), _) => path.moved(from, to).into_iter().map(PathPattern::Path).collect(),
            (_, Some(Reach::Above(rest))) => rest.below(to),
        }
    }
}

impl From<Path> for PathPattern {
    fn from(path: Path) -> PathPattern {
        PathPattern::Path(path)
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What of a path is left, inside of a value that it leads into.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rest<'p> {
    Path(&'p str),
    /// The parts of the whole, and which of them may come next: bit n is part n, and the bit after the last is the end.
    Wildcards(&'p [Part], u64),
}

impl<'p> Rest<'p> {
    /// How a member called `name` stands to it; `None` when neither is part of the other.
    pub(super) fn reach<'n>(self, name: &'n str) -> Option<Reach<'n, Rest<'p>>> {
        match self {
            Rest::Path(path) => Some(match path::reach(path, name)? {
                Reach::Above(rest) => Reach::Above(Rest::Path(rest)),
                Reach::At => Reach::At,
                Reach::Below(beyond) => Reach::Below(beyond),
            }),
            Rest::Wildcards(parts, next) => reach_by_parts(parts, next, name),
        }
    }

    /// The same as patterns below a path.
    fn below(self, path: &Path) -> Vec<PathPattern> {
        let Rest::Wildcards(parts, next) = self else { return Vec::new() };
        let starts = (0..parts.len()).filter(|part| next >> part & 1 == 1);
        let pattern = |start: usize| {
            let names = path.as_str().split('.').map(|name| Part::Name(vec![name.to_owned()]));
            let parts: Vec<Part> = names.chain(parts[start..].iter().cloned()).collect();
            let written: Vec<String> = parts.iter().map(Part::to_string).collect();
            PathPattern::Wildcards(Wildcards::new(&written.join("."), parts))
        };
        starts.map(pattern).collect()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Name(pieces) => formatter.write_str(&pieces.join("*")),
            Part::AnyNames => formatter.write_str("**"),
        }
    }
}

/// A name may have dots: it is as many names.
fn reach_by_parts<'p, 'n>(parts: &'p [Part], next: u64, name: &'n str) -> Option<Reach<'n, Rest<'p>>> {
    let (mut next, mut end) = (next, 0);
    for one in name.split('.') {
        next = step(parts, next, one);
        if next == 0 {
            return None;
        }
        end += one.len();
        if next >> parts.len() & 1 == 1 {
            return Some(name.get(end + 1..).map_or(Reach::At, Reach::Below));
        }
        end += 1;
    }
    Some(Reach::Above(Rest::Wildcards(parts, next)))
}

/// What may come after a name.
fn step(parts: &[Part], next: u64, name: &str) -> u64 {
    let mut after = 0;
    for (position, part) in parts.iter().enumerate().filter(|(position, _)| next >> position & 1 == 1) {
        match part {
            Part::AnyNames => after |= 1 << position,
            Part::Name(pieces) if matches(pieces, name) => after |= 1 << (position + 1),
            Part::Name(_) => {}
        }
    }
    with_empty(parts, after)
}

/// `**` may be no name at all: what is behind it may come as well.
fn with_empty(parts: &[Part], mut next: u64) -> u64 {
    for (position, part) in parts.iter().enumerate() {
        if *part == Part::AnyNames && next >> position & 1 == 1 {
            next |= 1 << (position + 1);
        }
    }
    next
}

fn matches(pieces: &[String], name: &str) -> bool {
    let [first, between @ .., last] = pieces else { return pieces.iter().any(|piece| piece == name) };
    let Some(mut rest) = name.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else {
        return false;
    };
    for piece in between {
        match rest.split_once(piece.as_str()) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched() {
        for (pattern, name, expected) in [
            ("user.*", "user.email", "at"),
            ("user.*", "user", "above"),
            ("user.*", "user.email.work", "below: work"),
            ("user.*", "users.email", "none"),
            ("user.*", "user.", "at"),
            ("headers.x-*", "headers.x-token", "at"),
            ("headers.x-*", "headers.x-", "at"),
            ("headers.x-*", "headers.y-token", "none"),
            ("*_id", "user_id", "at"),
            ("*_id", "a.user_id", "none"),
            ("a*b*c", "aXbYbc", "at"),
            ("a*b*c", "abc", "at"),
            ("a*b*c", "ac", "none"),
            ("ab*bc", "abc", "none"),
            ("**.password", "password", "at"),
            ("**.password", "a.b.password", "at"),
            ("**.password", "a.b.password.old", "below: old"),
            ("**.password", "a.b", "above"),
            ("**.password", "", "above"),
            ("a.**.b", "a.b", "at"),
            ("a.**.b", "a.x.y.b", "at"),
            ("a.**.b", "b", "none"),
            ("a.**", "a", "at"),
            ("**", "a", "at"),
            ("*.email", "user.email", "at"),
            ("*.email", "email", "above"),
            ("user.email", "user.email", "at"),
        ] {
            let read = PathPattern::read(pattern).unwrap();
            let reach = match read.rest().reach(name) {
                None => "none".to_owned(),
                Some(Reach::At) => "at".to_owned(),
                Some(Reach::Above(_)) => "above".to_owned(),
                Some(Reach::Below(beyond)) => format!("below: {beyond}"),
            };
            assert_eq!(reach, expected, "{pattern} and {name}");
        }
    }

    #[test]
    fn a_name_is_taken_in_parts_as_it_is_whole() {
        let read = PathPattern::read("a.**.x-*.b").unwrap();
        let Some(Reach::Above(rest)) = read.rest().reach("a.n.x-1") else { panic!() };
        assert!(matches!(rest.reach("b"), Some(Reach::At)));
        assert!(matches!(rest.reach("x-2.b"), Some(Reach::At)));
        assert!(matches!(rest.reach("c"), Some(Reach::Above(_))));
    }

    #[test]
    fn what_is_moved_is_still_meant() {
        for (pattern, from, to, expected) in [
            ("user.*", "user", "usr", vec!["usr.*"]),
            ("user.*", "user.email", "mail", vec!["mail"]),
            ("user.*", "user.email.work", "mail", vec!["mail"]),
            ("user.*", "other", "mail", vec![]),
            ("**.password", "user", "usr", vec!["usr.**.password", "usr.password"]),
            ("user.email", "user", "usr", vec!["usr.email"]),
        ] {
            let [from, to] = [from, to].map(|path| Path::new(path).unwrap());
            let moved = PathPattern::read(pattern).unwrap().moved(&from, &to);
            assert_eq!(moved.iter().map(PathPattern::as_str).collect::<Vec<_>>(), expected, "{pattern} {from} {to}");
        }
    }
}
