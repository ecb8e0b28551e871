//! What is blacked out in a line that could not be decoded, before it is kept in the dead letter?
//!
//! Such a line has no members, so that no rule of the pipeline file can be applied to it; what looks like a secret or
//! like personal data is replaced by `[redacted]` instead: values of telling names (`password=…`, `"api_key": "…"`),
//! credentials in headers and URLs, keys by their well-known shapes, e-mail addresses, IBANs and payment cards by their
//! check digits. In doubt it blacks out too much. It is a net, not a proof: what has no shape, such as a name, stays.
//!
//! The time is linear in the length of the line: regular expressions without backtracking, and candidates for check
//! digits of bounded length.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex::bytes::{Regex, RegexSet};

const REDACTED: &[u8] = b"[redacted]";

/// How many bytes at the start of a match, which stands there in the line, are to be blacked out, if any.
type Verify = fn(&[u8], Range<usize>) -> Option<usize>;

/// Writes what stands in the place of something.
type With<'w> = dyn Fn(&[u8], &mut Vec<u8>) + 'w;

/// One shape. What its expression names `keep` stays.
#[derive(Clone, Debug)]
struct Rule {
    expression: Regex,
    /// Without it, the whole match is blacked out.
    verify: Option<Verify>,
}

impl Rule {
    fn built_in(expression: &str, verify: Option<Verify>) -> Rule {
        let expression = format!("(?-u){expression}");
        Rule { expression: Regex::new(&expression).expect("BUG: a built-in expression is wrong"), verify }
    }
}

/// The last part of the domain begins with a letter: `react@18.2.0` is a version.
const EMAIL: &str = r"[A-Za-z0-9._%+\x80-\xff-]+(?:'[A-Za-z0-9._%+\x80-\xff-]+)?@(?:[A-Za-z0-9\x80-\xff-]+\.)+[A-Za-z\x80-\xff][A-Za-z0-9\x80-\xff-]+";
const IBAN: &str = r"\b[A-Z]{2}[0-9]{2}(?:\x20?[A-Z0-9]){11,30}\b";
const CREDIT_CARD: &str = r"\b[2-6](?:[\x20-]?[0-9]){12,18}\b";
const AWS_KEY: &str = r"\b(?:AKIA|ASIA|AIDA|AROA|AGPA|ANPA)[A-Z0-9]{16}\b";
const VENDOR_KEY: &str =
    r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk-|[sr]k_live_|hf_|AIza|npm_|SG\.)[A-Za-z0-9_-]{16,}";

