//! Judge: what becomes of one line?
//!
//! [`line`] decides, for a run, a replay, a proof and people alike. [`trial`] takes one line through it by itself, without
//! files, queues or sinks; [`walk`] looks on and keeps what each stage did; [`sample`] counts what becomes of a whole log,
//! [`findings`] says what is odd about that, with [`second_copies`] of what rules hide; [`shape`] is what its records look like, [`suggestions`] what a pipeline file
//! could make of them, [`draft`] one that was made, with tests by [`blackout`]; [`self_test`] holds a pipeline file to its
//! own examples. Nothing is observed and nothing is shipped.

pub mod baseline_overlap;
pub mod blackout;
pub mod draft;
pub mod enrichment;
pub mod findings;
pub mod idle;
pub mod inferences;
pub mod line;
pub mod sample;
pub mod second_copies;
pub mod self_test;
pub mod shape;
pub mod suggestions;
pub mod trial;
pub mod walk;
