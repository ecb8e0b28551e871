//! Steps: one object each of what is to be installed, and how it differs from what is there.
//!
//! Elasticsearch's objects and Kibana's are shown alike, and their steps count alike for an exit code.

use std::fmt;

use serde_json::{Value, json};

/// What is to be done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupAction {
    /// It is not there.
    Create,
    /// It is there in another version of ours, which nobody else has changed.
    Update,
    /// It is there as it should be.
    Unchanged,
    /// It is there as somebody else made or changed it: it is kept, unless one says otherwise.
    Conflict,
}

/// As in the output of `setup plan`: `create`, `update`, `unchanged`, `conflict`.
impl fmt::Display for SetupAction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            SetupAction::Create => "create",
            SetupAction::Update => "update",
            SetupAction::Unchanged => "unchanged",
            SetupAction::Conflict => "conflict",
        })
    }
}

/// One object of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupStep {
    /// What kind of object: `index_template`, `dashboard`, …
    pub kind: String,
    /// Its name or id on the server.
    pub name: String,
    /// What is to be done.
    pub action: SetupAction,
    /// How what is there differs, a short line each: `priority: 100 -> 250`. Empty for what is missing or as it should be.
    pub differences: Vec<String>,
}

impl SetupStep {
    /// As lines for people: the action, the kind and the name, and below it each difference.
    pub fn to_text(&self) -> String {
        let head = format!("{:<11}{:<20}{}", self.action.to_string(), self.kind, self.name);
        let lines = std::iter::once(head).chain(self.differences.iter().map(|difference| format!("    {difference}")));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// As one JSON object; `differences` is left out where there are none.
    pub fn to_json(&self) -> Value {
        let mut step = json!({ "kind": self.kind, "name": self.name, "action": self.action.to_string() });
        if !self.differences.is_empty() {
            step["differences"] = json!(self.differences);
        }
        step
    }
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupOutcome {
    /// It is in force now: created, or replaced.
    Done,
    /// It was in force before.
    Unchanged,
    /// A conflict: what somebody else made of it was kept.
    Kept,
    /// The server did not take it, for this reason.
    Refused(String),
    /// It was not tried: what it builds on is not there.
    Blocked(String),
    /// It was not tried, or nobody knows what became of it: there was no answer.
    Unreached(String),
}

impl SetupOutcome {
    /// As in the output of `setup apply`: `done`, `unchanged`, `kept`, `refused`, `blocked`, `unreached`.
    pub fn name(&self) -> &'static str {
        match self {
            SetupOutcome::Done => "done",
            SetupOutcome::Unchanged => "unchanged",
            SetupOutcome::Kept => "kept",
            SetupOutcome::Refused(_) => "refused",
            SetupOutcome::Blocked(_) => "blocked",
            SetupOutcome::Unreached(_) => "unreached",
        }
    }

    /// Why it is not as hoped, where that is to be said.
    pub fn problem(&self) -> Option<&str> {
        match self {
            SetupOutcome::Refused(problem) | SetupOutcome::Blocked(problem) | SetupOutcome::Unreached(problem) => {
                Some(problem)
            }
            SetupOutcome::Done | SetupOutcome::Unchanged | SetupOutcome::Kept => None,
        }
    }
}

/// A step that was carried out, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupResult {
    /// What was to be done.
    pub step: SetupStep,
    /// What became of it.
    pub outcome: SetupOutcome,
}

impl SetupResult {
    /// As lines for people: where it is as hoped, the step alone.
    pub fn to_text(&self) -> String {
        let SetupResult { step, outcome } = self;
        match (outcome, outcome.problem()) {
            (SetupOutcome::Done, _) if step.action == SetupAction::Conflict => {
                format!("{}\n    replaced", step.to_text())
            }
            (SetupOutcome::Done | SetupOutcome::Unchanged, _) => step.to_text(),
            (_, None) => format!("{}\n    {}", step.to_text(), outcome.name()),
            (_, Some(problem)) => format!("{}\n    {}: {problem}", step.to_text(), outcome.name()),
        }
    }

    /// As one JSON object: the step's, with `outcome` and, where there is one, `problem`.
    pub fn to_json(&self) -> Value {
        let mut result = self.step.to_json();
        result["outcome"] = json!(self.outcome.name());
        if let Some(problem) = self.outcome.problem() {
            result["problem"] = json!(problem);
        }
        result
    }
}

/// What becomes of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflicts {
    /// What is there is kept.
    Keep,
    /// It is replaced.
    Overwrite,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_written_for_people_and_for_programs() {
        let step = SetupStep {
            kind: "index_template".to_owned(),
            name: "x".to_owned(),
            action: SetupAction::Conflict,
            differences: vec!["priority: 100 -> 250".to_owned()],
        };
        assert_eq!(step.to_text(), "conflict   index_template      x\n    priority: 100 -> 250");
        let json = json!({
            "kind": "index_template", "name": "x", "action": "conflict", "differences": ["priority: 100 -> 250"],
        });
        assert_eq!(step.to_json(), json);
        let unchanged = SetupStep { action: SetupAction::Unchanged, differences: Vec::new(), ..step };
        assert_eq!(unchanged.to_json(), json!({ "kind": "index_template", "name": "x", "action": "unchanged" }));
        let refused = SetupResult { step: unchanged, outcome: SetupOutcome::Refused("no".to_owned()) };
        assert!(refused.to_text().ends_with("x\n    refused: no"), "{}", refused.to_text());
        assert_eq!((&refused.to_json()["outcome"], &refused.to_json()["problem"]), (&json!("refused"), &json!("no")));
    }
}
