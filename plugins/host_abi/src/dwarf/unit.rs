//! Entries of one unit: names, types, signatures.

use std::cell::Cell;

use gimli::{
    AttributeValue, DebugAbbrev, DebugStr, DebugStrOffsets, EndianSlice, EntriesTree,
    EntriesTreeNode, LittleEndian, Operation, UnitHeader, UnitOffset,
};

use super::Tables;
use crate::facts::Kind;
use crate::signature::{Signature, Value};

pub(super) type Reader<'a> = EndianSlice<'a, LittleEndian>;
type Entry<'a, 'u> = gimli::DebuggingInformationEntry<'u, 'u, Reader<'a>>;

/// How many typedefs and qualifiers in a row are followed.
const MAX_STEPS: usize = 16;
/// How much is looked at in one unit: steps from entry to entry, and structs inside structs. Those of
/// compilers need a thousandth of it.
const MAX_STEPS_IN_UNIT: u32 = 1 << 22;

/// A unit, and how far it may still be followed.
pub(super) struct Unit<'a> {
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
pub(super) enum Type {
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
    pub(super) fn new(header: UnitHeader<Reader<'a>>, tables: &'a Tables) -> gimli::Result<Self> {
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

    /// Whether its contents are in a file of their own.
    pub(super) fn is_split(&self) -> bool {
        self.is_split
    }

    /// Whether a type was in another unit or file.
    pub(super) fn takes_from_others(&self) -> bool {
        self.takes_from_others.get()
    }

    /// It refers to another unit or file.
    pub(super) fn take_from_others(&self) {
        self.takes_from_others.set(true);
    }

    /// Whether it took all the steps that a unit may take.
    pub(super) fn leads_nowhere(&self) -> bool {
        self.steps_left.get() == 0
    }

    /// The entries from `at` on, or all of them.
    pub(super) fn tree(
        &self,
        at: Option<UnitOffset>,
    ) -> gimli::Result<EntriesTree<'_, '_, Reader<'a>>> {
        self.header.entries_tree(&self.abbreviations, at)
    }

    /// Whether there are steps left; takes `steps` of them.
    pub(super) fn steps(&self, steps: u32) -> bool {
        let left = self.steps_left.get().saturating_sub(steps);
        self.steps_left.set(left);
        left > 0
    }

    /// `None`: in a form that no compiler of C writes.
    pub(super) fn member_offset(&self, entry: &Entry<'a, '_>) -> gimli::Result<Option<u64>> {
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

    pub(super) fn kind_of_field(&self, kind: Type) -> gimli::Result<Kind> {
        Ok(match kind {
            Type::Pointer(Some(to)) => match self.resolve(to)? {
                Type::Function(at) => {
                    let mut tree = self.tree(Some(at))?;
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
    pub(super) fn signature(
        &self,
        node: EntriesTreeNode<'_, '_, '_, Reader<'a>>,
    ) -> gimli::Result<Signature> {
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
    pub(super) fn kind(&self, entry: &Entry<'a, '_>) -> gimli::Result<Type> {
        match entry.attr_value(gimli::DW_AT_type)? {
            None => Ok(Type::Void),
            Some(AttributeValue::UnitRef(at)) => self.resolve(at),
            // In another unit or file: what dwz does to packages. Unknown, so nothing fits it.
            Some(_) => Ok(self.elsewhere()),
        }
    }

    fn elsewhere(&self) -> Type {
        self.take_from_others();
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

    pub(super) fn name(&self, entry: &Entry<'a, '_>) -> gimli::Result<Option<String>> {
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

pub(super) fn is_declaration(entry: &Entry<'_, '_>) -> gimli::Result<bool> {
    let value = entry.attr_value(gimli::DW_AT_declaration)?;
    Ok(matches!(value, Some(AttributeValue::Flag(true))))
}

pub(super) fn number(entry: &Entry<'_, '_>, name: gimli::DwAt) -> gimli::Result<Option<u64>> {
    Ok(entry
        .attr_value(name)?
        .and_then(|value| value.udata_value()))
}
