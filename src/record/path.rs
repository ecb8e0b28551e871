//! Paths: which members does a field name mean?
//!
//! Logs spell one field in many ways: `{"user":{"email":…}}`, `{"user.email":…}`, `{"user":[{"email":…}]}` and mixtures.
//! A [`Path`] means all of them, and everything below: `user` is also `{"user.email":…}`. So a redaction cannot be evaded
//! by another spelling, and what `FIELD : *` finds is what every processor that names FIELD works on. Names are
//! compared unescaped.

use std::borrow::Cow;
use std::fmt;

use super::head::Head;
use super::json::{self, elements, has_leaf};

/// A dotted path to a member, such as `user.email`. It means every spelling of it (nested, dotted, mixed, and inside
/// arrays) and everything below it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    text: Cow<'static, str>,
    head: Head,
    /// It stands in a JSON string as it is.
    is_plain: bool,
}

/// A path, or the text of one, that is looked for in a record.
#[derive(Clone, Copy, Debug)]
pub struct PathRef<'f> {
    pub(super) text: &'f str,
    pub(super) head: Head,
}

impl<'f> From<&'f str> for PathRef<'f> {
    fn from(text: &'f str) -> PathRef<'f> {
        PathRef { text, head: Head::of(text) }
    }
}

/// Takes the head that the path carries, so that it is not made for each record.
impl<'f> From<&'f Path> for PathRef<'f> {
    fn from(path: &'f Path) -> PathRef<'f> {
        PathRef { text: path.as_str(), head: path.head }
    }
}

impl Path {
    /// A path that inferlog itself names.
    pub(crate) const fn known(text: &'static str) -> Path {
        Path { head: Head::of(text), is_plain: json::is_plain_const(text.as_bytes()), text: Cow::Borrowed(text) }
    }

    fn owned(text: String) -> Path {
        Path { head: Head::of(&text), is_plain: json::is_plain_const(text.as_bytes()), text: Cow::Owned(text) }
    }

    /// The path of something that stands in a record, whatever its names are.
    pub(super) fn as_it_stands(text: &str) -> Path {
        Path::owned(text.to_owned())
    }

    /// Takes the names of a path as they are: not empty, no empty name (`a..b`), no control characters. [`Path::read`] reads
    /// it as it is written in a pipeline file.
    ///
    /// # Errors
    /// Says in words what is wrong with it.
    pub fn new(text: &str) -> Result<Path, String> {
        if text.is_empty() {
            return Err("a field path is empty".to_owned());
        }
        if text.split('.').any(str::is_empty) {
            return Err(format!(
                "`{text}` has an empty segment: write `a.b`, without dots at the ends or side by side"
            ));
        }
        if text.chars().any(char::is_control) {
            return Err("a field path has a control character".to_owned());
        }
        Ok(Path::owned(text.to_owned()))
    }

    /// Its name where what is at `from` is at `to`, if it is part of it or holds it.
    pub fn moved(&self, from: &Path, to: &Path) -> Option<Path> {
        match reach(from.as_str(), self.as_str())? {
            Reach::At | Reach::Above(_) => Some(to.clone()),
            Reach::Below(rest) => Path::new(&format!("{to}.{rest}")).ok(),
        }
    }

    /// The path whose last name is changed: what `change` gives is as fit as what it is given.
    pub(crate) fn reworded(&self, change: impl FnOnce(&str) -> String) -> Path {
        Path::owned(change(&self.text))
    }

