//! The client: how do bytes get to Elasticsearch, and its answer back?
//!
//! Hosts take turns; one that gives no answer is left out for [`HOST_LEFT_OUT`] and the next one is asked at once, unless
//! the time is up. That is safe because all that inferlog sends can be sent twice: documents have their own `_id`, and
//! setup writes whole assets.
//!
//! **No redirect is followed, ever**: a body holds records, and they are for the address that was named alone. What is
//! asked of a host, and by which proxy, is decided in `connection`; what files of secrets hold, in `renewal`: they are
//! looked at before each request, and read again where a server refuses who we are.
//!
//! Bodies are compressed and unpacked here: a library that does it by itself knows neither a bound nor gzip of several
//! members.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    LOCATION, RETRY_AFTER, USER_AGENT,
};
use url::Url;

use super::connection::{Connection, bare};
use super::describe;
use super::encoding::{self, Packer};
pub use super::exchange::{ANSWER_BYTES_MAX, Body, Method, Reply};
use super::options::{ClientOptions, OptionsError};
use super::renewal::{Renewal, RenewalOutcome};
use super::segments::Segments;
use crate::flow::answer::Trouble;

/// How long a host that gave no answer is left out, while others are there.
pub const HOST_LEFT_OUT: Duration = Duration::from_secs(10);

/// By this header, which it sends with every answer, Elasticsearch says what it is.
const PRODUCT: HeaderName = HeaderName::from_static("x-elastic-product");

/// Without this header Kibana takes no request that changes something.
const FORGERY: HeaderName = HeaderName::from_static("kbn-xsrf");

/// A client for one cluster. It is cheap to share and opens connections as they are needed.
#[derive(Debug)]
pub struct Client {
    hosts: Vec<Host>,
    turn: AtomicUsize,
    /// What packs bodies, if they are packed.
    packer: Option<Packer>,
    request_timeout: Duration,
    renewal: Mutex<Renewal>,
    /// Kibana takes only requests that a page of somebody else's could not make a browser send.
    is_for_kibana: bool,
}

struct Host {
    /// Without user information, with a `/` at the end.
    url: Url,
    connection: Mutex<Arc<Connection>>,
    left_out_until: Mutex<Option<Instant>>,
}

/// The connection keeps the credentials: nothing of it is shown.
impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Host").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// A request as it is sent, to one host or to the next.
struct Message<'a> {
    method: Method,
    path: &'a str,
    headers: HeaderMap,
    body: Segments,
}

impl Client {
    /// Makes a client; reads the certificate files, connects to nothing.
    pub fn new(options: &ClientOptions) -> Result<Client, OptionsError> {
        if options.hosts.is_empty() {
            return Err(OptionsError::NoHosts);
        }
        let renewal = Renewal::new(options)?;
        let host = |url: &Url| {
            let connection = Mutex::new(Arc::new(Connection::new(url, options, renewal.keys())?));
            Ok(Host { url: bare(url), connection, left_out_until: Mutex::new(None) })
        };
        let hosts = options.hosts.iter().map(host).collect::<Result<_, OptionsError>>()?;
        let request_timeout = options.request_timeout;
        let renewal = Mutex::new(renewal);
        let packer = options.gzip.then(Packer::default);
        Ok(Client { hosts, turn: AtomicUsize::new(0), packer, request_timeout, renewal, is_for_kibana: false })
    }

    /// The same for Kibana, which is in front of Elasticsearch, knows the same users, and takes no compressed bodies.
    #[must_use]
    pub fn for_kibana(self) -> Client {
        Client { is_for_kibana: true, packer: None, ..self }
    }

    /// Sends one request and gives the answer, whatever its status. `path` is relative to the host's own path and may
    /// hold a query. Fails when no host answered; that text holds no secret and no part of a body.
    pub async fn send(&self, method: Method, path: &str, body: &Body) -> Result<Reply, Trouble> {
        self.try_all(method, path, body).await.map_err(|failure| failure.trouble)
    }

    /// The same for one who can ask for less: `None` when the answer is longer than [`ANSWER_BYTES_MAX`].
    pub async fn send_unless_too_long(
        &self,
        method: Method,
        path: &str,
        body: &Body,
    ) -> Result<Option<Reply>, Trouble> {
        match self.try_all(method, path, body).await {
            Ok(reply) => Ok(Some(reply)),
            Err(failure) if failure.too_long => Ok(None),
            Err(failure) => Err(failure.trouble),
        }
    }

