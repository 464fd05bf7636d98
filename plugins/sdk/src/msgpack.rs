//! Reading msgpack without decoding it: where does a value start, where does it end, what is it.
//!
//! Format: <https://github.com/msgpack/msgpack/blob/master/spec.md>. Values are written with
//! the `rmp` crate; [`write_str`] and [`write_bytes_as_str`] are here because a log line is a
//! msgpack string in Fluent Bit even where it is not UTF-8.

use rmp::Marker;

/// What a msgpack value is, with the offsets of what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// nil
    #[default]
    Nil,
    /// A boolean.
    Boolean(bool),
    /// An unsigned integer, or a signed one that is not negative.
    Unsigned(u64),
    /// A negative integer.
    Negative(i64),
    /// A float; the bits of the 64-bit form.
    Float(u64),
    /// A string; its bytes are `start..end`. They need not be UTF-8.
    String {
        /// Offset of the first byte.
        start: usize,
        /// Offset behind the last byte.
        end: usize,
    },
    /// Binary data at `start..end`.
    Binary {
        /// Offset of the first byte.
        start: usize,
        /// Offset behind the last byte.
        end: usize,
    },
    /// An array with this many elements behind the header.
    Array(usize),
    /// A map with this many pairs behind the header.
    Map(usize),
    /// An extension of this type; its data is `start..end`.
    Extension {
        /// Type byte.
        kind: i8,
        /// Offset of the first data byte.
        start: usize,
        /// Offset behind the last data byte.
        end: usize,
    },
}

/// Reads the header of the value at `at`; also returns where its payload (or first element) ends.
///
/// For scalars, strings, binaries and extensions the second number is the end of the value; for
/// arrays and maps it is where the first element starts. `None`: the buffer ends too early, or
/// the byte is the reserved `0xc1`.
#[inline]
pub fn read(buf: &[u8], at: usize) -> Option<(Value, usize)> {
    // What most of a record is made of.
    let (start, len) = match *buf.get(at)? {
        byte @ 0xa0..=0xbf => (at + 1, usize::from(byte & 0x1f)),
        0xd9 => (at + 2, usize::from(*buf.get(at + 1)?)),
        byte @ 0x80..=0x8f => return Some((Value::Map(usize::from(byte & 0x0f)), at + 1)),
        byte @ 0x90..=0x9f => return Some((Value::Array(usize::from(byte & 0x0f)), at + 1)),
        byte => return read_any(buf, at, byte),
    };
    let end = start + len;
    (end <= buf.len()).then_some((Value::String { start, end }, end))
}

