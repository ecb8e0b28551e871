//! Scans: which files are there now, which have grown, and which are gone?

use super::compressed::Examined;
use super::*;

impl Files {
    /// Finds out what is new when it is time to, without reading: files that appear are opened.
    pub fn look(&mut self) {
        let news = self.notifications.take();
        if news.rescan {
            self.next_scan = self.next_scan.min(self.earliest_scan);
        }
        let started = Instant::now();
        let is_undecided = |path: &PathBuf| self.roster.at(path).is_some_and(|file| !file.is_known());
        if news.written.iter().any(is_undecided) {
            self.next_scan = self.next_scan.min(self.earliest_scan);
        }
        self.follow(news.renamed);
        if started >= self.next_scan {
            self.scan();
            let took = started.elapsed();
            // Of the last two the shorter: one that opened many files, or had to wait for a processor or a disk, would put off
            // the next for long, and what is created and rotated away meanwhile is never seen.
            let usual = took.min(std::mem::replace(&mut self.last_scan_took, took));
            self.earliest_scan = Instant::now() + usual * RESCAN_SHARE;
            // What is not decided on may have taken long, and must not wait long for that.
            let share = match self.notifications.cover(self.discovery.roots()) {
                _ if self.has_undecided() => 1,
                true => POLL_SHARE_NOTIFIED,
                false => POLL_SHARE,
            };
            self.next_scan = Instant::now() + self.options.poll_interval.max(usual * share);
        }
        for path in news.written {
            if let Some(id) = self.closed.under(&path) {
                self.look_at_closed(&path, id);
                continue;
            }
            let Some(file) = self.roster.at_mut(&path) else { continue };
            // A look, not a size from the event: the file may be another one by now.
            self.unsaved.note(file.look().unwrap_or(false));
            file.news = true;
            let number = file.number;
            self.roster.queue(number);
        }
        if std::mem::take(&mut self.may_have_room) {
            self.serve_waiting();
        }
    }

    fn look_at_closed(&mut self, path: &Path, id: FileId) {
        if let Ok(metadata) = fs_err::metadata(path)
            && FileId::of(&metadata) == id
        {
            report_lost(path, self.closed.seen(id, &metadata).unwrap_or_default(), &self.counters);
            self.may_have_room = true;
        }
    }

    /// Looks at everything: which files are there, which have grown, which are gone.
    pub(super) fn scan(&mut self) {
        let mut complaints = Vec::new();
        for (root, recursive) in self.discovery.roots() {
            self.notifications.watch(root, recursive);
        }
        if !self.scanned_before {
            self.open_salvaged();
        }
        let mut present = BTreeMap::new();
        self.discovery.refresh();
        let found = self.discovery.scan(&mut complaints);
        self.matched = Matched { files: found.len(), without_files: self.discovery.without_files(&found) };
        for path in found {
            match fs_err::metadata(&path) {
                Ok(metadata) => self.meet(path, &metadata, &mut present, &mut complaints),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => complaints.push(Unreadable::because(path, &error)),
            }
        }
        self.take_leave(&present);
        self.take_leave_of_closed(&present);
        if !self.scanned_before {
            self.look_for_renamed();
        }
        self.decide();
        self.salvage(false);
        if !self.scanned_before || std::mem::take(&mut self.copies_wanted) {
            self.look_for_copies();
        }
        self.give_up_missing();
        if std::mem::take(&mut self.very_first_scan) {
            // The next start is not the first one any more, even if nothing was found.
            self.unsaved.note(true);
            self.unsaved.note_urgent();
        }
        self.scanned_before = true;
        self.forget_what_is_gone(&present);
        self.complain(complaints);
        self.look_at_ends();
        self.queue_news();
        self.serve_waiting();
    }

