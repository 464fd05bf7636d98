//! What is mapped where in this process.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mapping {
    range: Range<usize>,
    executable: bool,
    file: Option<PathBuf>,
}

/// Every mapping.
#[derive(Clone, Debug, Default)]
pub(crate) struct Maps(Vec<Mapping>);

/// The program that runs, whatever has become of its file.
pub(crate) const PROGRAM: &str = "/proc/self/exe";

impl Maps {
    /// As they are now; none where there is no /proc.
    pub(crate) fn now() -> Self {
        Maps::parse(&fs::read_to_string("/proc/self/maps").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let mapping = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let (from, to) = words.next()?.split_once('-')?;
            let number = |digits| usize::from_str_radix(digits, 16).ok();
            let range = number(from)?..number(to)?;
            let executable = words.next()?.contains('x');
            // Offset, device and inode; the rest is the path, which may have spaces.
            let path = line.find('/').map(|at| PathBuf::from(&line[at..]));
            Some(Mapping {
                range,
                executable,
                file: path,
            })
        };
        Maps(text.lines().filter_map(mapping).collect())
    }

    fn at(&self, address: usize) -> Option<&Mapping> {
        self.0
            .iter()
            .find(|mapping| mapping.range.contains(&address))
    }

    /// Whether code is there.
    pub(crate) fn is_code(&self, address: usize) -> bool {
        self.at(address).is_some_and(|mapping| mapping.executable)
    }

    /// The file that is mapped there, to be opened.
    pub(crate) fn file(&self, address: usize) -> Option<PathBuf> {
        let file = self.at(address)?.file.clone()?;
        let program = fs::read_link(PROGRAM).ok();
        // Also when it was replaced or removed meanwhile.
        Some(if program.as_deref() == Some(file.as_path()) {
            Path::new(PROGRAM).to_owned()
        } else {
            file
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_found_by_address() {
        let maps = Maps::parse(
            "5500-5600 r--p 00000000 fe:00 12 /opt/a folder/fluent-bit\n\
             5600-5800 r-xp 00001000 fe:00 12 /opt/a folder/fluent-bit\n\
             7000-8000 rw-p 00000000 00:00 0 \n\
             nonsense\n\
             9000-a000 r-xp 00000000 fe:00 13 /lib/libfluent-bit.so (deleted)\n",
        );
        assert!(maps.is_code(0x5600) && maps.is_code(0x57ff));
        assert!(!maps.is_code(0x5800) && !maps.is_code(0x5500) && !maps.is_code(0x7000));
        let file = |address| maps.file(address).map(|f| f.display().to_string());
        assert_eq!(file(0x5601).as_deref(), Some("/opt/a folder/fluent-bit"));
        assert_eq!(file(0x7001), None);
        assert_eq!(
            file(0x9000).as_deref(),
            Some("/lib/libfluent-bit.so (deleted)")
        );
    }

    #[test]
    fn our_own_code_is_in_our_own_program() {
        let maps = Maps::now();
        let here = our_own_code_is_in_our_own_program as fn() as usize;
        assert!(maps.is_code(here));
        assert_eq!(maps.file(here).as_deref(), Some(Path::new(PROGRAM)));
    }
}
