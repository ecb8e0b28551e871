use super::*;
use proptest::prelude::*;

fn canonical(text: &str) -> Result<String, CanonicalError> {
    let mut out = b"before".to_vec();
    let result = canonicalize(text, &mut Scratch::default(), &mut out);
    let written = String::from_utf8(out).unwrap();
    let written = written.strip_prefix("before").unwrap();
    assert!(result.is_ok() || written.is_empty(), "an error leaves nothing behind");
    result.map(|()| written.to_owned())
}

fn check(text: &str, expected: &str) {
    assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
    assert_eq!(canonical(expected).as_deref(), Ok(expected), "the canonical form is its own");
}

/// RFC 8785, sections 3.2.2 and 3.2.3.
#[test]
fn the_examples_of_the_rfc() {
    check(
        r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#,
        concat!(
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
            r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#
        ),
    );
    check(
        r#"{
            "\u20ac": "Euro Sign",
            "\r": "Carriage Return",
            "\ufb33": "Hebrew Letter Dalet With Dagesh",
            "1": "One",
            "\ud83d\ude00": "Emoji: Grinning Face",
            "\u0080": "Control",
            "\u00f6": "Latin Small Letter O With Diaeresis"
        }"#,
        concat!(
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",",
            "\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",",
            "\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"
        ),
    );
}

