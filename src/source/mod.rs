//! Sources: where do lines come from?
//!
//! A source reads blocks of whole lines, in file order, and remembers nothing of what becomes of them: offsets are
//! committed by the pipeline when the sinks have acknowledged them.

pub mod files;
pub mod framing;
