//! The record against serde_json: which lines are records, and what edits make of them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

/// A JSON value whose leaves keep their digits and escapes: what serde_json makes of it with nothing lost.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Leaf(String),
    Array(Vec<Tree>),
    Object(BTreeMap<String, Tree>),
}

fn tree(raw: &str) -> Tree {
    let raw = raw.trim_matches([' ', '\t', '\r', '\n']);
    match raw.as_bytes()[0] {
        b'{' => {
            let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(raw).expect(raw);
            Tree::Object(members.into_iter().map(|(name, value)| (name, tree(value.get()))).collect())
        }
        b'[' => {
            let elements: Vec<Box<RawValue>> = serde_json::from_str(raw).expect(raw);
            Tree::Array(elements.iter().map(|element| tree(element.get())).collect())
        }
        _ => Tree::Leaf(raw.to_owned()),
    }
}

/// Applies an edit to a tree as the documentation describes it.
fn apply(tree: &mut Tree, path: &str, edit: Option<&Tree>) {
    match tree {
        Tree::Leaf(_) => {}
        Tree::Array(elements) => elements.iter_mut().for_each(|element| apply(element, path, edit)),
        Tree::Object(members) => {
            let names: Vec<String> = members.keys().cloned().collect();
            for name in names {
                if name == path || name.strip_prefix(path).is_some_and(|beyond| beyond.starts_with('.')) {
                    members.remove(&name);
                    // However many there were below, one is left of them, which tells nothing of their names.
                    edit.map(|new| members.insert(path.to_owned(), new.clone()));
                } else if let Some(rest) = path::below(path, &name) {
                    apply(members.get_mut(&name).unwrap(), rest, edit);
                }
            }
        }
    }
}

fn rendered(record: &Record<'_>) -> String {
    let mut out = Vec::new();
    record.render(&mut out);
    String::from_utf8(out).unwrap()
}

/// serde_json's word on whether a line is one JSON object with unrepeated names.
fn serde_takes(line: &str) -> bool {
    struct Names(bool);
    impl<'de> serde::de::Visitor<'de> for Names {
        type Value = bool;
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(mut self, mut map: A) -> Result<bool, A::Error> {
            let mut seen = std::collections::HashSet::new();
            while let Some(name) = map.next_key::<String>()? {
                self.0 &= seen.insert(name);
                map.next_value::<&RawValue>()?;
            }
            Ok(self.0)
        }
    }
    use serde::Deserializer as _;
    use std::fmt;
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let unrepeated = deserializer.deserialize_map(Names(true));
    unrepeated.is_ok_and(|unrepeated| unrepeated) && deserializer.end().is_ok()
}

fn check_validity(line: &str) {
    let mut space = Space::default();
    let ours = Record::parse(line, &mut space);
    let too_deep = ours.as_ref().err().is_some_and(|reject| reject.reason == "nested_too_deeply");
    if !too_deep {
        assert_eq!(ours.is_ok(), serde_takes(line), "{line:?}: ours says {:?}", ours.err());
    }
    if let Ok(record) = Record::parse(line, &mut Space::default()) {
        assert_eq!(rendered(&record), line);
    }
}

/// Values that the grammar of RFC 8259 allows, and near misses of each of its productions.
const VALUES: &str = include_str!("../../tests/record/values.txt");

#[test]
fn every_production_and_its_near_misses() {
    let values: Vec<&str> = VALUES.lines().filter(|line| !line.is_empty() && !line.starts_with("//")).collect();
    assert!(values.len() > 150, "{}", values.len());
    for value in values {
        for line in [
            value.to_owned(),
            format!("{{\"a\":{value}}}"),
            format!("{{\"a\":[{value}]}}"),
            format!("{{\"a\":{{\"b\":{value}}},\"c\":1}}"),
            format!(" {{ \"x\" : 1 , \"a\" : {value} }} "),
            format!("{{\"a\":{value}}}x"),
            format!("{{{value}:1}}"),
        ] {
            check_validity(&line);
        }
    }
}

