//! Numbers since 1970, the unit taken from their size.

use super::instant::{Timestamp, Unreadable, in_range};

/// Digits of a number beyond which nothing below a nanosecond can be left.
const EPOCH_DIGITS_MAX: usize = 30;

/// Reads a decimal number, exponent included, exactly: a double would lose the nanoseconds.
pub(super) fn parse_epoch(text: &[u8]) -> Result<Timestamp, Unreadable> {
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let mut digits = 0_u128;
    let mut digits_read = 0;
    let mut power = exponent;
    let mut after_point = false;
    for (index, &byte) in mantissa.iter().enumerate() {
        match byte {
            b'0'..=b'9' if digits_read < EPOCH_DIGITS_MAX => {
                digits = digits * 10 + u128::from(byte - b'0');
                digits_read += usize::from(digits > 0);
                power -= i32::from(after_point);
            }
            b'0'..=b'9' => power += i32::from(!after_point),
            b'.' if !after_point && index > 0 && index + 1 < mantissa.len() => after_point = true,
            b'-' if index == 0 && mantissa.len() > 1 => return Err(Unreadable::OutOfRange),
            _ => return Err(Unreadable::UnknownForm),
        }
    }
    if mantissa.is_empty() {
        return Err(Unreadable::UnknownForm);
    }
    epoch_timestamp(digits, digits_read as i32, power)
}

fn parse_exponent(text: &[u8]) -> Result<i32, Unreadable> {
    let digits = text.strip_prefix(b"+").or(text.strip_prefix(b"-")).unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Unreadable::UnknownForm);
    }
    let exponent: Option<i32> = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    exponent.filter(|exponent| exponent.abs() < 1000).ok_or(Unreadable::OutOfRange)
}

/// `digits` (so many of them) times ten to `power`, in the unit that its size tells.
fn epoch_timestamp(digits: u128, digits_read: i32, power: i32) -> Result<Timestamp, Unreadable> {
    let nanoseconds_power = match digits_read + power {
        9..=11 => power + 9,
        12..=14 => power + 6,
        15..=17 => power + 3,
        18..=20 => power,
        _ => return Err(Unreadable::OutOfRange),
    };
    if digits == 0 {
        return Err(Unreadable::OutOfRange);
    }
    let scale = 10_u128.pow(nanoseconds_power.unsigned_abs());
    let nanoseconds = if nanoseconds_power < 0 { digits / scale } else { digits * scale };
    in_range((nanoseconds / 1_000_000_000) as i64, (nanoseconds % 1_000_000_000) as u32, None)
}
