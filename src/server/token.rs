//! The admin token, as requests have it: who may change something, or see records?
//!
//! It comes in a head (`Authorization: Bearer TOKEN`) alone: not in a cookie, which a browser would send for whoever asks
//! it to, and not in an address, which is written into logs.

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, header};

use crate::text::digest::sha256;

/// What somebody hears who does not have it.
pub(super) const WHERE_IT_IS: &str =
    "say `Authorization: Bearer TOKEN`; the token is in the file `admin.token` in the folder of state\n";

/// The token. It is never shown.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// What is in the file.
    pub fn new(text: &str) -> Token {
        Token(text.into())
    }

    /// The address at which the page takes it: behind a `#`, which no browser sends.
    pub fn address_of_page(&self, page: &str) -> String {
        format!("{page}#token={}", self.0)
    }

    /// Whether the head of a request has it. Digests are compared, so that the time that it takes tells nothing.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        let given = value.strip_prefix(b"Bearer ").unwrap_or_default();
        sha256(given) == sha256(self.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[token]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_whole_alone_and_shown_by_nothing() {
        let token = Token::new("t0ken");
        for (value, expected) in [
            ("Bearer t0ken", true),
            ("", false),
            ("t0ken", false),
            ("Bearer", false),
            ("Bearer ", false),
            ("Bearer t0ke", false),
            ("Bearer t0kenn", false),
            ("bearer t0ken", false),
            ("Basic t0ken", false),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(token.is_in(&headers), expected, "{value}");
        }
        assert!(!token.is_in(&HeaderMap::new()));
        assert_eq!(format!("{token:?}"), "[token]");
    }
}
