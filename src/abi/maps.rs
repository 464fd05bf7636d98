//! What is mapped where in this process.

use std::ffi::{c_char, c_int, c_void};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What the linker has loaded, and the files that are mapped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Maps {
    /// The program's own segments.
    program: Vec<Range<usize>>,
    /// Segments that hold code, of all objects.
    code: Vec<Range<usize>>,
    /// Every mapping of a file.
    files: Vec<(Range<usize>, PathBuf)>,
}

/// The program that runs, whatever has become of its file.
pub(crate) const PROGRAM: &str = "/proc/self/exe";

impl Maps {
    /// As they are now. Where there is no /proc, nothing is known of files.
    pub(crate) fn now() -> Self {
        let mut maps = Maps {
            files: files_in(&fs::read_to_string("/proc/self/maps").unwrap_or_default()),
            ..Maps::default()
        };
        // SAFETY: the callback gets what is given here, and adds to it until the call is over.
        unsafe { libc::dl_iterate_phdr(Some(add_object), (&raw mut maps).cast()) };
        maps
    }

    /// Whether code is there.
    pub(crate) fn is_code(&self, address: usize) -> bool {
        self.code.iter().any(|range| range.contains(&address))
    }

    /// The file that is mapped there, to be opened.
    pub(crate) fn file(&self, address: usize) -> Option<PathBuf> {
        let mapped = self
            .files
            .iter()
            .find(|(range, _)| range.contains(&address))
            .map(|(_, file)| file);
        if !self.program.iter().any(|range| range.contains(&address)) {
            return mapped.cloned();
        }
        // Not the program where the linker was started with it (`ld-linux.so.2 fluent-bit`).
        let started = fs::read_link(PROGRAM).ok();
        let other = mapped.filter(|file| started.as_ref() != Some(*file) && file.exists());
        // The link leads to it also when it was replaced or removed meanwhile.
        let program = Path::new(PROGRAM);
        other
            .cloned()
            .or_else(|| program.exists().then(|| program.to_owned()))
    }

    fn add(&mut self, is_program: bool, base: usize, headers: &[libc::Elf64_Phdr]) {
        for header in headers {
            if header.p_type != libc::PT_LOAD {
                continue;
            }
            let start = base.wrapping_add(header.p_vaddr as usize);
            let range = start..start.saturating_add(header.p_memsz as usize);
            if header.p_flags & libc::PF_X != 0 {
                self.code.push(range.clone());
            }
            if is_program {
                self.program.push(range);
            }
        }
    }
}

/// Adds one object to the maps that `data` is; 0: go on.
unsafe extern "C" fn add_object(
    info: *mut libc::dl_phdr_info,
    _bytes: usize,
    data: *mut c_void,
) -> c_int {
    // SAFETY: the linker's own, valid during the call; `data` is what `now` gave.
    let (Some(info), Some(maps)) = (unsafe { info.as_ref() }, unsafe {
        data.cast::<Maps>().as_mut()
    }) else {
        return 0;
    };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: as many headers of a loaded object as the linker says.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    // The program comes first, and has no name.
    let is_program = maps.code.is_empty() && maps.program.is_empty() && is_empty(info.dlpi_name);
    maps.add(is_program, info.dlpi_addr as usize, headers);
    0
}

fn is_empty(name: *const c_char) -> bool {
    // SAFETY: NULL or a NUL-terminated name of the linker's.
    name.is_null() || unsafe { *name } == 0
}

/// The files in the text of /proc/self/maps.
fn files_in(text: &str) -> Vec<(Range<usize>, PathBuf)> {
    let mapping = |line: &str| {
        let (from, to) = line.split_ascii_whitespace().next()?.split_once('-')?;
        let number = |digits| usize::from_str_radix(digits, 16).ok();
        let range = number(from)?..number(to)?;
        // Access, offset, device and inode; the rest is the path, which may have spaces.
        let path = line.find('/').map(|at| PathBuf::from(&line[at..]))?;
        Some((range, path))
    };
    text.lines().filter_map(mapping).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_address() {
        let maps = Maps {
            files: files_in(
                "5500-5600 r--p 00000000 fe:00 12 /opt/a folder/lib.so\n\
                 5600-5800 r-xp 00001000 fe:00 12 /opt/a folder/lib.so\n\
                 7000-8000 rw-p 00000000 00:00 0 \n\
                 nonsense\n\
                 9000-a000 r-xp 00000000 fe:00 13 /lib/libfluent-bit.so (deleted)\n",
            ),
            ..Maps::default()
        };
        let file = |address| maps.file(address).map(|f| f.display().to_string());
        assert_eq!(file(0x5601).as_deref(), Some("/opt/a folder/lib.so"));
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
        // Of a library, and no code.
        let there = libc::malloc as *const () as usize;
        assert!(maps.is_code(there));
        assert_ne!(maps.file(there), maps.file(here));
        assert!(!maps.is_code(&raw const maps as usize));
    }
}
