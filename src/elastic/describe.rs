//! Troubles in words: what went wrong with a whole request, and what is to be done?
//!
//! Nothing that this module writes holds a secret or a part of a record: addresses come without their user information,
//! and of an answer's text only what Elasticsearch says about privileges and targets is passed on.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::flow::answer::{Reason, Trouble};

/// Longest quotation of a server's words, in characters.
const QUOTE_CHARACTERS_MAX: usize = 300;

/// A request that got no answer.
pub(crate) fn no_answer(host: &str, error: &elasticsearch::Error, timeout: Duration) -> Trouble {
    if error.is_timeout() {
        return Trouble {
            problem: format!("no answer from {host} within {} s", timeout.as_secs_f64()),
            hint: Some("if it is only slow, raise `request_timeout` or send smaller batches".to_owned()),
        };
    }
    let cause = deepest(error);
    Trouble { problem: format!("no answer from {host}: {cause}"), hint: hint_for_cause(error, &cause) }
}

/// The innermost words of an error, which say most. The outer ones repeat the address.
pub(crate) fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    quote(&innermost.to_string())
}

fn hint_for_cause(error: &(dyn Error + 'static), cause: &str) -> Option<String> {
    let table = [
        ("UnknownIssuer", "the server's certificate is not signed by a known authority: name its CA in `ca_file`"),
        ("certificate", "look at the server's certificate and at the host name in `hosts`"),
        ("corrupt message", "the server does not speak TLS there: is it `http://`?"),
        ("InvalidContentType", "the server does not speak TLS there: is it `http://`?"),
        ("lookup", "the host name is unknown: look at `hosts` and the name server"),
        ("closed before message completed", "if the server expects TLS, write `https://`"),
    ];
    let refused = "nothing listens there: is Elasticsearch running, and is the port right?";
    if has_kind(error, io::ErrorKind::ConnectionRefused) {
        return Some(refused.to_owned());
    }
    table.iter().find(|(word, _)| cause.contains(word)).map(|(_, hint)| (*hint).to_owned())
}

fn has_kind(error: &(dyn Error + 'static), kind: io::ErrorKind) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == kind) {
            return true;
        }
        next = error.source();
    }
    false
}

/// A request that was answered with a status that says nothing of single items.
pub(crate) fn refused(host: &str, status: u16, reason: Option<&Reason>) -> Trouble {
    let (words, hint) = match status {
        300..=399 => ("a redirect", Some("name the address that answers itself in `hosts`")),
        401 => ("unauthorized", Some("the user, password, API key or token is missing, wrong or expired")),
        403 => ("forbidden", Some("shipping needs `create_doc` and `auto_configure` on the data stream or index")),
        404 => ("not found", Some("look at the path in `hosts`, and whether the target may be made automatically")),
        405 => ("method not allowed", Some("look at the path in `hosts`: is this Elasticsearch?")),
        429 => ("too many requests", Some("Elasticsearch is busy; it is asked again more slowly")),
        502..=504 => ("unavailable", Some("the cluster, or a proxy before it, is not ready")),
        500..=599 => ("a server error", Some("the log of Elasticsearch says more")),
        _ => ("an unexpected status", Some("look at `hosts`: is this Elasticsearch?")),
    };
    let mut problem = format!("{host} answered {status} ({words})");
    if let Some(reason) = reason.filter(|reason| !reason.kind.is_empty()) {
        problem.push_str(&format!(": {}", quote(&reason.kind)));
        // What it says here is of privileges and names of indices. Other texts may quote the request.
        if matches!(status, 403 | 404) && !reason.detail.is_empty() {
            problem.push_str(&format!(": {}", quote(&reason.detail)));
        }
    }
    Trouble { problem, hint: hint.map(str::to_owned) }
}

/// A server's words on one line, not too long.
pub(crate) fn quote(words: &str) -> String {
    let line = words.chars().map(|character| if character.is_control() { ' ' } else { character });
    line.take(QUOTE_CHARACTERS_MAX).collect()
}