    /// Sends one request without a body to every host in turn, and gives what each of them answered.
    pub async fn send_to_each(&self, method: Method, path: &str) -> Vec<(String, Result<Reply, Trouble>)> {
        let message = self.message(method, path, &Body::None).await;
        let mut replies = Vec::new();
        for host in &self.hosts {
            let reply = self.ask(host, &message).await.map_err(|failure| failure.trouble);
            replies.push((host.name(), reply));
        }
        replies
    }

    async fn try_all(&self, method: Method, path: &str, body: &Body) -> Result<Reply, RequestFailure> {
        let message = self.message(method, path, body).await;
        let mut tries = self.hosts.len();
        loop {
            let host = self.choose();
            tries -= 1;
            match self.ask(host, &message).await {
                Ok(reply) => {
                    let is_away = matches!(reply.status, 300..=399 | 502..=504);
                    self.note(host, is_away.then(|| describe::refused(&reply, None)).as_ref());
                    return Ok(reply);
                }
                Err(failure) => {
                    if failure.too_long {
                        return Err(failure);
                    }
                    self.note(host, Some(&failure.trouble));
                    if tries == 0 || failure.time_is_up {
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// Takes note of how a host is, and says of one among several when that changes: nobody else would.
    fn note(&self, host: &Host, trouble: Option<&Trouble>) {
        let was_left_out = host.leave_out(trouble.map(|_| Instant::now() + HOST_LEFT_OUT));
        match trouble {
            _ if self.hosts.len() == 1 => {}
            Some(Trouble { problem, hint }) if !was_left_out => {
                let (seconds, hint) = (HOST_LEFT_OUT.as_secs(), hint.as_deref().unwrap_or("the other hosts are asked"));
                tracing::warn!(hint, "{problem}; it is left out, and asked again after {seconds} s");
            }
            None if was_left_out => tracing::info!("{} answers again", host.name()),
            _ => {}
        }
    }

    /// Asks one host. Where it refuses who we are and the files of secrets hold something newer, it is asked once more.
    async fn ask(&self, host: &Host, message: &Message<'_>) -> Result<Reply, RequestFailure> {
        self.renew_if_files_changed();
        let connection = host.connection();
        let mut reply = self.ask_by(host, &connection, message).await?;
        if matches!(reply.status, 401 | 403) {
            reply.renewal = self.renew_after_refusal();
            let newer = host.connection();
            if !Arc::ptr_eq(&connection, &newer) {
                reply = self.ask_by(host, &newer, message).await?;
            }
        }
        Ok(reply)
    }

    async fn ask_by(
        &self,
        host: &Host,
        connection: &Connection,
        message: &Message<'_>,
    ) -> Result<Reply, RequestFailure> {
        let name = host.name();
        let failed = |error: reqwest::Error| RequestFailure {
            time_is_up: error.is_timeout() && !error.is_connect(),
            trouble: describe::no_answer(&name, connection.proxy(), error, self.request_timeout),
            too_long: false,
        };
        let url = host.url.join(message.path.trim_start_matches('/')).map_err(|_| RequestFailure::no_path(&name))?;
        let request = connection.request(message.method, url, message.headers.clone(), message.body.clone());
        let mut answer = request.send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let text = |header: HeaderName| answer.headers().get(header).and_then(|value| value.to_str().ok());
        let retry_after = text(RETRY_AFTER).and_then(|value| retry_after(value, Utc::now()));
        let product = text(PRODUCT).map(describe::quote);
        let is_redirect = (300..=399).contains(&status);
        let redirect = text(LOCATION).filter(|_| is_redirect).map(|to| describe::redirect_target(answer.url(), to));
        let packed_by = text(CONTENT_ENCODING).unwrap_or_default().to_owned();
        let body = read_all(&mut answer).await.map_err(failed)?.ok_or_else(|| RequestFailure::too_long(&name))?;
        let body = match encoding::unpack(&packed_by, body, ANSWER_BYTES_MAX).await {
            Ok(body) => body.ok_or_else(|| RequestFailure::too_long(&name))?,
            Err(problem) => return Err(RequestFailure::unreadable(&name, &problem)),
        };
        let proxy = connection.proxy().map(ToString::to_string);
        Ok(Reply { host: name, status, body, retry_after, product, redirect, proxy, renewal: None })
    }

    fn renew_if_files_changed(&self) {
        let mut renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        if !renewal.files_changed() {
            return;
        }
        match self.renew(&mut renewal) {
            RenewalOutcome::Newer(what) => tracing::info!("the {what} changed on disk and is used from now on"),
            RenewalOutcome::Same(_) | RenewalOutcome::Nothing => {}
            RenewalOutcome::Unready(what) => tracing::debug!("the {what} is being written; the one before is used"),
            RenewalOutcome::Unusable(problem) => {
                let hint = "the one before is used until the file is right";
                tracing::warn!(hint, "a secret or certificate changed on disk and cannot be used: {problem}");
            }
        }
    }

    /// Gives words for people: what became of it.
    fn renew_after_refusal(&self) -> Option<String> {
        let mut renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        match self.renew(&mut renewal) {
            RenewalOutcome::Nothing => None,
            RenewalOutcome::Newer(what) => {
                tracing::info!("the {what} was refused, read again and is used from now on");
                Some(format!("the {what} was read again and is refused as well"))
            }
            RenewalOutcome::Same(what) => Some(format!("the {what} was read again and is the same")),
            RenewalOutcome::Unready(what) => Some(format!("the {what} is empty on disk")),
            RenewalOutcome::Unusable(problem) => Some(problem),
        }
    }

    /// Reads the files of secrets again. All hosts get the new ones, or none.
    fn renew(&self, renewal: &mut Renewal) -> RenewalOutcome {
        renewal.read_again(|options, keys| {
            let connect = |(host, url): (&Host, &Url)| {
                let before = host.connection();
                Ok(Arc::new(before.renewed(url, options, keys)?))
            };
            let connections = self.hosts.iter().zip(&options.hosts).map(connect);
            let connections = connections.collect::<Result<Vec<_>, OptionsError>>()?;
            for (host, connection) in self.hosts.iter().zip(connections) {
                *host.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
            }
            Ok(())
        })
    }

    /// The next host in turn that is not left out, or the one that is taken back first.
    fn choose(&self) -> &Host {
        let now = Instant::now();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..self.hosts.len()).map(|n| &self.hosts[turn.wrapping_add(n) % self.hosts.len()]);
        let waits = in_turn.map(|host| (host.left_out_for(now), host));
        waits.min_by_key(|(wait, _)| *wait).map_or(&self.hosts[0], |(_, host)| host)
    }

    async fn message<'a>(&self, method: Method, path: &'a str, body: &Body) -> Message<'a> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("inferlog/", env!("CARGO_PKG_VERSION"))));
        if self.is_for_kibana {
            headers.insert(FORGERY, HeaderValue::from_static("inferlog"));
        }
        let (body, content_type) = match body {
            Body::None => {
                // Some proxies refuse a request that may have a body and says nothing of its length (411).
                if method != Method::Get {
                    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
                }
                return Message { method, path, headers, body: Segments::default() };
            }
            Body::Json(bytes) => (bytes.clone().into(), "application/json"),
            Body::Lines(segments) => (segments.clone(), "application/x-ndjson"),
            Body::Form(bytes) => (bytes.clone().into(), "multipart/form-data; boundary=inferlog-c1f4a09be27d4a55"),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let packed = match &self.packer {
            Some(packer) => packer.pack(&body).await,
            None => None,
        };
        if packed.is_some() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Message { method, path, headers, body: packed.map_or(body, Segments::from) }
    }
}

/// Reads an answer's body as it comes; `None` when it is longer than [`ANSWER_BYTES_MAX`].
async fn read_all(answer: &mut reqwest::Response) -> Result<Option<Bytes>, reqwest::Error> {
    if answer.content_length().is_some_and(|length| length > ANSWER_BYTES_MAX as u64) {
        return Ok(None);
    }
    let Some(first) = answer.chunk().await? else { return Ok(Some(Bytes::new())) };
    let Some(second) = answer.chunk().await? else { return Ok(Some(first)) };
    let mut body = [&first[..], &second[..]].concat();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.into()))
}

impl Host {
    fn name(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }

