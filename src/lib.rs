//! inferlog ships structured inference logs into Elasticsearch or an embedded store.
//!
//! The binary is a thin user of this library. `ARCHITECTURE.md` draws the whole; `pipeline` composes the stages.

pub mod cli;
pub mod config;
pub mod dead_letter;
pub mod decode;
pub mod demo;
pub mod drift;
pub mod elastic;
pub mod enrich;
pub mod flow;
pub mod judge;
pub mod kibana;
pub mod kql;
pub mod migrate;
pub mod observe;
pub mod outcome;
pub mod pipeline;
pub mod proof;
pub mod query;
pub mod queue;
pub mod record;
pub mod replay;
pub mod server;
pub mod sink;
pub mod source;
pub mod state;
pub mod telemetry;
pub mod text;
