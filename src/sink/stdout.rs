//! Standard output as a sink: one document a line.
//!
//! A request is written and flushed as a whole. A reader that has gone away does not come back, so that is
//! [`Answer::Closed`], as with every filter in a pipe. Other failures, such as a full disk behind a redirection, may
//! pass: the rest of the lines in hand goes first at the next try, so no line is ever torn, and then the request is
//! written again: a line may come twice, because an output has no ids to recognise it by. Nothing is made durable
//! beyond what the reader does.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Request, Sink, SinkFuture};
use crate::flow::answer::{Answer, Outcome, Trouble};
use crate::flow::batch::Stream;

/// Standard output.
pub struct Stdout {
    output: Arc<Mutex<Output>>,
}

struct Output {
    writer: Box<dyn Write + Send>,
    /// Lines in hand: written from the front, empty unless a try failed.
    pending: Vec<u8>,
}

impl Stdout {
    /// Writes to the process's standard output.
    pub fn new() -> Stdout {
        Stdout::with_writer(Box::new(io::stdout()))
    }

    /// Writes elsewhere.
    pub fn with_writer(writer: Box<dyn Write + Send>) -> Stdout {
        Stdout { output: Arc::new(Mutex::new(Output { writer, pending: Vec::new() })) }
    }
}

impl Default for Stdout {
    fn default() -> Self {
        Stdout::new()
    }
}

impl Sink for Stdout {
    fn deliver<'a>(&'a self, request: &'a Request) -> SinkFuture<'a, Answer> {
        let output = Arc::clone(&self.output);
        let request = request.clone();
        Box::pin(async move {
            // The lines are records; whoever reads them wants nothing else among them.
            if request.batch.stream() != Stream::Records {
                return Answer::Items(vec![Outcome::Indexed; request.len()]);
            }
            // A pipe whose reader pauses blocks, and must not block the other sinks.
            let written = tokio::task::spawn_blocking(move || {
                let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
                output.write(&request).map(|()| request.len())
            });
            match written.await.map_err(io::Error::other).flatten() {
                Ok(items) => Answer::Items(vec![Outcome::Indexed; items]),
                Err(error) => answer(&error),
            }
        })
    }

    fn probe(&self) -> SinkFuture<'_, Result<(), Trouble>> {
        Box::pin(async { Ok(()) })
    }
}

impl Output {
    fn write(&mut self, request: &Request) -> io::Result<()> {
        self.drain()?;
        for item in request.items() {
            self.pending.extend_from_slice(request.batch.document(item));
            self.pending.push(b'\n');
        }
        self.drain()?;
        self.writer.flush()
    }

    /// Writes what is in hand; after a failure, what was not written is still there.
    fn drain(&mut self) -> io::Result<()> {
        let mut written = 0;
        let result = loop {
            if written == self.pending.len() {
                break Ok(());
            }
            match self.writer.write(&self.pending[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.pending.drain(..written);
        result
    }
}

fn answer(error: &io::Error) -> Answer {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Answer::Closed(Trouble {
            problem: "standard output was closed by its reader".to_owned(),
            hint: Some("start again with a reader that stays; what it did not take is sent again".to_owned()),
        });
    }
    Answer::Wait(Trouble { problem: format!("cannot write to standard output: {error}"), hint: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::batch::{Batch, Id, Origin, SourceFile};

    /// Takes `room` bytes, three at a time, then fails once with `failure`, then takes everything.
    struct Pipe {
        taken: Arc<Mutex<Vec<u8>>>,
        room: usize,
        failure: Option<io::ErrorKind>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let take = match self.failure {
                Some(failure) if self.room == 0 => {
                    self.failure = None;
                    return Err(failure.into());
                }
                Some(_) => bytes.len().min(3).min(self.room),
                None => bytes.len().min(3),
            };
            self.room = self.room.saturating_sub(take);
            self.taken.lock().expect("alone").extend_from_slice(&bytes[..take]);
            Ok(take)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn request(documents: &[&str], selection: Option<Vec<u32>>) -> Request {
        let mut batch = Batch::default();
        let file = Arc::new(SourceFile { path: "a".to_owned(), inode: 1, generation: 0, ..SourceFile::default() });
        for document in documents {
            let origin = Origin { file: batch.file(&file), offset_bytes: 0, length_bytes: 0, ordinal: 0 };
            batch.push(Id([b'A'; 28]), 0, origin, |body| body.extend_from_slice(document.as_bytes()));
        }
        Request { batch: Arc::new(batch), selection }
    }

    /// Delivers [10] and [30] of three documents until something else than `Wait` is answered.
    async fn check(room: usize, failure: Option<io::ErrorKind>, waits: usize, expected: Option<&str>) {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let sink = Stdout::with_writer(Box::new(Pipe { taken: Arc::clone(&taken), room, failure }));
        let request = request(&["[10]", "[20]", "[30]"], Some(vec![0, 2]));
        let mut waited = 0;
        let answer = loop {
            match sink.deliver(&request).await {
                Answer::Wait(_) => waited += 1,
                answer => break answer,
            }
        };
        assert_eq!(waited, waits, "{room} {failure:?}");
        match expected {
            Some(text) => {
                assert_eq!(answer, Answer::Items(vec![Outcome::Indexed; 2]));
                assert_eq!(String::from_utf8_lossy(&taken.lock().expect("alone")), text, "{room} {failure:?}");
            }
            None => assert!(matches!(answer, Answer::Closed(_)), "{answer:?}"),
        }
    }

    #[tokio::test]
    async fn writes_whole_lines_and_knows_a_reader_that_left() {
        check(0, None, 0, Some("[10]\n[30]\n")).await;
        check(4, Some(io::ErrorKind::Interrupted), 0, Some("[10]\n[30]\n")).await;
        check(0, Some(io::ErrorKind::StorageFull), 1, Some("[10]\n[30]\n[10]\n[30]\n")).await;
        check(7, Some(io::ErrorKind::StorageFull), 1, Some("[10]\n[30]\n[10]\n[30]\n")).await;
        check(7, Some(io::ErrorKind::BrokenPipe), 0, None).await;
    }
}
