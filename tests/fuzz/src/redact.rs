use std::cell::RefCell;

use filter_pii_redact::PiiRedact;
use flb_sidecar_sdk::event::{self, Record, RecordFormat, RecordKind, Timestamp};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{msgpack, Chunk, Filter, Settings, Verdict};

/// Options of the filters that take turns, by the first byte of the input.
const OPTIONS: &[&[(&str, &str)]] = &[
    &[("preset", "all")],
    &[("preset", "all"), ("action", "mask")],
    &[("preset", "all"), ("action", "keep:2:2")],
    &[("preset", "all"), ("action", "truncate")],
    &[("preset", "all"), ("action", "remove")],
    &[("preset", "all"), ("action", "tag")],
    &[("preset", "all"), ("action", "drop")],
    &[
        ("preset", "all"),
        ("action", "hmac"),
        ("hmac_key_env", HMAC_KEY),
    ],
    &[
        ("remove_key", "a*"),
        ("redact_key", "*b"),
        ("rule", "word /[a-z]{4,}/ mask"),
        ("max_value_size", "200"),
    ],
    &[
        ("include_path", "$log"),
        ("exclude_path", "$log['a']"),
        ("phone_country", "DE"),
        ("reserved_ips", "off"),
        ("json_depth", "2"),
    ],
    &[
        ("preset", "none"),
        ("rule", "pan /\\d{12,19}/ mask luhn"),
        ("rule", "id /\\d{12}/ keep_last:2 verhoeff"),
        ("rule", "tax /\\d{11}/ placeholder mod11_10"),
        (
            "rule",
            "account /[A-Z]{2}\\d{2}[A-Z0-9 ]{11,30}/ mask mod97",
        ),
        ("rule", "blob /[A-Za-z0-9+_=-]{12,}/ placeholder entropy"),
    ],
    &[("enable", "dea,nir,phone"), ("disable", "card,email")],
];

const HMAC_KEY: &str = "PII_REDACT_FUZZ_KEY";

thread_local! {
    static FILTERS: RefCell<Vec<PiiRedact>> = RefCell::new(filters());
}

fn filters() -> Vec<PiiRedact> {
    std::env::set_var(HMAC_KEY, "0123456789abcdef");
    let filter = |options: &&[(&str, &str)]| {
        let options = options.iter().copied().chain([("time_budget", "0")]);
        let settings = Settings::new("pii_redact.0", PiiRedact::INFO.options, options);
        PiiRedact::init(
            &settings.expect("options are valid"),
            &mut FakeHost::default(),
        )
        .expect("options are valid")
    };
    OPTIONS.iter().map(filter).collect()
}

/// `pii_redact` over a batch. The first byte chooses the options, and whether the others are raw
/// msgpack or the texts of a record, with NUL between.
pub fn redact_chunk(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    let chunk = if *choice < 128 {
        rest.to_vec()
    } else {
        record_of(rest)
    };
    FILTERS.with_borrow_mut(|filters| {
        let index = usize::from(*choice & 127) % filters.len();
        check(&mut filters[index], &chunk);
    });
}

fn record_of(texts: &[u8]) -> Vec<u8> {
    let mut chunk = Vec::new();
    let time = Timestamp {
        seconds: 1_700_000_000,
        nanos: 1,
    };
    event::begin_record(&mut chunk, RecordFormat::WithMetadata, time);
    let texts: Vec<_> = texts.split(|b| *b == 0).collect();
    msgpack::write_map_len(&mut chunk, texts.len().div_ceil(2));
    for pair in texts.chunks(2) {
        msgpack::write_bytes_as_str(&mut chunk, pair[0]);
        msgpack::write_bytes_as_str(&mut chunk, pair.last().expect("chunks are not empty"));
    }
    chunk
}

fn check(filter: &mut PiiRedact, chunk: &[u8]) {
    let before = whole_records(chunk);
    let Some(once) = run(filter, chunk) else {
        return;
    };
    assert_ne!(once, chunk, "replaced by the same bytes");
    if let Some(before) = before {
        let after = whole_records(&once).expect("what was whole msgpack still is");
        assert!(after.len() <= before.len(), "no record is added");
        if after.len() == before.len() {
            for (old, new) in before.iter().zip(&after) {
                // Time and metadata; the whole of a group marker.
                let end = |r: &Record| {
                    if r.kind == RecordKind::Log {
                        r.body
                    } else {
                        r.end
                    }
                };
                assert_eq!(chunk[old.start..end(old)], once[new.start..end(new)]);
            }
        }
    }
    if let Some(twice) = run(filter, &once) {
        panic!("a second pass changes {once:02x?} to {twice:02x?}");
    }
}

/// The batch after the filter; `None`: unchanged.
fn run(filter: &mut PiiRedact, data: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let chunk = Chunk { data, tag: b"t" };
    (filter.filter(chunk, &mut out) == Verdict::Replaced).then_some(out)
}

/// The records of a batch, if it is nothing but whole ones.
fn whole_records(chunk: &[u8]) -> Option<Vec<Record>> {
    let records: Vec<_> = event::records(chunk).collect::<Result<_, _>>().ok()?;
    let end = records.last().map_or(0, |r: &Record| r.end);
    (end == chunk.len()).then_some(records)
}
