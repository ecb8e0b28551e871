//! Options of the client: how are the servers reached, and who are we to them?
//!
//! Everything is checked when a client is made: URLs, secrets that cannot stand in a header, certificate files. No message
//! holds a secret, and addresses are shown without their user information.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::HeaderValue;
use thiserror::Error;
use url::Url;

use super::fingerprint::Fingerprint;
use crate::text::secret::Secret;

/// How long a server may take to be connected to, unless told otherwise: an address where nobody answers is left then.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Who we are to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nobody, or the user named in the host's own URL.
    #[default]
    None,
    /// A user and a password.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// An API key as Elasticsearch gives it under `encoded`: base64 of id and key. `id:key` is encoded here.
    ApiKey(Secret),
    /// A bearer token.
    Bearer(Secret),
}

/// How to reach the servers.
#[derive(Clone)]
pub struct ClientOptions {
    /// At least one; a path before Elasticsearch's own belongs into the URL.
    pub hosts: Vec<Url>,
    /// Who we are.
    pub auth: Auth,
    /// PEM file of authorities to trust besides those built in; the operating system's store is not read.
    pub ca_file: Option<PathBuf>,
    /// What alone is trusted, in place of authorities.
    pub fingerprint: Option<Fingerprint>,
    /// PEM files of our certificate and its key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// A proxy for all hosts; without one, the environment names it, as [`super::proxy`] says.
    pub proxy: Option<Proxy>,
    /// Whether bodies are compressed (gzip, level 1).
    pub gzip: bool,
    /// Until a connection is there, TLS included.
    pub connect_timeout: Duration,
    /// From the first byte of the connection to the last one of the answer.
    pub request_timeout: Duration,
}

impl ClientOptions {
    /// The defaults, for these hosts: no authentication, no compression, a minute for each request.
    pub fn new(hosts: Vec<Url>) -> ClientOptions {
        ClientOptions {
            hosts,
            auth: Auth::None,
            ca_file: None,
            fingerprint: None,
            client_certificate: None,
            proxy: None,
            gzip: false,
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: Duration::from_secs(60),
        }
    }
}

/// A proxy, its credentials apart from its address.
#[derive(Clone)]
pub struct Proxy {
    pub(super) url: Url,
    pub(super) credentials: Option<(String, Secret)>,
}

impl Proxy {
    /// A proxy by its URL, from which user and password are taken away.
    pub fn new(url: &Url) -> Proxy {
        let credentials = Some((decoded(url.username()), Secret::new(decoded(url.password().unwrap_or_default()))));
        Proxy { url: without_user(url), credentials: credentials.filter(|(user, _)| !user.is_empty()) }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Proxy { url, credentials } = self;
        formatter.debug_struct("Proxy").field("url", &url.as_str()).field("credentials", credentials).finish()
    }
}

/// Shows no secrets: hosts come without their user information.
impl fmt::Debug for ClientOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.hosts.iter().map(|host| without_user(host).to_string()).collect();
        formatter
            .debug_struct("ClientOptions")
            .field("hosts", &hosts)
            .field("auth", &self.auth)
            .field("ca_file", &self.ca_file)
            .field("fingerprint", &self.fingerprint)
            .field("client_certificate", &self.client_certificate)
            .field("proxy", &self.proxy)
            .field("gzip", &self.gzip)
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .finish()
    }
}

/// Why options do not make a client.
#[derive(Debug, Error)]
pub enum OptionsError {
    /// No host at all.
    #[error("`hosts` is empty")]
    NoHosts,
    /// A host is not the URL of a server.
    #[error("host `{host}` does not begin with `http://` or `https://`, or has a query")]
    Host {
        /// The URL, without user information.
        host: String,
    },
    /// Two ways of saying who we are.
    #[error("host `{host}` has a user of its own, and `auth` is given as well; leave one of them out")]
    TwoUsers {
        /// The URL, without user information.
        host: String,
    },
    /// A secret that cannot stand in a header.
    #[error("the {what} holds a line end or another control character")]
    Secret {
        /// Which one.
        what: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read the file of the {what}")]
    Read {
        /// What is in the file.
        what: &'static str,
        /// Names the path, too.
        #[source]
        source: io::Error,
    },
    /// A file holds something else.
    #[error("`{path}` holds no {what} in PEM form: {problem}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// What the TLS library says.
        problem: String,
    },
    /// The environment names a proxy that is none.
    #[error("the environment variable `{variable}` does not name a proxy that can be used: {problem}")]
    Proxy {
        /// The variable.
        variable: &'static str,
        /// What is wrong; its value may hold a password, and is not shown.
        problem: &'static str,
    },
    /// What the TLS or HTTP library does not take.
    #[error("these options make no client: {problem}")]
    Build {
        /// In the library's words.
        problem: String,
    },
}

