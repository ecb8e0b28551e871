//! Values that must never be printed.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A password, key or token: its `Debug` shows nothing of it, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    bytes: Vec<u8>,
    /// Which parts of it files hold, in order, so that they can be read again.
    files: Vec<(Range<usize>, PathBuf)>,
}

/// The largest file of a secret that is read, in bytes.
pub const SECRET_FILE_BYTES_MAX: u64 = 1024 * 1024;

impl Secret {
    /// Takes the bytes as they are, without one trailing line end (`\n` or `\r\n`), as files of keys have it.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret { bytes: without_line_end(bytes.into()), files: Vec::new() }
    }

    /// Takes the bytes as they are, of which these parts are what files hold, in ascending order.
    pub fn from_files(bytes: Vec<u8>, files: Vec<(Range<usize>, PathBuf)>) -> Secret {
        Secret { bytes, files }
    }

    /// The bytes themselves: only for the place that uses them.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// The files that hold parts of it.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(_, path)| path.as_path())
    }

    /// The same with what its files hold now; `None` while one of them is empty, as a file is that is being written.
    ///
    /// # Errors
    /// When a file cannot be read, or is larger than [`SECRET_FILE_BYTES_MAX`].
    pub fn read_again(&self) -> io::Result<Option<Secret>> {
        let (mut bytes, mut files, mut from) = (Vec::new(), Vec::new(), 0);
        for (place, path) in &self.files {
            bytes.extend_from_slice(&self.bytes[from..place.start]);
            let named = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display()));
            let part = read_secret_file(path).map_err(named)?;
            if part.is_empty() {
                return Ok(None);
            }
            files.push((bytes.len()..bytes.len() + part.len(), path.clone()));
            bytes.extend(part);
            from = place.end;
        }
        bytes.extend_from_slice(&self.bytes[from..]);
        Ok(Some(Secret { bytes, files }))
    }
}

/// Reads a file that holds one value, without one trailing line end.
///
/// # Errors
/// When it cannot be read, or is larger than [`SECRET_FILE_BYTES_MAX`].
pub fn read_secret_file(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut content = Vec::new();
    let file = std::fs::File::open(path)?;
    let length = file.take(SECRET_FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
    if length as u64 > SECRET_FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(without_line_end(content))
}

/// Cuts one line end, `\n` or `\r\n`.
pub fn without_line_end(mut value: Vec<u8>) -> Vec<u8> {
    if value.last() == Some(&b'\n') {
        value.pop();
        if value.last() == Some(&b'\r') {
            value.pop();
        }
    }
    value
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_files_hold_are_read_again_in_their_places() {
        let folder = tempfile::TempDir::new().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        let secret = Secret::from_files(b"<1|22>".to_vec(), vec![(1..2, a.clone()), (3..5, b.clone())]);
        for (first, second, expected) in
            [("1", "22", Some("<1|22>")), ("333\r\n", "4\n\n", Some("<333|4\n>")), ("", "4", None), ("5", "\n", None)]
        {
            fs_err::write(&a, first).unwrap();
            fs_err::write(&b, second).unwrap();
            let again = secret.read_again().unwrap();
            assert_eq!(again.as_ref().map(Secret::expose), expected.map(str::as_bytes));
            if let Some(again) = again {
                assert_eq!(again.read_again().unwrap().unwrap(), again, "the places moved with the content");
            }
        }
        fs_err::remove_file(&b).unwrap();
        assert!(secret.read_again().is_err());
        assert_eq!(Secret::new("plain\r\n").read_again().unwrap(), Some(Secret::new("plain")));
    }
}