#[test]
fn structures_and_their_near_misses() {
    for line in [
        "",
        " ",
        "{",
        "}",
        "{}",
        " {} ",
        "{} ,",
        "{}{}",
        "{}\n",
        "[]",
        "[{}]",
        "null",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":1,,\"b\":2}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1}}",
        "{\"a\":1]",
        "{\"a\":[1}",
        "{\"a\":1} garbage",
        "\u{feff}{}",
        "{\"a\":1}\u{a0}",
        "{\"a\":\u{a0}1}",
        "{\"\":1}",
        "{\"\":1,\"\":2}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"a\":{\"b\":1,\"b\":2}}",
        "{\"a\":1}\0",
        "\0{}",
        "// {}",
        "{/**/}",
        "{\"a\":1,\"b\":2,\"c\":3}",
        "{\"a\":tru}",
        "{\"a\":truee}",
        "{\"a\":1e5}x",
        "{\"\\ud800\":1}",
        "{\"\\ud83d\\ude00\":1}",
        "{\"a\\\"b\":1}",
        "\t{\r\"a\"\t:\r1\t}\r",
    ] {
        check_validity(line);
    }
}

#[test]
fn depth_is_limited_without_a_crash() {
    for depth in [1, 10, 128, 500, 999, 1_000, 1_001, 10_000, 400_000] {
        let line = format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1)).replace(":}", ":1}");
        let mut space = Space::default();
        let parsed = Record::parse(&line, &mut space);
        assert_eq!(parsed.is_ok(), depth <= NESTING_DEPTH_MAX, "{depth}");
        let open = format!("{{\"a\":{}", "[".repeat(depth));
        assert!(Record::parse(&open, &mut Space::default()).is_err());
    }
    let brackets_in_a_string = format!("{{\"a\":\"{}\"}}", "[".repeat(5_000));
    assert!(Record::parse(&brackets_in_a_string, &mut Space::default()).is_ok());
}

