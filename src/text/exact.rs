//! Exact numbers: decimal arithmetic on numbers as they are written.
//!
//! A unit is changed by moving the point, so that `87.3` percent is `0.873` and `12.8` s are `12800` ms, without what a
//! float would add. Up to 38 significant digits, more than any float has; a number with more is not read.

use std::fmt;

/// Powers of ten beyond this are no measured value.
const EXPONENT_MAX: i32 = 400;

/// Zeros that are written out before an exponent takes their place.
const ZEROS_MAX: usize = 15;

/// A decimal number: `digits` times ten to `exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact {
    negative: bool,
    /// Without zeros at the end.
    digits: u128,
    exponent: i32,
}

impl Exact {
    /// 1.
    pub const ONE: Exact = Exact { negative: false, digits: 1, exponent: 0 };

    /// Reads a JSON number, or a looser form (`.5`, `5.`, `+5`, `007`). `None` for anything else, and for what has too many
    /// digits.
    pub fn read(text: &str) -> Option<Exact> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, mut exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], read_exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (mut digits, mut count, mut after_point) = (0_u128, 0, false);
        for byte in mantissa.bytes() {
            match byte {
                b'0'..=b'9' => {
                    digits = digits.checked_mul(10)?.checked_add(u128::from(byte - b'0'))?;
                    exponent -= i32::from(after_point);
                    count += 1;
                }
                b'.' if !after_point => after_point = true,
                _ => return None,
            }
        }
        (count > 0 && exponent.abs() <= EXPONENT_MAX).then(|| Exact { negative, digits, exponent }.shortest())
    }

    fn shortest(mut self) -> Exact {
        while self.digits != 0 && self.digits.is_multiple_of(10) {
            self.digits /= 10;
            self.exponent += 1;
        }
        if self.digits == 0 { Exact { negative: false, digits: 0, exponent: 0 } } else { self }
    }

    /// The same times ten to `power`.
    pub fn shifted(self, power: i32) -> Exact {
        if self.digits == 0 { self } else { Exact { exponent: self.exponent + power, ..self } }
    }

    /// The same times a whole number; `None` when there is no room for all digits.
    pub fn times(self, factor: u32) -> Option<Exact> {
        Some(Exact { digits: self.digits.checked_mul(u128::from(factor))?, ..self }.shortest())
    }

    /// The sum of two numbers that are not negative; `None` when there is no room for all digits.
    pub fn plus(self, other: Exact) -> Option<Exact> {
        let exponent = self.exponent.min(other.exponent);
        let digits = self.digits_at(exponent)?.checked_add(other.digits_at(exponent)?)?;
        (!self.negative && !other.negative).then(|| Exact { negative: false, digits, exponent }.shortest())
    }

    /// One minus a number of 0 to 1. What would need more than 38 digits is the nearest double.
    pub fn complement(self) -> Exact {
        let exponent = self.exponent.min(0);
        let parts = Exact::ONE.digits_at(exponent).zip(self.digits_at(exponent));
        match parts.and_then(|(one, digits)| one.checked_sub(digits)) {
            Some(digits) => Exact { negative: false, digits, exponent }.shortest(),
            None => Exact::read(&(1.0 - self.as_f64()).max(0.0).to_string()).unwrap_or(Exact::ONE),
        }
    }

    /// The same times another number. What would need more than 38 digits is the nearest double; `None` where none is so
    /// large.
    pub fn product(self, other: Exact) -> Option<Exact> {
        match self.digits.checked_mul(other.digits) {
            Some(digits) => {
                let (negative, exponent) = (self.negative != other.negative, self.exponent + other.exponent);
                Some(Exact { negative, digits, exponent }.shortest())
            }
            None => Exact::of_f64(self.as_f64() * other.as_f64()),
        }
    }

    /// The same divided by a number other than zero: exact by a power of ten, else the nearest double; `None` where none is
    /// so large.
    pub fn quotient(self, divisor: Exact) -> Option<Exact> {
        if divisor.digits == 1 {
            return self.product(Exact { exponent: -divisor.exponent, ..divisor });
        }
        Exact::of_f64(self.as_f64() / divisor.as_f64())
    }

    /// The sum with another number. What would need more than 38 digits is the nearest double; `None` where none is so
    /// large.
    pub fn sum(self, other: Exact) -> Option<Exact> {
        let exponent = self.exponent.min(other.exponent);
        let sum = self.signed_at(exponent).zip(other.signed_at(exponent)).and_then(|(one, two)| one.checked_add(two));
        match sum {
            Some(sum) => Some(Exact { negative: sum < 0, digits: sum.unsigned_abs(), exponent }.shortest()),
            None => Exact::of_f64(self.as_f64() + other.as_f64()),
        }
    }

    /// A finite double by the shortest digits that stand for it.
    fn of_f64(value: f64) -> Option<Exact> {
        if value.is_finite() { Exact::read(&format!("{value:e}")) } else { None }
    }

    fn signed_at(self, exponent: i32) -> Option<i128> {
        let digits = i128::try_from(self.digits_at(exponent)?).ok()?;
        Some(if self.negative { -digits } else { digits })
    }

    /// All digits at a smaller exponent; `None` when there is no room for them.
    fn digits_at(self, exponent: i32) -> Option<u128> {
        if self.digits == 0 {
            return Some(0);
        }
        let power = u32::try_from(self.exponent - exponent).ok()?;
        self.digits.checked_mul(10_u128.checked_pow(power)?)
    }

    /// The nearest double.
    pub fn as_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Without a fraction.
    pub fn is_whole(self) -> bool {
        self.exponent >= 0
    }

    /// Zero.
    pub fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// Below zero.
    pub fn is_negative(self) -> bool {
        self.negative
    }
}

