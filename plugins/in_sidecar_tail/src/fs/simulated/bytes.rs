//! What is in a simulated file: bytes, and holes where nothing was written.

/// Bytes that are written together.
const PAGE: u64 = 4096;

#[derive(Clone, Debug, Default)]
pub(super) struct Bytes {
    /// Up to the last byte that was written; what is behind it is a hole.
    written: Vec<u8>,
    size: u64,
    /// Pages that are no holes.
    pages: Vec<bool>,
}

impl Bytes {
    pub(super) fn len(&self) -> u64 {
        self.size
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let length = self.size.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let from = from.min(self.written.len());
        let there = (self.written.len() - from).min(length);
        buffer[..there].copy_from_slice(&self.written[from..from + there]);
        buffer[there..length].fill(0);
        length
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        let from = offset as usize;
        let end = from + bytes.len();
        if self.written.len() < end {
            self.written.resize(end, 0);
        }
        self.written[from..end].copy_from_slice(bytes);
        self.size = self.size.max(end as u64);
        let last = (end as u64 - 1) / PAGE;
        if self.pages.len() <= last as usize {
            self.pages.resize(last as usize + 1, false);
        }
        for page in offset / PAGE..=last {
            self.pages[page as usize] = true;
        }
    }

    pub(super) fn set_len(&mut self, size: u64) {
        self.size = size;
        self.written.truncate(size as usize);
        self.pages.truncate(size.div_ceil(PAGE) as usize);
    }

    /// Makes it longer in advance; no hole, though there is nothing in it.
    pub(super) fn allocate(&mut self, size: u64) {
        self.size = self.size.max(size);
    }

    /// Where from `offset` on there is something else than a hole.
    pub(super) fn next_data(&self, offset: u64) -> Option<u64> {
        if offset >= self.size {
            return None;
        }
        let first = offset / PAGE;
        let pages = self.pages.get(first as usize..)?;
        let page = first + pages.iter().position(|data| *data)? as u64;
        Some(offset.max(page * PAGE))
    }
}
