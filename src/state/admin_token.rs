//! The admin token: who may ask a running process for a change?
//!
//! Whoever can read a file that only its owner may read. It is made once, of 256 random bits, and stays, so that scripts can
//! rely on it; whoever deletes it gets another one at the next start.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::folder::admin_token_file;
use crate::text::digest::hexadecimal;

const TOKEN_BYTES: usize = 32;

/// The token of a folder of state, which is made if there is none: 64 hexadecimal digits.
///
/// # Errors
/// When the file cannot be read or made, is no token, or can be read by others.
pub fn admin_token(data_dir: &Path) -> io::Result<String> {
    let path = admin_token_file(data_dir);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            let token = new_token()?;
            file.write_all(format!("{token}\n").as_bytes())?;
            Ok(token)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(&path),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut file = fs_err::File::open(path)?;
    if file.file().metadata()?.mode() & 0o077 != 0 {
        let words = "others than its owner may read or write it: delete it, and another one is made at the next start";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
    }
    let mut text = String::new();
    std::io::Read::take(&mut file, 1_024).read_to_string(&mut text)?;
    let token = text.trim_end();
    let is_token = token.len() == 2 * TOKEN_BYTES && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = "it holds no token: delete it, and another one is made at the next start";
    if is_token { Ok(token.to_owned()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, words)) }
}

fn new_token() -> io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    fs_err::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hexadecimal(&bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_made_once_and_read_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let token = admin_token(folder.path()).unwrap();
        assert_eq!(token.len(), 64);
        assert_eq!(admin_token(folder.path()).unwrap(), token);
        let path = admin_token_file(folder.path());
        assert_eq!(fs_err::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(admin_token(folder.path()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        fs_err::write(&path, "\n").unwrap();
        assert_eq!(admin_token(folder.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        fs_err::remove_file(&path).unwrap();
        assert_ne!(admin_token(folder.path()).unwrap(), token);
    }
}