fn read_any(buf: &[u8], at: usize, byte: u8) -> Option<(Value, usize)> {
    let marker = Marker::from_u8(byte);
    let body = at + 1;
    let unsigned = |width: usize| big_endian(buf, body, width);
    let signed = |width: usize| -> Option<Value> {
        let raw = unsigned(width)?;
        let shift = 64 - 8 * width as u32;
        let n = ((raw << shift) as i64) >> shift;
        Some(if n < 0 {
            Value::Negative(n)
        } else {
            Value::Unsigned(n as u64)
        })
    };
    let span = |start: usize, len: usize| -> Option<(usize, usize)> {
        let end = start.checked_add(len)?;
        (end <= buf.len()).then_some((start, end))
    };
    let string = |width: usize, len: usize| {
        span(body + width, len).map(|(start, end)| (Value::String { start, end }, end))
    };
    let binary = |width: usize, len: usize| {
        span(body + width, len).map(|(start, end)| (Value::Binary { start, end }, end))
    };
    let extension = |width: usize, len: usize| {
        let kind = *buf.get(body + width)? as i8;
        span(body + width + 1, len).map(|(start, end)| (Value::Extension { kind, start, end }, end))
    };
    match marker {
        Marker::FixPos(n) => Some((Value::Unsigned(u64::from(n)), body)),
        Marker::FixNeg(n) => Some((Value::Negative(i64::from(n)), body)),
        Marker::Null => Some((Value::Nil, body)),
        Marker::True => Some((Value::Boolean(true), body)),
        Marker::False => Some((Value::Boolean(false), body)),
        Marker::U8 => Some((Value::Unsigned(unsigned(1)?), body + 1)),
        Marker::U16 => Some((Value::Unsigned(unsigned(2)?), body + 2)),
        Marker::U32 => Some((Value::Unsigned(unsigned(4)?), body + 4)),
        Marker::U64 => Some((Value::Unsigned(unsigned(8)?), body + 8)),
        Marker::I8 => Some((signed(1)?, body + 1)),
        Marker::I16 => Some((signed(2)?, body + 2)),
        Marker::I32 => Some((signed(4)?, body + 4)),
        Marker::I64 => Some((signed(8)?, body + 8)),
        Marker::F32 => {
            let float = f64::from(f32::from_bits(unsigned(4)? as u32));
            Some((Value::Float(float.to_bits()), body + 4))
        }
        Marker::F64 => Some((Value::Float(unsigned(8)?), body + 8)),
        Marker::FixStr(n) => string(0, usize::from(n)),
        Marker::Str8 => string(1, unsigned(1)? as usize),
        Marker::Str16 => string(2, unsigned(2)? as usize),
        Marker::Str32 => string(4, unsigned(4)? as usize),
        Marker::Bin8 => binary(1, unsigned(1)? as usize),
        Marker::Bin16 => binary(2, unsigned(2)? as usize),
        Marker::Bin32 => binary(4, unsigned(4)? as usize),
        Marker::FixArray(n) => Some((Value::Array(usize::from(n)), body)),
        Marker::Array16 => Some((Value::Array(unsigned(2)? as usize), body + 2)),
        Marker::Array32 => Some((Value::Array(unsigned(4)? as usize), body + 4)),
        Marker::FixMap(n) => Some((Value::Map(usize::from(n)), body)),
        Marker::Map16 => Some((Value::Map(unsigned(2)? as usize), body + 2)),
        Marker::Map32 => Some((Value::Map(unsigned(4)? as usize), body + 4)),
        Marker::FixExt1 => extension(0, 1),
        Marker::FixExt2 => extension(0, 2),
        Marker::FixExt4 => extension(0, 4),
        Marker::FixExt8 => extension(0, 8),
        Marker::FixExt16 => extension(0, 16),
        Marker::Ext8 => extension(1, unsigned(1)? as usize),
        Marker::Ext16 => extension(2, unsigned(2)? as usize),
        Marker::Ext32 => extension(4, unsigned(4)? as usize),
        Marker::Reserved => None,
    }
}

/// The unsigned integer of `width` bytes at `at`: 1, 2, 4 or 8.
#[inline(always)]
fn big_endian(buf: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = buf.get(at..)?;
    Some(match width {
        1 => u64::from(*bytes.first()?),
        2 => u64::from(u16::from_be_bytes(*bytes.first_chunk()?)),
        4 => u64::from(u32::from_be_bytes(*bytes.first_chunk()?)),
        _ => u64::from_be_bytes(*bytes.first_chunk()?),
    })
}

/// Length of the value that a first byte begins, where that byte alone says it; 0 elsewhere.
static LENGTHS: [u8; 256] = {
    let mut lengths = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        lengths[byte] = match byte {
            0..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0.. => 1,
            0xa0..=0xbf => 1 + (byte & 0x1f) as u8,
            0xcc | 0xd0 => 2,
            0xcd | 0xd1 | 0xd4 => 3,
            0xd5 => 4,
            0xca | 0xce | 0xd2 => 5,
            0xd6 => 6,
            0xcb | 0xcf | 0xd3 => 9,
            0xd7 => 10,
            0xd8 => 18,
            _ => 0,
        };
        byte += 1;
    }
    lengths
};

