//! The word directly in front of a number, which may say that it is an identifier: `order_id=`,
//! `"isbn": "`, `[session `.

use crate::name::ends_with;

/// Longest word looked at.
const MAX: usize = 32;
/// Most bytes between the word and the number.
const GAP: usize = 6;

/// Words of two letters and more that others may end in.
struct Ends {
    words: &'static [&'static [u8]],
    /// For each last letter a bit for each one in front of it: these tell most that end otherwise.
    pairs: [u32; 32],
}

impl Ends {
    const fn new(words: &'static [&'static [u8]]) -> Self {
        let mut pairs = [0; 32];
        let mut n = 0;
        while n < words.len() {
            let (word, len) = (words[n], words[n].len());
            pairs[(word[len - 1] & 31) as usize] |= 1 << (word[len - 2] & 31);
            n += 1;
        }
        Ends { words, pairs }
    }

    fn has(&self, word: &[u8]) -> bool {
        let joint = |b: &&u8| matches!(b, b'_' | b'-' | b'.' | b' ');
        let mut letters = word.iter().rev().filter(|b| !joint(b));
        let (Some(last), Some(front)) = (letters.next(), letters.next()) else {
            return false;
        };
        self.pairs[usize::from(last & 31)] >> (front & 31) & 1 != 0
            && self.words.iter().any(|end| ends_with(word, end))
    }
}

/// Words for numbers that are nobody's.
static IDENTIFIERS: Ends = Ends::new(&[
    b"id",
    b"ids",
    b"identifier",
    b"uuid",
    b"guid",
    b"ord",
    b"order",
    b"seq",
    b"ack",
    b"session",
    b"sid",
    b"hash",
    b"index",
    b"idx",
    b"offset",
    b"isbn",
    b"ean",
    b"upc",
    b"sku",
    b"gtin",
    b"ref",
    b"reference",
    b"serial",
    b"ts",
    b"timestamp",
    b"time",
    b"epoch",
    b"pid",
    b"tid",
    b"thread",
    b"req",
    b"request",
    b"trace",
    b"span",
    b"job",
    b"task",
    b"txn",
    b"transaction",
    b"invoice",
    b"ticket",
    b"case",
    b"token",
    b"code",
    b"size",
    b"length",
    b"bytes",
    b"count",
    b"total",
    b"port",
    b"block",
    b"blk",
    b"account",
    b"acct",
    b"version",
    b"build",
    b"release",
    b"tracking",
    b"waybill",
    b"awb",
    b"rrn",
    b"msg",
    b"object",
    b"event",
    b"record",
    b"frame",
    b"doc",
    b"stan",
    b"shipment",
    b"parcel",
    b"lot",
    b"batch",
    b"imei",
    b"vin",
    b"flight",
    // In other languages.
    b"bestellung",
    b"auftrag",
    b"rechnung",
    b"sendung",
    b"vorgang",
    b"kundennummer",
    b"commande",
    b"facture",
    b"colis",
    b"pedido",
    b"factura",
    b"fatura",
    b"ordine",
    b"fattura",
    b"bestelling",
    b"zamowienie",
]);

/// Words for numbers that go up by one, or tell how far something is, and are as long as those of cards.
static COUNTERS: Ends = Ends::new(&[
    b"seq",
    b"sequence",
    b"offset",
    b"lsn",
    b"xid",
    b"scn",
    b"position",
    b"counter",
    b"snowflake",
    b"cursor",
    b"inode",
    b"nonce",
    b"generation",
    b"checksum",
    b"ticks",
    b"bytes",
    b"nanos",
    b"micros",
]);

/// Words for numbers with hyphens that are no phone's: of pages, of tickets, of what was won.
static RANGES: Ends = Ends::new(&[
    b"range",
    b"ranges",
    b"rows",
    b"lines",
    b"pages",
    b"slot",
    b"slots",
    b"ports",
    b"score",
    b"rma",
    b"sku",
    b"part",
    b"ids",
    b"partition",
    b"partitions",
    b"shard",
    b"shards",
    b"blocks",
    b"tests",
    b"merge",
    b"commit",
    b"hexkey",
]);

/// Words for parts of addresses that have a number.
static PLACES: Ends = Ends::new(&[
    b"suite", b"ste", b"apt", b"unit", b"room", b"floor", b"bldg", b"box", b"flat",
]);

/// Whether the number at `start` is called an identifier, by the word in front of it or, if nothing is
/// in front of it, by `key`.
pub(super) fn is_identifier(text: &[u8], key: &[u8], start: usize) -> bool {
    let word = word(text, key, start);
    IDENTIFIERS.has(word) || is_glued(text, word, start)
}

/// Whether the number at `start` is called one that is counted.
pub(super) fn is_counter(text: &[u8], key: &[u8], start: usize) -> bool {
    COUNTERS.has(word(text, key, start))
}

/// Whether the numbers at `start` are called a range, or what else has hyphens.
pub(super) fn is_range(text: &[u8], key: &[u8], start: usize) -> bool {
    RANGES.has(word(text, key, start))
}

/// Whether the name in front of a sign ends like one of an identifier: `eventid=`, `logver=`.
fn is_glued(text: &[u8], word: &[u8], start: usize) -> bool {
    const ENDS: &[&[u8]] = &[
        b"id", b"ver", b"time", b"hash", b"seq", b"code", b"size", b"len", b"count", b"version",
    ];
    let joint = &text[start.saturating_sub(GAP)..start];
    let signed = memchr::memchr2(b'=', b':', joint).is_some();
    let ends = |end: &&[u8]| {
        let last = word.len().checked_sub(end.len());
        last.is_some_and(|last| word[last..].eq_ignore_ascii_case(end))
    };
    signed && word.len() > 4 && ENDS.iter().any(ends)
}

/// Whether the number at `start` is that of a suite, a flat or the like.
pub(super) fn is_place(text: &[u8], start: usize) -> bool {
    let word = word(text, b"", start);
    PLACES.has(word)
}

/// The word in front of `start`.
fn word<'a>(text: &'a [u8], key: &'a [u8], start: usize) -> &'a [u8] {
    let mut end = start;
    while end > 0 && start - end < GAP && is_joint(text[end - 1]) {
        end -= 1;
    }
    if end == 0 {
        return key;
    }
    let before = text[end.saturating_sub(MAX)..end].iter().rev();
    let len = before.take_while(|b| is_word(**b)).count();
    &text[end - len..end]
}

fn is_joint(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b':' | b'=' | b'#' | b'"' | b'\'' | b'\\' | b'[' | b'(' | b'>'
    )
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_in_front_says_what_a_number_is() {
        let named = |text: &str, key: &str| {
            let start = text.find('0').unwrap_or(text.len());
            is_identifier(text.as_bytes(), key.as_bytes(), start)
        };
        for text in [
            "order_id=0123",
            "\"orderId\": \"0123",
            "[session 0123]",
            "\\\"isbn\\\":\\\"0123",
            "ORDER #0123",
            "x id 0123",
        ] {
            assert!(named(text, ""), "{text}");
        }
        for text in [
            "call 0123",
            "paid: 0123",
            "0123",
            "",
            "grid 0123",
            "my id is 0123",
        ] {
            assert!(!named(text, ""), "{text}");
        }
        assert!(named("0123", "order_id"));
        assert!(named("\"0123\"", "order_id"));
        assert!(!named("at 0123", "order_id"));
        assert!(named("eventid=0123", "") && named("\"logver\":\"0123", ""));
        assert!(!named("paid 0123", ""));
    }
}
