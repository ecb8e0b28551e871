//! The stop: how is a pipeline told to end?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::flow::wake::Wake;

/// What becomes at a stop of what is not read yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtStop {
    /// It waits for the next start.
    #[default]
    LeaveUnread,
    /// It is read and delivered first: there is no next start.
    ReadToTheEnd,
}

/// Tells a pipeline to stop. Clones are the same signal.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    reads_on: Arc<AtomicBool>,
    hopeless: Arc<AtomicBool>,
    wake: Wake,
}

impl Stop {
    /// A signal that rings `wake`.
    pub fn new(wake: Wake) -> Stop {
        Stop { asked: Arc::default(), reads_on: Arc::default(), hopeless: Arc::default(), wake }
    }

    /// Asks the pipeline to stop reading, deliver what it has read, and end.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.wake.ring();
    }

    /// Asks the pipeline to read every file to its end first, and then to do the same.
    pub fn ask_to_read_on(&self) {
        self.reads_on.store(true, Ordering::Release);
        self.ask();
    }

    /// Asks for the same, without waiting for deliveries: the sink is gone for good.
    pub fn give_up(&self) {
        self.hopeless.store(true, Ordering::Release);
        self.ask();
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    pub(super) fn reads_on(&self) -> bool {
        self.reads_on.load(Ordering::Acquire)
    }

    pub(super) fn is_hopeless(&self) -> bool {
        self.hopeless.load(Ordering::Acquire)
    }
}
