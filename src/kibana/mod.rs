//! Kibana: what do people look at there, and how does it get there?
//!
//! Everything is made from small files that a person reads: `dashboards/kibana` (panels, dashboards, rules), `dashboards/queries`
//! (named queries) and `mappings` (fields of data views). Nothing of it is stored in the binary a second time: the saved objects
//! are made from those sources when they are asked for, and the NDJSON in the tree is held to them by a test.

pub mod data_view;
pub mod fields;
pub mod object;
pub mod source;
