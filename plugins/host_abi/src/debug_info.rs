//! Facts about a program, from its own debug information.
//!
//! Of the 19 MB that a Fluent Bit has, some thirty units of its own sources are read, one at a
//! time: those that the addresses of wanted functions lie in. Only if something is not there the
//! others follow.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use gimli::{DebugAranges, LittleEndian};

use crate::dwarf::{self, Sought, Tables, Unread};
use crate::elf::{Image, Stream};
use crate::facts::Facts;
use crate::layout::{Layout, Need, WANTED};

/// Where distributions have what they take out of programs.
pub const DEBUG_FOLDER: &str = "/usr/lib/debug";

/// Largest unit that is read: that of SQLite, the largest of a Fluent Bit, has 2 MB.
const MAX_UNIT: u64 = 8 << 20;
/// Most bytes of all units, read or left out: those of Fluent Bit 5.1.1 have 30 MB.
const MAX_UNITS: u64 = 256 << 20;

/// Why a program's debug information is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is none, neither in the program nor beside it.
    Absent {
        /// The program.
        program: PathBuf,
        /// Where else it could have been.
        elsewhere: Option<PathBuf>,
    },
    /// It cannot be read.
    Broken {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Absent { program, elsewhere } => {
                write!(f, "{} has no debug information", program.display())?;
                match elsewhere {
                    Some(other) => write!(f, ", and there is no {}", other.display()),
                    None => f.write_str(" and no build id to find it by"),
                }
            }
            Failure::Broken { file, why } => {
                write!(f, "the debug information in {}: {why}", file.display())
            }
        }
    }
}

/// Reads what [`Layout`](crate::Layout) wants, and the signatures of `functions`, from `program`, or
/// from the file below `folder` that belongs to it.
///
/// # Errors
/// There is none, or it is broken.
pub fn read(program: &Path, folder: &Path, functions: &[&str]) -> Result<Facts, Failure> {
    let wanted = is_wanted(functions);
    let open = |file: &Path| {
        Image::open(file, wanted).map_err(|why| Failure::Broken {
            file: file.to_owned(),
            why,
        })
    };
    let image = open(program)?;
    let mut facts = Facts {
        build_id: image.build_id.clone(),
        ..Facts::default()
    };
    let (file, debug) = if image.has(".debug_info") {
        (program.to_owned(), None)
    } else {
        let elsewhere = image.build_id.as_ref().and_then(|id| beside(folder, id));
        let Some(file) = elsewhere.as_ref().filter(|file| file.exists()) else {
            return Err(Failure::Absent {
                program: program.to_owned(),
                elsewhere,
            });
        };
        (file.clone(), Some(open(file)?))
    };
    let debug = debug.as_ref().unwrap_or(&image);
    let broken = |why: String| Failure::Broken {
        file: file.clone(),
        why,
    };
    if debug.build_id != image.build_id {
        return Err(broken("it belongs to another build".to_owned()));
    }
    let unread = collect(debug, &image.symbols, functions, Effort::All, &mut facts);
    let unread = unread.map_err(broken)?;
    match unread.why() {
        Some(why) if Layout::from_facts(&facts).is_err() => Err(broken(why.to_owned())),
        _ => Ok(facts),
    }
}

/// The structs that [`read`] would find, as far as that costs next to nothing: in the program itself, if
/// its debug information is not packed and has an index. `None` otherwise.
pub fn glance(program: &Path) -> Option<Facts> {
    let functions = &[];
    let image = Image::open(program, is_wanted(functions)).ok()?;
    if !image.is_plain(".debug_info") || !image.has(".debug_aranges") {
        return None;
    }
    let mut facts = Facts {
        build_id: image.build_id.clone(),
        ..Facts::default()
    };
    let unread = collect(&image, &image.symbols, functions, Effort::Index, &mut facts);
    let unread = unread.ok()?;
    unread.why().is_none().then_some(facts)
}

/// Which symbols are looked up: those of the functions, and those beside structs.
fn is_wanted<'a>(functions: &'a [&'a str]) -> impl Fn(&str) -> bool + Copy + 'a {
    |name| functions.contains(&name) || WANTED.iter().any(|wanted| wanted.anchor == name)
}

/// The functions and data that a program exports.
///
/// # Errors
/// It is no program.
pub fn exported(program: &Path) -> Result<BTreeSet<String>, String> {
    let image = Image::open(program, |_| true)?;
    Ok(image.symbols.into_keys().collect())
}

/// The build id of a program, in hexadecimal digits, if it has one.
pub fn build_id(program: &Path) -> Option<String> {
    Image::open(program, |_| false).ok()?.build_id
}

/// Where the debug information of a build is below `folder`.
fn beside(folder: &Path, id: &str) -> Option<PathBuf> {
    let (first, rest) = id.split_at_checked(2)?;
    Some(folder.join(format!(".build-id/{first}/{rest}.debug")))
}

/// How far is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// Only where the index leads.
    Index,
    /// Everywhere, if need be.
    All,
}

