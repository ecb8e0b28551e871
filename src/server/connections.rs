//! Connections: who is let in, how many at a time, and for how long?
//!
//! The files that are tailed need descriptors, and whoever connects takes one. So there are at most [`CONNECTIONS_MAX`];
//! one more ends the oldest of them, which has nothing to ask or was answered long ago. A connection serves one request,
//! the head of which must come within [`HEAD_TIMEOUT`], and ends within [`CONNECTION_TIMEOUT`] whatever it does.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::records::Peer;

/// The most connections at a time. The source's reserve of descriptors (`OPEN_FILES_RESERVE`) has room for them.
pub const CONNECTIONS_MAX: usize = 32;

/// How long the head of a request may take, from the moment of the connection.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may last.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// How long nobody is let in after that failed: there are no descriptors.
const PAUSE: Duration = Duration::from_secs(1);

/// How often such a failure is said.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The connections that are open.
#[derive(Default)]
struct OpenConnections {
    tasks: JoinSet<()>,
    /// The oldest one first.
    by_age: VecDeque<AbortHandle>,
}

/// Serves whoever connects, for good.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let mut open = OpenConnections::default();
    let mut said: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                open.make_room().await;
                open.add(stream, router.clone().layer(Extension(Peer(peer))));
            }
            Err(error) => {
                if said.is_none_or(|said| said.elapsed() > SAID_AGAIN_AFTER) {
                    said = Some(Instant::now());
                    tracing::warn!(%error, "nobody can connect to /metrics just now; it is tried again each second");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl OpenConnections {
    /// Ends the oldest connections, and waits until their descriptors are free.
    async fn make_room(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.by_age.retain(|task| !task.is_finished());
        while self.tasks.len() >= CONNECTIONS_MAX {
            if let Some(oldest) = self.by_age.pop_front() {
                oldest.abort();
            }
            self.tasks.join_next().await;
        }
    }

    fn add(&mut self, stream: TcpStream, router: Router) {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        // How it ends is nobody's concern: the other side hears of it.
        let served = async { drop(tokio::time::timeout(CONNECTION_TIMEOUT, connection).await) };
        self.by_age.push_back(self.tasks.spawn(served));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::SocketAddr;

    use axum::routing::get;

    use super::*;

    /// What is answered to `GET /`.
    fn ask(address: SocketAddr) -> String {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn whoever_asks_is_answered_however_many_are_connected_and_say_nothing() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let router = Router::new().route("/", get(async || "here"));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, router));
        let mut idle: Vec<_> = (0..200).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        for _ in 0..3 {
            let answer = ask(address);
            assert!(answer.ends_with("here") && answer.to_lowercase().contains("connection: close"), "{answer}");
        }
        let mut ended = 0;
        for stream in idle.iter_mut().take(200 - CONNECTIONS_MAX) {
            // They were ended before the others were answered, and not for their silence.
            stream.set_nonblocking(true).unwrap();
            let read = stream.read(&mut [0]);
            ended += usize::from(!read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
        }
        assert_eq!(ended, 200 - CONNECTIONS_MAX, "the oldest ones were ended for those that came later");
    }
}
