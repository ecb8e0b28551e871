//! The language as tables: text to tree, text to error.

mod answers;
mod dsl;
mod foreign;
mod properties;

use super::*;

/// The tree in a notation of its own: `★` is a wildcard, quotes are a phrase, `#` a number, `?` a boolean.
fn show(node: &Node) -> String {
    let list = |nodes: &[Node]| nodes.iter().map(show).collect::<Vec<_>>().join(", ");
    let pattern = |pattern: &Pattern| pattern.pieces().join("★");
    let literal = |literal: &Literal| {
        let number = if literal.number().is_some() { "#" } else { "" };
        let boolean = if literal.boolean().is_some() { "?" } else { "" };
        let quote = if literal.quoted() { "\"" } else { "" };
        format!("{number}{boolean}{quote}{}{quote}", literal.text())
    };
    let comparison = |comparison: &Comparison| match comparison {
        Comparison::Literal(value) => literal(value),
        Comparison::Pattern(value) => pattern(value),
    };
    let path = |field: &Field| pattern(field.path());
    match node {
        Node::All => "all".to_owned(),
        Node::Or(nodes) => format!("or({})", list(nodes)),
        Node::And(nodes) => format!("and({})", list(nodes)),
        Node::Not(inner) => format!("not({})", show(inner)),
        Node::Nested { path: field, inner } => format!("{}{{{}}}", path(field), show(inner)),
        Node::Exists(field) => format!("exists({})", path(field)),
        Node::Is { field, value } => format!("{}={}", path(field), comparison(value)),
        Node::Range { field, operator, literal: bound } => {
            format!("{}{}{}", path(field), operator.sign(), literal(bound))
        }
        Node::Text(value) => format!("text({})", comparison(value)),
    }
}

fn check_tree(text: &str, expected: &str) {
    let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    assert_eq!(show(expression.tree()), expected, "{text}");
    let printed = expression.to_string();
    let again = Expression::parse(&printed).unwrap_or_else(|error| panic!("{text} printed as {printed}\n{error}"));
    assert_eq!(again.tree(), expression.tree(), "{text} printed as {printed}");
}

