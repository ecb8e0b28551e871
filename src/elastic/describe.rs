//! Troubles in words: what went wrong with a whole request, and what is to be done?
//!
//! Nothing that this module writes holds a secret or a part of a record: addresses come without their user information,
//! and of an answer's text only what Elasticsearch says about privileges and targets is passed on.

use std::error::Error;
use std::io;
use std::time::Duration;

use url::Url;

use super::exchange::Reply;
use super::options::without_user;
use super::proxy::Route;
use crate::flow::answer::{Reason, Trouble};

/// Longest quotation of a server's words, in characters.
const QUOTE_CHARACTERS_MAX: usize = 300;

/// A request that got no answer. It says who was really asked: the host, or the proxy before it.
pub(super) fn no_answer(host: &str, route: Option<&Route>, error: reqwest::Error, timeout: Duration) -> Trouble {
    let error = error.without_url();
    let through = route.map_or(String::new(), |route| format!(" through {route}"));
    if error.is_timeout() && error.is_connect() {
        return Trouble {
            problem: format!("no connection to {host}{through} came about in time"),
            hint: Some(
                "nothing answers at that address: is it right, and does a firewall let this machine pass?".to_owned(),
            ),
        };
    }
    if error.is_timeout() {
        return Trouble {
            problem: format!("no answer from {host}{through} within {} s", timeout.as_secs_f64()),
            hint: Some("if it is only slow, raise `request_timeout` or send smaller batches".to_owned()),
        };
    }
    let cause = deepest(&error);
    if let Some(route) = route.filter(|_| error.is_connect() && is_before_the_connection(&error)) {
        let problem = format!("no answer from {route}, through which {host} is asked: {cause}");
        let hint = "is the proxy running, and its address right? `NO_PROXY` lists what is asked without a proxy";
        return Trouble { problem, hint: Some(hint.to_owned()) };
    }
    Trouble { problem: format!("no answer from {host}{through}: {cause}"), hint: hint_for_cause(&error, &cause) }
}

/// True when not even TCP came about: behind a proxy it is the proxy then that is away.
fn is_before_the_connection(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let words = error.to_string();
        if words.contains("tcp connect error") || words.contains("dns error") {
            return true;
        }
        next = error.source();
    }
    false
}

/// An error with all its causes, on one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        words.push_str(&format!(": {error}"));
        next = error.source();
    }
    quote(&words)
}

/// Where a redirect leads, without credentials, and without what a query or a `;` may hold of them.
pub(super) fn redirect_target(asked: &Url, location: &str) -> String {
    let Ok(mut target) = asked.join(location) else { return "an address that cannot be read".to_owned() };
    target.set_query(None);
    target.set_fragment(None);
    let target = without_user(&target);
    quote(target.as_str().split(';').next().unwrap_or_default())
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
        (
            "`fingerprint`",
            "is that the right server? `openssl x509 -noout -fingerprint -sha256 -in CA.pem` prints what belongs there",
        ),
        ("CertificateRequired", "the server wants to see a certificate of ours: `client_certificate` and `client_key`"),
        ("Expired", "the server's certificate has expired: renew it there; or is the clock of this machine wrong?"),
        ("NotValidYet", "the server's certificate is of the future: is the clock of this machine wrong?"),
        ("not valid for name", "the server's certificate is for another name: write that one into `hosts`"),
        ("certificate", "look at the server's certificate and at the host name in `hosts`"),
        ("corrupt message", "the server does not speak TLS there: is it `http://`?"),
        ("InvalidContentType", "the server does not speak TLS there: is it `http://`?"),
        ("lookup", "the host name is unknown: look at `hosts` and the name server"),
        ("invalid HTTP", "what answers there does not speak HTTP: if it expects TLS, write `https://`"),
        ("closed before message completed", "if the server expects TLS, write `https://`"),
        ("proxy authorization required", "the proxy asks for a user and a password: write them into its URL"),
        ("unsuccessful", "the proxy does not open a connection to that address; its log says why"),
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
pub(crate) fn refused(reply: &Reply, reason: Option<&Reason>) -> Trouble {
    let Reply { host, status, redirect, proxy, renewal, .. } = reply;
    let status = *status;
    let (words, hint) = words_of_status(status);
    let through = proxy.as_ref().map_or(String::new(), |proxy| format!(" through {proxy}"));
    let to = redirect.as_ref().map_or(String::new(), |target| format!(" to {target}"));
    let mut problem = format!("{host} answered {status} ({words}{to}){through}");
    if let Some(reason) = reason.filter(|reason| !reason.kind.is_empty()) {
        problem.push_str(&format!(": {}", quote(&reason.kind)));
        // What it says here is of privileges and names of indices. Other texts may quote the request.
        if matches!(status, 403 | 404) && !reason.detail.is_empty() {
            problem.push_str(&format!(": {}", quote(&reason.detail)));
        }
    }
    let hint = match renewal {
        Some(renewal) => format!("{hint}; {renewal}"),
        None => hint.to_owned(),
    };
    Trouble { problem, hint: Some(hint) }
}

fn words_of_status(status: u16) -> (&'static str, &'static str) {
    match status {
        300..=399 => (
            "a redirect",
            "no redirect is followed, since records are for the address that was named alone: name the address that \
             answers itself in `hosts`",
        ),
        401 => ("unauthorized", "the user, password, API key or token is missing, wrong or expired"),
        403 => ("forbidden", "shipping needs `create_doc` and `auto_configure` on the data stream or index"),
        404 => ("not found", "look at the path in `hosts`, and whether the target may be made automatically"),
        405 => ("method not allowed", "look at the path in `hosts`: is this Elasticsearch?"),
        407 => ("a proxy asks who we are", "write the proxy's user and password into its URL"),
        411 => {
            ("a length is required", "something between does not take requests as they are sent: which proxy is it?")
        }
        429 => ("too many requests", "Elasticsearch is busy; it is asked again more slowly"),
        502..=504 => ("unavailable", "the cluster, or a proxy before it, is not ready"),
        500..=599 => ("a server error", "the log of Elasticsearch says more"),
        _ => ("an unexpected status", "look at `hosts`: is this Elasticsearch?"),
    }
}

/// A server's words on one line, not too long.
pub(crate) fn quote(words: &str) -> String {
    let line = words.chars().map(|character| if character.is_control() { ' ' } else { character });
    line.take(QUOTE_CHARACTERS_MAX).collect()
}
