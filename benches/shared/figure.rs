//! Figures of several turns.

/// The median of some figures, and the least and most of them.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    least: f64,
    most: f64,
}

impl Figure {
    pub(crate) fn of(figures: impl Iterator<Item = f64>) -> Figure {
        let mut all: Vec<f64> = figures.collect();
        all.sort_by(f64::total_cmp);
        let middle = all.len() / 2;
        let is_even = all.len().is_multiple_of(2);
        let median = if is_even { f64::midpoint(all[middle - 1], all[middle]) } else { all[middle] };
        Figure { median, least: all[0], most: all[all.len() - 1] }
    }

    /// With its spread in brackets.
    pub(crate) fn text(self, decimals: usize) -> String {
        let Figure { median, least, most } = self;
        format!("{median:.decimals$} ({least:.decimals$}..{most:.decimals$})")
    }
}