    /// Appends it as a JSON string with its quotes.
    pub(super) fn write_quoted(&self, out: &mut String) {
        if self.is_plain {
            out.push('"');
            out.push_str(&self.text);
            out.push('"');
        } else {
            json::write_string(&self.text, out);
        }
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    /// The dotted text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Path").field(&self.text).finish()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// What of `path` is left below a member called `name`: `Some("")` is the member itself, `None` is another member.
pub(super) fn below<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    // Most members are other ones, and most of those differ in the first byte.
    if path.as_bytes().first() != name.as_bytes().first() {
        return None;
    }
    let rest = path.strip_prefix(name)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.').filter(|_| !name.is_empty()) }
}

/// How a member stands to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach<'n, Rest> {
    /// The path leads into it: this much of the path is left inside of its value.
    Above(Rest),
    /// It is what the path names.
    At,
    /// It is below that, by this much of its name.
    Below(&'n str),
}

/// How a member called `name` stands to a path; `None` when neither is part of the other.
pub(super) fn reach<'p, 'n>(path: &'p str, name: &'n str) -> Option<Reach<'n, &'p str>> {
    if path.as_bytes().first() != name.as_bytes().first() {
        return None;
    }
    match path.strip_prefix(name) {
        Some("") => Some(Reach::At),
        Some(rest) => rest.strip_prefix('.').filter(|_| !name.is_empty()).map(Reach::Above),
        None => name.strip_prefix(path)?.strip_prefix('.').map(Reach::Below),
    }
}

/// Whether a name is a path or below it: `user` and `user.email` are, of `user`; `users` is not.
pub fn covers(path: &str, name: &str) -> bool {
    matches!(reach(path, name), Some(Reach::At | Reach::Below(_)))
}

/// `raw` with something else in the place of a part of it.
pub(super) fn with_part(raw: &str, part: &str, new: &str) -> String {
    let start = part.as_ptr() as usize - raw.as_ptr() as usize;
    [&raw[..start], new, &raw[start + part.len()..]].concat()
}

/// A name without what it says beyond a path, as [`Reach::Below`] has it.
pub(super) fn without<'n>(name: &'n str, beyond: &str) -> &'n str {
    &name[..name.len() - beyond.len() - 1]
}

/// Calls `visit` with the raw text of each value at `path` inside a JSON value, until it returns true.
pub(super) fn any_inside(raw: &str, path: &str, visit: &mut dyn FnMut(&str) -> bool) -> bool {
    match raw.as_bytes().first() {
        Some(b'{') => sonic_rs::to_object_iter(raw).flatten().any(|(name, value)| match below(path, &name) {
            Some("") => visit(value.as_raw_str()),
            Some(rest) => any_inside(value.as_raw_str(), rest, visit),
            None => false,
        }),
        Some(b'[') => elements(raw).any(|element| any_inside(element.as_raw_str(), path, visit)),
        _ => false,
    }
}

/// Whether a member has a value below a path that ends within a name: `{"a.b":1}` has one below `a`.
pub(super) fn has_below(name: &str, raw: &str, path: &str) -> bool {
    if let Some(beyond) = name.strip_prefix(path) {
        return beyond.starts_with('.') && has_leaf(raw);
    }
    below(path, name).is_some_and(|rest| has_below_inside(raw, rest))
}

fn has_below_inside(raw: &str, path: &str) -> bool {
    match raw.as_bytes().first() {
        Some(b'{') => {
            sonic_rs::to_object_iter(raw).flatten().any(|(name, value)| has_below(&name, value.as_raw_str(), path))
        }
        Some(b'[') => elements(raw).any(|element| has_below_inside(element.as_raw_str(), path)),
        _ => false,
    }
}

/// Whether a member can be added at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// No spelling of the path is there, and nothing below it.
    Free,
    /// Some spelling of it is there, or something below it, as in `"service.name": "x"` for `service`.
    Taken,
    /// A scalar stands at a prefix of it, as in `"host": "gpu-7"` for `host.name`.
    Blocked,
}

/// What a member leaves of the room for a path; `None` when it has nothing to do with it.
pub(super) fn room_of_member(name: &str, raw: &str, path: &str) -> Option<Room> {
    Some(match reach(path, name)? {
        Reach::At | Reach::Below(_) => Room::Taken,
        Reach::Above(rest) => room_inside(raw, rest),
    })
}

