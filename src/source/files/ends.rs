//! Ends: what stands at the end of a file without a line end, when is it final, and who is told that it waits?
//!
//! Of a file that was renamed or deleted it is final when nothing has changed for a while. Of one that is under its name its
//! writer may come back and end the line, so it waits, which is said; or it is taken after `unterminated_after`. What is
//! written behind it then is a line of its own.

use std::time::Instant;

use super::file::{Standing, TailedFile};
use super::ground::Ground;
use super::roster::Roster;
use crate::flow::ack::FileNumber;

#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Files under their names whose last line without an end is taken, as of the last scan.
    overdue: Vec<FileNumber>,
    /// When it was last said that such lines wait.
    said: Option<Instant>,
}

impl Ends {
    /// The files of which the unterminated end is final: they are renamed or deleted, or nothing was written for long.
    pub(super) fn finals(&self, ground: &Ground, roster: &Roster) -> Vec<FileNumber> {
        let overdue = self.overdue.iter().filter_map(|number| roster.get(*number));
        let finals = roster.leaving().chain(overdue).filter(|file| is_end_final(ground, file));
        finals.map(|file| file.number).collect()
    }

    /// After a scan: finds out which lines without an end are taken, or says that they wait.
    pub(super) fn look_at(&mut self, ground: &Ground, roster: &mut Roster) {
        let present = |file: &&TailedFile| file.standing == Standing::Present && has_unterminated_end(file);
        if ground.options.unterminated_after.is_some() {
            let overdue = roster.files().filter(present).filter(|file| is_end_final(ground, file));
            self.overdue = overdue.map(|file| file.number).collect();
            return;
        }
        let wait = ground.waits.unterminated_said_after;
        if self.said.is_some_and(|said| said.elapsed() < wait) {
            return;
        }
        let waiting = roster.files().filter(present).filter(|file| file.activity.changed.elapsed() >= wait);
        let unsaid = waiting.filter(|file| file.warnings.end_said_at != Some(file.consumed_position().offset_bytes));
        let mut unsaid: Vec<(Instant, FileNumber)> = unsaid.map(|file| (file.activity.changed, file.number)).collect();
        unsaid.sort_unstable();
        let Some((since, first)) = unsaid.first().copied() else { return };
        for (_, number) in &unsaid {
            if let Some(file) = roster.get_mut(*number) {
                file.warnings.end_said_at = Some(file.consumed_position().offset_bytes);
            }
        }
        let Some(file) = roster.get(first) else { return };
        say_that_end_waits(file, since, unsaid.len() - 1);
        self.said = Some(Instant::now());
    }
}

fn say_that_end_waits(file: &TailedFile, since: Instant, other_files: usize) {
    tracing::warn!(
        path = %file.path.display(),
        offset_bytes = file.consumed_position().offset_bytes,
        bytes = file.unread_bytes(),
        waits_s = since.elapsed().as_secs(),
        other_files,
        hint = "it is read when its line end is written, or the file renamed or deleted; `source.files.unterminated_after: \
                10s` takes such a line when nothing was written for so long",
        "the last line of the file has no line end, and waits"
    );
}

fn is_end_final(ground: &Ground, file: &TailedFile) -> bool {
    let is_old_enough = match (file.left_alone_for(), ground.options.unterminated_after) {
        (Some(left_alone_for), _) => left_alone_for >= ground.waits.final_after,
        (None, Some(unterminated_after)) => file.activity.changed.elapsed() >= unterminated_after,
        (None, None) => false,
    };
    is_old_enough && has_unterminated_end(file)
}

/// True when it is read up to a last line without an end.
fn has_unterminated_end(file: &TailedFile) -> bool {
    !file.activity.news && file.is_known() && !file.is_at_gap() && file.unread_bytes() > 0
}