#[test]
fn rejects_name_their_reason() {
    for (line, reason) in [
        ("plain text", "not_an_object"),
        ("[1]", "not_an_object"),
        ("{\"a\":1", "invalid_json"),
        ("{\"a\":NaN}", "invalid_json"),
        ("{\"a\":1} x", "bytes_after_object"),
        ("{\"a\":1,\"\\u0061\":2}", "repeated_name"),
    ] {
        let reject = Record::parse(line, &mut Space::default()).map(|_| ()).unwrap_err();
        assert_eq!(reject.reason, reason, "{line}");
        assert!(!reject.detail.contains("plain"), "quotes the record: {}", reject.detail);
    }
    for (line, detail) in [
        (r#"{"a":1,"b_c":2,"b_c":3}"#, "members 2 and 3 of the object have the same name `b_c`"),
        (r#"{"a":NaN}"#, ": JSON has no number `NaN`"),
        (r#"{"a":[ -Infinity]}"#, ": JSON has no number `-Infinity`"),
        (r#"{"a":"NaN", "b":Infinity}"#, ": JSON has no number `Infinity`"),
        (r#"{"@time":1,"@time":3}"#, "members 1 and 2 of the object have the same name `@time`"),
        (r#"{"jo@example":1,"x":0,"jo@example":2}"#, "members 1 and 3 of the object have the same name"),
    ] {
        let reject = Record::parse(line, &mut Space::default()).map(|_| ()).unwrap_err();
        assert!(reject.detail.ends_with(detail), "{line}: {}", reject.detail);
    }
    let many: Vec<String> = (0..100).map(|n| format!("\"m{}\":1", n % 99)).collect();
    let line = format!("{{{}}}", many.join(","));
    assert_eq!(Record::parse(&line, &mut Space::default()).map(|_| ()).unwrap_err().reason, "repeated_name");
}

fn path(text: &str) -> Path {
    Path::new(text).unwrap()
}

type Change = fn(&mut Record<'_>);

#[test]
fn edits_leave_everything_else_as_written() {
    let line = r#"{ "b" : 1.50 , "user":{"email":"x", "n":[ {"email":2} ]}, "user.email":"y","z":"\u00e9" }"#;
    let cases: [(Change, &str); 12] = [
        (|_| {}, line),
        (
            |record| drop(record.remove(&path("user.email"))),
            r#"{ "b" : 1.50 , "user":{"n":[ {"email":2} ]},"z":"\u00e9" }"#,
        ),
        (
            |record| drop(record.replace(&path("user.email"), "0")),
            r#"{ "b" : 1.50 , "user":{"email":0, "n":[ {"email":2} ]}, "user.email":0,"z":"\u00e9" }"#,
        ),
        (
            |record| drop(record.replace(&path("user.n.email"), "0")),
            r#"{ "b" : 1.50 , "user":{"email":"x", "n":[ {"email":0} ]}, "user.email":"y","z":"\u00e9" }"#,
        ),
        (
            |record| drop(record.remove(&path("b"))),
            r#"{ "user":{"email":"x", "n":[ {"email":2} ]}, "user.email":"y","z":"\u00e9" }"#,
        ),
        (
            |record| drop(record.remove(&path("z"))),
            r#"{ "b" : 1.50 , "user":{"email":"x", "n":[ {"email":2} ]}, "user.email":"y" }"#,
        ),
        (
            |record| drop(record.rename(&path("b"), &path("c.d"))),
            r#"{ "c.d":1.50 , "user":{"email":"x", "n":[ {"email":2} ]}, "user.email":"y","z":"\u00e9" }"#,
        ),
        (
            |record| drop(record.rename(&path("user.n"), &path("n"))),
            r#"{ "b" : 1.50 , "user":{"email":"x"}, "user.email":"y","z":"\u00e9","n":[ {"email":2} ] }"#,
        ),
        (
            |record| drop(record.rename(&path("b"), &path("z"))),
            r#"{ "z":1.50 , "user":{"email":"x", "n":[ {"email":2} ]}, "user.email":"y" }"#,
        ),
        (
            |record| assert_eq!(record.add(&path("host.name"), |raw| raw.push_str("\"h\"")), Room::Free),
            r#"{ "b" : 1.50 , "user":{"email":"x", "n":[ {"email":2} ]}, "user.email":"y","z":"\u00e9","host.name":"h" }"#,
        ),
        (|record| assert_eq!(record.add(&path("z.name"), |raw| raw.push('1')), Room::Blocked), line),
        (|record| ["b", "user", "user.email", "z"].iter().for_each(|name| drop(record.remove(&path(name)))), "{  }"),
    ];
    for (change, expected) in cases {
        let mut space = Space::default();
        let mut record = Record::parse(line, &mut space).unwrap();
        change(&mut record);
        assert_eq!(rendered(&record), expected);
        tree(&rendered(&record));
    }
}

#[test]
fn what_is_below_a_path_goes_with_it() {
    let redact = |name: &'static str| move |record: &mut Record<'_>| drop(record.replace(&path(name), "0"));
    let rename = |from: &'static str, to: &'static str| {
        move |record: &mut Record<'_>| drop(record.rename(&path(from), &path(to)))
    };
    type Case = (&'static str, Box<dyn Fn(&mut Record<'_>)>, &'static str);
    let cases: [Case; 16] = [
        (r#"{"h.a":1, "x":2,"h.b":3}"#, Box::new(redact("h")), r#"{"h":0, "x":2}"#),
        (r#"{"h.a":1,"h":{"b":2}}"#, Box::new(redact("h")), r#"{"h":0}"#),
        (r#"{"\u0068.a":1,"hh":2}"#, Box::new(redact("h")), r#"{"h":0,"hh":2}"#),
        (r#"{"u":{"e.w":1, "e.h":2 ,"n":3}}"#, Box::new(redact("u.e")), r#"{"u":{"e":0 ,"n":3}}"#),
        (r#"{"u":{"e.w":1,"e":2}}"#, Box::new(redact("u.e")), r#"{"u":{"e":0}}"#),
        (r#"{"u":[{ "\u0065.w" : 1 },{"n":2}]}"#, Box::new(redact("u.e")), r#"{"u":[{ "e":0 },{"n":2}]}"#),
        (r#"{"h":{"a":1},"h.b":2,"x":3}"#, Box::new(rename("h", "g")), r#"{"g":{"a":1},"g.b":2,"x":3}"#),
        (r#"{"h.b":2,"g.c":3,"g":4}"#, Box::new(rename("h", "g")), r#"{"g.b":2}"#),
        (r#"{"u":{"e.w":1,"n":2}}"#, Box::new(rename("u.e", "m")), r#"{"u":{"n":2},"m":{"w":1}}"#),
        (r#"{"u":[{"e":1},{"e":2}]}"#, Box::new(rename("u.e", "m")), r#"{"u":[{},{}],"m":[1,2]}"#),
        (r#"{"u":{"e":1},"u.e":2}"#, Box::new(rename("u.e", "m")), r#"{"u":{},"m":[1,2]}"#),
        (r#"{"a":1,"a.c":2}"#, Box::new(rename("a", "a.b")), r#"{"a.b":1,"a.b.c":2}"#),
        (r#"{"a.b":1,"a.c":2}"#, Box::new(rename("a.b", "a")), r#"{"a":1}"#),
        (r#"{"a":{"b":1,"c":2}}"#, Box::new(rename("a.b", "a")), r#"{"a":1}"#),
        (r#"{"a":1,"b":{"c":{"d":2}}}"#, Box::new(rename("a", "b.c")), r#"{"b.c":1,"b":{}}"#),
        (r#"{"a":1,"b":{"c":2,"c":3}}"#, Box::new(rename("a", "b.c")), r#"{"a":1,"b":{"c":2,"c":3}}"#),
    ];
    for (line, change, expected) in cases {
        let mut space = Space::default();
        let mut record = Record::parse(line, &mut space).unwrap();
        change(&mut record);
        assert_eq!(rendered(&record), expected, "of {line}");
    }
}

#[test]
fn a_name_repeated_inside_an_edited_member_is_a_reject() {
    let mut space = Space::default();
    let mut record = Record::parse(r#"{"a":{"b":1,"\u0062":2},"c":{"d":1,"d":2}}"#, &mut space).unwrap();
    assert_eq!(record.remove(&path("a.b")).unwrap_err().reason, "repeated_name");
    assert_eq!(record.remove(&path("c.x")).unwrap(), 0);
}

#[test]
fn edits_of_an_empty_object_and_of_additions() {
    let mut space = Space::default();
    let mut record = Record::parse("{ }", &mut space).unwrap();
    for name in ["a", "b", "c"] {
        record.add(&path(name), |raw| raw.push('1'));
    }
    record.remove(&path("a")).unwrap();
    record.rename(&path("b"), &path("a\u{e9}\"")).unwrap();
    record.set(&path("c"), "[2]").unwrap();
    assert_eq!(rendered(&record), r#"{"aé\"":1,"c":[2] }"#);
}

/// JSON values of every kind, with odd names, escapes and white space.
fn json_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        "[ -!#-\\[\\]-~éß😀]{0,12}".prop_map(|text| format!("\"{text}\"")),
        Just(r#""\u0041\n\"\\\/\ud800""#.to_owned()),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|elements| format!("[{}]", elements.join(" ,"))),
            object(inner),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[abc](\\.[abc]){0,2}", Just("\\u0061".to_owned()), Just("b\\n".to_owned()), Just(String::new())]
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    proptest::collection::btree_map(name(), (value, "[ \t]{0,2}"), 0..6).prop_map(|members| {
        let members: Vec<String> =
            members.iter().map(|(name, (value, blank))| format!("{blank}\"{name}\"{blank}:{blank}{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

/// Values whose leaves are texts that stand nowhere else, or nothing.
fn canary() -> impl Strategy<Value = String> {
    let leaf =
        prop_oneof![4 => "[0-9]{12}".prop_map(|digits| format!("\"canary-{digits}\"")), 1 => Just("null".to_owned())];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|elements| format!("[{}]", elements.join(" ,"))),
            object(inner),
        ]
    })
}

/// Whether a field has anything, by the dotted names of the leaves of a record; the texts at it and below, and the others.
fn canaries(line: &str, field: &str) -> (bool, Vec<String>, Vec<String>) {
    let mut space = Space::default();
    let record = Record::parse(line, &mut space).unwrap();
    let (mut below, mut beside) = (Vec::new(), Vec::new());
    record.any_leaf(&mut |name, value| {
        if let Value::String(text) = value {
            let is_below = name.strip_prefix(field).is_some_and(|beyond| beyond.is_empty() || beyond.starts_with('.'));
            if is_below { below.push(text.into_owned()) } else { beside.push(text.into_owned()) }
        }
        false
    });
    (!below.is_empty(), below, beside)
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_unstable();
    texts
}

fn any_path() -> impl Strategy<Value = Path> {
    "[abc](\\.[abc]){0,3}".prop_map(|text| Path::new(&text).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn without_edits_the_output_is_the_input(line in object(json_value())) {
        check_validity(&line);
    }

    #[test]
    fn edits_equal_the_edits_of_the_parsed_input(
        line in object(json_value()),
        edits in proptest::collection::vec((any_path(), proptest::option::of(json_value())), 1..4),
    ) {
        prop_assume!(serde_takes(&line));
        let mut expected = tree(&line);
        let mut space = Space::default();
        let mut record = Record::parse(&line, &mut space).unwrap();
        for (path, new) in &edits {
            let edited = match new {
                None => record.remove(path),
                Some(new) => record.replace(path, new),
            };
            if let Err(reject) = edited {
                prop_assert_eq!(reject.reason, "repeated_name");
                return Ok(());
            }
            apply(&mut expected, path.as_str(), new.as_deref().map(tree).as_ref());
        }
        prop_assert_eq!(tree(&rendered(&record)), expected);
    }

    #[test]
    fn what_a_condition_finds_is_hidden_and_nothing_else(line in object(canary()), field in any_path()) {
        prop_assume!(serde_takes(&line));
        let (exists, below, beside) = canaries(&line, field.as_str());
        let mut space = Space::default();
        let mut record = Record::parse(&line, &mut space).unwrap();
        let condition = crate::kql::Expression::parse_condition(&format!("{field} : *")).unwrap();
        prop_assert_eq!(condition.matches(&record), exists, "{} in {}", field, line);
        let room = record.room(field.as_str());
        prop_assert!(!exists || room == Room::Taken, "something is added where {} finds something: {}", field, line);
        let Ok(count) = record.replace(&field, "\"[redacted]\"") else { return Ok(()) };
        prop_assert!(!exists || count > 0);
        let document = rendered(&record);
        for canary in below {
            prop_assert!(!document.contains(&canary), "{} is left by {}: {}", canary, field, document);
        }
        for canary in beside {
            prop_assert!(document.contains(&canary), "{} was hidden by {}: {}", canary, field, document);
        }
        // What was hidden is there under its name, and no name is there twice.
        prop_assert_eq!(record.any(field.as_str(), &mut |raw| raw == "\"[redacted]\""), count > 0);
        prop_assert!(serde_takes(&document), "{}", document);
    }

    #[test]
    fn renamed_members_are_all_there(line in object(canary()), from in any_path()) {
        prop_assume!(serde_takes(&line));
        let (_, below, beside) = canaries(&line, from.as_str());
        let mut space = Space::default();
        let mut record = Record::parse(&line, &mut space).unwrap();
        let there = record.whole(from.as_str()).is_some();
        let Ok(renamed) = record.rename(&from, &path("new")) else { return Ok(()) };
        prop_assert_eq!(renamed, there);
        prop_assert!(record.whole(from.as_str()).is_none());
        let document = rendered(&record);
        prop_assert!(serde_takes(&document), "{}", document);
        let (_, moved, rest) = canaries(&document, "new");
        prop_assert_eq!(sorted(moved), sorted(below));
        prop_assert_eq!(sorted(rest), sorted(beside));
    }

    #[test]
    fn additions_equal_the_additions_to_the_parsed_input(
        line in object(json_value()), target in any_path(), new in json_value(),
    ) {
        prop_assume!(serde_takes(&line));
        let mut space = Space::default();
        let mut record = Record::parse(&line, &mut space).unwrap();
        let room = record.add(&target, |raw| raw.push_str(&new));
        let Tree::Object(mut expected) = tree(&line) else { unreachable!() };
        if room == Room::Free {
            prop_assert!(expected.insert(target.as_str().to_owned(), tree(&new)).is_none());
        }
        prop_assert_eq!(tree(&rendered(&record)), Tree::Object(expected));
    }

    #[test]
    fn mutated_lines_are_judged_as_serde_judges_them(
        line in object(json_value()), cut in any::<prop::sample::Index>(), byte in 0_u8..128, insert in any::<bool>(),
    ) {
        let mut bytes = line.into_bytes();
        let at = cut.index(bytes.len());
        if insert { bytes.insert(at, byte) } else { bytes[at..].first_mut().map(|old| *old = byte).unwrap_or(()) }
        if let Ok(line) = String::from_utf8(bytes) {
            check_validity(&line);
            check_validity(&line[..line.floor_char_boundary(at)]);
        }
    }
}

#[test]
fn a_record_is_seen_as_it_was_when_it_was_kept() {
    let mut shelf = Shelf::default();
    let mut kept = Vec::new();
    for (number, line) in [r#"{"a":1,"b":{"c":"\u0064"},"\u0065":2}"#, "{}", r#" {"a" : [1, 2]} "#].iter().enumerate() {
        let mut space = Space::default();
        let mut record = Record::parse(line, &mut space).unwrap();
        record.set(&Path::known("n"), &number.to_string()).unwrap();
        record.change(&PathPattern::Path(Path::known("b.c")), crate::record::Change::Replace("\"hidden\"")).unwrap();
        record.remove(&Path::known("e")).unwrap();
        record.append(|out| out.push_str("\"host.name\":\"h\""));
        let seen: Vec<(String, String)> =
            record.name_values().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        kept.push((record.keep(&mut shelf), seen));
    }
    let mut space = Space::default();
    for (kept, seen) in kept.iter().rev() {
        let record = Record::kept(&shelf, *kept, &mut space);
        let again = record.name_values().map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(again.collect::<Vec<_>>(), *seen);
        assert_eq!(record.first("host.name"), None);
    }
    let record = Record::kept(&shelf, kept[0].0, &mut space);
    assert_eq!((record.first("b.c"), record.first("e"), record.first("n")), (Some("\"hidden\""), None, Some("0")));
}