fn collect(
    image: &Image,
    symbols: &BTreeMap<String, u64>,
    functions: &[&str],
    effort: Effort,
    facts: &mut Facts,
) -> Result<Unread, String> {
    let mut unread = Unread::default();
    let tables = Tables {
        abbreviations: image.whole(".debug_abbrev")?,
        strings: image.whole(".debug_str")?,
        line_strings: image.whole(".debug_line_str")?,
        string_offsets: image.whole(".debug_str_offsets")?,
    };
    let exported = |name: &str| symbols.contains_key(name);
    let mut sought = Sought {
        structs: WANTED
            .iter()
            .map(|wanted| (wanted.name, wanted.paths().collect()))
            .collect(),
        functions: symbols
            .keys()
            .map(String::as_str)
            .filter(|name| functions.contains(name))
            .collect(),
    };
    let mut first = units_of(&image.whole(".debug_aranges")?, symbols).unwrap_or_default();
    let before = facts.clone();
    let followed = units_at(image, &first, |unit| {
        dwarf::collect(unit, &tables, &sought, facts, &mut unread)
    });
    match (effort, followed) {
        (Effort::Index, followed) => return followed.map(|()| unread),
        (Effort::All, Ok(())) => {}
        // Compilers and linkers leave indexes that are none; the units are the same without.
        (Effort::All, Err(_)) => {
            first.clear();
            *facts = before;
            unread = Unread::default();
        }
    }
    let unknown = |facts: &Facts, name: &str| {
        !facts.structs.contains_key(name)
            && !facts.functions.contains_key(name)
            && !facts.conflicts.iter().any(|conflict| conflict == name)
    };
    sought.structs.retain(|name, _| unknown(facts, name));
    sought.functions.retain(|name| unknown(facts, name));
    // A struct whose functions the host does not have is none of its own.
    let worth = WANTED
        .iter()
        .filter(|wanted| sought.structs.contains_key(wanted.name))
        .any(|wanted| wanted.need() == Need::Needed || exported(wanted.anchor));
    if !worth && sought.functions.is_empty() && !first.is_empty() {
        return Ok(unread);
    }
    each_unit(
        image,
        |at| !first.contains(&at),
        |unit| dwarf::collect(unit, &tables, &sought, facts, &mut unread),
    )?;
    Ok(unread)
}

/// Offsets of the units that the symbols lie in.
fn units_of(ranges: &[u8], symbols: &BTreeMap<String, u64>) -> Result<BTreeSet<u64>, String> {
    let mut addresses: Vec<u64> = symbols.values().copied().collect();
    addresses.sort_unstable();
    let mut units = BTreeSet::new();
    let ranges = DebugAranges::new(ranges, LittleEndian);
    let mut headers = ranges.headers();
    let text = |error: gimli::Error| error.to_string();
    while let Some(header) = headers.next().map_err(text)? {
        let mut entries = header.entries();
        while let Some(entry) = entries.next().map_err(text)? {
            let range = entry.address()..entry.address().saturating_add(entry.length());
            let from = addresses.partition_point(|address| *address < range.start);
            if addresses
                .get(from)
                .is_some_and(|address| range.contains(address))
            {
                units.insert(header.debug_info_offset().0 as u64);
                break;
            }
        }
    }
    Ok(units)
}

/// Reads the units at these offsets and shows them to `visit`.
fn units_at(
    image: &Image,
    offsets: &BTreeSet<u64>,
    mut visit: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    if offsets.is_empty() {
        return Ok(());
    }
    let mut stream = image.stream(".debug_info")?;
    let mut at: u64 = 0;
    let mut unit = Vec::new();
    for offset in offsets {
        let between = offset.checked_sub(at).filter(|_| *offset <= MAX_UNITS);
        let between = between.ok_or("the index of its units leads nowhere")?;
        stream.skip(between).map_err(|error| error.to_string())?;
        unit.clear();
        let Some(length) = unit_length(&mut stream, &mut unit)? else {
            return Err("the index of its units leads nowhere".to_owned());
        };
        rest_of_unit(&mut stream, length, &mut unit)?;
        at = offset + unit.len() as u64;
        visit(&unit)?;
    }
    Ok(())
}

fn rest_of_unit(stream: &mut Stream, length: u64, unit: &mut Vec<u8>) -> Result<(), String> {
    if length > MAX_UNIT {
        return Err(format!("a unit says it has {length} bytes"));
    }
    let read = stream
        .take(length)
        .read_to_end(unit)
        .map_err(|error| error.to_string())?;
    if (read as u64) < length {
        return Err("a unit is cut off".to_owned());
    }
    Ok(())
}

/// Reads the units that `selected` takes, by their offset, and shows them to `visit`.
fn each_unit(
    image: &Image,
    selected: impl Fn(u64) -> bool,
    mut visit: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let mut stream = image.stream(".debug_info")?;
    let mut at: u64 = 0;
    let mut unit = Vec::new();
    loop {
        unit.clear();
        let Some(length) = unit_length(&mut stream, &mut unit)? else {
            return Ok(());
        };
        let start = at;
        at = (unit.len() as u64)
            .checked_add(length)
            .and_then(|bytes| at.checked_add(bytes))
            .filter(|end| *end <= MAX_UNITS)
            .ok_or_else(|| format!("its units say they have more than {MAX_UNITS} bytes"))?;
        if !selected(start) {
            stream.skip(length).map_err(|error| error.to_string())?;
            continue;
        }
        rest_of_unit(&mut stream, length, &mut unit)?;
        visit(&unit)?;
    }
}

/// Reads a unit's length into `head`; `None` at the end.
fn unit_length(stream: &mut Stream, head: &mut Vec<u8>) -> Result<Option<u64>, String> {
    let mut take = |bytes: u64, head: &mut Vec<u8>| {
        let read = (&mut *stream).take(bytes).read_to_end(head);
        read.map_err(|error| error.to_string())
    };
    match take(4, head)? {
        0 => return Ok(None),
        4 => {}
        _ => return Err("the last unit is cut off".to_owned()),
    }
    let short = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    if short < 0xffff_fff0 {
        return Ok(Some(short.into()));
    }
    if short != u32::MAX || take(8, head)? != 8 {
        return Err("a unit has no length".to_owned());
    }
    let long = <[u8; 8]>::try_from(&head[4..12]).map_err(|error| error.to_string())?;
    Ok(Some(u64::from_le_bytes(long)))
}
