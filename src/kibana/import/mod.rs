//! Import: how do objects and rules get into Kibana, and what becomes of what somebody else has changed there?
//!
//! [`plan`] reads what is there and changes nothing; [`apply`] creates what is missing and updates what is older. What was changed
//! by somebody else is a conflict, and kept unless one says otherwise. How that is known, `marker` says; what is compared,
//! `normal`.
//!
//! Objects go through Kibana's import, which says what it thinks of each of them in an answer of status 200; rules through its
//! alerting API, since an import would disable them and lose what they say to whom. Both can be repeated.

pub(super) mod marker;
mod normal;
pub(super) mod objects;
pub(super) mod rules;
mod server;

use super::object::SavedObject;
use super::space;
use crate::elastic::setup::{Applied, Conflicts, Plan};
pub use server::{Kibana, KibanaError};

/// Whether rules are made, and whether they run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuleState {
    /// They are made without running; whether those that are there run is left as it is.
    #[default]
    AsTheyAre,
    /// They run.
    Enabled,
    /// They do not run.
    Disabled,
    /// There are none, and nobody looks.
    None,
}

/// Says what is to be done, and changes nothing.
///
/// # Errors
/// Something could not be looked at.
pub async fn plan(kibana: &Kibana, objects: &[SavedObject], rules: RuleState) -> Result<Plan, KibanaError> {
    let mut steps: Vec<_> = objects::look(kibana, &space::objects(objects, kibana.space()))
        .await?
        .into_iter()
        .map(|work| work.step)
        .collect();
    let found = rules::look(kibana, rules).await?;
    let mut remarks = found.remarks();
    steps.extend(found.work.into_iter().map(|work| work.step));
    remarks.push(looked_at(kibana, steps.len(), rules));
    Ok(Plan { steps, remarks })
}

/// Does what [`plan`] says. Nothing is written if something could not be looked at before.
///
/// # Errors
/// As for [`plan`]; what happens once something was written is in the results.
pub async fn apply(
    kibana: &Kibana,
    objects: &[SavedObject],
    rules: RuleState,
    conflicts: Conflicts,
) -> Result<Applied, KibanaError> {
    let work = objects::look(kibana, &space::objects(objects, kibana.space())).await?;
    let found = rules::look(kibana, rules).await?;
    let mut applied = objects::carry_out(kibana, work, conflicts).await;
    applied.results.extend(rules::carry_out(kibana, found, rules, conflicts).await);
    applied.remarks.push(looked_at(kibana, applied.results.len(), rules));
    Ok(applied)
}

fn looked_at(kibana: &Kibana, count: usize, rules: RuleState) -> String {
    let rules = if rules == RuleState::None { ", without rules" } else { "" };
    format!("looked at: {count} objects of {kibana}{rules}")
}
