//! Gathering: what stands at a path, as one value, however its parts are spelled?
//!
//! A value that stands there once is that value, as written. Where members below the path are spelled with dots beside
//! it, the nested form is made: `{"features":{"a":1},"features.b":2}` has `{"a":1,"b":2}` at `features`. Several values
//! at one place, be it in the elements of an array or by different spellings, are an array of them, in their order, as
//! Elasticsearch sees them. Nothing is left out, so that whoever hashes or renames has all of it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::json;
use super::path::{self, Reach};

/// A name with more dots than this is taken apart this often; the rest of it stays one name. The walk is recursive.
const NAME_PARTS_MAX: usize = 64;

/// What was found at a path. The first piece, which mostly is the only one, costs no allocation.
#[derive(Debug, Default)]
pub(super) struct Pieces<'r> {
    first: Option<Piece<'r>>,
    more: Vec<Piece<'r>>,
    /// How many elements of arrays were entered.
    elements: u32,
}

/// All that stands at a path inside a JSON value, as one value.
pub(super) fn whole_inside<'r>(raw: &'r str, path: &str) -> Option<Cow<'r, str>> {
    let mut pieces = Pieces::default();
    pieces.add_inside(raw, path, 0);
    pieces.value()
}

/// One value at a path or below it.
#[derive(Debug)]
struct Piece<'r> {
    /// The element of an array that it is in, counted through the record; 0 outside of arrays.
    element: u32,
    /// What its name says beyond the path; `None` when it stands at the path itself.
    beyond: Option<Cow<'r, str>>,
    raw: &'r str,
}

impl<'r> Pieces<'r> {
    /// Adds what a member of the top level has at a path.
    pub(super) fn add_member(&mut self, name: &'r str, raw: &'r str, path: &str) {
        self.add(Cow::Borrowed(name), raw, path, 0);
    }

    fn add(&mut self, name: Cow<'r, str>, raw: &'r str, path: &str, element: u32) {
        match path::reach(path, &name) {
            None => {}
            Some(Reach::Above(rest)) => self.add_inside(raw, rest, element),
            Some(Reach::At) => self.push(Piece { element, beyond: None, raw }),
            Some(Reach::Below(beyond)) => {
                let start = name.len() - beyond.len();
                let beyond = match name {
                    Cow::Borrowed(name) => Cow::Borrowed(&name[start..]),
                    Cow::Owned(name) => Cow::Owned(name[start..].to_owned()),
                };
                self.push(Piece { element, beyond: Some(beyond), raw });
            }
        }
    }

    fn add_inside(&mut self, raw: &'r str, path: &str, element: u32) {
        match raw.as_bytes().first() {
            Some(b'{') => {
                for (name, value) in sonic_rs::to_object_iter(raw).flatten() {
                    self.add(name, json::place(raw, value.as_raw_str()), path, element);
                }
            }
            Some(b'[') => {
                for value in json::elements(raw) {
                    self.elements += 1;
                    self.add_inside(json::place(raw, value.as_raw_str()), path, self.elements);
                }
            }
            _ => {}
        }
    }

    fn push(&mut self, piece: Piece<'r>) {
        match self.first {
            None => self.first = Some(piece),
            Some(_) => self.more.push(piece),
        }
    }

    /// All of it as one value; `None` when nothing was found.
    pub(super) fn value(self) -> Option<Cow<'r, str>> {
        let first = self.first?;
        if self.more.is_empty() && first.beyond.is_none() {
            return Some(Cow::Borrowed(first.raw));
        }
        let mut of_elements: BTreeMap<u32, Node<'r>> = BTreeMap::new();
        for piece in std::iter::once(first).chain(self.more) {
            let element = piece.element;
            let node = piece.node();
            let joined = match of_elements.remove(&element) {
                None => node,
                Some(before) => before.join(node),
            };
            of_elements.insert(element, joined);
        }
        let mut nodes: Vec<Node<'r>> = of_elements.into_values().collect();
        let all = if nodes.len() == 1 { nodes.remove(0) } else { Node::Several(nodes) };
        let mut text = String::new();
        all.write(&mut text);
        Some(Cow::Owned(text))
    }
}

impl<'r> Piece<'r> {
    fn node(self) -> Node<'r> {
        let Some(beyond) = self.beyond else { return Node::Raw(self.raw) };
        let names: Vec<String> = beyond.splitn(NAME_PARTS_MAX, '.').map(str::to_owned).collect();
        names
            .into_iter()
            .rev()
            .fold(Node::Raw(self.raw), |node, name| Node::Object(BTreeMap::from([(Cow::Owned(name), node)])))
    }
}

