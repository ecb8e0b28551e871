//! Metrics of one name, told apart by labels.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

pub(super) type Labels = Vec<(&'static str, String)>;
pub(super) type CounterFamily = Family<Labels, Counter>;
pub(super) type GaugeFamily = Family<Labels, Gauge>;
/// Gauges of spans of time, in seconds.
pub(super) type SecondsFamily = Family<Labels, Gauge<f64, AtomicU64>>;
pub(super) type HistogramFamily = Family<Labels, Histogram, fn() -> Histogram>;
