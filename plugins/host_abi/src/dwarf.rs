//! One unit of debug information at a time: its wanted structs and functions.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use gimli::{
    AttributeValue, DebugAbbrev, DebugInfo, DebugStr, DebugStrOffsets, EndianSlice,
    EntriesTreeNode, LittleEndian, Operation, UnitHeader, UnitOffset,
};

use crate::facts::{Facts, Field, Kind, Struct};
use crate::signature::{Signature, Value};

type Reader<'a> = EndianSlice<'a, LittleEndian>;
type Entry<'a, 'u> = gimli::DebuggingInformationEntry<'u, 'u, Reader<'a>>;

/// How many typedefs and qualifiers in a row are followed.
const MAX_STEPS: usize = 16;
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
            Some("units share their types, as dwz packs them, which is not read")
        } else {
            None
        }
    }
}

/// How much is looked at in one unit: steps from entry to entry, and structs inside structs. Those of
/// compilers need a thousandth of it.
const MAX_STEPS_IN_UNIT: u32 = 1 << 22;

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
        let unit = Unit::new(header, tables).map_err(text)?;
        let collected = unit.collect(sought, facts).map_err(text);
        unread.split += u64::from(unit.is_split);
        unread.shared += u64::from(unit.takes_from_others.get());
        collected?;
        if unit.steps_left.get() == 0 {
            return Err("a unit leads nowhere".to_owned());
        }
    }
    Ok(())
}

struct Unit<'a> {
    header: UnitHeader<Reader<'a>>,
    abbreviations: gimli::Abbreviations,
    strings: DebugStr<Reader<'a>>,
    line_strings: gimli::DebugLineStr<Reader<'a>>,
    string_offsets: DebugStrOffsets<Reader<'a>>,
    string_offsets_base: gimli::DebugStrOffsetsBase,
    /// Its contents are in a file of their own.
    is_split: bool,
    /// It took a type from another unit or file.
    takes_from_others: Cell<bool>,
    steps_left: Cell<u32>,
}

/// A type, without its names and qualifiers.
enum Type {
    Void,
    Pointer(Option<UnitOffset>),
    Integer(u64),
    Float(u64),
    Struct {
        name: String,
        bytes: u64,
        at: UnitOffset,
    },
    Function(UnitOffset),
    Other(u64),
}

impl<'a> Unit<'a> {
    fn new(header: UnitHeader<Reader<'a>>, tables: &'a Tables) -> gimli::Result<Self> {
        let abbreviations =
            header.abbreviations(&DebugAbbrev::new(&tables.abbreviations, LittleEndian))?;
        let mut unit = Unit {
            header,
            abbreviations,
            strings: DebugStr::new(&tables.strings, LittleEndian),
            line_strings: EndianSlice::new(&tables.line_strings, LittleEndian).into(),
            string_offsets: EndianSlice::new(&tables.string_offsets, LittleEndian).into(),
            string_offsets_base: gimli::DebugStrOffsetsBase::default_for_encoding_and_file(
                header.encoding(),
                gimli::DwarfFileType::Main,
            ),
            is_split: false,
            takes_from_others: Cell::new(false),
            steps_left: Cell::new(MAX_STEPS_IN_UNIT),
        };
        let mut tree = header.entries_tree(&unit.abbreviations, None)?;
        let root = tree.root()?;
        let base = root.entry().attr_value(gimli::DW_AT_str_offsets_base)?;
        if let Some(AttributeValue::DebugStrOffsetsBase(base)) = base {
            unit.string_offsets_base = base;
        }
        for name in [gimli::DW_AT_dwo_name, gimli::DW_AT_GNU_dwo_name] {
            unit.is_split |= root.entry().attr_value(name)?.is_some();
        }
        Ok(unit)
    }

    /// Whether there are steps left; takes `steps` of them.
    fn steps(&self, steps: u32) -> bool {
        let left = self.steps_left.get().saturating_sub(steps);
        self.steps_left.set(left);
        left > 0
    }