    pub(super) fn meet(
        &mut self,
        path: PathBuf,
        metadata: &Metadata,
        present: &mut BTreeMap<FileId, PathBuf>,
        complaints: &mut Vec<Unreadable>,
    ) {
        let id = FileId::of(metadata);
        let known = self.roster.with_id_mut(id);
        if let Some(file) = known {
            self.unsaved.note(file.seen(metadata));
            // Of several names for one file, the one that it has already is kept.
            if !present.contains_key(&id) || is_same_path(&file.path, &path) {
                present.insert(id, path);
            }
            return;
        }
        if let Some(cut_bytes) = self.closed.seen(id, metadata) {
            report_lost(&path, cut_bytes, &self.counters);
            if !present.contains_key(&id) || self.closed.under(&path) == Some(id) {
                present.insert(id, path);
            }
            return;
        }
        // Known as delivered; or met again by a later scan, when there is a place for it.
        if self.remembered.is_delivered_compressed(metadata) {
            present.insert(id, path);
            return;
        }
        if compressed::is_named_compressed(&path) && self.free_places() == 0 {
            return;
        }
        match self.open(&path) {
            Ok(id) => drop(present.insert(id, path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => complaints.push(Unreadable::because(path, &error)),
        }
    }

    /// Opens a file that was not open, and finds out where to go on.
    pub(super) fn open(&mut self, path: &Path) -> io::Result<FileId> {
        let handle = fs_err::File::open(path)?;
        let metadata = handle.metadata()?;
        let mut file = TailedFile::new(self.roster.next_number(), path, handle, &metadata);
        if self.roster.contains(file.id) {
            // Swapped since the look: it is open already.
            return Ok(file.id);
        }
        let id = file.id;
        if file.is_compressed() && self.very_first_scan && self.passes_over(&file) {
            // As one that is delivered.
            self.remembered.remember(file.entry(true));
            self.unsaved.note(true);
            return Ok(id);
        }
        match self.closed.take(id) {
            Some(entry) => self.reopen(&mut file, entry)?,
            None => self.begin_or_resume(&mut file)?,
        }
        if file.consumed_position().offset_bytes == 0 {
            file.knowledge = Knowledge::Undecided;
        }
        self.adopt_or_close(file);
        Ok(id)
    }

    fn begin_or_resume(&mut self, file: &mut TailedFile) -> io::Result<()> {
        let entry = if file.is_compressed() { None } else { self.remembered.take(file)? };
        if let Some(entry) = entry {
            file.resume(&entry);
            return Ok(());
        }
        file.begin_anew(self.next_generation(file.id.inode));
        self.unsaved.note_urgent();
        if self.very_first_scan && self.passes_over(file) && file.skip_to_end().is_err() {
            // It is read from its beginning, and fails there, too.
            file.begin_anew(file.generation());
        }
        Ok(())
    }

    /// A generation that no content of this inode had, on whatever device.
    pub(super) fn next_generation(&self, inode: u64) -> u32 {
        let open = self.roster.of_inode(inode);
        let open = open.filter(|file| file.inode() == inode);
        let not_open = self.remembered.newest_generation(inode).max(self.closed.newest_generation(inode));
        let newest = open.map(TailedFile::generation).chain(not_open).max();
        newest.map_or(0, |newest| newest.saturating_add(1))
    }

    pub(super) fn passes_over(&self, file: &TailedFile) -> bool {
        match self.options.first_seen {
            FirstSeen::Beginning => false,
            FirstSeen::End => true,
            FirstSeen::Within(age) => {
                let changed = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                changed.elapsed().is_ok_and(|elapsed| elapsed > age)
            }
        }
    }

    pub(super) fn adopt(&mut self, file: TailedFile) {
        self.roster.add(file);
        self.unsaved.note(true);
    }

    /// Follows renames, and takes leave of files that are gone and delivered to their end.
    pub(super) fn take_leave(&mut self, present: &BTreeMap<FileId, PathBuf>) {
        self.leaving.clear();
        let mut moved = false;
        for file in self.roster.files_mut() {
            match (present.get(&file.id), file.standing) {
                (Some(path), _) if !is_same_path(path, &file.path) => {
                    file.renamed(path);
                    self.unsaved.note(true);
                    moved = true;
                }
                (Some(_), Standing::Gone(_) | Standing::Salvaged(_)) => {
                    file.standing = Standing::Present;
                    moved = true;
                }
                (Some(_), _) => {}
                (None, Standing::Present | Standing::Rotated(_)) => {
                    file.standing = Standing::Gone(Instant::now());
                    moved = true;
                }
                (None, Standing::Gone(_) | Standing::Salvaged(_)) => {}
            }
            if file.standing.is_gone() {
                self.unsaved.note(file.look().unwrap_or(false));
            }
            if file.standing != Standing::Present {
                self.leaving.push(file.number);
            }
        }
        let is_over = |number: &FileNumber| self.roster.get(*number).is_some_and(|file| self.is_over(file));
        let over: Vec<FileNumber> = self.leaving.iter().copied().filter(is_over).collect();
        for number in over {
            self.close(number);
            moved = true;
        }
        self.gone = self.roster.files().filter(|file| file.standing.is_gone()).count();
        self.roster.update_paths(moved);
    }

    pub(super) fn close(&mut self, number: FileNumber) {
        if let Some(file) = self.roster.remove(number) {
            self.remembered.remember(FileEntry { held_by_inode: file.holder_left(), ..file.entry(true) });
            self.unsaved.note(true);
            self.spent_salvage.extend(file.salvage().map(str::to_owned));
        }
    }

    /// At the start: files of the checkpoint that no glob finds are looked for by inode in the folder where they were.
    pub(super) fn look_for_renamed(&mut self) {
        for folder in self.remembered.unfinished_folders() {
            let Ok(entries) = fs_err::read_dir(&folder) else { continue };
            for candidate in entries.flatten() {
                let Ok(metadata) = candidate.metadata() else { continue };
                if self.remembered.is_unfinished(&candidate.path(), &metadata).unwrap_or(false) {
                    let _ = self.open(&candidate.path());
                }
            }
        }
    }

    /// After the start: what is left of the checkpoint's files and not found anywhere is lost, unless it comes back. As long
    /// as compressed files are examined, it may yet be found.
    pub(super) fn give_up_missing(&mut self) {
        let is_examined = |file: &TailedFile| file.is_known() || file.examined() != Some(Examined::No);
        if self.missing_given_up || !self.roster.files().all(is_examined) {
            return;
        }
        self.missing_given_up = true;
        self.remembered.give_up_missing(|entry| {
            report_lost(Path::new(&entry.path), entry.undelivered_bytes(), &self.counters);
            self.unsaved.note(true);
        });
    }

    fn forget_what_is_gone(&mut self, present: &BTreeMap<FileId, PathBuf>) {
        let on_any_device = |inode| FileId { inode, device: 0 }..=FileId { inode, device: u64::MAX };
        self.unsaved.note(self.remembered.forget(|inode| present.range(on_any_device(inode)).next().is_some()));
    }

    pub(super) fn queue_news(&mut self) {
        // What is written into a gap changes no size, and through a mapping not even a time.
        self.roster.queue_all(|file| file.news || file.is_at_gap());
    }

    /// True when a file without a name under the globs needs not be held open any longer.
    pub(super) fn is_over(&self, file: &TailedFile) -> bool {
        let is_delivered_salvage = file.is_salvage() && !file.news && file.unread_bytes() == 0 && file.is_settled();
        if is_delivered_salvage || file.is_delivered_archive() {
            return true;
        }
        let left_alone_for = file.left_alone_for().unwrap_or_default();
        file.standing.is_gone()
            && (file.is_known() || file.is_empty())
            && !file.news
            && !file.is_at_gap()
            && file.unread_bytes() == 0
            && file.is_settled()
            && left_alone_for >= self.waits.final_after
            && (left_alone_for >= self.waits.renamed_closed_after || file.is_deleted())
    }

    /// Says what is new among the things that cannot be read, and forgets those that can be again.
    pub(super) fn complain(&mut self, complaints: Vec<Unreadable>) {
        let now: HashSet<Unreadable> = complaints.into_iter().collect();
        for complaint in now.difference(&self.unreadable) {
            warn_unreadable(complaint);
        }
        self.counters.source_unreadable_total.inc_by(now.difference(&self.unreadable).count() as u64);
        self.unreadable = now;
    }
}

/// Byte for byte, which is all that two names of one place that a scan found can differ in.
pub(super) fn is_same_path(one: &Path, other: &Path) -> bool {
    one.as_os_str() == other.as_os_str()
}
