//! Other languages, as a table: what is typed, with `‸` where the error points, and what is said to write in its place.

use crate::kql::{Expression, Problem, Purpose};

const CASES: &str = r#"
country ‸== DE                             country : DE
country‸=DE                                country : DE
country ‸= 'DE'                            country : DE
country ‸== "D E"                          country : "D E"
"country" ‸== "DE"                         field : value
a ‸!= b                                    not a : b
a‸!=b                                      not a : b
not a ‸!= b                                not a : b
a ‸<> 'x y'                                not a : "x y"
a ‸~ b                                     a : *b*
a ‸=~ b                                    a : *b*
a ‸!~ b                                    not a : *b*
x : 1 ‸&& y : 2                            and
x : 1‸&&y : 2                              and
(x : 1) ‸&& (y : 2)                        and
x : "1" ‸|| y : 2                          or
x : 1 ‸|| y : 2                            or
country ‸== DE && confidence < 0.6         country : DE
country : ‸'DE'                            country : "DE"
‸'DE'                                      "DE"
country : (DE or ‸'FR')                    country : "FR"
confidence > ‸'0.6'                        confidence > "0.6"
confidence ‸between 0.3 and 0.6            confidence >= 0.3 and confidence <= …
confidence : ‸between 0.3 and 0.6          confidence >= 0.3 and confidence <= …
confidence : ‸[0.3 TO 0.6]                 confidence >= 0.3 and confidence <= 0.6
confidence : ‸[0.3 TO *]                   confidence >= 0.3
confidence : ‸{0.3 TO 0.6}                 confidence > 0.3 and confidence < 0.6
confidence :‸>5                            confidence > 5
confidence:‸>=5                            confidence >= 5
a : ‸= x                                   a : x
a : ‸!= x                                  not a : x
a : ‸!x                                    not a : x
a : b ‸= c                                 a : "…"
a > ‸= 5                                   a >= 5
a ‸=> 5                                    a >= 5
a ‸=< 5                                    a <= 5
‸!a : x                                    not a : x
‸-a : x                                    not a : x
‸+a : x                                    a : x
‸!DE                                       not DE
‸SELECT * FROM logs                        field : value and other < 3
‸where confidence < 0.6                    field : value and other < 3
‸from logs | where confidence < 0.6        field : value and other < 3
confidence : 1 ‸| stats count(*)           and
country ‸is DE                             country : DE
country ‸is null                           not country : *
country ‸is not null                       country : *
country ‸in (DE, FR)                       country : (DE or …)
country : ‸in (DE, FR)                     country : (DE or …)
country ‸not in (DE, FR)                   not country : (DE or …)
country ‸like 'D%'                         country : D*
name ‸contains 'x'                         name : *x*
name ‸startswith x                         name : x*
confidence ‸lt 0.6                         confidence < 0.6
‸exists(country)                           field : *
‸_exists_:country                          country : *
‸confidence                                confidence : *
‸low_confidence and confidence < 0.5       low_confidence : true
"#;

#[test]
fn other_languages_are_refused_with_the_right_spelling() {
    let cases: Vec<(&str, &str)> =
        CASES.trim().lines().map(|line| line.split_at(line.char_indices().nth(43).unwrap().0)).collect();
    assert!(cases.len() > 50);
    for (marked, instead) in cases {
        let (marked, instead) = (marked.trim_end(), instead.trim());
        let text = marked.replace('‸', "");
        for reading in [Purpose::Question, Purpose::Condition] {
            let error = Expression::read(&text, reading).expect_err(&text);
            let Problem::Foreign { instead: found, .. } = error.problem() else { panic!("{error}") };
            assert_eq!((found.as_str(), error.position_bytes()), (instead, marked.find('‸').unwrap()), "{error}");
        }
        if let Ok(any) = Expression::read(&text, Purpose::Any) {
            assert_eq!(Expression::parse(&any.to_string()).unwrap().tree(), any.tree(), "{text}");
        }
    }
}

#[test]
fn bounds_that_nothing_can_be_compared_with_are_refused() {
    for (text, words) in [
        ("confidence < abc", "`abc` is no number, and `confidence` is one: write one such as `0.6`"),
        ("x : 1 and log.offset >= \"\"", "`` is no number, and `log.offset` is one: write one such as `0.6`"),
        ("confidence < 0.6 limit 10", "`0.6 limit 10` is no number, and `confidence` is one: write one such as `0.6`"),
        (
            "@timestamp > yesterday",
            "`yesterday` is no time, and `@timestamp` is one: write one such as `2026-11-23` or `\"2026-11-23T10:00:00Z\"`",
        ),
        ("low_confidence > maybe", "`maybe` is no boolean, and `low_confidence` is one: write `true` or `false`"),
    ] {
        for reading in [Purpose::Question, Purpose::Condition] {
            assert_eq!(Expression::read(text, reading).unwrap_err().problem().to_string(), words);
        }
        assert!(Expression::parse(text).is_ok(), "{text}");
    }
}

/// What is KQL stays so, in a question and, where it names its fields, in a condition.
#[test]
fn what_is_kql_is_read() {
    for text in [
        "country : DE and not (confidence < 0.6 or a : (b or c))",
        "a : b AND NOT c : d",
        "a : in progress",
        "status : is it",
        "path : ~/logs and url : \"https://x/?a=b&c=d\"",
        "log.file.path : */prod/* and log.file.path : /var/log/a-b.ndjson",
        "request_id : dGVzdA== and x : a=b",
        "a : R & D",
        "a : \"x == y && z\" and b : \"'quoted'\" and c : it's",
        "event : (and or or) and a : not",
        "and : x and or < 3 and not:x",
        "a : -1 and b : +1 and c >= -0.5 and d : 12.5%",
        "*.eur : 12 and feat*ry : * and \"machine learning\" : x",
        "machine learning : x and sepal length > 4",
        "i : { a : x and b : y }",
        "@timestamp : 2026-11-23 and not a : *",
    ] {
        for reading in [Purpose::Question, Purpose::Condition, Purpose::Any] {
            assert!(Expression::read(text, reading).is_ok(), "{}", Expression::read(text, reading).unwrap_err());
        }
    }
    for text in
        ["DE", "canary-3.2", "some text", "\"country == DE\"", "dGVzdA==", "and", "~/logs", "2026-11-23||+1M", "-1"]
    {
        assert!(Expression::parse_question(text).is_ok(), "{}", Expression::parse_question(text).unwrap_err());
    }
    for (text, words) in [
        ("DE", "`DE` names no field: as a text it would be looked for in all of them; write `field : DE`"),
        (
            "a : b and \"x == y\"",
            "`\"x == y\"` names no field: as a text it would be looked for in all of them; write `field : \"x == y\"`",
        ),
        ("not ca*", "`ca*` names no field: as a text it would be looked for in all of them; write `field : ca*`"),
    ] {
        assert_eq!(Expression::parse_condition(text).unwrap_err().problem().to_string(), words);
    }
    assert!(Expression::parse_condition("*").is_ok());
}
