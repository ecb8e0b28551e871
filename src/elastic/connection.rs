//! One host: how is it connected to?
//!
//! The way to it (TLS, proxy, redirects never followed, nothing sent twice by a library) and the header that says who we
//! are. Both are made anew when what they are made of is.

use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use url::Url;

use super::describe;
use super::exchange::Method;
use super::options::{Auth, ClientOptions, OptionsError, authorization, user_of, without_user};
use super::pinning;
use super::proxy::Route;
use super::renewal::{Certificates, ClientKeys};
use super::segments::Segments;

/// The connections to one host.
pub(super) struct Connection {
    http: reqwest::Client,
    authorization: Option<HeaderValue>,
    certificates: Arc<Certificates>,
    route: Option<Route>,
}

impl Connection {
    pub(super) fn new(url: &Url, options: &ClientOptions, keys: &ClientKeys) -> Result<Connection, OptionsError> {
        check(url, options)?;
        let route = Route::new(url, options, |name| std::env::var(name).ok())?;
        Ok(Connection {
            http: http_client(options, &keys.certificates, route.as_ref())?,
            authorization: authorization_for(url, &keys.auth)?,
            certificates: Arc::clone(&keys.certificates),
            route,
        })
    }

    /// The same with other keys. What is connected stays connected where the certificates are the same.
    pub(super) fn renewed(
        &self,
        url: &Url,
        options: &ClientOptions,
        keys: &ClientKeys,
    ) -> Result<Connection, OptionsError> {
        let http = if self.certificates == keys.certificates {
            self.http.clone()
        } else {
            http_client(options, &keys.certificates, self.route.as_ref())?
        };
        let authorization = authorization_for(url, &keys.auth)?;
        let certificates = Arc::clone(&keys.certificates);
        Ok(Connection { http, authorization, certificates, route: self.route.clone() })
    }

    pub(super) fn proxy(&self) -> Option<&Route> {
        self.route.as_ref()
    }

    pub(super) fn request(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Segments,
    ) -> reqwest::RequestBuilder {
        let method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Put => reqwest::Method::PUT,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        let request = self.http.request(method, url).headers(headers);
        let request = if body.is_empty() { request } else { request.body(body) };
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        }
    }
}

/// A host's URL as it is asked: without user information, with a `/` at the end.
pub(super) fn bare(url: &Url) -> Url {
    let mut bare = without_user(url);
    if !bare.path().ends_with('/') {
        bare.set_path(&format!("{}/", bare.path()));
    }
    bare
}

fn check(url: &Url, options: &ClientOptions) -> Result<(), OptionsError> {
    let host = without_user(url).to_string();
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        return Err(OptionsError::Host { host });
    }
    if has_user(url) && options.auth != Auth::None {
        return Err(OptionsError::TwoUsers { host });
    }
    Ok(())
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn authorization_for(url: &Url, auth: &Auth) -> Result<Option<HeaderValue>, OptionsError> {
    if has_user(url) { authorization(&user_of(url)) } else { authorization(auth) }
}

fn http_client(
    options: &ClientOptions,
    certificates: &Certificates,
    route: Option<&Route>,
) -> Result<reqwest::Client, OptionsError> {
    let build_error = |error: reqwest::Error| OptionsError::Build { problem: describe::deepest(&error) };
    let mut builder = reqwest::Client::builder()
        .use_rustls_tls()
        .connect_timeout(options.connect_timeout)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .timeout(options.request_timeout);
    match options.fingerprint {
        Some(fingerprint) => {
            builder = builder.use_preconfigured_tls(pinning::tls(fingerprint, certificates.identity.as_deref())?);
        }
        None => {
            for certificate in authorities(options, certificates)? {
                builder = builder.add_root_certificate(certificate);
            }
            if let Some(pem) = &certificates.identity {
                builder = builder.identity(reqwest::Identity::from_pem(pem).map_err(build_error)?);
            }
        }
    }
    if let Some(route) = route {
        builder = builder.proxy(route.proxy().map_err(build_error)?);
    }
    builder.build().map_err(build_error)
}

fn authorities(
    options: &ClientOptions,
    certificates: &Certificates,
) -> Result<Vec<reqwest::Certificate>, OptionsError> {
    let (Some(path), Some(pem)) = (&options.ca_file, &certificates.authorities) else { return Ok(Vec::new()) };
    let what = "certificate of an authority";
    let wrong = |problem: String| OptionsError::Pem { path: path.clone(), what, problem };
    match reqwest::Certificate::from_pem_bundle(pem) {
        Ok(found) if found.is_empty() => Err(wrong("there is none in it".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(describe::deepest(&error))),
    }
}
