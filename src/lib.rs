//! inferlog ships structured inference logs into Elasticsearch or an embedded store.
//!
//! The binary is a thin user of this library. `ARCHITECTURE.md` draws the whole; `pipeline` composes the stages.

pub mod ack;
pub mod answer;
pub mod batch;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod decode;
pub mod demo;
pub mod digest;
pub mod elastic;
pub mod enrich;
pub mod harmless;
pub mod kql;
pub mod line;
pub mod observe;
pub mod pattern_redaction;
pub mod pipeline;
pub mod query;
pub mod question;
pub mod queue;
pub mod reasons;
pub mod record;
pub mod reject;
pub mod secret;
pub mod server;
pub mod sink;
pub mod source;
pub mod tally;
pub mod telemetry;
pub mod time;
pub mod units;
pub mod wake;
