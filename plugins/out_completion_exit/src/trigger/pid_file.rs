//! A PID file: which process it names, or why it names none.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flb_sidecar_sdk::{foreign_file, Why};

/// Much longer than a PID: what is longer is something else.
const LONGEST: u64 = 64;
/// How long a file may be without a PID: it is made first and written then.
const PATIENCE: Duration = Duration::from_secs(2);

/// A PID file, and what is wrong with it.
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
    useless_since: Option<Instant>,
    /// What was said of it last, so that it is said once.
    said: Option<String>,
}

impl PidFile {
    pub(super) fn new(path: &Path) -> Self {
        PidFile {
            path: path.to_owned(),
            useless_since: None,
            said: None,
        }
    }

    /// The process that it names, if that is not `own`. Says why it names none, once that has lasted.
    pub(super) fn look(&mut self, now: Instant, own: u32) -> Option<u32> {
        let pid = read(&self.path, own);
        if let Some(complaint) = self.complaint(now, pid.as_ref().err()) {
            tracing::warn!(
                "PID file {}: {complaint}: its process is still waited for",
                self.path.display()
            );
        }
        pid.ok().flatten()
    }

    fn complaint(&mut self, now: Instant, wrong: Option<&String>) -> Option<String> {
        let Some(wrong) = wrong else {
            self.useless_since = None;
            return None;
        };
        let since = *self.useless_since.get_or_insert(now);
        let lasts = now.saturating_duration_since(since) >= PATIENCE;
        if !lasts || self.said.as_ref() == Some(wrong) {
            return None;
        }
        self.said = Some(wrong.clone());
        self.said.clone()
    }
}

/// `None`: it is not there. What is in it is not repeated to anybody.
fn read(path: &Path, own: u32) -> Result<Option<u32>, String> {
    let bytes = match foreign_file::read(path, LONGEST) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Why(&error).to_string()),
    };
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    match text.parse() {
        Ok(pid) if pid == own => Err("it names this process itself".to_owned()),
        Ok(pid) if pid > 0 => Ok(Some(pid)),
        _ => Err("it does not hold the number of one process, and nothing else".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{mknodat, FileType, Mode, CWD};

    use super::*;

    const OWN: u32 = 77;

    /// What others met in such files: nothing yet, a word, zero and -1 (which mean other things to kill), more
    /// than a number can be, several, and no file at all.
    #[test]
    fn what_names_no_process_is_said_and_not_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("main.pid");
        for text in [
            "",
            "\n",
            "\0\0",
            "abc",
            "pid",
            "0",
            "-1",
            "+-1",
            "1e3",
            "12 13",
            "12\n13\n",
            "4294967297",
            "99999999999999999999",
            "77",
            "\u{feff}12",
            &"1".repeat(65),
        ] {
            fs::write(&path, text).unwrap();
            let wrong = read(&path, OWN).unwrap_err();
            let secret = text.trim();
            assert!(secret.len() < 3 || !wrong.contains(secret), "{wrong}");
        }
        for text in ["12", " 12\n", "12\r\n"] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path, OWN), Ok(Some(12)));
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(read(&path, OWN), Ok(None));
        assert!(read(dir.path(), OWN).is_err());
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert!(read(&path, OWN).is_err());
    }

    #[test]
    fn it_is_said_once_and_not_while_the_file_is_being_written() {
        let mut file = PidFile::new(Path::new("/none"));
        let start = Instant::now();
        let empty = "empty".to_owned();
        let folder = "folder".to_owned();
        let mut look = |second: u64, wrong: Option<&String>| {
            file.complaint(start + Duration::from_secs(second), wrong)
        };
        assert_eq!(look(0, Some(&empty)), None);
        assert_eq!(look(1, None), None);
        assert_eq!(look(2, Some(&empty)), None);
        assert_eq!(look(3, Some(&empty)), None);
        assert_eq!(look(4, Some(&empty)).as_ref(), Some(&empty));
        for second in 5..9 {
            assert_eq!(look(second, Some(&empty)), None);
        }
        assert_eq!(look(9, Some(&folder)).as_ref(), Some(&folder));
        assert_eq!(look(10, Some(&folder)), None);
    }
}
