//! The guard: a browser that was led here by a name of somebody else gets nothing.
//!
//! A page of an attacker can have its own name lead to this machine (DNS rebinding): then its script may read what is answered, as
//! if it were its own. Such a request has the attacker's name in `Host`. So the page, `/status.json` and `/-/…` answer only
//! to an address, which cannot be rebound, to `localhost`, and to names that were allowed. `/metrics`, `/healthz` and
//! `/readyz` answer to any name, since Prometheus and probes use the names of services.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::page::HEAD;

pub(super) async fn guard(State(allowed): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    let mut response = match is_ours(request.headers(), &allowed) {
        true => next.run(request).await,
        false => {
            let words =
                "this name is not known here; `inferlog run --allow-host NAME` allows it, an address needs none\n";
            (StatusCode::MISDIRECTED_REQUEST, words).into_response()
        }
    };
    response.headers_mut().extend(HEAD);
    response
}

/// Whether the one `Host` of a request is an address, `localhost`, or allowed.
fn is_ours(headers: &HeaderMap, allowed: &[String]) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Some(authority) = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) else { return false };
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    is_address
        || name == "localhost"
        || name.ends_with(".localhost")
        || allowed.iter().any(|allowed| allowed.trim_end_matches('.').eq_ignore_ascii_case(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_cannot_be_an_attackers_are_answered() {
        let allowed = ["inferlog.example".to_owned()];
        for (hosts, expected) in [
            (&["127.0.0.1:9614"][..], true),
            (&["127.0.0.1"], true),
            (&["[::1]:9614"], true),
            (&["10.1.2.3:9614"], true),
            (&["localhost:9614"], true),
            (&["LOCALHOST."], true),
            (&["a.localhost"], true),
            (&["inferlog.example:9614"], true),
            (&["Inferlog.Example."], true),
            (&["attacker.example:9614"], false),
            (&["127.0.0.1.attacker.example"], false),
            (&["localhost.attacker.example"], false),
            (&["notlocalhost"], false),
            (&["x.inferlog.example"], false),
            (&[""], false),
            (&["a b"], false),
            (&[], false),
            (&["127.0.0.1", "attacker.example"], false),
        ] {
            let headers = hosts.iter().map(|host| (header::HOST, host.parse().unwrap())).collect::<Vec<_>>();
            let mut map = HeaderMap::new();
            headers.into_iter().for_each(|(name, value)| {
                map.append(name, value);
            });
            assert_eq!(is_ours(&map, &allowed), expected, "{hosts:?}");
        }
    }
}