    fn collect(&self, sought: &Sought<'_>, facts: &mut Facts) -> gimli::Result<()> {
        let mut tree = self.header.entries_tree(&self.abbreviations, None)?;
        let mut children = tree.root()?.children();
        // Only what stands at the top: a struct inside a function is another one.
        while let Some(child) = children.next()? {
            if !self.steps(1) {
                return Ok(());
            }
            let entry = child.entry();
            let tag = entry.tag();
            if tag == gimli::DW_TAG_imported_unit {
                self.takes_from_others.set(true);
            }
            if tag != gimli::DW_TAG_structure_type && tag != gimli::DW_TAG_subprogram {
                continue;
            }
            if is_declaration(entry)? {
                continue;
            }
            let Some(name) = self.name(entry)? else {
                continue;
            };
            if tag == gimli::DW_TAG_subprogram {
                if sought.functions.contains(name.as_str()) {
                    let signature = self.signature(child)?;
                    agree(&mut facts.functions, &mut facts.conflicts, name, signature);
                }
            } else if let Some(paths) = sought.structs.get(name.as_str()) {
                let bytes = number(entry, gimli::DW_AT_byte_size)?.unwrap_or(0);
                let mut fields = BTreeMap::new();
                self.members(child, "", 0, paths, 0, &mut fields)?;
                let layout = Struct { bytes, fields };
                agree(&mut facts.structs, &mut facts.conflicts, name, layout);
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
            if !self.steps(1) {
                return Ok(());
            }
            let entry = child.entry();
            if entry.tag() != gimli::DW_TAG_member
                || entry.attr_value(gimli::DW_AT_data_bit_offset)?.is_some()
            {
                continue;
            }
            let Some(offset) = self.member_offset(entry)? else {
                continue;
            };
            let offset = base.saturating_add(offset);
            let kind = self.kind(entry)?;
            let inner = match &kind {
                Type::Struct { at, .. } => Some(*at),
                _ => None,
            };
            let path = match self.name(entry)? {
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
            if let (Some(at), true, true) = (inner, inside, depth < MAX_DEPTH && self.steps(1024)) {
                let prefix = if path.is_empty() {
                    prefix.to_owned()
                } else {
                    format!("{path}.")
                };
                let mut tree = self.header.entries_tree(&self.abbreviations, Some(at))?;
                self.members(tree.root()?, &prefix, offset, paths, depth + 1, fields)?;
            }
            if !path.is_empty() {
                let kind = self.kind_of_field(kind)?;
                fields.insert(path, Field { offset, kind });
            }
        }
        Ok(())
    }

    /// `None`: in a form that no compiler of C writes.
    fn member_offset(&self, entry: &Entry<'a, '_>) -> gimli::Result<Option<u64>> {
        Ok(match entry.attr_value(gimli::DW_AT_data_member_location)? {
            // A member of a union has none.
            None => Some(0),
            Some(AttributeValue::Exprloc(expression)) => {
                match expression.operations(self.header.encoding()).next()? {
                    Some(Operation::PlusConstant { value }) => Some(value),
                    _ => None,
                }
            }
            Some(value) => value.udata_value(),
        })
    }

    fn kind_of_field(&self, kind: Type) -> gimli::Result<Kind> {
        Ok(match kind {
            Type::Pointer(Some(to)) => match self.resolve(to)? {
                Type::Function(at) => {
                    let mut tree = self.header.entries_tree(&self.abbreviations, Some(at))?;
                    Kind::Function(self.signature(tree.root()?)?)
                }
                _ => Kind::Pointer,
            },
            Type::Pointer(None) => Kind::Pointer,
            Type::Integer(bytes) => Kind::Integer(bytes),
            Type::Struct { name, bytes, .. } => Kind::Struct(name, bytes),
            Type::Float(bytes) | Type::Other(bytes) => Kind::Other(bytes),
            Type::Void | Type::Function(_) => Kind::Other(0),
        })
    }

    /// Of a function, or of a function's type.
    fn signature(&self, node: EntriesTreeNode<'_, '_, '_, Reader<'a>>) -> gimli::Result<Signature> {
        let result = self.value(node.entry())?;
        let mut signature = Signature {
            result,
            arguments: Vec::new(),
            variadic: false,
        };
        let mut children = node.children();
        while let Some(child) = children.next()? {
            if !self.steps(1) {
                break;
            }
            match child.entry().tag() {
                gimli::DW_TAG_formal_parameter => {
                    signature.arguments.push(self.value(child.entry())?);
                }
                gimli::DW_TAG_unspecified_parameters => signature.variadic = true,
                _ => {}
            }
        }
        Ok(signature)
    }

    fn value(&self, entry: &Entry<'a, '_>) -> gimli::Result<Value> {
        Ok(match self.kind(entry)? {
            Type::Void => Value::Void,
            Type::Integer(bytes) => Value::Integer(bytes),
            Type::Float(bytes) => Value::Float(bytes),
            Type::Pointer(None) => Value::Pointer(None),
            Type::Pointer(Some(to)) => Value::Pointer(match self.resolve(to)? {
                Type::Struct { name, .. } if !name.is_empty() => Some(name),
                _ => None,
            }),
            Type::Struct { .. } | Type::Function(_) | Type::Other(_) => Value::Other,
        })
    }

    /// The type that an entry names; without one it is void.
    fn kind(&self, entry: &Entry<'a, '_>) -> gimli::Result<Type> {
        match entry.attr_value(gimli::DW_AT_type)? {
            None => Ok(Type::Void),
            Some(AttributeValue::UnitRef(at)) => self.resolve(at),
            // In another unit or file: what dwz does to packages. Unknown, so nothing fits it.
            Some(_) => Ok(self.elsewhere()),
        }
    }

    fn elsewhere(&self) -> Type {
        self.takes_from_others.set(true);
        Type::Other(0)
    }

    fn resolve(&self, at: UnitOffset) -> gimli::Result<Type> {
        let mut at = at;
        for _ in 0..MAX_STEPS {
            let entry = self.header.entry(&self.abbreviations, at)?;
            let bytes = || number(&entry, gimli::DW_AT_byte_size).map(|b| b.unwrap_or(0));
            let inner = match entry.attr_value(gimli::DW_AT_type)? {
                None => None,
                Some(AttributeValue::UnitRef(to)) => Some(to),
                Some(_) => return Ok(self.elsewhere()),
            };
            return Ok(match entry.tag() {
                gimli::DW_TAG_typedef
                | gimli::DW_TAG_const_type
                | gimli::DW_TAG_volatile_type
                | gimli::DW_TAG_restrict_type
                | gimli::DW_TAG_atomic_type => match inner {
                    Some(to) => {
                        at = to;
                        continue;
                    }
                    None => Type::Void,
                },
                gimli::DW_TAG_pointer_type => Type::Pointer(inner),
                gimli::DW_TAG_enumeration_type => Type::Integer(bytes()?),
                gimli::DW_TAG_base_type => match entry.attr_value(gimli::DW_AT_encoding)? {
                    Some(AttributeValue::Encoding(gimli::DW_ATE_float)) => Type::Float(bytes()?),
                    _ => Type::Integer(bytes()?),
                },
                gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type => Type::Struct {
                    name: self.name(&entry)?.unwrap_or_default(),
                    bytes: bytes()?,
                    at,
                },
                gimli::DW_TAG_subroutine_type => Type::Function(at),
                _ => Type::Other(bytes()?),
            });
        }
        Ok(Type::Other(0))
    }

    fn name(&self, entry: &Entry<'a, '_>) -> gimli::Result<Option<String>> {
        let text = match entry.attr_value(gimli::DW_AT_name)? {
            Some(AttributeValue::String(text)) => text,
            Some(AttributeValue::DebugStrRef(at)) => self.strings.get_str(at)?,
            Some(AttributeValue::DebugLineStrRef(at)) => self.line_strings.get_str(at)?,
            Some(AttributeValue::DebugStrOffsetsIndex(index)) => {
                let format = self.header.format();
                let base = self.string_offsets_base;
                let at = self.string_offsets.get_str_offset(format, base, index)?;
                self.strings.get_str(at)?
            }
            _ => return Ok(None),
        };
        let text = text.to_string_lossy().into_owned();
        Ok((!text.is_empty()).then_some(text))
    }
}

fn is_declaration(entry: &Entry<'_, '_>) -> gimli::Result<bool> {
    let value = entry.attr_value(gimli::DW_AT_declaration)?;
    Ok(matches!(value, Some(AttributeValue::Flag(true))))
}

fn number(entry: &Entry<'_, '_>, name: gimli::DwAt) -> gimli::Result<Option<u64>> {
    Ok(entry
        .attr_value(name)?
        .and_then(|value| value.udata_value()))
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