/// End of the value at `at`, nested ones included, however deep. `None`: truncated or invalid.
pub fn skip(buf: &[u8], at: usize) -> Option<usize> {
    // Where a container ends does not matter, only how many values are left in all.
    let mut left = 1usize;
    let mut next = at;
    loop {
        let byte = *buf.get(next)?;
        let length = LENGTHS[usize::from(byte)];
        left -= 1;
        if length > 0 {
            next += usize::from(length);
        } else if byte == 0xd9 {
            next += 2 + big_endian(buf, next + 1, 1)? as usize;
        } else {
            let children = if byte & 0xe0 == 0x80 {
                next += 1;
                usize::from(byte & 0x0f) << u32::from(byte < 0x90)
            } else {
                let (value, behind) = read(buf, next)?;
                next = behind;
                match value {
                    Value::Array(n) => n,
                    Value::Map(n) => n.checked_mul(2)?,
                    _ => 0,
                }
            };
            // Every value is at least one byte: more of them cannot be in this buffer.
            left += children;
            if left > buf.len().checked_sub(next)? {
                return None;
            }
        }
        if left == 0 {
            return (next <= buf.len()).then_some(next);
        }
    }
}

/// The bytes of the value for `key` in the map at `at`, header included.
pub fn map_get<'a>(buf: &'a [u8], at: usize, key: &[u8]) -> Option<&'a [u8]> {
    let (Value::Map(pairs), mut at) = read(buf, at)? else {
        return None;
    };
    for _ in 0..pairs {
        let found =
            matches!(read(buf, at)?.0, Value::String { start, end } if &buf[start..end] == key);
        let value = skip(buf, at)?;
        let end = skip(buf, value)?;
        if found {
            return Some(&buf[value..end]);
        }
        at = end;
    }
    None
}

/// Writes a msgpack string.
pub fn write_str(out: &mut Vec<u8>, text: &str) {
    write_bytes_as_str(out, text.as_bytes());
}

/// Writes bytes as a msgpack string, whether or not they are UTF-8, as Fluent Bit does for log lines.
///
/// # Panics
/// With 4 GiB or more, which the format cannot hold; every caller has a far lower limit.
pub fn write_bytes_as_str(out: &mut Vec<u8>, bytes: &[u8]) {
    write_str_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Writes the header of a string whose `len` bytes the caller appends, perhaps in pieces.
///
/// # Panics
/// With 4 GiB or more, which the format cannot hold; every caller has a far lower limit.
pub fn write_str_len(out: &mut Vec<u8>, len: usize) {
    if len < 32 {
        return out.push(0xa0 | len as u8);
    }
    write_long_str_len(out, len);
}

#[inline(never)]
fn write_long_str_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("a msgpack string is shorter than 4 GiB");
    write_header(rmp::encode::write_str_len(out, len).map(|_| ()));
}

/// Writes a map header for `pairs` pairs.
///
/// # Panics
/// With 2^32 pairs or more.
pub fn write_map_len(out: &mut Vec<u8>, pairs: usize) {
    let pairs = u32::try_from(pairs).expect("a msgpack map has fewer than 2^32 pairs");
    write_header(rmp::encode::write_map_len(out, pairs).map(|_| ()));
}

/// Writes an array header for `len` elements.
///
/// # Panics
/// With 2^32 elements or more.
pub fn write_array_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("a msgpack array has fewer than 2^32 elements");
    write_header(rmp::encode::write_array_len(out, len).map(|_| ()));
}

/// Writes an integer in its shortest form.
pub fn write_int(out: &mut Vec<u8>, n: i64) {
    write_header(rmp::encode::write_sint(out, n).map(|_| ()));
}

/// Writes an unsigned integer in its shortest form.
pub fn write_uint(out: &mut Vec<u8>, n: u64) {
    write_header(rmp::encode::write_uint(out, n).map(|_| ()));
}

