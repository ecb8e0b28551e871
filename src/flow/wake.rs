//! A wake-up for the pipeline thread: something may have happened, look again.
//!
//! File notifications, acknowledgements and the stop signal all ring the same bell. It carries no message: whoever is
//! woken looks at the truth (files, channels, flags) itself, so a bell rung twice or for nothing does no harm.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A bell that any thread can ring and one thread waits for.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<(Mutex<bool>, Condvar)>);

impl Wake {
    /// Rings: the waiting thread, or the next one to wait, goes on at once.
    pub fn ring(&self) {
        let (rung, bell) = &*self.0;
        *rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        bell.notify_one();
    }

    /// Waits until somebody rings, at most for `timeout`.
    pub fn wait(&self, timeout: Duration) {
        let (rung, bell) = &*self.0;
        let rung = rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = bell.wait_timeout_while(rung, timeout, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}
