//! How files are compressed.

/// The first byte of a gzip file.
pub(crate) const GZIP: u8 = 0x1f;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Gzip,
    Zstd,
    Bzip2,
    Xz,
    Zip,
}

impl Format {
    /// What a file is that begins with these bytes.
    pub(crate) fn of(start: &[u8]) -> Option<Self> {
        Some(match start {
            [GZIP, 0x8b, ..] => Format::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Format::Zstd,
            // A digit, and what a block begins with or the end.
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, b'r', b'E', b'8', ..] => Format::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Format::Xz,
            [b'P', b'K', 3, 4, ..] => Format::Zip,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Gzip => "gzip",
            Format::Zstd => "zstd",
            Format::Bzip2 => "bzip2",
            Format::Xz => "xz",
            Format::Zip => "zip",
        }
    }
}