/// Writes a boolean.
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

fn write_header<E>(result: Result<(), E>) {
    // A Vec takes every write: the error type exists only because rmp writes to any io::Write.
    debug_assert!(result.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_are_read_with_their_spans() {
        assert_eq!(
            read(&[0xa2, b'h', b'i'], 0),
            Some((Value::String { start: 1, end: 3 }, 3))
        );
        assert_eq!(
            read(&[0xd9, 1, b'x'], 0),
            Some((Value::String { start: 2, end: 3 }, 3))
        );
        assert_eq!(read(&[0xd1, 0xff, 0xfe], 0), Some((Value::Negative(-2), 3)));
        assert_eq!(read(&[0xd0, 0x05], 0), Some((Value::Unsigned(5), 2)));
        assert_eq!(
            read(&[0xd7, 0, 1, 2, 3, 4, 5, 6, 7, 8], 0),
            Some((
                Value::Extension {
                    kind: 0,
                    start: 2,
                    end: 10
                },
                10
            ))
        );
        assert_eq!(read(&[0xc1], 0), None);
        assert_eq!(read(&[0xa2, b'h'], 0), None);
    }

    #[test]
    fn skip_goes_over_nested_values_and_refuses_what_cannot_be() {
        let nested = [0x82, 0xa1, b'a', 0x92, 1, 2, 0xa1, b'b', 0x80];
        assert_eq!(skip(&nested, 0), Some(nested.len()));
        for cut in 0..nested.len() {
            assert_eq!(skip(&nested[..cut], 0), None, "cut at {cut}");
        }
        let huge = [0xdf, 0xff, 0xff, 0xff, 0xff, 1, 2];
        assert_eq!(skip(&huge, 0), None);
    }

    #[test]
    fn skip_takes_any_depth() {
        let mut deep = vec![0x91u8; 1 << 20];
        assert_eq!(skip(&deep, 0), None);
        deep.push(0xc0);
        assert_eq!(skip(&deep, 0), Some(deep.len()));
    }

    #[test]
    fn map_get_finds_a_key_behind_nested_values() {
        let map = [0x82, 0xa1, b'a', 0x91, 7, 0xa1, b'b', 0xa1, b'v'];
        assert_eq!(map_get(&map, 0, b"b"), Some(&[0xa1, b'v'][..]));
        assert_eq!(map_get(&map, 0, b"c"), None);
    }

    proptest! {
        #[test]
        fn skip_goes_where_reading_each_value_goes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            fn end(buf: &[u8], at: usize) -> Option<usize> {
                let (value, mut at) = read(buf, at)?;
                let children = match value {
                    Value::Array(n) => n,
                    Value::Map(n) => n * 2,
                    _ => 0,
                };
                if children > buf.len() - at {
                    return None;
                }
                for _ in 0..children {
                    at = end(buf, at)?;
                }
                Some(at)
            }
            for at in 0..bytes.len() {
                prop_assert_eq!(skip(&bytes, at), end(&bytes, at));
            }
        }

        #[test]
        fn skip_never_panics_and_stays_in_the_buffer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(end) = skip(&bytes, 0) {
                prop_assert!(end <= bytes.len());
            }
        }

        #[test]
        fn what_is_written_is_read(n in any::<i64>(), text in ".{0,80}") {
            let mut out = Vec::new();
            write_int(&mut out, n);
            let behind = out.len();
            write_str(&mut out, &text);
            let (value, at) = read(&out, 0).unwrap();
            prop_assert_eq!(at, behind);
            prop_assert_eq!(value, if n < 0 { Value::Negative(n) } else { Value::Unsigned(n as u64) });
            let (Value::String { start, end }, last) = read(&out, behind).unwrap() else { panic!() };
            prop_assert_eq!(&out[start..end], text.as_bytes());
            prop_assert_eq!(last, out.len());
        }
    }
}
