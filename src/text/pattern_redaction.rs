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
use std::sync::LazyLock;

use regex::bytes::Regex;

const REDACTED: &[u8] = b"[redacted]";

/// How many bytes at the start of a match are to be blacked out, if any.
type Verify = fn(&[u8]) -> Option<usize>;

/// One shape. What its expression names `keep` stays.
struct Rule {
    expression: Regex,
    /// Without it, the whole match is blacked out.
    verify: Option<Verify>,
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
    let check_digits = [
        (r"\b[A-Z]{2}[0-9]{2}(?:\x20?[A-Z0-9]){11,30}\b", iban_length as Verify),
        (r"\b[2-6](?:[\x20-]?[0-9]){12,18}\b", card_length),
    ];
    let shapes = [
        r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
        r#"(?i)(?<keep>\b(?:proxy-)?authorization\\*["']?\s*[:=]\s*)(?:\\*["'])?[^"'\\\r\n]+"#,
        r#"(?i)(?<keep>\b(?:set-)?cookie\\*["']?\s*[:=]\s*)(?:\\*["'])?[^"'\\\r\n]+"#,
        r"(?i)(?<keep>\bbearer\s+)[a-z0-9._~+/=-]{8,}",
        r"(?<keep>\b[Bb]asic\s+)[A-Za-z0-9+/_-]*[A-Z0-9][A-Za-z0-9+/_-]{6,}=*",
        r"(?<keep>://)[^\s/@]*:[^\s/@]+@",
        PAIR,
        r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*",
        r"\b(?:AKIA|ASIA|AIDA|AROA|AGPA|ANPA)[A-Z0-9]{16}\b",
        r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk-|[sr]k_live_|hf_|AIza)[A-Za-z0-9_-]{16,}",
        r"[A-Za-z0-9._%+\x80-\xff-]+@[A-Za-z0-9\x80-\xff-]+(?:\.[A-Za-z0-9\x80-\xff-]+)+",
    ];
    let rule = |expression: &str, verify| Rule {
        expression: Regex::new(&format!("(?-u){expression}")).expect("BUG: a built-in expression is wrong"),
        verify,
    };
    let shapes = shapes.into_iter().map(|expression| rule(expression, None));
    shapes.chain(check_digits.into_iter().map(|(expression, verify)| rule(expression, Some(verify)))).collect()
});

/// Blacks out what looks like a secret or personal data; borrowed if there is nothing of the kind. The bytes need not be
/// UTF-8.
pub fn redact(line: &[u8]) -> Cow<'_, [u8]> {
    let mut redacted = Cow::Borrowed(line);
    for rule in RULES.iter() {
        if let Some(changed) = apply(rule, &redacted) {
            redacted = Cow::Owned(changed);
        }
    }
    redacted
}

/// The line after one rule, or nothing if it does not change.
fn apply(rule: &Rule, line: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = rule.expression.captures_at(line, at) {
        let whole = found.get_match();
        let Some(length) = rule.verify.map_or(Some(whole.len()), |verify| verify(whole.as_bytes())) else {
            // Another candidate may start inside this one.
            at = whole.start() + 1;
            continue;
        };
        let start = found.name("keep").map_or(whole.start(), |keep| keep.end());
        at = whole.start() + length;
        out.extend_from_slice(&line[copied..start]);
        out.extend_from_slice(REDACTED);
        copied = at;
    }
    if copied == 0 {
        return None;
    }
    out.extend_from_slice(&line[copied..]);
    Some(out)
}

/// The longest start of the text that is a payment card's number by Luhn's check digit.
fn card_length(text: &[u8]) -> Option<usize> {
    ends_of_groups(text).find(|end| {
        let digits: Vec<u8> = text[..*end].iter().filter(|b| b.is_ascii_digit()).map(|b| b - b'0').collect();
        let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
        let weigh = |(index, digit): (usize, &u8)| u32::from(if index % 2 == 1 { doubled(*digit) } else { *digit });
        digits.len() >= 13 && digits.iter().rev().enumerate().map(weigh).sum::<u32>().is_multiple_of(10)
    })
}

/// The longest start of the text that is an IBAN by its check digits (ISO 7064, modulo 97).
fn iban_length(text: &[u8]) -> Option<usize> {
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
