//! Rendering: the untouched spans of the line, and the edits spliced in.

use super::members::{Member, State};
use super::space::Edits;
use super::{Record, json};

impl Record<'_> {
    /// Writes the record as it is now, without a line end: the line itself where nothing was edited.
    pub fn render(&self, out: &mut Vec<u8>) {
        let line = self.line.as_bytes();
        let members = &self.space.members;
        match self.space.edits {
            Edits::None if self.space.appendix.is_empty() => return out.extend_from_slice(line),
            Edits::None | Edits::Added => return self.render_added(out),
            Edits::Spliced => {}
        }
        let of_line = members.iter().take_while(|member| !member.is_added()).count();
        let (from_line, added) = members.split_at(of_line);
        let head = from_line.first().map_or_else(|| after_brace(line), |member| member.source_start as usize);
        let tail = from_line.last().map_or(head, |member| member.source_end as usize);
        out.extend_from_slice(&line[..head]);
        let mut first = splice(self, from_line, out);
        for member in added.iter().filter(|member| member.state != State::Removed) {
            if !first {
                out.push(b',');
            }
            first = false;
            if member.state == State::Kept {
                let (start, end) = (member.source_start as usize, member.value.end());
                out.extend_from_slice(&self.space.arena.as_bytes()[start..end]);
            } else {
                write_name(self, member, out);
                out.extend_from_slice(self.value(member).as_bytes());
            }
        }
        if !self.space.appendix.is_empty() {
            if !first {
                out.push(b',');
            }
            out.extend_from_slice(self.space.appendix.as_bytes());
        }
        out.extend_from_slice(&line[tail..]);
    }

    /// The same where nothing was done but to add members.
    fn render_added(&self, out: &mut Vec<u8>) {
        let line = self.line.as_bytes();
        let last_of_line = self.space.members.iter().rfind(|member| !member.is_added());
        let tail = last_of_line.map_or_else(|| after_brace(line), |member| member.source_end as usize);
        // Where nothing was added, the arena has names that are unescaped in it, if anything.
        let added = if self.space.edits == Edits::Added { self.space.arena.as_bytes() } else { b"" };
        let is_first = last_of_line.is_none();
        out.extend_from_slice(&line[..tail]);
        out.extend_from_slice(if is_first { added.get(1..).unwrap_or_default() } else { added });
        if !self.space.appendix.is_empty() {
            if !(is_first && added.is_empty()) {
                out.push(b',');
            }
            out.extend_from_slice(self.space.appendix.as_bytes());
        }
        out.extend_from_slice(&line[tail..]);
    }
}

/// Writes what is left of the line's own members, whole runs of untouched ones at once. Returns true when none is.
fn splice(record: &Record<'_>, members: &[Member], out: &mut Vec<u8>) -> bool {
    let line = record.line.as_bytes();
    let mut first = true;
    // What of the line is to be copied before the next edit. A member brings along what stands before it (a comma and
    // white space), but for the first.
    let mut pending = 0..0;
    for member in members {
        let end = member.source_end as usize;
        if first {
            pending = member.source_start as usize..member.source_start as usize;
        }
        match member.state {
            State::Kept => {
                pending.end = end;
                first = false;
            }
            State::Removed => {
                out.extend_from_slice(&line[pending]);
                pending = end..end;
            }
            State::Revalued | State::Renamed => {
                write_edited(record, member, pending.start, out);
                pending = end..end;
                first = false;
            }
        }
    }
    out.extend_from_slice(&line[pending]);
    first
}

/// Writes an edited member, and before it the line from `from` on.
fn write_edited(record: &Record<'_>, member: &Member, from: usize, out: &mut Vec<u8>) {
    let line = record.line.as_bytes();
    if member.state == State::Renamed {
        out.extend_from_slice(&line[from..member.source_start as usize]);
        write_name(record, member, out);
    } else {
        out.extend_from_slice(&line[from..member.source_value_start as usize]);
    }
    out.extend_from_slice(record.value(member).as_bytes());
}

fn write_name(record: &Record<'_>, member: &Member, out: &mut Vec<u8>) {
    let name = record.name(member);
    if json::is_plain(name) {
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        return;
    }
    let mut quoted = String::new();
    json::write_string(name, &mut quoted);
    out.extend_from_slice(quoted.as_bytes());
    out.push(b':');
}

/// Just behind the opening brace.
fn after_brace(line: &[u8]) -> usize {
    line.iter().position(|byte| *byte == b'{').map_or(0, |brace| brace + 1)
}
