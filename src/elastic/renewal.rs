//! Renewal: do the files that secrets and certificates came from still hold the same?
//!
//! A Kubernetes service account's token lives for an hour, and is renewed by turning a symbolic link; certificates are
//! renewed by the month. The files are looked at before each request (device, inode, length, times of what a link leads
//! to), and read again when that changed, or when a server refuses who we are. What cannot be used (a file that is
//! written just now, a key that does not fit its certificate) is not taken: what was there before stays in use.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use super::describe;
use super::options::{Auth, ClientOptions, OptionsError};
use crate::text::secret::Secret;

/// What the files hold: who we are, and whom we trust.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ClientKeys {
    pub(super) auth: Auth,
    pub(super) certificates: Arc<Certificates>,
}

/// PEM texts as they were read.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Certificates {
    /// The authorities that are trusted.
    pub(super) authorities: Option<Vec<u8>>,
    /// Our certificate and its key, one after the other.
    pub(super) identity: Option<Vec<u8>>,
}

/// What became of reading the files again.
pub(super) enum RenewalOutcome {
    /// Nothing comes from a file.
    Nothing,
    /// It says what is new and used from now on.
    Newer(String),
    /// It says what was read and is as before.
    Same(String),
    /// It says what is empty: it is being written.
    Unready(String),
    /// What was read, or could not be, cannot be used, for this reason.
    Unusable(String),
}

/// The files, what they looked like, and what they held.
pub(super) struct Renewal {
    options: ClientOptions,
    keys: ClientKeys,
    stamps: Vec<Option<Stamp>>,
}

/// What tells one content of a file from another.
#[derive(PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified_ns: (i64, i64),
    changed_ns: (i64, i64),
}

/// Nothing that it holds is shown.
impl std::fmt::Debug for Renewal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Renewal").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Renewal {
    /// Reads the certificate files for the first time; secrets are in the options.
    pub(super) fn new(options: &ClientOptions) -> Result<Renewal, OptionsError> {
        // Before the content: what changes in between is seen as a change.
        let stamps = stamps(options);
        let keys = ClientKeys { auth: options.auth.clone(), certificates: Arc::new(Certificates::read(options)?) };
        Ok(Renewal { options: options.clone(), keys, stamps })
    }

    pub(super) fn keys(&self) -> &ClientKeys {
        &self.keys
    }

    /// Looks at the files, not into them.
    pub(super) fn files_changed(&self) -> bool {
        !self.stamps.is_empty() && stamps(&self.options) != self.stamps
    }

    /// Reads the files again, and puts what is new into use by `install`, which may find it unusable.
    pub(super) fn read_again(
        &mut self,
        install: impl FnOnce(&ClientOptions, &ClientKeys) -> Result<(), OptionsError>,
    ) -> RenewalOutcome {
        if self.stamps.is_empty() {
            return RenewalOutcome::Nothing;
        }
        self.stamps = stamps(&self.options);
        let keys = match self.read() {
            Ok(Some(keys)) => keys,
            Ok(None) => return RenewalOutcome::Unready(describe_files(&self.keys.auth.files())),
            Err(problem) => return RenewalOutcome::Unusable(problem),
        };
        if keys == self.keys {
            return RenewalOutcome::Same(self.what(None));
        }
        match install(&self.options, &keys) {
            Ok(()) => {
                let before = std::mem::replace(&mut self.keys, keys);
                RenewalOutcome::Newer(self.what(Some(&before)))
            }
            Err(error) => RenewalOutcome::Unusable(describe::chain(&error)),
        }
    }

    /// `None` while a secret's file is empty.
    fn read(&self) -> Result<Option<ClientKeys>, String> {
        let Some(auth) = self.keys.auth.read_again().map_err(|error| describe::chain(&error))? else { return Ok(None) };
        let certificates = Certificates::read(&self.options).map_err(|error| describe::chain(&error))?;
        Ok(Some(ClientKeys { auth, certificates: Arc::new(certificates) }))
    }

    /// What comes from files, in words: all of it, or what differs from before.
    fn what(&self, before: Option<&ClientKeys>) -> String {
        let auth_differs = before.is_none_or(|before| before.auth != self.keys.auth);
        let certificates_differ = before.is_none_or(|before| before.certificates != self.keys.certificates);
        let auth = if auth_differs { self.keys.auth.files() } else { Vec::new() };
        let certificates = if certificates_differ { certificate_files(&self.options) } else { Vec::new() };
        describe_files(&auth.into_iter().chain(certificates).collect::<Vec<_>>())
    }
}

impl Certificates {
    fn read(options: &ClientOptions) -> Result<Certificates, OptionsError> {
        let authorities = options.ca_file.as_deref().map(|path| read(path, AUTHORITIES)).transpose()?;
        let identity = options.client_certificate.as_ref().map(|(certificate, key)| {
            let mut pem = read(certificate, CERTIFICATE)?;
            pem.push(b'\n');
            pem.extend(read(key, KEY)?);
            Ok(pem)
        });
        Ok(Certificates { authorities, identity: identity.transpose()? })
    }
}

const AUTHORITIES: &str = "certificate of an authority";
const CERTIFICATE: &str = "client certificate";
const KEY: &str = "client certificate's key";

fn read(path: &Path, what: &'static str) -> Result<Vec<u8>, OptionsError> {
    fs_err::read(path).map_err(|source| OptionsError::Read { what, source })
}