/// RFC 8785, appendix B, and what lies at the edges of the short way.
#[test]
fn numbers() {
    for (bits, expected) in [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        check(&format!("{:e}", f64::from_bits(bits)), expected);
    }
    for (text, expected) in [
        ("-0", "0"),
        ("-0.0", "0"),
        ("0e5", "0"),
        ("-1", "-1"),
        ("1.0", "1"),
        ("12.50", "12.5"),
        ("1e2", "100"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("0.00000123", "0.00000123"),
        ("0.000000123", "1.23e-7"),
        ("999999999999999", "999999999999999"),
        ("9007199254740993", "9007199254740992"),
        ("12345678901234567890", "12345678901234567000"),
        ("123456789.123456", "123456789.123456"),
        ("0.1234567890123456789", "0.12345678901234568"),
        ("1e-400", "0"),
    ] {
        check(text, expected);
    }
}

#[test]
fn strings_and_order() {
    for (text, expected) in [
        (r#" "plain" "#, r#""plain""#),
        (r#""\/\u002f""#, r#""//""#),
        (r#""\b\f\n\r\t\"\\""#, r#""\b\f\n\r\t\"\\""#),
        (r#""\u0008\u000C\u000A\u000d\u0009\u0000\u001F""#, r#""\b\f\n\r\t\u0000\u001f""#),
        ("\"\\u007f\\u2028\"", "\"\u{7f}\u{2028}\""),
        (r#""\ud83d\uDE00x""#, "\"😀x\""),
        (" [ ] ", "[]"),
        (" { } ", "{}"),
        (r#"[{"b":1,"a":{"d":[],"c":{}}},2]"#, r#"[{"a":{"c":{},"d":[]},"b":1},2]"#),
        (r#"{"aa":1,"a":2,"":3}"#, r#"{"":3,"a":2,"aa":1}"#),
        // A written escape starts with a backslash (0x5c), but what it stands for may sort before or after a letter.
        (r#"{"A":1,"\n":2}"#, r#"{"\n":2,"A":1}"#),
        (r#"{"\\":1,"\"":2,"Z":3,"a":4}"#, r#"{"\"":2,"Z":3,"\\":1,"a":4}"#),
        (r#"{"\u0065mail":1,"A":2}"#, r#"{"A":2,"email":1}"#),
    ] {
        check(text, expected);
    }
}

#[test]
fn what_has_no_canonical_form() {
    let deepest = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    check(&deepest, &deepest);
    let too_deep = format!("[{deepest}]");
    for (text, expected) in [
        (r#"{"a":1,"a":1}"#, CanonicalError::RepeatedMember { at_bytes: 12 }),
        (r#"{"b":{"x":1,"a":2,"\u0078":3}}"#, CanonicalError::RepeatedMember { at_bytes: 28 }),
        (r#"[{"😀":1,"a":2,"\ud83d\ude00":3}]"#, CanonicalError::RepeatedMember { at_bytes: 33 }),
        ("[1e999]", CanonicalError::NumberOutOfRange { at_bytes: 1 }),
        ("-1e999", CanonicalError::NumberOutOfRange { at_bytes: 0 }),
        (r#"["a","\ud800"]"#, CanonicalError::LoneSurrogate { at_bytes: 5 }),
        (r#""\udc00\ud800""#, CanonicalError::LoneSurrogate { at_bytes: 0 }),
        (r#""\ud800\u0041""#, CanonicalError::LoneSurrogate { at_bytes: 0 }),
        (r#""\ud800\ud800\udc00""#, CanonicalError::LoneSurrogate { at_bytes: 0 }),
        (&too_deep, CanonicalError::TooDeep { at_bytes: DEPTH_MAX }),
        ("", CanonicalError::NotJson { at_bytes: 0 }),
        ("1 2", CanonicalError::NotJson { at_bytes: 2 }),
        ("NaN", CanonicalError::NotJson { at_bytes: 0 }),
        (r#"{"a" 1}"#, CanonicalError::NotJson { at_bytes: 5 }),
        (r#""\x""#, CanonicalError::NotJson { at_bytes: 1 }),
        (r#""open"#, CanonicalError::NotJson { at_bytes: 0 }),
    ] {
        assert_eq!(canonical(text), Err(expected), "{text}");
    }
}

#[test]
fn members_make_an_object() {
    let check = |members: &[(&str, &str)], expected: Result<&str, CanonicalError>| {
        let mut out = Vec::new();
        let result = canonicalize_members(
            CanonicalForm::default(),
            members.iter().map(|(name, value)| (*name, (*value).into())),
            &mut Scratch::default(),
            &mut out,
        );
        assert_eq!(result.map(|_| std::str::from_utf8(&out).unwrap()), expected, "{members:?}");
    };
    check(&[], Ok("{}"));
    check(&[("b.c", "[1.0]"), ("a", r#"{"y":1,"x":2}"#)], Ok(r#"{"a":{"x":2,"y":1},"b.c":[1]}"#));
    check(&[("a", r#""x""#), ("b\"\n", "null")], Ok(r#"{"a":"x","b\"\n":null}"#));
    check(&[("a", "1"), ("b", "1e999")], Err(CanonicalError::NumberOutOfRange { at_bytes: 0 }));
    check(&[("b", "1"), ("a", "1"), ("b", "2")], Err(CanonicalError::RepeatedMember { at_bytes: 0 }));
}

#[test]
fn numbers_may_stay_as_they_are_written() {
    let form = CanonicalForm { numbers: Numbers::AsWritten, ..CanonicalForm::default() };
    let mut out = Vec::new();
    let text = r#"{"b":[9007199254740993, 1.0,-0, 1E2 ,1e999],"\u0061":"\u0062"}"#;
    canonicalize_as(form, text, &mut Scratch::default(), &mut out).unwrap();
    assert_eq!(std::str::from_utf8(&out), Ok(r#"{"a":"b","b":[9007199254740993,1.0,-0,1E2,1e999]}"#));
}

#[test]
fn a_text_that_was_cut_is_seen_wherever_it_stands() {
    let endings = ["§".to_owned()];
    let form = CanonicalForm { cut_endings: &endings, ..CanonicalForm::default() };
    let mut scratch = Scratch::default();
    for (text, expected) in [
        (r#""… [truncated]""#, Texts::Cut),
        (r#"[1,{"a":["x...[truncated 12 bytes]","y"]}]"#, Texts::Cut),
        (r#"{"a":"\u2026truncated","b":1}"#, Texts::Cut),
        (r#"{"a":"x\u00a7","b":1}"#, Texts::Cut),
        (r#"{"x [truncated]":"x"}"#, Texts::Whole),
        (r#"{"a":"whole","b":"... and so on..."}"#, Texts::Whole),
    ] {
        assert_eq!(canonicalize_as(form, text, &mut scratch, &mut Vec::new()), Ok(expected), "{text}");
        let members = std::iter::once(("m", text.into()));
        assert_eq!(canonicalize_members(form, members, &mut scratch, &mut Vec::new()), Ok(expected), "{text}");
    }
}

#[test]
fn a_scratch_is_usable_after_an_error() {
    let mut scratch = Scratch::default();
    let mut out = Vec::new();
    assert!(canonicalize(r#"{"z":1,"y":[{"b":1,"b":2}]}"#, &mut scratch, &mut out).is_err());
    canonicalize(r#"{"b":1,"a":2}"#, &mut scratch, &mut out).unwrap();
    assert_eq!(out, br#"{"a":2,"b":1}"#);
}

/// Numbers that serde_json, the oracle's parser, reads exactly (it is a bit off for long ones).
const NUMBER: &str = r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?([eE][+-]?[0-9])?";
const STRING: &str = r#""([a-c\u{7f}-\u{7ff}\u{e000}-\u{10ffff} ]|\\["\\/bfnrt]|\\u00[0-9a-fA-F]{2}|\\u[ef][0-9a-f]{3}|\\ud83[d-f]\\ude[0-9]{2}){0,6}""#;
const SPACE: &str = "[ \t\n\r]{0,2}";

/// JSON text as strange as it may be, without repeated names.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![NUMBER, STRING, Just("true".to_owned()), Just("null".to_owned())];
    leaf.prop_recursive(5, 60, 8, |inner| {
        let array = (prop::collection::vec(inner.clone(), 0..8), SPACE)
            .prop_map(|(values, space)| format!("[{space}{}{space}]", values.join(&format!("{space},"))));
        let members = prop::collection::vec((STRING, inner), 0..8);
        let object = (members, SPACE).prop_map(|(mut members, space)| {
            let mut seen = std::collections::HashSet::new();
            members.retain(|(name, _)| seen.insert(serde_json::from_str::<String>(name).unwrap()));
            let members: Vec<_> = members.iter().map(|(name, value)| format!("{name}{space}:{value}")).collect();
            format!("{space}{{{}{space}}}", members.join(&format!(",{space}")))
        });
        prop_oneof![array, object]
    })
}

proptest! {
    #[test]
    fn a_form_is_the_same_whatever_came_before(
        names in proptest::collection::vec(
            prop::sample::select(vec!["a", "b", "A", "", "\\n", "é", "abcdefgh1", "abcdefgh0", "\\u0061"]), 0..5),
        values in proptest::collection::vec(
            prop::sample::select(vec![
                "1", "1.50", "\"x\"", "\"\\u0041\"", "{\"b\": 1,\"a\":2}", "[ {\"c\":1,\"a\":2} ]", "{}", "1e999", "\"\\ud800\"",
            ]),
            20,
        ),
        // Which names stand in each of the objects, and how they are written.
        parts in proptest::collection::vec((0_usize..3, 0_usize..6, prop::sample::select(vec!["", "", " "])), 4),
    ) {
        let (form, mut scratch) = (CanonicalForm::default(), Scratch::default());
        for (turn, (from, to, blank)) in parts.into_iter().enumerate() {
            let member = |(position, name): (usize, &&str)| format!("\"{name}\":{blank}{}", values[5 * turn + position]);
            let members: Vec<String> = names.iter().enumerate().map(member).take(to).skip(from).collect();
            let text = format!("{{{}{blank}}}", members.join(","));
            let (mut out, mut expected) = (b"x".to_vec(), b"x".to_vec());
            let fresh = canonicalize(&text, &mut Scratch::default(), &mut expected);
            prop_assert_eq!(canonicalize(&text, &mut scratch, &mut out), fresh, "{}", text);
            prop_assert_eq!(&out, &expected, "{}", text);
            let pair = || [("y", Cow::from(text.as_str())), ("x", Cow::from(text.as_str()))].into_iter();
            let fresh = canonicalize_members(form, pair(), &mut Scratch::default(), &mut expected);
            prop_assert_eq!(canonicalize_members(form, pair(), &mut scratch, &mut out), fresh, "{}", text);
            prop_assert_eq!(&out, &expected, "{}", text);
        }
    }

    #[test]
    fn it_agrees_with_another_implementation(text in json_text()) {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json_canonicalizer::to_string(&value).unwrap();
        prop_assert_eq!(canonical(&text), Ok(expected), "{}", text);
    }

    #[test]
    fn numbers_are_those_of_their_doubles(
        text in r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17}|\.0{0,7}[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
    ) {
        let double: f64 = text.parse().unwrap();
        prop_assert_eq!(canonical(&text), Ok(ryu_js::Buffer::new().format(double).to_owned()));
    }

    #[test]
    fn doubles_survive(bits in any::<u64>()) {
        let double = f64::from_bits(bits);
        prop_assume!(double.is_finite());
        let written = canonical(&format!("{double:e}")).unwrap();
        prop_assert_eq!(written.parse::<f64>().unwrap(), double);
    }

    #[test]
    fn nothing_panics(text in r#"[\[\]{},:"\\u0-9a-f.eE+\- ntrd8é]{0,40}"#) {
        if let Ok(written) = canonical(&text) {
            let again = canonical(&written);
            prop_assert_eq!(again, Ok(written));
        }
    }
}
