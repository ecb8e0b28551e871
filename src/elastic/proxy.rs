//! Proxies: does a host have to be asked through one, and who says so?
//!
//! What the pipeline file names (`proxy`) holds for every host. Without it the environment decides, as with curl:
//! `HTTPS_PROXY` for `https://` hosts, `HTTP_PROXY` for `http://` ones, else `ALL_PROXY`, each also in small letters; and
//! `NO_PROXY` lists what is asked without: names (with everything below them, a leading dot changes nothing), addresses,
//! networks such as `10.0.0.0/8`, or `*` for all. `127.*` is none of these. Unlike with curl, and as with Go's programs, a
//! server on this machine itself (`localhost`, `127.0.0.0/8`, `::1`) is never asked through a proxy that only the
//! environment names: to that proxy, the name would mean another machine.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::HeaderValue;
use url::{Host, Url};

use super::options::{ClientOptions, OptionsError, Proxy};

/// The proxy that a host is asked through.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// Without credentials.
    address: String,
    authorization: Option<HeaderValue>,
    named_by: NamedBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamedBy {
    PipelineFile,
    Variable(&'static str),
}

impl Route {
    pub(super) fn new(
        host: &Url,
        options: &ClientOptions,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Route>, OptionsError> {
        match &options.proxy {
            Some(proxy) => Ok(Some(Route::of_file(proxy))),
            None => Route::of_environment(host, variable),
        }
    }

    fn of_file(proxy: &Proxy) -> Route {
        let authorization = proxy.credentials.as_ref().map(|(user, password)| {
            let pair = [user.as_bytes(), b":", password.expose()].concat();
            let text = format!("Basic {}", BASE64_STANDARD.encode(pair));
            let mut header = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
            header.set_sensitive(true);
            header
        });
        let address = proxy.url.as_str().trim_end_matches('/').to_owned();
        Route { address, authorization, named_by: NamedBy::PipelineFile }
    }

    fn of_environment(host: &Url, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Route>, OptionsError> {
        let own = if host.scheme() == "https" { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
        let set = |name| variable(name).filter(|value| !value.trim().is_empty()).map(|value| (name, value));
        let named = own.into_iter().chain(["ALL_PROXY", "all_proxy"]).find_map(set);
        let Some((name, value)) = named.filter(|_| !is_this_machine(host)) else { return Ok(None) };
        let none = set("NO_PROXY").or_else(|| set("no_proxy")).map_or(String::new(), |(_, value)| value);
        let wrong = |problem| OptionsError::Proxy { variable: name, problem };
        let uri: Uri = host.as_str().parse().map_err(|_| wrong("the host cannot be asked through one"))?;
        if Matcher::builder().all("http://proxy").no(none).build().intercept(&uri).is_none() {
            return Ok(None);
        }
        let found = Matcher::builder().all(value.trim().to_owned()).build().intercept(&uri);
        let found = found.ok_or_else(|| wrong("it is not a URL such as `http://proxy:3128`"))?;
        if !matches!(found.uri().scheme_str(), Some("http" | "https")) {
            return Err(wrong("only `http://` and `https://` proxies are spoken to"));
        }
        let address = found.uri().to_string().trim_end_matches('/').to_owned();
        Ok(Some(Route { address, authorization: found.basic_auth().cloned(), named_by: NamedBy::Variable(name) }))
    }

    pub(super) fn proxy(&self) -> Result<reqwest::Proxy, reqwest::Error> {
        let proxy = reqwest::Proxy::all(&self.address)?;
        Ok(match &self.authorization {
            Some(authorization) => proxy.custom_http_auth(authorization.clone()),
            None => proxy,
        })
    }
}

/// Says which proxy, and who named it.
impl fmt::Display for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.named_by {
            NamedBy::PipelineFile => write!(formatter, "the proxy {} (`proxy` in the pipeline file)", self.address),
            NamedBy::Variable(name) => write!(formatter, "the proxy {} (`{name}` in the environment)", self.address),
        }
    }
}

fn is_this_machine(host: &Url) -> bool {
    match host.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proxy for a host with these variables, in words.
    fn proxy(host: &str, environment: &[(&str, &str)]) -> String {
        let host = Url::parse(host).unwrap();
        let variable =
            |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        match Route::new(&host, &ClientOptions::new(Vec::new()), variable) {
            Ok(Some(route)) => {
                let secret = route.authorization.as_ref().map(|header| header.to_str().unwrap().to_owned());
                format!("{route}{}", secret.map_or(String::new(), |secret| format!(" with {secret}")))
            }
            Ok(None) => "none".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// Who is asked, the variables that are set, and the proxy.
    type Row<'t> = (&'t str, &'t [(&'t str, &'t str)], &'t str);

    #[test]
    fn the_environment_names_a_proxy_as_curl_reads_it() {
        let http = ("HTTP_PROXY", "http://p:1");
        let table: &[Row<'_>] = &[
            ("http://es:9200", &[], "none"),
            ("http://es:9200", &[http], "the proxy http://p:1 (`HTTP_PROXY` in the environment)"),
            ("https://es:9200", &[http], "none"),
            ("http://es:9200", &[("http_proxy", "p:1")], "the proxy http://p:1 (`http_proxy` in the environment)"),
            ("https://es", &[http, ("ALL_PROXY", "https://a")], "the proxy https://a (`ALL_PROXY` in the environment)"),
            ("http://es", &[("HTTP_PROXY", ""), ("all_proxy", "a:1")], "the proxy http://a:1 (`all_proxy` in the"),
            (
                "http://es",
                &[("HTTP_PROXY", "http://u:p%40w@p:1/x?y")],
                "http://p:1 (`HTTP_PROXY` in the environment) with Basic dTpwQHc=",
            ),
            ("http://es.corp:9200", &[http, ("NO_PROXY", "corp")], "none"),
            ("http://es.corp:9200", &[http, ("NO_PROXY", " x, .corp")], "none"),
            ("http://es.corp:9200", &[http, ("no_proxy", "*")], "none"),
            ("http://escorp:9200", &[http, ("NO_PROXY", "corp")], "the proxy http://p:1"),
            ("http://10.1.2.3:9200", &[http, ("NO_PROXY", "10.0.0.0/8")], "none"),
            ("http://10.1.2.3:9200", &[http, ("NO_PROXY", "10.*")], "the proxy http://p:1"),
            ("http://[fd00::1]:9200", &[http, ("NO_PROXY", "fd00::/8")], "none"),
            // This machine.
            ("http://localhost:9200", &[http], "none"),
            ("http://es.localhost.:9200", &[http], "none"),
            ("http://127.0.0.2:9200", &[http], "none"),
            ("http://[::1]:9200", &[http], "none"),
            ("http://[::ffff:127.0.0.1]:9200", &[http], "none"),
            ("http://localhost.example:9200", &[http], "the proxy http://p:1"),
            // What is none is not passed over.
            ("http://es", &[("HTTP_PROXY", "u:s3cret@ /")], "`HTTP_PROXY` does not name a proxy that can be used"),
            ("http://es", &[("ALL_PROXY", "socks5://u:s3cret@p:1")], "only `http://` and `https://`"),
        ];
        for (host, environment, expected) in table {
            let found = proxy(host, environment);
            assert!(found.contains(expected) && !found.contains("s3cret"), "{host} {environment:?}: {found}");
        }
    }
}
