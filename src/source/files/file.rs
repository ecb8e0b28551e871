//! One file: what is read of it, and is it still the file that it was?
//!
//! [`TailedFile`] is put together of parts with one purpose each: `storage` (what lies on the disk), `identity` (what it
//! is known by), `progress` (how far it is read and delivered), `loss` (what is gone unread), `gap` (NUL bytes that may be
//! filled yet). What is done with all of them: `read` (the next lines), `gaps` (what to do at one), `likeness` (is its
//! content that of another).

mod gap;
mod gaps;
mod identity;
mod likeness;
mod loss;
mod progress;
mod read;
mod storage;
mod tailed;
mod turn;

pub use gap::Gaps;
pub use storage::FileId;
pub use tailed::{Knowledge, Standing, TailedFile};
pub use turn::{PassedOver, Turn};
