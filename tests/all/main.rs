//! All integration tests, in one binary so that there is one link.
//!
//! Tests that need a real Elasticsearch are left out, and say so, unless `./test` runs them.

// Clippy's own exception for tests knows `#[test]` functions only, not their helpers.
#![allow(clippy::unwrap_used)]

mod all_clear;
mod check_connect;
mod clock;
mod conditions;
mod connection;
mod dead_letter;
mod demo;
mod disk;
mod documents;
mod drift;
mod drift_data;
mod elasticsearch;
mod elasticsearch_faults;
mod elasticsearch_load;
mod elasticsearch_tls;
mod endpoint;
mod fields;
mod flow;
mod fresh_machine;
mod fuzz_smoke;
mod grafana;
mod house_rules;
mod in_force;
mod kibana_import;
mod kibana_lint;
mod kibana_rules;
mod kills;
mod kql_corpus;
mod kql_differential;
mod label_shapes;
mod lent_turns;
mod many_files;
mod mappings;
mod model_server;
mod monitoring;
mod numbered;
mod observe_drift;
mod odd_files;
mod opensearch;
mod operator;
mod outbox;
mod outcome_figures;
mod outcome_metrics;
mod outcome_queries;
mod outcomes;
mod own_tests;
mod place;
mod power_loss;
mod prometheus;
mod proxy;
mod query;
mod reconcile;
mod rotation;
mod run;
mod run_bad_input;
mod run_elasticsearch;
mod run_live;
mod sample;
mod scripted;
mod secrets;
mod separation;
mod served;
mod setup;
mod setup_roles;
mod simulation;
mod storm;
mod support;
mod trouble;
mod verdicts;
