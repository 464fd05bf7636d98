//! The dearest text that the fuzzer can think of, in bytes looked at for each byte of it: the same
//! number on every machine.

use std::cell::RefCell;

use filter_pii_redact::PiiRedact;
use flb_sidecar_sdk::event::{self, RecordFormat, Timestamp};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{msgpack, Chunk, Filter, Settings};

/// Looks for each byte of a text, and what a batch has in any case, as in `tests/work.rs` of the filter: what
/// is beyond is read where nobody asks whether the work is to end.
const MOST: u64 = 38;
const FREE: u64 = 256 << 10;
/// Length of the texts.
const LEN: usize = 64 << 10;

thread_local! {
    static FILTER: RefCell<(PiiRedact, FakeHost)> = RefCell::new(filter());
}

fn filter() -> (PiiRedact, FakeHost) {
    let options = [("preset", "all"), ("time_budget", "0")];
    let settings = Settings::new("pii_redact.0", PiiRedact::INFO.options, options);
    let mut host = FakeHost::default();
    let filter = PiiRedact::init(&settings.expect("options are valid"), &mut host);
    (filter.expect("options are valid"), host)
}

/// `pii_redact` over a text of pieces, which NUL divides. The first byte says how often each piece is
/// there before the next one: 1, 2, 4 and so on.
pub fn redact_cost(data: &[u8]) {
    let Some((times, pieces)) = data.split_first() else {
        return;
    };
    let times = 1usize << (times % 11);
    let mut text: Vec<u8> = Vec::new();
    while text.len() < LEN {
        let before = text.len();
        for piece in pieces.split(|b| *b == 0) {
            for _ in 0..times {
                text.extend_from_slice(piece);
            }
        }
        if text.len() == before {
            return;
        }
    }
    text.truncate(LEN);
    let mut chunk = Vec::new();
    let time = Timestamp {
        seconds: 1_700_000_000,
        nanos: 1,
    };
    event::begin_record(&mut chunk, RecordFormat::WithMetadata, time);
    msgpack::write_map_len(&mut chunk, 1);
    msgpack::write_str(&mut chunk, "log");
    msgpack::write_bytes_as_str(&mut chunk, &text);
    let cost = FILTER.with_borrow_mut(|(filter, host)| {
        let before = looked(host);
        let data = chunk.as_slice();
        filter.filter(Chunk { data, tag: b"t" }, &mut Vec::new());
        looked(host) - before
    });
    let cost = cost.saturating_sub(FREE) / chunk.len() as u64;
    climb(cost);
    assert!(cost <= MOST, "{cost} looks for each byte");
}

fn looked(host: &FakeHost) -> u64 {
    let series = host.metrics.series();
    let looked = series.iter().find(|s| s.name == "looked_bytes_total");
    looked.map_or(0, |s| s.value.get())
}

/// A branch of its own for each step of the cost, so that the fuzzer keeps what is dearer.
fn climb(cost: u64) {
    macro_rules! steps {
        ($($step:literal)*) => {
            $(if cost >= $step {
                std::hint::black_box($step);
            })*
        };
    }
    steps!(1 2 3 4 5 6 8 10 12 14 16 18 20 22 24 26 28 30 31 32 33 34 35 36 37 38);
}
