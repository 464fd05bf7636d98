//! The file of a program: its exported symbols, its sections, its build id.
//!
//! Nothing is held but what was asked for: sections are read one at a time, the largest as a
//! stream.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt as _};
use std::path::Path;

use object::read::elf::{ElfFile64, Sym as _};
use object::{CompressionFormat, LittleEndian, Object, ObjectSection, ReadCache, ReadRef};

/// `O_NONBLOCK` of Linux on x86_64 and aarch64.
const NONBLOCK: i32 = 0o4000;

/// Opens what ends: a FIFO without a writer would be waited for, and a device read without end.
///
/// # Errors
/// Why it cannot be read.
pub fn open_regular(path: &Path) -> Result<File, String> {
    let mut options = File::options();
    let file = options.read(true).custom_flags(NONBLOCK).open(path);
    let file = file.map_err(|error| error.to_string())?;
    let what = file.metadata().map_err(|error| error.to_string())?;
    if what.is_file() {
        Ok(file)
    } else {
        Err("it is no regular file".to_owned())
    }
}

/// Largest section that is read at once: those of Fluent Bit 5.1.1 have less than 2 MB, and four are
/// held at a time.
const MAX_SECTION: u64 = 6 << 20;

/// A section: where it is in the file, and how it is packed.
#[derive(Clone, Copy, Debug)]
struct Section {
    offset: u64,
    size: u64,
    format: CompressionFormat,
    unpacked: u64,
}

/// The file of a program or of its debug information.
#[derive(Debug)]
pub(crate) struct Image {
    file: File,
    sections: BTreeMap<String, Section>,
    /// Address of each exported symbol that was asked for.
    pub(crate) symbols: BTreeMap<String, u64>,
    /// In hexadecimal digits.
    pub(crate) build_id: Option<String>,
}

impl Image {
    /// Reads the tables of the file at `path`; of the symbols those that are `wanted`.
    pub(crate) fn open(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Self, String> {
        let file = open_regular(path)?;
        let again = file.try_clone().map_err(|error| error.to_string())?;
        let cache = ReadCache::new(again);
        let elf = ElfFile64::<LittleEndian, _>::parse(&cache)
            .map_err(|error| format!("no 64-bit ELF file: {error}"))?;
        let mut sections = BTreeMap::new();
        for section in elf.sections() {
            let Ok(name) = section.name() else { continue };
            if !name.starts_with(".debug_") && !name.starts_with(".zdebug_") {
                continue;
            }
            let range = section
                .compressed_file_range()
                .map_err(|error| format!("section {name}: {error}"))?;
            let plain = name.replacen(".zdebug_", ".debug_", 1);
            let found = Section {
                offset: range.offset,
                size: range.compressed_size,
                format: range.format,
                unpacked: range.uncompressed_size,
            };
            // A debug file repeats the headers of what it does not hold.
            if found.size > 0 {
                sections.insert(plain, found);
            }
        }
        let symbols = dynamic_symbols(&elf, wanted).unwrap_or_default();
        let build_id = elf.build_id().ok().flatten().map(|id| {
            id.iter().fold(String::new(), |mut text, byte| {
                // Writing to a String does not fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
        });
        Ok(Image {
            file,
            sections,
            symbols,
            build_id,
        })
    }

    /// Whether it has the section, with something in it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.sections.contains_key(name)
    }

    /// Whether its bytes stand in the file as they are.
    pub(crate) fn is_plain(&self, name: &str) -> bool {
        self.sections
            .get(name)
            .is_some_and(|section| section.format == CompressionFormat::None)
    }

    /// All of a section; empty if there is none.
    pub(crate) fn whole(&self, name: &str) -> Result<Vec<u8>, String> {
        let Some(section) = self.sections.get(name) else {
            return Ok(Vec::new());
        };
        if section.unpacked > MAX_SECTION {
            let bytes = section.unpacked;
            return Err(format!("section {name} says it has {bytes} bytes"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(section.unpacked).unwrap_or(0));
        self.stream(name)?
            .take(section.unpacked)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("section {name}: {error}"))?;
        Ok(bytes)
    }

    /// A section from its start.
    pub(crate) fn stream(&self, name: &str) -> Result<Stream, String> {
        let section = self
            .sections
            .get(name)
            .ok_or_else(|| format!("there is no section {name}"))?;
        let file = self.file.try_clone().map_err(|error| error.to_string())?;
        let range = Range {
            file,
            at: section.offset,
            end: section.offset.saturating_add(section.size),
        };
        Ok(match section.format {
            CompressionFormat::None => Stream::Plain(range),
            CompressionFormat::Zlib => {
                Stream::Zlib(Box::new(flate2::read::ZlibDecoder::new(buffered(range))))
            }
            CompressionFormat::Zstandard => {
                let decoder = ruzstd::decoding::StreamingDecoder::new(buffered(range))
                    .map_err(|error| format!("section {name}: {error}"))?;
                Stream::Zstd(Box::new(decoder))
            }
            other => return Err(format!("section {name} is compressed as {other:?}")),
        })
    }
}

/// The exported symbols that are `wanted`. Names and entries are read at once: there are ten thousand.
fn dynamic_symbols<'data, R: ReadRef<'data>>(
    elf: &ElfFile64<'data, LittleEndian, R>,
    wanted: impl Fn(&str) -> bool,
) -> Option<BTreeMap<String, u64>> {
    let table = elf.elf_dynamic_symbol_table();
    let section = elf.section_by_index(table.string_section()).ok()?;
    let names = section.data().ok()?;
    let endian = elf.endian();
    let all = table.iter().filter_map(|symbol| {
        let from = names.get(usize::try_from(symbol.st_name.get(endian)).ok()?..)?;
        let end = from.iter().position(|byte| *byte == 0)?;
        let name = std::str::from_utf8(&from[..end]).ok()?;
        let is_there = symbol.is_definition(endian);
        (is_there && wanted(name)).then(|| (name.to_owned(), symbol.st_value.get(endian)))
    });
    Some(all.collect())
}

fn buffered(range: Range) -> io::BufReader<Range> {
    io::BufReader::with_capacity(64 << 10, range)
}

/// A part of a file.
#[derive(Debug)]
pub(crate) struct Range {
    file: File,
    at: u64,
    end: u64,
}

impl Read for Range {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let room = out.len().min(left);
        let read = self.file.read_at(&mut out[..room], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The bytes of a section, unpacked.
pub(crate) enum Stream {
    Plain(Range),
    Zlib(Box<flate2::read::ZlibDecoder<io::BufReader<Range>>>),
    Zstd(
        Box<
            ruzstd::decoding::StreamingDecoder<
                io::BufReader<Range>,
                ruzstd::decoding::FrameDecoder,
            >,
        >,
    ),
}

impl Stream {
    /// Leaves out the next `bytes`.
    pub(crate) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        if let Stream::Plain(range) = self {
            range.at = range.at.saturating_add(bytes);
            return Ok(());
        }
        let skipped = io::copy(&mut self.take(bytes), &mut io::sink())?;
        if skipped < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(range) => range.read(out),
            Stream::Zlib(decoder) => decoder.read(out),
            Stream::Zstd(decoder) => decoder.read(out),
        }
    }
}