/// As JSON writes it, in the shortest way.
impl fmt::Display for Exact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let digits = self.digits.to_string();
        let fraction = usize::try_from(-self.exponent).unwrap_or(0);
        if fraction > digits.len() + ZEROS_MAX || usize::try_from(self.exponent).unwrap_or(0) > ZEROS_MAX {
            return write!(formatter, "{sign}{digits}e{}", self.exponent);
        }
        if self.exponent >= 0 {
            return write!(formatter, "{sign}{digits}{}", "0".repeat(self.exponent as usize));
        }
        let padded = format!("{digits:0>width$}", width = fraction + 1);
        let (whole, rest) = padded.split_at(padded.len() - fraction);
        write!(formatter, "{sign}{whole}.{rest}")
    }
}

fn read_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let exponent: i32 = if is_number { text.parse().ok()? } else { return None };
    (exponent.abs() <= EXPONENT_MAX).then_some(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_unit_is_changed_by_moving_the_point() {
        for (text, power, expected) in [
            ("87.3", -2, "0.873"),
            ("87", -2, "0.87"),
            ("100.00", -2, "1"),
            ("0.7", -2, "0.007"),
            ("12.8", 3, "12800"),
            ("12.80", 3, "12800"),
            ("0.012799999999999999", 3, "12.799999999999999"),
            ("1.28e1", 3, "12800"),
            ("1.28E-4", 3, "0.128"),
            ("681", -3, "0.681"),
            ("-5", 0, "-5"),
            ("0", 3, "0"),
            ("-0.0", 3, "0"),
            ("+.5", 0, "0.5"),
            ("5.", 0, "5"),
            ("1e300", 0, "1e300"),
            ("3.7e-44", 0, "37e-45"),
            ("12345678901234567890123456789012345678", 0, "12345678901234567890123456789012345678"),
        ] {
            assert_eq!(Exact::read(text).unwrap().shifted(power).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_read() {
        for text in ["", "-", ".", "1.2.3", "e5", "1e", "1e+-5", "0x1", "1_000", "NaN", "1e401", "1,5", " 1", "１"] {
            assert_eq!(Exact::read(text), None, "{text}");
        }
        assert_eq!(Exact::read(&"9".repeat(40)), None);
    }

    #[test]
    fn the_rest_to_one_is_exact() {
        for (text, expected) in [
            ("0.2", "0.8"),
            ("0.1", "0.9"),
            ("0", "1"),
            ("1", "0"),
            ("1.000", "0"),
            ("0.12345678901234567", "0.87654321098765433"),
            ("3.7e-44", "1"),
        ] {
            assert_eq!(Exact::read(text).unwrap().complement().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn products_quotients_and_sums_are_exact_while_they_can_be() {
        let exact = |text: &str| Exact::read(text).unwrap();
        for (one, two, product, quotient, sum) in [
            ("87.3", "0.01", "0.873", "8730", "87.31"),
            ("-2.5", "-4", "10", "0.625", "-6.5"),
            ("1", "3", "3", "0.3333333333333333", "4"),
            ("255", "255", "65025", "1", "510"),
            ("0.1", "0.2", "0.02", "0.5", "0.3"),
            ("7", "-7", "-49", "-1", "0"),
            ("1e300", "1000", "1e303", "1e297", "1e300"),
            ("12345678901234567890.5", "98765432109876543210.5", "1219326311370217958771528730.25", "", ""),
        ] {
            let (one, two) = (exact(one), exact(two));
            let shown = |number: Option<Exact>| number.map(|number| number.to_string());
            if !sum.is_empty() {
                assert_eq!(shown(one.quotient(two)).as_deref(), Some(quotient), "{one} / {two}");
                assert_eq!(shown(one.sum(two)).as_deref(), Some(sum), "{one} + {two}");
                assert_eq!(shown(one.product(two)).as_deref(), Some(product), "{one} * {two}");
            } else {
                let product = one.product(two).unwrap().as_f64();
                assert_eq!(product, 12345678901234567890.5 * 98765432109876543210.5, "the nearest double");
            }
        }
        let most = exact("1e390");
        assert_eq!(most.sum(exact("12345678901234567890123456789")), None, "no double is so large");
    }

    proptest! {
        #[test]
        fn what_is_written_is_the_number_that_was_read(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let text = format!("{value:e}");
            let read = Exact::read(&text).unwrap();
            prop_assert_eq!(read.as_f64(), if value == 0.0 { 0.0 } else { value });
            prop_assert_eq!(Exact::read(&read.to_string()), Some(read));
        }
    }
}