/// A file and what it holds.
pub(super) type NamedFile<'a> = (&'static str, &'a Path);

impl Auth {
    /// The secret in it, and what that is.
    fn secret(&self) -> Option<(&'static str, &Secret)> {
        match self {
            Auth::None => None,
            Auth::Basic { password, .. } => Some(("password", password)),
            Auth::ApiKey(key) => Some(("API key", key)),
            Auth::Bearer(token) => Some(("bearer token", token)),
        }
    }

    fn files(&self) -> Vec<NamedFile<'_>> {
        self.secret().map_or(Vec::new(), |(what, secret)| secret.files().map(|path| (what, path)).collect())
    }

    /// The same with a secret as its files have it now; `None` while one of them is empty.
    fn read_again(&self) -> Result<Option<Auth>, OptionsError> {
        let Some((what, secret)) = self.secret() else { return Ok(Some(Auth::None)) };
        let secret = secret.read_again().map_err(|source| OptionsError::Read { what, source })?;
        Ok(secret.map(|secret| match self {
            Auth::Basic { user, .. } => Auth::Basic { user: user.clone(), password: secret },
            Auth::ApiKey(_) => Auth::ApiKey(secret),
            Auth::None | Auth::Bearer(_) => Auth::Bearer(secret),
        }))
    }
}

fn certificate_files(options: &ClientOptions) -> Vec<NamedFile<'_>> {
    let authorities = options.ca_file.as_deref().map(|path| (AUTHORITIES, path));
    let ours = options.client_certificate.as_ref();
    let ours = ours.map(|(certificate, key)| [(CERTIFICATE, certificate.as_path()), (KEY, key.as_path())]);
    authorities.into_iter().chain(ours.into_iter().flatten()).collect()
}

fn stamps(options: &ClientOptions) -> Vec<Option<Stamp>> {
    let files = options.auth.files().into_iter().chain(certificate_files(options));
    files.map(|(_, path)| stamp(path)).collect()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        length: metadata.len(),
        modified_ns: (metadata.mtime(), metadata.mtime_nsec()),
        changed_ns: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

fn describe_files(files: &[NamedFile<'_>]) -> String {
    let mut words: Vec<String> = files.iter().map(|(what, path)| format!("{what} in `{}`", path.display())).collect();
    words.dedup();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(path: &Path) -> ClientOptions {
        let secret = Secret::from_files(b"token-1".to_vec(), vec![(0..7, path.to_owned())]);
        ClientOptions { auth: Auth::Bearer(secret), ..ClientOptions::new(Vec::new()) }
    }

    fn told(verdict: &RenewalOutcome) -> (&'static str, &str) {
        match verdict {
            RenewalOutcome::Nothing => ("nothing", ""),
            RenewalOutcome::Newer(words) => ("newer", words),
            RenewalOutcome::Same(words) => ("same", words),
            RenewalOutcome::Unready(words) => ("unready", words),
            RenewalOutcome::Unusable(words) => ("unusable", words),
        }
    }

    #[test]
    fn a_link_that_is_turned_is_a_change_and_what_is_half_done_is_not_taken() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("token");
        let write = |name: &str, text: &str| fs_err::write(folder.path().join(name), text).unwrap();
        let turn = |name: &str| {
            let link = folder.path().join("..link");
            fs_err::os::unix::fs::symlink(name, &link).unwrap();
            fs_err::rename(&link, &path).unwrap();
        };
        write("first", "token-1\n");
        turn("first");
        let mut renewal = Renewal::new(&token(&path)).unwrap();
        assert!(!renewal.files_changed());
        assert_eq!(told(&renewal.read_again(|_, _| panic!("nothing is new"))).0, "same");
        write("empty", "\n");
        turn("empty");
        assert!(renewal.files_changed());
        assert_eq!(told(&renewal.read_again(|_, _| panic!("nothing is there"))).0, "unready");
        write("second", "token-2\n");
        turn("second");
        assert!(renewal.files_changed());
        let refused = renewal.read_again(|_, _| Err(OptionsError::Secret { what: "bearer token" }));
        assert_eq!(told(&refused).0, "unusable");
        assert_eq!(renewal.keys().auth, token(&path).auth, "the one before is in use");
        let newer = renewal.read_again(|_, keys| {
            let Auth::Bearer(secret) = &keys.auth else { panic!("another kind") };
            assert_eq!(secret.expose(), b"token-2");
            Ok(())
        });
        assert_eq!(told(&newer), ("newer", format!("bearer token in `{}`", path.display()).as_str()));
        fs_err::remove_file(&path).unwrap();
        assert!(renewal.files_changed());
        let gone = renewal.read_again(|_, _| panic!("nothing is there"));
        let (kind, words) = told(&gone);
        assert!(kind == "unusable" && words.contains("cannot read the file of the bearer token"), "{words}");
        assert!(!renewal.files_changed(), "it is looked at again when something is there");
    }

    #[test]
    fn what_does_not_come_from_files_is_never_looked_at() {
        let auth = Auth::Bearer(Secret::new("token"));
        let mut renewal = Renewal::new(&ClientOptions { auth, ..ClientOptions::new(Vec::new()) }).unwrap();
        assert!(!renewal.files_changed());
        assert_eq!(told(&renewal.read_again(|_, _| panic!("nothing to install"))).0, "nothing");
    }
}
