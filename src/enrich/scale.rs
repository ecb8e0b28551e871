//! `scale`: numbers in another unit.
//!
//! Multiplies the numbers at a path and below it, inside of arrays too, then adds `offset`, in their places; `copy`
//! first keeps the original. Digits are computed with exactly as decimals, up to 38 of them: 87.3 times 0.01 is 0.873.
//! With more, and where a division does not end, the result is the nearest double. What is no number stays as it is,
//! noted in `inferlog.notes` as `not_mapped` and counted in `inferlog_enrich_unmapped_values_total`.
//!
//! ```yaml
//! - scale: { fields: [score], factor: 0.01 }
//! - scale: { fields: [pixels], divide_by: 255 }
//! - scale: { fields: [temperature], factor: 1.8, offset: 32 }
//! ```
//!
//! - `fields`: list of paths, required: the numbers.
//! - `factor`: number, default 1.
//! - `divide_by`: number other than 0: in place of `factor`.
//! - `offset`: number, default 0: what is added after that.
//! - `when`: condition: on which records.

use super::processor::{Processor, Run};
use crate::flow::reject::Reject;
use crate::record::{Path, Record};
use crate::text::exact::Exact;

/// Multiplies numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Where they are.
    pub fields: Vec<Path>,
    /// By what they are multiplied or divided.
    pub by: Factor,
    /// What is added after that.
    pub offset: Option<Exact>,
}

/// By what numbers are multiplied or divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// Multiplied.
    Times(Exact),
    /// Divided; not zero.
    DividedBy(Exact),
}

impl Processor for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        for field in &self.fields {
            run.rewrite(record, field, |raw| self.of(raw));
        }
        Ok(())
    }
}

impl Scale {
    /// A number scaled, both as JSON; `None` when it is none, or when no double is so large.
    fn of(&self, raw: &str) -> Option<String> {
        let number = Exact::read(raw)?;
        let product = match self.by {
            Factor::Times(factor) => number.product(factor)?,
            Factor::DividedBy(divisor) => number.quotient(divisor)?,
        };
        let sum = self.offset.map_or(Some(product), |offset| product.sum(offset))?;
        Some(sum.to_string())
    }
}