/// The header that says who we are. It is made here, so that a client certificate and a user can be used together.
pub(super) fn authorization(auth: &Auth) -> Result<Option<HeaderValue>, OptionsError> {
    let (what, value) = match auth {
        Auth::None => return Ok(None),
        Auth::Basic { user, password } => {
            let pair = [user.as_bytes(), b":", password.expose()].concat();
            ("password", format!("Basic {}", BASE64_STANDARD.encode(pair)).into_bytes())
        }
        Auth::ApiKey(key) if key.expose().contains(&b':') => {
            ("API key", format!("ApiKey {}", BASE64_STANDARD.encode(key.expose())).into_bytes())
        }
        Auth::ApiKey(key) => ("API key", [b"ApiKey ", key.expose()].concat()),
        Auth::Bearer(token) => ("bearer token", [b"Bearer ", token.expose()].concat()),
    };
    let mut header = HeaderValue::from_bytes(&value).map_err(|_| OptionsError::Secret { what })?;
    header.set_sensitive(true);
    Ok(Some(header))
}

pub(super) fn without_user(url: &Url) -> Url {
    let mut bare = url.clone();
    // Both fail only for URLs that cannot hold a user in the first place.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare
}

pub(super) fn user_of(url: &Url) -> Auth {
    let password = Secret::new(decoded(url.password().unwrap_or_default()));
    Auth::Basic { user: decoded(url.username()), password }
}

/// Undoes percent-encoding, which a URL's user information is in.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::client::Client;
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn options(host: &str, auth: Auth) -> ClientOptions {
        ClientOptions { auth, ..ClientOptions::new(vec![url(host)]) }
    }

    #[test]
    fn every_way_to_say_who_we_are_becomes_its_header() {
        let basic = Auth::Basic { user: "elastic".to_owned(), password: Secret::new("s3cr:et/ü") };
        let encoded = BASE64_STANDARD.encode("elastic:s3cr:et/ü");
        let table = [
            (Auth::None, None),
            (basic, Some(format!("Basic {encoded}"))),
            (user_of(&url("http://elastic:s3cr%3Aet%2F%C3%BC@es")), Some(format!("Basic {encoded}"))),
            (Auth::ApiKey(Secret::new("aWQ6a2V5\n")), Some("ApiKey aWQ6a2V5".to_owned())),
            (Auth::ApiKey(Secret::new("id:key")), Some("ApiKey aWQ6a2V5".to_owned())),
            (Auth::Bearer(Secret::new("abc.def")), Some("Bearer abc.def".to_owned())),
        ];
        for (auth, expected) in table {
            let header = authorization(&auth).unwrap();
            assert_eq!(header.as_ref().map(|header| header.to_str().unwrap().to_owned()), expected);
            assert!(header.is_none_or(|header| header.is_sensitive()));
        }
    }

    #[test]
    fn options_that_make_no_client_are_named_without_their_secrets() {
        let missing = Some(PathBuf::from("/nonexistent/ca.pem"));
        let not_pem = Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")));
        let proxy = Some(Proxy::new(&url("http://user:s3cret@proxy:3128")));
        let good = ClientOptions { proxy, ..options("http://es", Auth::None) };
        let table = [
            (ClientOptions::new(Vec::new()), "empty"),
            (options("ftp://u:s3cret@es", Auth::None), "host `ftp://es/`"),
            (options("http://u:s3cret@es/?q=1", Auth::None), "query"),
            (options("http://u:s3cret@es", Auth::Bearer(Secret::new("s3cret"))), "leave one of them out"),
            (options("http://es", Auth::Bearer(Secret::new("s3cret\nx"))), "the bearer token holds a line end"),
            (options("http://es", Auth::ApiKey(Secret::new("s3cret\u{7f}"))), "the API key holds"),
            (ClientOptions { ca_file: missing, ..good.clone() }, "cannot read the file of the certificate"),
            (ClientOptions { ca_file: not_pem.clone(), ..good.clone() }, "holds no certificate of an authority"),
            (ClientOptions { client_certificate: not_pem.clone().zip(not_pem), ..good }, "make no client"),
        ];
        for (options, expected) in table {
            let problem = Client::new(&options).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
            assert!(!problem.contains("s3cret") && !format!("{options:?}").contains("s3cret"), "{problem}");
        }
    }
}