/// An expression, and what has to hold of what it matches.
type Shape = (&'static str, Option<Verify>);

/// The patterns that a pipeline file can name, each with its shapes; what others could take a part of comes first.
const NAMED: &[(&str, &[Shape])] = &[
    ("jwt", &[(r"\bey[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", Some(jwt_length))]),
    ("api_key", &[(AWS_KEY, None), (VENDOR_KEY, None)]),
    ("email", &[(EMAIL, None)]),
    ("iban", &[(IBAN, Some(iban_length))]),
    ("credit_card", &[(CREDIT_CARD, Some(card_length))]),
    ("ipv6", &[(r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?:(?:\.[0-9]{1,3}){3})?", Some(ipv6_length))]),
    ("ipv4", &[(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", Some(ipv4_length))]),
    (
        "phone",
        &[
            (r"\+[1-9][0-9]{0,3}(?:[\x20./-]{0,2}\(?[0-9]{1,5}\)?){2,6}", Some(phone_length)),
            (r"\(?\b[2-9][0-9]{2}\)?[\x20.-]{1,2}[2-9][0-9]{2}[\x20.-][0-9]{4}\b", Some(phone_length)),
            (r"\(?\b0[1-9][0-9]{1,4}\)?[\x20/-]{1,3}[0-9]{2,5}(?:[\x20-]?[0-9]{2,5}){1,3}\b", Some(phone_length)),
        ],
    ),
];

/// The names of the patterns that a pipeline file can name.
pub fn names() -> Vec<&'static str> {
    NAMED.iter().map(|(name, _)| *name).collect()
}

/// Patterns that a pipeline chose, looked for together.
#[derive(Clone, Debug)]
pub struct Patterns {
    rules: Vec<Rule>,
    /// All of them at once: most texts have none.
    any: RegexSet,
}

impl Patterns {
    /// Those of these names, and expressions of one's own, of which every match is hidden; `None` when the expressions are
    /// too large to be looked for together.
    pub fn new(names: &[&str], custom: &[Regex]) -> Option<Patterns> {
        let chosen = NAMED.iter().filter(|(name, _)| names.contains(name)).flat_map(|(_, shapes)| *shapes);
        let custom = custom.iter().map(|expression| Rule { expression: expression.clone(), verify: None });
        let rules: Vec<Rule> = custom.chain(chosen.map(|(shape, verify)| Rule::built_in(shape, *verify))).collect();
        let any = RegexSet::new(rules.iter().map(|rule| rule.expression.as_str())).ok()?;
        Some(Patterns { rules, any })
    }

    /// Puts what `with` writes in the place of what is found; borrowed if nothing is. The bytes need not be UTF-8.
    pub fn redact<'t>(&self, text: &'t [u8], with: &With<'_>) -> Cow<'t, [u8]> {
        let mut redacted = Cow::Borrowed(text);
        if self.any.is_match(text) {
            for rule in &self.rules {
                if let Some(changed) = apply(rule, &redacted, with) {
                    redacted = Cow::Owned(changed);
                }
            }
        }
        redacted
    }
}

/// Names whose values are secrets, as the last part of a longer one too (`db_password`, `accessToken`), but not as the
/// first (`max_tokens`, `token_count`).
const PAIR: &str = r#"(?ix) (?<keep>
        (?: pass(?:word|wd|phrase)? | pwd | secret | token | credentials? | session_?id
          | (?:api|access|private|secret|auth|encryption)[_-]?key (?:[_-]?id)? )
        \\*["']? \s* (?: [:=] | => ) \s* )
    (?: \[redacted\]
      | " (?: [^"\\] | \\. )* "?
      | ' (?: [^'\\] | \\. )* '?
      | \\+" [^"]* "?
      | [^\s"',;&}\])]+ )"#;

/// Built in this order: what needs its surroundings to be seen comes first.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let shapes = [
        r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
        r#"(?i)(?<keep>\b(?:proxy-)?authorization\\*["']?\s*[:=]\s*)(?:\\*["'])?[^"'\\\r\n]+"#,
        r#"(?i)(?<keep>\b(?:set-)?cookie\\*["']?\s*[:=]\s*)(?:\\*["'])?[^"'\\\r\n]+"#,
        r"(?i)(?<keep>\bbearer\s+)[a-z0-9._~+/=-]{8,}",
        r"(?<keep>\b[Bb]asic\s+)[A-Za-z0-9+/_-]*[A-Z0-9][A-Za-z0-9+/_-]{6,}=*",
        r"(?<keep>://)[^\s/@]*:[^\s/@]+@",
        PAIR,
        r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*",
        AWS_KEY,
        VENDOR_KEY,
        EMAIL,
    ];
    let check_digits = [(IBAN, iban_length as Verify), (CREDIT_CARD, card_length)];
    let shapes = shapes.into_iter().map(|expression| Rule::built_in(expression, None));
    let check_digits = check_digits.into_iter().map(|(expression, verify)| Rule::built_in(expression, Some(verify)));
    shapes.chain(check_digits).collect()
});

/// What stands in the place of whatever is blacked out in a line.
pub fn write_redacted(_: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(REDACTED);
}

/// Blacks out what looks like a secret or personal data; borrowed if there is nothing of the kind. The bytes need not be
/// UTF-8.
pub fn redact(line: &[u8]) -> Cow<'_, [u8]> {
    let mut redacted = Cow::Borrowed(line);
    for rule in RULES.iter() {
        if let Some(changed) = apply(rule, &redacted, &write_redacted) {
            redacted = Cow::Owned(changed);
        }
    }
    redacted
}

