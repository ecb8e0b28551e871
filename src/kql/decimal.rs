//! Which of two written numbers is greater? Exact for any number of digits and without allocating, because a request id
//! of 20 digits must not equal its neighbour, as it would as a float.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// A decimal number as it is written: `1`, `1.0` and `10e-1` are equal.
#[derive(Clone, Debug)]
pub struct Decimal<'a> {
    negative: bool,
    /// Power of ten of the first significant digit.
    magnitude: i64,
    /// From the first to the last digit that is not zero; a point may be among them. Empty for zero.
    digits: Cow<'a, str>,
}

impl<'a> Decimal<'a> {
    /// Reads a JSON number, or one of the looser forms that Elasticsearch takes from a text (`.5`, `5.`, `+5`, `007`).
    /// `None` for anything else.
    pub fn read(text: &'a str) -> Option<Decimal<'a>> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        // Numbers are short: a search that has to get going takes longer than a look at each byte.
        let position = |text: &str, is_it: fn(&u8) -> bool| text.as_bytes().iter().position(is_it);
        let (mantissa, exponent) = match position(unsigned, |byte| *byte | 0x20 == b'e') {
            Some(at) => (&unsigned[..at], read_exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let point = position(mantissa, |byte| *byte == b'.').unwrap_or(mantissa.len());
        let fraction = mantissa.get(point + 1..).unwrap_or("");
        if point + fraction.len() == 0 || !all_digits(&mantissa[..point]) || !all_digits(fraction) {
            return None;
        }
        let significant = |byte: &u8| !matches!(byte, b'0' | b'.');
        let Some(first) = mantissa.bytes().position(|byte| significant(&byte)) else {
            return Some(Decimal { negative: false, magnitude: 0, digits: Cow::Borrowed("") });
        };
        let last = mantissa.bytes().rposition(|byte| significant(&byte)).unwrap_or(first);
        let power = point as i64 - first as i64 - i64::from(first < point);
        let digits = Cow::Borrowed(&mantissa[first..=last]);
        Some(Decimal { negative, magnitude: power.saturating_add(exponent), digits })
    }

    /// The same number, keeping its own digits.
    pub fn into_owned(self) -> Decimal<'static> {
        Decimal { negative: self.negative, magnitude: self.magnitude, digits: Cow::Owned(self.digits.into_owned()) }
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.sign() < 0
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn significant_digits(&self) -> impl Iterator<Item = u8> {
        self.digits.bytes().filter(|byte| *byte != b'.')
    }
}

/// The exponent after `e`; one too large for any arithmetic becomes a large one.
fn read_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !all_digits(digits) {
        return None;
    }
    let size = digits.parse::<i64>().unwrap_or(i64::MAX);
    Some(if text.starts_with('-') { -size } else { size })
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// In scientific notation, as JSON has it: `1.5e2`.
impl fmt::Display for Decimal<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sign() == 0 {
            return formatter.write_str("0");
        }
        let digits: String = self.digits.chars().filter(|character| *character != '.').collect();
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        write!(formatter, "{}{first}{point}{rest}", if self.negative { "-" } else { "" })?;
        if self.magnitude == 0 { Ok(()) } else { write!(formatter, "e{}", self.magnitude) }
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let sizes = || {
            let magnitudes = self.magnitude.cmp(&other.magnitude);
            magnitudes.then_with(|| self.significant_digits().cmp(other.significant_digits()))
        };
        match self.sign().cmp(&other.sign()) {
            Ordering::Equal if self.sign() > 0 => sizes(),
            Ordering::Equal if self.sign() < 0 => sizes().reverse(),
            signs => signs,
        }
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Equal, Greater, Less};

    #[test]
    fn numbers_compare_by_value() {
        let cases = [
            ("1", "1.0", Equal),
            ("1", "1e0", Equal),
            ("100", "1E+2", Equal),
            ("0.01", "10e-3", Equal),
            ("-0", "0.000", Equal),
            ("0e99", "0", Equal),
            ("007", "7", Equal),
            (".5", "0.50", Equal),
            ("5.", "+5", Equal),
            ("12345678901234567890", "12345678901234567891", Less),
            ("0.1234567890123456789", "0.123456789012345678", Greater),
            ("-2", "-1", Less),
            ("-1", "0", Less),
            ("-1", "1", Less),
            ("9", "10", Less),
            ("1.9", "1.10", Greater),
            ("0.6", "0.06", Greater),
            ("1e400", "1e399", Greater),
            ("1e99999999999999999999", "1e400", Greater),
            ("1e-99999999999999999999", "0", Greater),
            ("-1e99999999999999999999", "-1", Less),
        ];
        for (left, right, expected) in cases {
            let (a, b) = (Decimal::read(left).unwrap(), Decimal::read(right).unwrap());
            assert_eq!(a.cmp(&b), expected, "{left} against {right}");
            assert_eq!(b.cmp(&a), expected.reverse(), "{right} against {left}");
        }
    }

    #[test]
    fn numbers_are_printed_as_json_has_them() {
        for (text, expected) in [
            ("0.60", "6e-1"),
            ("-12.50", "-1.25e1"),
            ("7", "7"),
            ("007.5", "7.5"),
            ("1e400", "1e400"),
            ("-0.0", "0"),
            ("12345678901234567890", "1.234567890123456789e19"),
        ] {
            let number = Decimal::read(text).unwrap();
            assert_eq!(number.to_string(), expected, "{text}");
            assert_eq!(Decimal::read(expected), Some(number), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_numbers() {
        for text in ["", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "--4", "1x", "NaN", "Infinity", "0x10", "1 ", "١"]
        {
            assert!(Decimal::read(text).is_none(), "{text}");
        }
    }
}
