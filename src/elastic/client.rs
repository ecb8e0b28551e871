//! The client: how do bytes get to Elasticsearch, and its answer back?
//!
//! It goes through the official crate's transport, one for each host, and passes bodies through as they are. Hosts take
//! turns; one that gives no answer is left out for [`HOST_LEFT_OUT`] and the next one is asked at once, unless the time
//! is up. That is safe because all that inferlog sends can be sent twice: documents have their own `_id`, and setup
//! writes whole assets.
//!
//! Two limits come from the crate, which opens no way to its HTTP client. It follows redirects: credentials are dropped
//! when the host changes, and an answer from any other address than the one asked is not believed. And an answer that
//! does not declare its length is read whole before [`ANSWER_BYTES_MAX`] is looked at; `request_timeout` bounds it.
//!
//! Bodies are compressed here and not by the crate, which knows only gzip's slow default level.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use elasticsearch::http::Method;
use elasticsearch::http::headers::{
    ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use elasticsearch::http::transport::Transport;
use flate2::Compression;
use flate2::write::GzEncoder;
use url::Url;

use super::describe;
use super::options::{self, ClientOptions, OptionsError};
use crate::flow::answer::Trouble;

/// Longest answer that is taken, in bytes. A bulk answer has 26 bytes an item, and some hundreds where one failed.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a host that gave no answer is left out, while others are there.
pub const HOST_LEFT_OUT: Duration = Duration::from_secs(10);

/// Bodies shorter than this are not worth compressing, in bytes.
const GZIP_BYTES_MIN: usize = 1024;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Who answered: the host's URL, without user information.
    pub host: String,
    /// The HTTP status.
    pub status: u16,
    /// The body, decompressed, at most [`ANSWER_BYTES_MAX`].
    pub body: Bytes,
    /// For how long the server wants to be left alone, if it says so.
    pub retry_after: Option<Duration>,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// One JSON value.
    Json(Bytes),
    /// Lines of JSON, as `_bulk` takes them.
    Lines(Bytes),
}

/// A client for one cluster. It is cheap to share and opens connections as they are needed.
#[derive(Debug)]
pub struct Client {
    hosts: Vec<Host>,
    turn: AtomicUsize,
    gzip: bool,
    request_timeout: Duration,
}

struct Host {
    transport: Transport,
    /// Without user information, with a `/` at the end.
    url: Url,
    left_out_until: Mutex<Option<Instant>>,
}

/// The transport keeps the credentials in its default headers: nothing of it is shown.
impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Host").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client; reads the certificate files, connects to nothing.
    pub fn new(options: &ClientOptions) -> Result<Client, OptionsError> {
        if options.hosts.is_empty() {
            return Err(OptionsError::NoHosts);
        }
        let hosts = options.hosts.iter().map(|url| Host::new(url, options)).collect::<Result<_, _>>()?;
        let request_timeout = options.request_timeout;
        Ok(Client { hosts, turn: AtomicUsize::new(0), gzip: options.gzip, request_timeout })
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

    async fn try_all(&self, method: Method, path: &str, body: &Body) -> Result<Reply, Failure> {
        let (headers, bytes) = self.encode(body);
        let mut tries = self.hosts.len();
        loop {
            let host = self.choose();
            tries -= 1;
            match self.ask(host, method, path, headers.clone(), bytes.clone()).await {
                Ok(reply) => {
                    let is_away = matches!(reply.status, 502..=504);
                    self.note(host, is_away.then(|| describe::refused(&reply.host, reply.status, None)).as_ref());
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

    async fn ask(
        &self,
        host: &Host,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Reply, Failure> {
        let failed = |error: elasticsearch::Error| Failure {
            trouble: describe::no_answer(&host.name(), &error, self.request_timeout),
            time_is_up: error.is_timeout(),
            too_long: false,
        };
        let answer = host.transport.send(method, path, headers, None::<&()>, body, None).await.map_err(failed)?;
        if host.url.join(path.trim_start_matches('/')).ok().as_ref() != Some(answer.url()) {
            let other = answer.url().origin().ascii_serialization();
            return Err(Failure::redirected(&host.name(), &other));
        }
        if answer.content_length().is_some_and(|length| length > ANSWER_BYTES_MAX as u64) {
            return Err(Failure::too_long(&host.name()));
        }
        let status = answer.status_code().as_u16();
        let retry_after =
            answer.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, Utc::now()));
        let body = answer.bytes().await.map_err(failed)?;
        if body.len() > ANSWER_BYTES_MAX {
            return Err(Failure::too_long(&host.name()));
        }
        Ok(Reply { host: host.name(), status, body, retry_after })
    }

    /// The next host in turn that is not left out, or the one that is taken back first.
    fn choose(&self) -> &Host {
        let now = Instant::now();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..self.hosts.len()).map(|n| &self.hosts[turn.wrapping_add(n) % self.hosts.len()]);
        let waits = in_turn.map(|host| (host.left_out_for(now), host));
        waits.min_by_key(|(wait, _)| *wait).map_or(&self.hosts[0], |(_, host)| host)
    }

    fn encode(&self, body: &Body) -> (HeaderMap, Option<Bytes>) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("inferlog/", env!("CARGO_PKG_VERSION"))));
        let (bytes, content_type) = match body {
            Body::None => return (headers, None),
            Body::Json(bytes) => (bytes, "application/json"),
            Body::Lines(bytes) => (bytes, "application/x-ndjson"),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let compressed = if self.gzip && bytes.len() >= GZIP_BYTES_MIN { gzip(bytes).ok() } else { None };
        if compressed.is_some() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        (headers, Some(compressed.unwrap_or_else(|| bytes.clone())))
    }
}

impl Host {
    fn new(url: &Url, options: &ClientOptions) -> Result<Host, OptionsError> {
        let (url, transport) = options::transport(url, options)?;
        Ok(Host { transport, url, left_out_until: Mutex::new(None) })
    }

    fn name(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
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

struct Failure {
    trouble: Trouble,
    time_is_up: bool,
    too_long: bool,
}

impl Failure {
    fn redirected(host: &str, other: &str) -> Failure {
        let problem = format!("{host} redirects to {other}");
        let hint = Some("name the address that answers itself in `hosts`".to_owned());
        Failure { trouble: Trouble { problem, hint }, time_is_up: false, too_long: false }
    }

    fn too_long(host: &str) -> Failure {
        let problem = format!("the answer of {host} is longer than {ANSWER_BYTES_MAX} bytes");
        let hint = Some("is this Elasticsearch?".to_owned());
        Failure { trouble: Trouble { problem, hint }, time_is_up: false, too_long: true }
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

fn gzip(bytes: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.into())
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

    #[test]
    fn large_bodies_are_compressed_on_request_and_the_others_passed_through() {
        let large = Bytes::from(vec![b'a'; 100_000]);
        let small = Bytes::from_static(b"{}\n");
        let mut options = ClientOptions::new(vec![url("http://es")]);
        for (gzip, body, compressed) in [(false, &large, false), (true, &small, false), (true, &large, true)] {
            options.gzip = gzip;
            let client = Client::new(&options).unwrap();
            let (headers, sent) = client.encode(&Body::Lines(body.clone()));
            let sent = sent.unwrap();
            assert_eq!(headers.contains_key(CONTENT_ENCODING), compressed);
            assert_eq!(sent.as_ptr() == body.as_ptr(), !compressed, "what is not compressed is not copied");
            let mut back = Vec::new();
            if compressed {
                io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&sent[..]), &mut back).unwrap();
                assert_eq!(&back, body);
            }
        }
    }
}