/// A value that is put together.
#[derive(Debug)]
enum Node<'r> {
    /// As it was written.
    Raw(&'r str),
    Object(BTreeMap<Cow<'r, str>, Node<'r>>),
    /// Values that stand at one place.
    Several(Vec<Node<'r>>),
}

impl<'r> Node<'r> {
    fn join(self, other: Node<'r>) -> Node<'r> {
        match (self.opened(), other.opened()) {
            (Node::Object(mut members), Node::Object(others)) => {
                for (name, node) in others {
                    let joined = match members.remove(&name) {
                        None => node,
                        Some(before) => before.join(node),
                    };
                    members.insert(name, joined);
                }
                Node::Object(members)
            }
            (Node::Several(mut nodes), other) => {
                nodes.push(other);
                Node::Several(nodes)
            }
            (one, other) => Node::Several(vec![one, other]),
        }
    }

    /// An object's text as its members. One that repeats a name stays as written, since it is not known which one counts.
    fn opened(self) -> Node<'r> {
        let Node::Raw(raw) = self else { return self };
        if !raw.starts_with('{') {
            return self;
        }
        let mut members = BTreeMap::new();
        for (name, value) in sonic_rs::to_object_iter(raw).flatten() {
            if members.insert(name, Node::Raw(json::place(raw, value.as_raw_str()))).is_some() {
                return Node::Raw(raw);
            }
        }
        Node::Object(members)
    }

    fn write(&self, out: &mut String) {
        match self {
            Node::Raw(raw) => out.push_str(raw),
            Node::Object(members) => {
                out.push('{');
                for (position, (name, node)) in members.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    json::write_string(name, out);
                    out.push(':');
                    node.write(out);
                }
                out.push('}');
            }
            Node::Several(nodes) => {
                out.push('[');
                for (position, node) in nodes.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    node.write(out);
                }
                out.push(']');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Record, Space};

    #[test]
    fn what_stands_at_a_path_is_one_value() {
        for (line, path, expected) in [
            (r#"{"f":{"a":1}}"#, "f", Some(r#"{"a":1}"#)),
            (r#"{"f":{"a":1},"f.b":2}"#, "f", Some(r#"{"a":1,"b":2}"#)),
            (r#"{"f.b":2,"f":{ "a" : 1 }}"#, "f", Some(r#"{"a":1,"b":2}"#)),
            (r#"{"f.a":1,"f.b.c":2,"f.b":{"d":3}}"#, "f", Some(r#"{"a":1,"b":{"c":2,"d":3}}"#)),
            (r#"{"f.b":2}"#, "f", Some(r#"{"b":2}"#)),
            (r#"{"\u0066.b":2}"#, "f", Some(r#"{"b":2}"#)),
            (r#"{"g":{"f.b":2,"f":{"a":1}}}"#, "g.f", Some(r#"{"a":1,"b":2}"#)),
            (r#"{"g":{"f":{"a":1}},"g.f.b":2}"#, "g.f", Some(r#"{"a":1,"b":2}"#)),
            // A value that stands alone is as written, its own names too.
            (r#"{"f":{"a.b": 1}}"#, "f", Some(r#"{"a.b": 1}"#)),
            (r#"{"f":null}"#, "f", Some("null")),
            // Several values at one place are an array of them.
            (r#"{"f":{"a":1},"f.a":2}"#, "f", Some(r#"{"a":[1,2]}"#)),
            (r#"{"f":1,"f.a":2}"#, "f", Some(r#"[1,{"a":2}]"#)),
            (r#"{"g":[{"f":1},{"x":0},{"f":2}]}"#, "g.f", Some("[1,2]")),
            (r#"{"g":[{"f":1}]}"#, "g.f", Some("1")),
            (r#"{"g":[{"f.a":1,"f.b":2},{"f.a":3}]}"#, "g.f", Some(r#"[{"a":1,"b":2},{"a":3}]"#)),
            (r#"{"f":{"a":1,"a":2},"f.b":3}"#, "f", Some(r#"[{"a":1,"a":2},{"b":3}]"#)),
            (r#"{"f.":1}"#, "f", Some(r#"{"":1}"#)),
            (r#"{"ff":1,"x":{"f":1}}"#, "f", None),
        ] {
            let mut space = Space::default();
            let record = Record::parse(line, &mut space).unwrap();
            assert_eq!(record.whole(path).as_deref(), expected, "{path} of {line}");
        }
    }

    #[test]
    fn a_name_of_many_parts_is_no_trouble() {
        let line = format!("{{\"f{}\":1,\"f.y\":2}}", ".x".repeat(100_000));
        let mut space = Space::default();
        let record = Record::parse(&line, &mut space).unwrap();
        assert!(record.whole("f").is_some_and(|value| value.ends_with(",\"y\":2}")));
    }
}
