//! Digests as people and files read them: SHA-256 in hexadecimal.

use sha2::{Digest as _, Sha256};

/// SHA-256 of some bytes: 64 lower-case hexadecimal digits, the first 2n of which stand for its first n bytes.
pub fn sha256_hexadecimal(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Bytes as lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
