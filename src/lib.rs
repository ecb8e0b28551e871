//! inferlog ships structured inference logs into Elasticsearch or an embedded store.
//!
//! The binary is a thin user of this library. `ARCHITECTURE.md` draws the whole; `pipeline` composes the stages.

pub mod ack;
pub mod batch;
pub mod elastic;
pub mod kql;
pub mod pattern_redaction;
pub mod record;
pub mod reject;
pub mod secret;
pub mod sink;
pub mod source;
pub mod telemetry;
pub mod time;
pub mod units;
pub mod wake;