#[test]
fn texts_are_read_as_kibana_reads_them() {
    let cases = [
        ("", "all"),
        (" \t", "all"),
        ("*", "all"),
        ("* : *", "all"),
        ("a:*", "exists(a)"),
        ("a : **", "exists(a)"),
        ("a:\"*\"", "a=\"*\""),
        ("foo", "text(foo)"),
        ("  foo bar  ", "text(foo bar)"),
        ("\"foo\"", "text(\"foo\")"),
        ("fo*", "text(fo★)"),
        ("foo:bar baz", "foo=bar baz"),
        ("foo : \"bar baz\"", "foo=\"bar baz\""),
        ("foo bar : baz", "foo bar=baz"),
        ("\"foo*\" : baz", "foo*=baz"),
        ("machine*:osx", "machine★=osx"),
        ("foo:ba*r*", "foo=ba★r★"),
        ("* : x", "★=x"),
        ("a: 1", "a=#1"),
        ("a: \"1.50\"", "a=#\"1.50\""),
        ("a: -1e3", "a=#-1e3"),
        ("a: 1.2.3", "a=1.2.3"),
        ("a: true", "a=?true"),
        ("a: TRUE", "a=TRUE"),
        ("a: null", "a=null"),
        ("a: now-1h", "a=now-1h"),
        ("a:\"\"", "a=\"\""),
        // Precedence, and what Kibana keeps nested.
        ("foo or bar and baz or qux", "or(text(foo), and(text(bar), text(baz)), text(qux))"),
        ("foo AnD bar oR baz", "or(and(text(foo), text(bar)), text(baz))"),
        ("(foo or bar) and baz", "and(or(text(foo), text(bar)), text(baz))"),
        ("(a:1 and b:2) and c:3", "and(and(a=#1, b=#2), c=#3)"),
        ("a:1 and (b:2)", "and(a=#1, b=#2)"),
        ("not a:b and c:d", "and(not(a=b), c=d)"),
        ("NOT (a:b or c:d)", "not(or(a=b, c=d))"),
        ("not (not a:b)", "not(not(a=b))"),
        ("foo and\u{a0}bar", "and(text(foo), text(bar))"),
        ("foo\nor\r\nbar", "or(text(foo), text(bar))"),
        // Keywords inside words.
        ("a:android or b:order", "or(a=android, b=order)"),
        ("a:note", "a=note"),
        ("a:cannot", "a=cannot"),
        ("a:x.and.y", "a=x.and.y"),
        ("a:and*", "a=and★"),
        // Keywords that are all of a value, as Kibana takes them.
        ("a : and", "a=and"),
        ("a : or and b : not", "and(a=or, b=not)"),
        ("(a : and)", "a=and"),
        ("a : (and or or)", "or(a=and, a=or)"),
        ("a : (not)", "a=not"),
        ("and", "text(and)"),
        ("not", "text(not)"),
        ("not and", "not(text(and))"),
        ("and and and", "and(text(and), text(and))"),
        ("and : x or or<3", "or(and=x, or<#3)"),
        ("not:x", "not=x"),
        // Lists.
        ("foo:(bar or baz)", "or(foo=bar, foo=baz)"),
        ("foo:(bar and baz*)", "and(foo=bar, foo=baz★)"),
        ("foo:((bar or \"b z\") and not qux)", "and(or(foo=bar, foo=\"b z\"), not(foo=qux))"),
        ("foo:( (bar) )", "foo=bar"),
        ("foo:(bar or *)", "or(foo=bar, exists(foo))"),
        ("foo:(a b or c)", "or(foo=a b, foo=c)"),
        // Ranges.
        ("a<1 and a<=2 and a>3 and a>=4", "and(a<#1, a<=#2, a>#3, a>=#4)"),
        ("a > now-1h/h", "a>now-1h/h"),
        ("a >= \"2026-11-23T10:00:00Z\"", "a>=\"2026-11-23T10:00:00Z\""),
        ("f* < 3", "f★<#3"),
        // Braces.
        ("i:{ a:x and b:y }", "i{and(i.a=x, i.b=y)}"),
        ("i:{ j:{ a:x } or k:* }", "i{or(i.j{i.j.a=x}, exists(i.k))}"),
        ("i:{ a*b < 3 and c:(d or e) } and f:g", "and(i{and(i.a★b<#3, or(i.c=d, i.c=e))}, f=g)"),
        ("i:{ * : * }", "i{exists(i.★)}"),
        // Escapes.
        (r#"a:\\\(\)\:\<\>\"\*\{\}"#, r#"a=\():<>"*{}"#),
        (r"a\:b:c", "a:b=c"),
        (r"a:x\ty\rz\nw", "a=x\ty\rz\nw"),
        (r"a:\t x", "a=x"),
        (r"a:\u00e9\u00C9", "a=éÉ"),
        (r"a:\ud83d\ude00", "a=😀"),
        (r"a:\u002a", "a=*"),
        (r"a:\u006eot b", "a=not b"),
        (r"a:rock \and roll", "a=rock and roll"),
        (r"a:\or", "a=or"),
        (r"a:\orange", "a=orange"),
        (r"a:\Not b", "a=Not b"),
        (r#"a:"\"\\\t\u0041\d\u00""#, "a=\"\"\\\tA\\d\\u00\""),
        (r#"a:"x and not y:(*)""#, "a=\"x and not y:(*)\""),
        ("é名:ü 値*", "é名=ü 値★"),
        ("a = b", "text(a = b)"),
    ];
    for (text, expected) in cases {
        check_tree(text, expected);
    }
}

/// `marked` has `‸` where the error must point.
fn check_error(condition: bool, marked: &str, expected: &str) {
    let text = marked.replace('‸', "");
    let outcome = if condition { Expression::parse_condition(&text) } else { Expression::parse(&text) };
    let error = outcome.expect_err(&text);
    assert_eq!(error.problem().to_string(), expected, "{text}");
    let position_bytes = marked.find('‸').unwrap();
    assert_eq!(error.position_bytes(), position_bytes, "{error}");
    assert_eq!(error.position_characters(), text[..position_bytes].chars().count(), "{error}");
}

#[test]
fn errors_say_what_and_where() {
    const SPECIAL: &str =
        "expected `and`, `or` or the end; for the character itself put the value in quotes or write `\\:`";
    const NOT: &str =
        "Kibana reads a `not` before a space as the keyword; put the value in quotes, or write `and` before `not`";
    const NAME: &str = "a field name cannot be empty or `null`; for a field of that name write `\"null\"`";
    let cases = [
        ("confidence : ‸and x", "expected a value after `:`"),
        ("a :‸", "expected a value after `:`"),
        ("a : ‸)", "expected a value after `:`"),
        ("a : ‸not b", "expected a value after `:`"),
        ("a : (x or ‸)", "expected a value after `or`"),
        ("a : (‸)", "expected a value after `(`"),
        ("a <‸", "expected a value after `<`"),
        ("a >= ‸< 3", "expected a value after `>=`"),
        ("a <‸> 3", "expected a value after `<`"),
        ("a : 1 and‸", "expected a condition after `and`"),
        ("a : 1 and ‸or b", "expected a condition after `and`"),
        ("‸and a", "expected a condition"),
        ("not ‸: x", "expected a condition after `not`"),
        ("(‸)", "expected a condition after `(`"),
        ("i : {‸}", "expected a condition after `{`"),
        ("‸: x", "expected a condition"),
        ("not‸(a:1)", "expected a space after `not`"),
        ("a:1 and‸(b:2)", "expected a space after `and`"),
        ("(a:1)‸and b:2", "expected a space before `and` or `or`"),
        ("not ‸not a", "`not` after `not` needs parentheses: `not (not …)`"),
        ("a : foo ‸not bar", NOT),
        ("a : ca‸not do", NOT),
        ("a : x b ‸: y", SPECIAL),
        ("(a : x b ‸: y)", SPECIAL),
        ("t > 2026-11-23T10‸:00", SPECIAL),
        ("\"a\" ‸b", "expected `and`, `or` or the end"),
        ("a : 1‸)", "`)` closes nothing: its `(` is missing"),
        ("a : 1‸}", "`}` closes nothing: its `{` is missing"),
        ("é and (a : 1‸", "expected `and`, `or` or the `)` of the `(` at character 7"),
        ("(a : 1‸}", "expected `and`, `or` or the `)` of the `(` at character 1"),
        ("i : { a : 1‸", "expected `and`, `or` or the `}` of the `{` at character 5"),
        ("i : { a ‸}", "expected `:` or a range sign: inside braces each value needs its field"),
        ("‸i* : { a : 1 }", "the field before `{` must be named in full, without `*`"),
        ("é : ‸\"x and y", "the quote that opens here is not closed"),
        ("a : ‸\"x\\\"", "the quote that opens here is not closed"),
        ("a : x‸\\d", "`\\` escapes nothing here; for the character itself write `\\\\`"),
        ("a : x‸\\", "`\\` escapes nothing here; for the character itself write `\\\\`"),
        ("a : ‸\\u12", "`\\` escapes nothing here; for the character itself write `\\\\`"),
        ("a : ‸\\ud83d", "`\\u` with half of a surrogate pair is no character"),
        ("a : \"‸\\ude00\\ud83d\"", "`\\u` with half of a surrogate pair is no character"),
        ("a : ‸\\not", "Kibana reads the `\\n` of `\\not` as a line break; put the value in quotes"),
        ("a < ‸1*", "a range takes one value, without `*`"),
        ("a < ‸null", "a range cannot have `null`; for the word itself write `\"null\"`"),
        ("‸\"\" : x", NAME),
        ("‸null : x", NAME),
    ];
    for (marked, expected) in cases {
        check_error(false, marked, expected);
    }
}

#[test]
fn conditions_do_not_move_with_the_clock() {
    let message = |text: &str| {
        format!(
            "`{text}` moves with the clock, and a condition must give the same answer on a replay: \
             write a fixed date, or, for the text itself, `field : \"{text}\"`"
        )
    };
    check_error(true, "é < 3 and t > ‸now-1h", &message("now-1h"));
    check_error(true, "t > ‸\"now-1h/d\"", &message("now-1h/d"));
    check_error(true, "t : (a or ‸now)", &message("now"));
    check_error(true, "‸now/d", &message("now/d"));
    check_error(true, "t <= ‸2026-11-23||+1M", &message("2026-11-23||+1M"));
    check_error(true, "  ‸", "expected a condition");
    for text in ["t : \"now-1h\"", "t : nowhere", "t > \"2026-11-23\"", "event : now-playing"] {
        assert!(Expression::parse_condition(text).is_ok(), "{text}");
    }
}

#[test]
fn limits_hold() {
    let deep = |depth| format!("{}a:1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Expression::parse(&deep(NESTING_DEPTH_MAX)).is_ok());
    let brackets = NESTING_DEPTH_MAX - 1;
    check_tree(
        &format!("{}i:{{a:b}}{}", "not (".repeat(brackets), ")".repeat(brackets)),
        &format!("{}i{{i.a=b}}{}", "not(".repeat(brackets), ")".repeat(brackets)),
    );
    let error = Expression::parse(&deep(NESTING_DEPTH_MAX + 1)).unwrap_err();
    assert_eq!((error.problem(), error.position_bytes()), (&Problem::TooDeep, NESTING_DEPTH_MAX));
    let lists = format!("a:{}", "(not ".repeat(2000));
    assert_eq!(Expression::parse(&lists).unwrap_err().problem(), &Problem::TooDeep);
    let braces = "é:{".repeat(3000);
    assert_eq!(Expression::parse(&braces).unwrap_err().problem(), &Problem::TooDeep);
    assert!(Expression::parse(&"x".repeat(TEXT_BYTES_MAX)).is_ok());
    assert_eq!(Expression::parse(&"x".repeat(TEXT_BYTES_MAX + 1)).unwrap_err().problem(), &Problem::TooLong);
}

#[test]
fn errors_draw_a_caret() {
    let draw = |text: &str| Expression::parse(text).unwrap_err().to_string();
    assert_eq!(draw("confidence : and x"), "expected a value after `:`\n  confidence : and x\n               ^");
    assert_eq!(draw("é:1 or\n\tb < \nor c"), "expected a value after `<`\n  or c\n  ^");
    let long = format!("{} : )", "x".repeat(500));
    let shown = draw(&long);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[1], format!("  {} : )", "x".repeat(57)));
    assert_eq!(lines[2].len(), lines[1].len());
}

#[test]
fn fields_are_named_once_and_in_full() {
    let text = "b < 1 and a : (x or y) and free text and i : { c : 1 and f.* : 2 } and not b : * and (* : *)";
    assert_eq!(Expression::parse(text).unwrap().fields(), ["b", "a", "i.c", "i.f.*"]);
}