/// The line after one rule, or nothing if it does not change.
fn apply(rule: &Rule, line: &[u8], with: &With<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    let mut is_found = false;
    while let Some(found) = rule.expression.captures_at(line, at) {
        let whole = found.get_match();
        let Some(length) = rule.verify.map_or(Some(whole.len()), |verify| verify(line, whole.range())) else {
            // Another candidate may start inside this one.
            at = whole.start() + 1;
            continue;
        };
        let start = found.name("keep").map_or(whole.start(), |keep| keep.end());
        let end = whole.start() + length;
        // An expression of one's own may match nothing at all.
        at = end.max(whole.start() + 1);
        if start < end {
            is_found = true;
            out.extend_from_slice(&line[copied..start]);
            with(&line[start..end], &mut out);
            copied = end;
        }
        if at > line.len() {
            break;
        }
    }
    if !is_found {
        return None;
    }
    out.extend_from_slice(&line[copied..]);
    Some(out)
}

/// The longest start of the text that is a payment card's number by Luhn's check digit.
fn card_length(line: &[u8], place: Range<usize>) -> Option<usize> {
    let text = &line[place];
    ends_of_groups(text).find(|end| {
        let digits: Vec<u8> = text[..*end].iter().filter(|b| b.is_ascii_digit()).map(|b| b - b'0').collect();
        let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
        let weigh = |(index, digit): (usize, &u8)| u32::from(if index % 2 == 1 { doubled(*digit) } else { *digit });
        digits.len() >= 13 && digits.iter().rev().enumerate().map(weigh).sum::<u32>().is_multiple_of(10)
    })
}

/// The longest start of the text that is an IBAN by its check digits (ISO 7064, modulo 97).
fn iban_length(line: &[u8], place: Range<usize>) -> Option<usize> {
    let text = &line[place];
    ends_of_groups(text).find(|end| {
        let characters: Vec<u8> = text[..*end].iter().filter(|b| **b != b' ').copied().collect();
        let remainder = characters.iter().cycle().skip(4).take(characters.len()).fold(0, |remainder, byte| {
            match char::from(*byte).to_digit(36) {
                Some(digit @ 0..=9) => (remainder * 10 + digit) % 97,
                Some(letter) => (remainder * 100 + letter) % 97,
                None => remainder,
            }
        });
        (15..=34).contains(&characters.len()) && remainder == 1
    })
}

/// An address that is no part of a longer number or name, such as that of a version with five parts.
fn ipv4_length(line: &[u8], place: Range<usize>) -> Option<usize> {
    let text = std::str::from_utf8(&line[place.clone()]).ok()?;
    let goes_on = line[place.end..].first() == Some(&b'.') && line.get(place.end + 1).is_some_and(u8::is_ascii_digit);
    (stands_alone(line, &place) && !goes_on && text.parse::<Ipv4Addr>().is_ok()).then_some(text.len())
}

/// An address with at least two groups that are written, and a digit: `a::b` is code, and `::1` is nobody's.
fn ipv6_length(line: &[u8], place: Range<usize>) -> Option<usize> {
    let text = std::str::from_utf8(&line[place.clone()]).ok()?;
    // A colon behind an address belongs to the sentence.
    let trimmed = if text.ends_with("::") { text } else { text.trim_end_matches(':') };
    let groups = trimmed.split(':').filter(|group| !group.is_empty()).count();
    let is_address =
        groups >= 2 && trimmed.bytes().any(|byte| byte.is_ascii_digit()) && trimmed.parse::<Ipv6Addr>().is_ok();
    (is_address && stands_alone(line, &(place.start..place.start + trimmed.len()))).then_some(trimmed.len())
}

/// Eight to fifteen digits (E.164), which are no part of something longer. A bracket around the number is none of it.
fn phone_length(line: &[u8], place: Range<usize>) -> Option<usize> {
    let text = &line[place.clone()];
    let count = |wanted: u8| text.iter().filter(|byte| **byte == wanted).count();
    let (opened, closed) = (count(b'('), count(b')'));
    let end = if closed > opened && text.ends_with(b")") { place.end - 1 } else { place.end };
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_number = opened <= closed && (8..=15).contains(&digits) && stands_alone(line, &(place.start..end));
    is_number.then_some(end - place.start)
}

/// Neither a letter, a digit, nor a number's dot stands before it, and no letter or digit behind it.
fn stands_alone(line: &[u8], place: &Range<usize>) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let is_joined = |byte: &u8| is_word(byte) || *byte == b'.';
    !line[..place.start].last().is_some_and(is_joined) && !line.get(place.end).is_some_and(is_word)
}

