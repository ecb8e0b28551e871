//! What was measured of a model version, and how its numbers are written: on a terminal and on the page alike.

use crate::drift::{Chosen, FeatureReport, WindowCounts};
use crate::text::units::counted;

/// One model version, measured.
pub(super) struct VersionReport<'f> {
    pub(super) model_name: String,
    pub(super) model_version: String,
    pub(super) chosen: Chosen<'f>,
    pub(super) counts: WindowCounts,
    /// The features, the one with the greatest PSI first.
    pub(super) reports: Vec<FeatureReport>,
}

impl VersionReport<'_> {
    /// The model and what it is measured against, in words.
    pub(super) fn title(&self) -> String {
        let name = if self.model_name.is_empty() { String::new() } else { format!("model `{}`, ", self.model_name) };
        let version = match self.model_version.as_str() {
            "" => "no version".to_owned(),
            version => format!("version `{version}`"),
        };
        format!("{name}{version}")
    }

    /// What it is measured against, in words.
    pub(super) fn against(&self) -> String {
        let baseline = self.chosen.baseline;
        let rows = counted(baseline.rows, "row");
        match (self.chosen.is_fallback, &baseline.model_version) {
            (false, _) => format!("its own baseline of {rows}"),
            (true, Some(version)) => format!("the fallback, the baseline of version `{version}` of {rows}"),
            (true, None) => format!("the fallback of {rows}"),
        }
    }
}

/// A share as a percentage; one that is not 0 does not look like it.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        small if small < 0.01 => "< 0.01 %".to_owned(),
        small if small < 1.0 => format!("{small:.2} %"),
        percent => format!("{percent:.1} %"),
    }
}

/// A p-value with as many digits as matter.
pub(super) fn p_value_text(p_value: f64) -> String {
    match p_value {
        small if small < 1e-16 => "< 1e-16".to_owned(),
        small if small < 0.001 => format!("{small:.1e}"),
        p_value => format!("{p_value:.3}"),
    }
}