/// What stands at `path` inside a JSON value.
pub(super) fn room_inside(raw: &str, path: &str) -> Room {
    match raw.as_bytes().first() {
        Some(b'{') => tightest(
            sonic_rs::to_object_iter(raw)
                .flatten()
                .filter_map(|(name, value)| room_of_member(&name, value.as_raw_str(), path)),
        ),
        Some(b'[') => tightest(elements(raw).map(|element| room_inside(element.as_raw_str(), path))),
        _ if raw == "null" => Room::Free,
        _ => Room::Blocked,
    }
}

/// Taken wins over blocked, blocked over free.
pub(super) fn tightest(rooms: impl Iterator<Item = Room>) -> Room {
    let mut all = Room::Free;
    for room in rooms {
        match room {
            Room::Taken => return Room::Taken,
            Room::Blocked => all = Room::Blocked,
            Room::Free => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_name_leaves_the_rest_of_a_path() {
        for (path, name, expected) in [
            ("user.email", "user", Some("email")),
            ("user.email", "user.email", Some("")),
            ("user.email", "use", None),
            ("user.email", "user.email.x", None),
            ("user.email", "", None),
            ("a.b.c", "a.b", Some("c")),
        ] {
            assert_eq!(below(path, name), expected, "{path} below {name}");
        }
    }

    #[test]
    fn a_member_is_above_a_path_at_it_or_below() {
        for (path, name, expected) in [
            ("user.email", "user", Some(Reach::Above("email"))),
            ("user.email", "user.email", Some(Reach::At)),
            ("user.email", "user.email.work", Some(Reach::Below("work"))),
            ("user.email", "user.email.", Some(Reach::Below(""))),
            ("user.email", "user.emails", None),
            ("user.email", "user.e", None),
            ("user.email", "use", None),
            ("user.email", "", None),
            ("user", "users.x", None),
        ] {
            assert_eq!(reach(path, name), expected, "{name} and {path}");
        }
    }

    #[test]
    fn every_spelling_is_met() {
        for raw in [
            r#"{"user":{"email":7}}"#,
            r#"{"user.email":7}"#,
            r#"{"user":[{"x":1},{"email":7}]}"#,
            r#"[[{"user":{"email":7}}]]"#,
            r#"{"\u0075ser":{"\u0065mail":7}}"#,
        ] {
            assert!(any_inside(raw, "user.email", &mut |value| value == "7"), "{raw}");
        }
        assert!(!any_inside(r#"{"user":{"mail":7},"email":7}"#, "user.email", &mut |_| true));
    }

    #[test]
    fn what_is_below_a_path_is_seen_in_names_that_reach_beyond_it() {
        for (name, raw, path, expected) in [
            ("a.b", "1", "a", true),
            ("a.b", "null", "a", false),
            ("a.b", "{}", "a", false),
            ("ab", "1", "a", false),
            ("a", "{\"b\":1}", "a", false),
            ("a", "{\"b.c\":1}", "a.b", true),
            ("a", "[{\"b.c.d\":[1]}]", "a.b.c", true),
            ("a.b", "{\"c.d\":1}", "a.b.c", true),
            ("a.b.c", "1", "a.b.x", false),
        ] {
            assert_eq!(has_below(name, raw, path), expected, "{path} in {name}: {raw}");
        }
    }

    #[test]
    fn room_for_a_member() {
        for (raw, expected) in [
            (r#"{"name":"x"}"#, Room::Taken),
            (r#"{"other":1}"#, Room::Free),
            (r#"{"name.first":"x"}"#, Room::Taken),
            (r#"{"names":"x"}"#, Room::Free),
            (r#""gpu-7""#, Room::Blocked),
            ("null", Room::Free),
            (r#"[{"other":1},{"name":2}]"#, Room::Taken),
            ("[1,2]", Room::Blocked),
            ("[]", Room::Free),
        ] {
            assert_eq!(room_inside(raw, "name"), expected, "{raw}");
        }
    }
}