/// Three parts of which the first decodes to a JSON object with an `alg` (RFC 7515).
fn jwt_length(line: &[u8], place: Range<usize>) -> Option<usize> {
    let text = &line[place];
    let header = URL_SAFE_NO_PAD.decode(text.split(|byte| *byte == b'.').next()?).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
    header.get("alg").map(|_| text.len())
}

/// The places where the text could end, the last first: its end, and before each space or hyphen.
fn ends_of_groups(text: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let gaps = (0..text.len()).rev().filter(|index| matches!(text[*index], b' ' | b'-'));
    std::iter::once(text.len()).chain(gaps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redacted(line: &str) -> String {
        String::from_utf8(redact(line.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn secrets_are_blacked_out() {
        for (line, expected) in [
            ("mail to jo.doe+x@mail.example.com, please", "mail to [redacted], please"),
            ("jörg@exämple.de", "[redacted]"),
            ("Authorization: Bearer abc.def-123", "Authorization: [redacted]"),
            (r#"{"authorization": "Basic dXNlcjpwYXNz", "a": 1"#, r#"{"authorization": [redacted]", "a": 1"#),
            ("Cookie: sid=1; theme=dark", "Cookie: [redacted]"),
            ("sent bearer 0123456789abcdef ok", "sent bearer [redacted] ok"),
            ("used Basic dXNlcjpwYXNz ok", "used Basic [redacted] ok"),
            ("postgres://app:s3cr3t@db:5432/x", "postgres://[redacted]db:5432/x"),
            ("password=hunter2&x=1", "password=[redacted]&x=1"),
            ("db_password = 'hunter 2' x", "db_password = [redacted] x"),
            (r#"{"api_key": "a\"b c", "n": NaN"#, r#"{"api_key": [redacted], "n": NaN"#),
            (r#"{"apiKey":"cut off"#, r#"{"apiKey":[redacted]"#),
            (r#""{\"secret\": \"a b\", \"n\": 1}""#, r#""{\"secret\": [redacted], \"n\": 1}""#),
            (r#"{"accessToken":12345}"#, r#"{"accessToken":[redacted]}"#),
            ("AWS_SECRET_ACCESS_KEY: wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY: [redacted]"),
            ("key AKIAIOSFODNN7EXAMPLE.", "key [redacted]."),
            ("hf_abcdefghijklmnopqrstuv sk-proj-abcdefghijklmnop", "[redacted] [redacted]"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln_-x!", "jwt [redacted]!"),
            ("token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "token=[redacted]"),
            (r"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----|", "[redacted]|"),
            ("-----BEGIN PRIVATE KEY-----\\nMIIE", "[redacted]"),
            ("card 4111 1111 1111 1111.", "card [redacted]."),
            ("4111111111111111", "[redacted]"),
            ("378282246310005 or 5555-5555-5555-4444", "[redacted] or [redacted]"),
            ("2026 4111 1111 1111 1111 123", "2026 [redacted] 123"),
            ("IBAN DE89 3704 0044 0532 0130 00 OF ME", "IBAN [redacted] OF ME"),
            ("GB29NWBK60161331926819", "[redacted]"),
        ] {
            assert_eq!(redacted(line), expected, "{line}");
        }
    }

    #[test]
    fn what_only_looks_alike_stays() {
        for line in [
            "",
            "@decorator in model.py, x @ y",
            "user@localhost",
            r#"{"max_tokens": 256, "token_count": 12, "prompt_tokens":5}"#,
            "the password was wrong, passing on",
            "basic understanding of bearers",
            "http://host:9200/path",
            "card 4111 1111 1111 1112",
            "4111111111111112",
            "order 41111111111111111111",
            "1764000000123456789",
            r#"{"timestamp": 1763900000123, "latency_ms": 12.8128128128}"#,
            "DE88 3704 0044 0532 0130 00",
            "AKIATOOSHORT eyJ.eyJ sk-short",
            "9b1edeadbeef9b1edeadbeef9b1edeadbeef",
        ] {
            assert!(matches!(redact(line.as_bytes()), Cow::Borrowed(_)), "{line} became {}", redacted(line));
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_kept() {
        assert_eq!(&*redact(b"\xff\xfe password=\x80x \xc3("), b"\xff\xfe password=[redacted] \xc3(");
    }

    /// A megabyte of what is nearly a match everywhere: with an expression that backtracks this would not end.
    #[test]
    fn a_hostile_line_is_no_trouble() {
        for part in ["a", "4111 ", "password=", "\"", "DE89 3704 ", "a@", "eyJ.", "-----BEGIN PRIVATE KEY", "\\"] {
            let line = part.repeat((1 << 20) / part.len());
            assert!(!redact(line.as_bytes()).is_empty(), "{part}");
        }
    }

    /// What one pattern makes of the texts of `tests/patterns`: those that hold it, and those that only look alike.
    #[derive(Default)]
    struct Seen {
        found: usize,
        overlooked: Vec<String>,
        left_alone: usize,
        wrong: Vec<String>,
    }

    impl Seen {
        fn precision(&self) -> f64 {
            self.found as f64 / (self.found + self.wrong.len()).max(1) as f64
        }

        fn recall(&self) -> f64 {
            self.found as f64 / (self.found + self.overlooked.len()).max(1) as f64
        }

        fn count(&self) -> usize {
            self.found + self.overlooked.len() + self.left_alone + self.wrong.len()
        }
    }

    fn look_through(name: &str) -> Seen {
        let file = format!("{}/tests/patterns/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let table = fs_err::read_to_string(file).unwrap();
        let patterns = Patterns::new(&[name], &[]).unwrap();
        let mut seen = Seen::default();
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let (kind, text) = line.split_at(2);
            // A positive is a text with `⟦…⟧` around what is to be hidden, all of it and nothing else.
            let plain = text.replace(['⟦', '⟧'], "");
            let hidden = patterns.redact(plain.as_bytes(), &|_, out| out.push(b'*'));
            let expected = match text.split_once('⟦') {
                Some((before, rest)) => format!("{before}*{}", rest.split_once('⟧').unwrap().1),
                None => plain.clone(),
            };
            match (kind, *hidden == *expected.as_bytes()) {
                ("+ ", true) => seen.found += 1,
                ("+ ", false) => seen.overlooked.push(plain),
                ("- ", true) => seen.left_alone += 1,
                ("- ", false) => seen.wrong.push(plain),
                _ => panic!("{name}: {line}"),
            }
        }
        seen
    }

    /// What is reached, a little below it: precision, recall.
    const FLOORS: [(&str, f64, f64); 8] = [
        ("jwt", 0.95, 0.95),
        ("api_key", 0.95, 0.95),
        ("email", 0.95, 0.95),
        ("iban", 0.95, 0.9),
        ("credit_card", 0.95, 0.95),
        ("ipv6", 0.9, 0.9),
        ("ipv4", 0.9, 0.9),
        ("phone", 0.9, 0.9),
    ];

    #[test]
    fn patterns_find_what_they_are_named_for() {
        println!("{:<12} {:>5} {:>9} {:>6}", "pattern", "texts", "precision", "recall");
        let mut count = 0;
        assert_eq!(names(), FLOORS.map(|(name, ..)| name));
        for (name, precision_min, recall_min) in FLOORS {
            let seen = look_through(name);
            count += seen.count();
            println!("{name:<12} {:>5} {:>9.3} {:>6.3}", seen.count(), seen.precision(), seen.recall());
            let (overlooked, wrong) = (&seen.overlooked, &seen.wrong);
            let is_reached = seen.precision() >= precision_min && seen.recall() >= recall_min;
            assert!(is_reached, "{name}: overlooked {overlooked:?}, wrong {wrong:?}");
            assert!(seen.found >= 15 && seen.left_alone >= 10, "{name}: too few texts to say anything");
        }
        assert!(count >= 300, "{count} texts");
    }

    proptest! {
        #[test]
        fn once_is_enough(line in r#"(password|token|cookie|bearer|[:="'\\ ]|[a-z0-9@.]{1,4}|4111 ?1111|\[redacted\]){0,12}"#) {
            let once = redacted(&line);
            prop_assert_eq!(&redacted(&once), &once);
        }

        #[test]
        fn a_secret_never_survives(before in "[ -~]{0,20}", after in "[ -~]{0,20}") {
            let line = format!("{before} password=\"tr0ub4dor\" {after}");
            prop_assert!(!redacted(&line).contains("tr0ub4dor"), "{}", line);
        }
    }
}
