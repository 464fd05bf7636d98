//! What the kernel tells of folders and of the files in them.

use std::path::Path;

use crate::compressed::left_alone::Compressed;
use crate::counters::Trouble;
use crate::source::inotify::Change;
use crate::source::unseen::Unseen;
use crate::track::discovery::Discovery;
use crate::track::files::Files;
use crate::track::fingerprint::Identity;
use crate::track::rotation::moved;
use crate::track::transition::Observation;

/// What follows from events, and which names in them nobody has seen.
#[derive(Debug, Default)]
pub(crate) struct Events {
    unseen: Unseen,
}

impl Events {
    /// The kernel has told of something in a folder.
    pub(crate) fn told(
        &mut self,
        discovery: &mut Discovery,
        files: &mut Files,
        compressed: &mut Compressed,
        change: Change,
    ) {
        match change {
            Change::Written(path) => {
                match files.registry.at(path.as_path()) {
                    Some(id) => files.look_at(id),
                    None if files.ctx.options.globs.matches(&path) => {
                        self.written_unknown(discovery, files, compressed, &path);
                    }
                    None => {}
                }
                self.target_changed(discovery, files, compressed, &path);
            }
            Change::Appeared(path) => {
                self.target_changed(discovery, files, compressed, &path);
                self.appeared(discovery, files, compressed, &path);
            }
            Change::Gone { path, deleted } => {
                discovery.recheck(files, compressed, &path, deleted);
                self.target_changed(discovery, files, compressed, &path);
            }
            Change::Renamed(from, to) => {
                self.renamed(discovery, files, compressed, &from, &to);
                self.target_changed(discovery, files, compressed, &from);
                self.target_changed(discovery, files, compressed, &to);
            }
            Change::Folder(path) => discovery.scan_folder(files, &path),
            // That is for whoever has the time.
            Change::Folders | Change::Overflow => {}
        }
    }

    /// A file that is not followed was written to.
    fn written_unknown(
        &mut self,
        discovery: &mut Discovery,
        files: &mut Files,
        compressed: &mut Compressed,
        path: &Path,
    ) {
        if discovery.consider(files, compressed, path) {
            return;
        }
        // Under a name that is gone since: the next scan looks where it is now.
        if let Some(folder) = path.parent() {
            discovery.sources.changed(folder);
        }
    }

    /// A name has come into a watched folder.
    pub(crate) fn appeared(
        &mut self,
        discovery: &mut Discovery,
        files: &mut Files,
        compressed: &mut Compressed,
        path: &Path,
    ) {
        if files.ctx.options.globs.matches(path) {
            if !discovery.consider(files, compressed, path) {
                self.unseen.created(path);
            }
        } else if files.ctx.fs.is_dir(path) {
            // A link to a folder.
            discovery.scan_folder(files, path);
        }
    }

    fn renamed(
        &mut self,
        discovery: &mut Discovery,
        files: &mut Files,
        compressed: &mut Compressed,
        from: &Path,
        to: &Path,
    ) {
        let matched = files.ctx.options.globs.matches(from);
        let wanted = self.unseen.is_wanted(from, to, matched);
        let known = files
            .ctx
            .fs
            .metadata(to)
            .ok()
            .and_then(|m| files.registry.followed(&Identity::of(&m)));
        match known {
            Some(id) => {
                // Unless that was counted when it was not found at its path.
                let file = files.registry.get(id);
                let at_path = file.is_some_and(|file| file.path().is_some());
                files.ctx.counters.rotations.add(u64::from(at_path));
                moved(files, id, to);
                // A scan may have found it there before.
                if wanted {
                    files.observe(id, Observation::Rotated);
                }
                files.look_at(id);
                // It was not seen under a name between the two.
                self.unseen.renamed(from, to, true);
            }
            None => self.renamed_unseen(discovery, files, compressed, from, to, wanted),
        }
        discovery.recheck(files, compressed, from, false);
    }

