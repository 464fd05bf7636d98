//! Debug information, one unit at a time: its wanted structs and functions.

mod unit;

use std::collections::{BTreeMap, BTreeSet};

use gimli::{DebugInfo, EntriesTreeNode, LittleEndian};

use crate::facts::{Facts, Field, Struct};
use unit::{is_declaration, number, Reader, Type, Unit};

/// How deep structs inside structs are looked into: `options.flags`.
const MAX_DEPTH: usize = 2;

/// Sections that every unit refers to.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) abbreviations: Vec<u8>,
    pub(crate) strings: Vec<u8>,
    pub(crate) line_strings: Vec<u8>,
    pub(crate) string_offsets: Vec<u8>,
}

/// What is looked for.
#[derive(Debug, Default)]
pub(crate) struct Sought<'a> {
    /// Structs, with the paths inside structs inside.
    pub(crate) structs: BTreeMap<&'a str, Vec<&'a str>>,
    /// Functions.
    pub(crate) functions: BTreeSet<&'a str>,
}

/// Forms of debug information that are not read, as far as units were in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unread {
    /// Units whose contents stand in files of their own.
    pub(crate) split: u64,
    /// Units that take types from others.
    pub(crate) shared: u64,
}

impl Unread {
    /// Why something may be missing; `None`: not because of these.
    pub(crate) fn why(self) -> Option<&'static str> {
        if self.split > 0 {
            Some("it was split off into .dwo files, which are not read")
        } else if self.shared > 0 {
            Some("units share their types, as dwz or -fdebug-types-section packs them, which is not read")
        } else {
            None
        }
    }
}

/// Adds what `unit` has of what is sought to `facts`.
pub(crate) fn collect(
    unit: &[u8],
    tables: &Tables,
    sought: &Sought<'_>,
    facts: &mut Facts,
    unread: &mut Unread,
) -> Result<(), String> {
    let text = |error: gimli::Error| error.to_string();
    let info = DebugInfo::new(unit, LittleEndian);
    let mut units = info.units();
    while let Some(header) = units.next().map_err(text)? {
        // Linkers leave the shell of what they threw away.
        if header.length_including_self() == header.header_size() {
            continue;
        }
        let unit = Unit::new(header, tables).map_err(text)?;
        let collected = Collector {
            unit: &unit,
            sought,
            facts,
        }
        .collect();
        unread.split += u64::from(unit.is_split());
        unread.shared += u64::from(unit.takes_from_others());
        collected.map_err(text)?;
        if unit.leads_nowhere() {
            return Err("a unit leads nowhere".to_owned());
        }
    }
    Ok(())
}

/// Goes over what stands at the top of one unit.
struct Collector<'c, 'a> {
    unit: &'c Unit<'a>,
    sought: &'c Sought<'c>,
    facts: &'c mut Facts,
}

impl<'a> Collector<'_, 'a> {
    fn collect(&mut self) -> gimli::Result<()> {
        let mut tree = self.unit.tree(None)?;
        let mut children = tree.root()?.children();
        // Only what stands at the top: a struct inside a function is another one.
        while let Some(child) = children.next()? {
            if !self.unit.steps(1) {
                return Ok(());
            }
            let entry = child.entry();
            let tag = entry.tag();
            if tag == gimli::DW_TAG_imported_unit {
                self.unit.take_from_others();
            }
            if tag != gimli::DW_TAG_structure_type && tag != gimli::DW_TAG_subprogram {
                continue;
            }
            if is_declaration(entry)? {
                continue;
            }
            let Some(name) = self.unit.name(entry)? else {
                continue;
            };
            if tag == gimli::DW_TAG_subprogram {
                if self.sought.functions.contains(name.as_str()) {
                    let signature = self.unit.signature(child)?;
                    agree(
                        &mut self.facts.functions,
                        &mut self.facts.conflicts,
                        name,
                        signature,
                    );
                }
            } else if let Some(paths) = self.sought.structs.get(name.as_str()) {
                let bytes = number(entry, gimli::DW_AT_byte_size)?.unwrap_or(0);
                let mut fields = BTreeMap::new();
                self.members(child, "", 0, paths, 0, &mut fields)?;
                let layout = Struct { bytes, fields };
                agree(
                    &mut self.facts.structs,
                    &mut self.facts.conflicts,
                    name,
                    layout,
                );
            }
        }
        Ok(())
    }

    /// Adds the fields of a struct or union, those of nameless ones inside as if they were its own.
    fn members(
        &self,
        node: EntriesTreeNode<'_, '_, '_, Reader<'a>>,
        prefix: &str,
        base: u64,
        paths: &[&str],
        depth: usize,
        fields: &mut BTreeMap<String, Field>,
    ) -> gimli::Result<()> {
        let mut children = node.children();
        while let Some(child) = children.next()? {
            if !self.unit.steps(1) {
                return Ok(());
            }
            let entry = child.entry();
            if entry.tag() != gimli::DW_TAG_member
                || entry.attr_value(gimli::DW_AT_data_bit_offset)?.is_some()
            {
                continue;
            }
            let Some(offset) = self.unit.member_offset(entry)? else {
                continue;
            };
            let offset = base.saturating_add(offset);
            let kind = self.unit.kind(entry)?;
            let inner = match &kind {
                Type::Struct { at, .. } => Some(*at),
                _ => None,
            };
            let path = match self.unit.name(entry)? {
                Some(name) => format!("{prefix}{name}"),
                None => String::new(),
            };
            let inside = path.is_empty()
                || paths.iter().any(|wanted| {
                    wanted
                        .strip_prefix(path.as_str())
                        .is_some_and(|r| r.starts_with('.'))
                });
            // Each look at a struct may cost as much as the whole unit.
            if let (Some(at), true, true) =
                (inner, inside, depth < MAX_DEPTH && self.unit.steps(1024))
            {
                let prefix = if path.is_empty() {
                    prefix.to_owned()
                } else {
                    format!("{path}.")
                };
                let mut tree = self.unit.tree(Some(at))?;
                self.members(tree.root()?, &prefix, offset, paths, depth + 1, fields)?;
            }
            if !path.is_empty() {
                let kind = self.unit.kind_of_field(kind)?;
                fields.insert(path, Field { offset, kind });
            }
        }
        Ok(())
    }
}

/// Units that describe the same thing differently take away each other's word.
fn agree<T: PartialEq>(
    known: &mut BTreeMap<String, T>,
    conflicts: &mut Vec<String>,
    name: String,
    found: T,
) {
    if conflicts.contains(&name) {
        return;
    }
    match known.get(&name) {
        Some(other) if *other == found => {}
        Some(_) => {
            known.remove(&name);
            conflicts.push(name);
        }
        None => {
            known.insert(name, found);
        }
    }
}
