//! Options of `user_agent`: where does a program say what it is?

use super::made;
use crate::config::field::Field;
use crate::config::section::Section;
use crate::enrich::{Action, Step, UserAgent};
use crate::record::Path;

const INTO: Path = Path::known("user_agent");

pub(super) fn user_agent(section: &mut Section<'_>) -> Option<Step> {
    let into = section.optional("into", Field::field_path).unwrap_or(INTO);
    let user_agent = section.required("field", |field| match UserAgent::new(field.field_path()?, &into) {
        Ok(user_agent) => Some(user_agent),
        Err(problem) => {
            let hint =
                format!("name another `into`, or put `rename: {{ fields: {{ {into}: {into}.original }} }}` before it");
            field.refuse_with(&problem, Some(hint))
        }
    });
    made(section, user_agent.map(Action::UserAgent))
}