    /// What was found where something was renamed to is not known.
    fn renamed_unseen(
        &mut self,
        discovery: &mut Discovery,
        files: &mut Files,
        compressed: &mut Compressed,
        from: &Path,
        to: &Path,
        wanted: bool,
    ) {
        if files.ctx.options.globs.matches(to) {
            self.appeared(discovery, files, compressed, to);
        } else if wanted {
            discovery.consider_as(files, compressed, to, Some(from));
        }
        let id = files.registry.at(to);
        if let Some(id) = id.filter(|_| wanted) {
            files.observe(id, Observation::Rotated);
        }
        self.unseen.renamed(from, to, id.is_some());
    }

    /// What has not been found since the last scan but one is gone.
    pub(crate) fn miss_unseen(&mut self, discovery: &Discovery, files: &Files) {
        for path in self.unseen.after_scan() {
            if files.registry.at(&path).is_none()
                && !discovery.waits(files, &path)
                && files.ctx.troubles.can_be_opened(&path)
            {
                let text = "it was gone before it could be opened";
                files.ctx.troubles.say_of_gone(Trouble::Missed, path, text);
            }
        }
    }

    /// Something happened where links lead.
    fn target_changed(
        &mut self,
        discovery: &mut Discovery,
        files: &mut Files,
        compressed: &mut Compressed,
        target: &Path,
    ) {
        for link in files.links.to(target).to_vec() {
            self.look_behind(discovery, files, compressed, &link);
        }
    }

    /// Looks at the file behind a link, which may be a new one.
    pub(crate) fn look_behind(
        &mut self,
        discovery: &mut Discovery,
        files: &mut Files,
        compressed: &mut Compressed,
        link: &Path,
    ) {
        if files.registry.at(link).is_some() {
            discovery.recheck(files, compressed, link, false);
        } else {
            discovery.consider(files, compressed, link);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use crate::sim::steps::Steps;

    #[test]
    fn writers_in_a_hurry_do_not_keep_files_from_being_read() {
        let mut steps = Steps::new("*.log");
        let paths = ["a.log", "b.log"].map(|name| steps.path(name));
        let first = paths[0].clone();
        let enough = Arc::new(AtomicBool::new(false));
        let told = enough.clone();
        let writer = thread::spawn(move || {
            let start = Instant::now();
            let mut files = paths.map(|path| File::create(path).unwrap());
            while !told.load(Ordering::Relaxed) && start.elapsed() < Duration::from_secs(60) {
                for file in &mut files {
                    file.write_all(b"\n").unwrap();
                }
            }
        });
        while !fs::metadata(&first).is_ok_and(|metadata| metadata.len() > 10_000) {
            thread::yield_now();
        }
        steps.told();
        assert!(!writer.is_finished(), "it was waited for");
        enough.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    }

    #[test]
    fn every_path_of_a_folder_is_told_of() {
        // The link in it has the folder watched under its other name, too.
        let mut steps = Steps::prepared("link/*.log", &[], |dir| {
            let folder = dir.path().join("folder");
            fs::create_dir(&folder).unwrap();
            symlink("folder", dir.path().join("link")).unwrap();
            fs::write(folder.join("1"), "one\n").unwrap();
            symlink("1", folder.join("current.log")).unwrap();
            fs::write(folder.join("a.log"), "two\n").unwrap();
        });
        steps.read();
        steps.append("folder/1", "one\n");
        steps.append("folder/a.log", "two\n");
        steps.append("folder/b.log", "three\n");
        steps.told();
        steps.read();
        steps.rename("folder/b.log", "folder/c");
        steps.append("folder/c", "three\n");
        steps.told();
        steps.read();
        steps.lines.sort();
        assert_eq!(steps.lines, ["one", "one", "three", "three", "two", "two"]);
        assert_eq!(steps.missed(), 0);
    }
}
