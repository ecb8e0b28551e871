//! Renumbering: the content of a file was replaced, where does the old one go on, and how does the new one begin?

use super::file::{FileId, Standing, TailedFile};
use super::likeness::is_named_alike;
use super::register::Register;
use super::regular::open_regular;
use super::tell::report_lost;
use crate::flow::ack::FileNumber;
use crate::telemetry::Counters;

/// Gives a file whose content was replaced a new number: marks of the old content must not move the new one.
pub(super) fn renumber(counters: &Counters, register: &mut Register, number: FileNumber) {
    let Some(file) = register.roster.get(number) else { return };
    tracing::info!(path = %file.path.display(), "the file was truncated or replaced, reading it from its beginning");
    let generation = register.next_generation(file.id().inode);
    let Some(mut file) = register.roster.take(number) else { return };
    if let Some(copy) = copy_of(register, &file) {
        tracing::info!(path = %copy.path.display(), "what it held is read to its end in this copy");
        register.remembered.note_generation(file.inode(), file.generation());
        let original = file.move_to(copy);
        register.roster.leaves(number);
        register.roster.add(file);
        register.roster.queue(number);
        return begin_replaced(register, number, original, generation);
    }
    let lost_bytes = file.take_lost_bytes(true);
    report_lost(&file.path, lost_bytes, counters);
    register.replaced.insert(number, file.entry(false), file.consumed_position().offset_bytes);
    if file.is_settled() {
        register.remember_replaced(number);
    }
    begin_replaced(register, number, file, generation);
}

/// Begins with what stands now in a file that had the number `former`.
fn begin_replaced(register: &mut Register, former: FileNumber, mut file: TailedFile, generation: u32) {
    register.begin_anew(&mut file, generation);
    file.activity.news = true;
    file.number = register.roster.next_number();
    let number = file.number;
    register.roster.renumber(&file.path, former, number);
    if file.standing != Standing::Present {
        register.roster.leaves(number);
    }
    register.adopt(file);
    register.roster.queue(number);
}

/// Finds the copy of a file whose content was overwritten: one that is not decided on, or one beside it.
fn copy_of(register: &mut Register, original: &TailedFile) -> Option<TailedFile> {
    let found = register.roster.files().find(|copy| !copy.is_known() && is_plain_copy(copy, original));
    if let Some(number) = found.map(|copy| copy.number) {
        return register.roster.remove(number);
    }
    let beside = fs_err::read_dir(original.path.parent()?).ok()?.flatten();
    beside.into_iter().find_map(|candidate| {
        let (path, metadata) = (candidate.path(), candidate.metadata().ok()?);
        let is_there = register.is_there(FileId::of(&metadata));
        if is_there || !metadata.is_file() || !is_named_alike(&path, &original.path) {
            return None;
        }
        let copy = TailedFile::new(FileNumber::MAX, &path, open_regular(&path).ok()?, &metadata);
        is_plain_copy(&copy, original).then_some(copy)
    })
}

/// Whether a file goes on for one that was overwritten. What is compressed has to be examined first, and is then the copy
/// of what is remembered.
fn is_plain_copy(copy: &TailedFile, original: &TailedFile) -> bool {
    !copy.is_compressed() && copy.continues(original).unwrap_or(false)
}
