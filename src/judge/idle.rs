//! Idle rules: which fields that a pipeline hides were in no record of a sample, and where may they be instead?
//!
//! Rules edit members. What stands as JSON inside of a text (a request that was captured as a string, say) is one value to
//! them, and a field in it is not found: whoever writes such a rule has to hear of it before anything is shipped.

use std::collections::BTreeMap;

use crate::enrich::{Enrichment, HiddenField};
use crate::kql::{Fields as _, Value};
use crate::record::{Path, Record};

/// What a sample shows of the fields that are hidden.
#[derive(Debug, Default)]
pub struct IdleFields {
    /// The text that names a field inside, for those that were not found.
    in_texts: BTreeMap<Path, String>,
}

impl IdleFields {
    /// Looks at a record before anything is done to it.
    pub fn look(&mut self, enrichment: &Enrichment, record: &Record<'_>) {
        let unseen = |field: &&HiddenField| !self.in_texts.contains_key(&field.path);
        let idle: Vec<Path> = enrichment.idle_fields().filter(unseen).map(|field| field.path.clone()).collect();
        if idle.is_empty() {
            return;
        }
        record.any_leaf(&mut |name, value| {
            if let Value::String(text) = value
                && text.trim_start().starts_with(['{', '['])
            {
                let named = idle.iter().filter(|path| text.contains(&format!("\"{}\"", last_name(path))));
                self.in_texts.extend(named.map(|path| (path.clone(), name.to_owned())));
            }
            false
        });
    }

    /// A sentence for each field that was not found.
    pub fn in_words(&self, enrichment: &Enrichment) -> Vec<String> {
        let words = |field: &HiddenField| {
            let HiddenField { processor, path, .. } = field;
            let instead = self.in_texts.get(path).map(|text| {
                format!("; a text that holds JSON, at `{text}`, names it, and no rule reaches into a text: hide it as a whole")
            });
            format!("processor {processor} hides `{path}`, which no record has{}", instead.unwrap_or_default())
        };
        enrichment.idle_fields().map(words).collect()
    }
}

fn last_name(path: &Path) -> &str {
    path.as_str().rsplit('.').next().unwrap_or_default()
}