    fn connection(&self) -> Arc<Connection> {
        Arc::clone(&self.connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Leaves it out until then, or takes it back; gives whether it was left out and not taken back since.
    fn leave_out(&self, until: Option<Instant>) -> bool {
        let mut left_out_until = self.left_out_until.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *left_out_until, until).is_some()
    }

    fn left_out_for(&self, now: Instant) -> Duration {
        let until = *self.left_out_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

struct RequestFailure {
    trouble: Trouble,
    time_is_up: bool,
    too_long: bool,
}

impl RequestFailure {
    fn new(problem: String, hint: &str) -> RequestFailure {
        RequestFailure { trouble: Trouble { problem, hint: Some(hint.to_owned()) }, time_is_up: false, too_long: false }
    }

    fn no_path(host: &str) -> RequestFailure {
        RequestFailure::new(format!("BUG: {host} was asked for a path that is none"), "please report it")
    }

    fn unreadable(host: &str, problem: &str) -> RequestFailure {
        RequestFailure::new(format!("the answer of {host} cannot be read: {problem}"), "is this Elasticsearch?")
    }

    fn too_long(host: &str) -> RequestFailure {
        let problem = format!("the answer of {host} is longer than {ANSWER_BYTES_MAX} bytes");
        RequestFailure { too_long: true, ..RequestFailure::new(problem, "is this Elasticsearch?") }
    }
}

/// What `Retry-After` says: seconds, or a moment.
fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => (DateTime::parse_from_rfc2822(value).ok()?.to_utc() - now).to_std().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn hosts_take_turns_and_one_without_an_answer_is_left_out_for_a_while() {
        let hosts = vec![url("http://a"), url("http://b"), url("http://c")];
        let client = Client::new(&ClientOptions::new(hosts)).unwrap();
        let next = |count: usize| (0..count).map(|_| client.choose().name()).collect::<Vec<_>>();
        assert_eq!(next(4), ["http://a", "http://b", "http://c", "http://a"]);
        client.hosts[1].leave_out(Some(Instant::now() + HOST_LEFT_OUT));
        assert!(next(6).iter().all(|name| name != "http://b"));
        client.hosts[0].leave_out(Some(Instant::now() + 2 * HOST_LEFT_OUT));
        client.hosts[2].leave_out(Some(Instant::now() + 2 * HOST_LEFT_OUT));
        assert_eq!(next(2), ["http://b", "http://b"], "all are out: the first to come back is asked");
        for host in &client.hosts {
            assert!(host.leave_out(Some(Instant::now())));
        }
        assert_eq!(next(3).len(), 3);
        assert!(client.hosts.iter().all(|host| host.left_out_for(Instant::now()).is_zero()));
    }

    #[test]
    fn a_server_says_when_to_come_back_in_seconds_or_by_the_clock() {
        let now = DateTime::parse_from_rfc3339("2026-11-24T15:00:00Z").unwrap().to_utc();
        for (value, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Tue, 24 Nov 2026 15:00:30 GMT", Some(30)),
            ("Tue, 24 Nov 2026 14:59:00 GMT", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(value, now), expected.map(Duration::from_secs), "{value}");
        }
    }

    #[tokio::test]
    async fn a_form_is_sent_with_what_divides_it_and_kibana_s_header() {
        let client = Client::new(&ClientOptions::new(vec![url("http://kibana")])).unwrap();
        let body = Body::Form(Bytes::from_static(b"x"));
        assert!(!client.message(Method::Post, "x", &body).await.headers.contains_key(FORGERY));
        let headers = client.for_kibana().message(Method::Post, "x", &body).await.headers;
        let form = format!("multipart/form-data; boundary={}", crate::elastic::exchange::FORM_BOUNDARY);
        assert_eq!(headers[CONTENT_TYPE], form);
        assert_eq!(headers[FORGERY], "inferlog");
    }

    #[tokio::test]
    async fn large_bodies_are_packed_on_request_and_the_others_passed_through() {
        let large = Bytes::from(vec![b'a'; 100_000]);
        let small = Bytes::from_static(b"{}\n");
        let mut options = ClientOptions::new(vec![url("http://es")]);
        for (gzip, body, packed) in [(false, &large, false), (true, &small, false), (true, &large, true)] {
            options.gzip = gzip;
            let client = Client::new(&options).unwrap();
            let message = client.message(Method::Post, "x", &Body::Lines(body.clone().into())).await;
            assert_eq!(message.headers.contains_key(CONTENT_ENCODING), packed);
            let sent = message.body.iter().next().unwrap();
            assert_eq!(sent.as_ptr() == body.as_ptr(), !packed, "what is not packed is not copied");
            if packed {
                assert_eq!(encoding::unpack("gzip", sent.clone(), 100_000).await.unwrap().as_ref(), Some(body));
            }
        }
    }
}
