//! The fingerprint by which a certificate is known.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The SHA-256 of a certificate in DER form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Reads 64 hexadecimal digits, with or without a colon after each pair, as openssl and Elasticsearch print them. `None`
    /// when the text is something else.
    pub fn read(text: &str) -> Option<Fingerprint> {
        let digits = text.replace(':', "");
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Fingerprint(bytes))
    }

    pub(super) fn of(der: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(der).into())
    }
}

/// With colons, in capitals.
impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        formatter.write_str(&pairs.join(":"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_printed() {
        let colons = vec!["AB"; 32].join(":");
        for (text, is_one) in [
            (colons.as_str(), true),
            (&colons.replace(':', "").to_lowercase(), true),
            (&colons[3..], false),
            (&format!("{colons}:AB"), false),
            (&colons.replacen('A', "X", 1), false),
            ("", false),
        ] {
            let read = Fingerprint::read(text).map(|fingerprint| fingerprint.to_string());
            assert_eq!(read, is_one.then(|| colons.clone()), "{text}");
        }
    }
}
