//! Digests as people and files read them: SHA-256 in hexadecimal.

use sha2::{Digest as _, Sha256};

/// SHA-256 of some bytes: 64 lower-case hexadecimal digits, the first 2n of which stand for its first n bytes.
pub fn sha256_hexadecimal(bytes: &[u8]) -> String {
    hexadecimal(&sha256(bytes))
}

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// N bytes from their 2N hexadecimal digits; `None` when they are none.
pub fn from_hexadecimal<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.len() != 2 * bytes.len() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, start) in bytes.iter_mut().zip((0..digits.len()).step_by(2)) {
        *byte = u8::from_str_radix(&digits[start..start + 2], 16).ok()?;
    }
    Some(bytes)
}

/// How much of a long first line goes into its digest, in bytes.
pub const FIRST_LINE_BYTES_MAX: usize = 64 * 1024;

/// The digest of the first line of what begins so, without its end, or of the first part of a long one. It is part of the
/// ids of all lines of a file.
pub fn first_line_sha256(beginning: &[u8]) -> [u8; 32] {
    let line = &beginning[..beginning.len().min(FIRST_LINE_BYTES_MAX)];
    Sha256::digest(&line[..memchr::memchr(b'\n', line).unwrap_or(line.len())]).into()
}

/// Bytes as lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    const_hex::encode(bytes)
}

/// Appends a SHA-256 as lower-case hexadecimal digits, in quotes.
pub fn push_quoted_sha256(digest: &[u8; 32], out: &mut String) {
    out.push('"');
    out.push_str(const_hex::Buffer::<32>::new().format(digest));
    out.push('"');
}
