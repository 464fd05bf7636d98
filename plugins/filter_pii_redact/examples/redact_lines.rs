//! Shows what the filter does to text files: every changed line, before and after, and the counts
//! per rule. For measuring false positives on logs of one's own.
//!
//! `cargo run --example redact_lines -- [field=log] [option=value ...] file ...`: `field` names what a line is
//! the value of.
#![allow(clippy::print_stdout)]

use filter_pii_redact::PiiRedact;
use flb_sidecar_sdk::event::{self, RecordFormat, Timestamp};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{json, msgpack, Chunk, Filter, Settings, Verdict};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (options, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|arg| arg.contains('='));
    let pairs = options.iter().filter_map(|o| o.split_once('='));
    let (fields, options): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| *name == "field");
    let field = fields.last().map_or("log", |(_, name)| name);
    let settings = Settings::new("pii_redact.0", PiiRedact::INFO.options, options)?;
    let mut host = FakeHost::default();
    let mut filter = PiiRedact::init(&settings, &mut host)?;
    let (mut lines, mut changed) = (0u64, 0u64);
    for file in &files {
        let text = std::fs::read(file)?;
        for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            lines += 1;
            let mut data = Vec::new();
            event::begin_record(&mut data, RecordFormat::WithMetadata, Timestamp::now());
            msgpack::write_map_len(&mut data, 1);
            msgpack::write_str(&mut data, field);
            msgpack::write_bytes_as_str(&mut data, line);
            let mut out = Vec::new();
            if filter.filter(
                Chunk {
                    data: &data,
                    tag: b"t",
                },
                &mut out,
            ) == Verdict::Replaced
            {
                changed += 1;
                let record = event::records(&out).next().and_then(Result::ok);
                let body = record.and_then(|r| json::read(&out, r.body));
                println!("- {}", String::from_utf8_lossy(line));
                println!(
                    "+ {}",
                    body.map(|b| b.0[field].to_string()).unwrap_or_default()
                );
            }
        }
    }
    for series in host.metrics.series() {
        if series.value.get() > 0 {
            println!(
                "# {} {:?} {}",
                series.name,
                series.labels,
                series.value.get()
            );
        }
    }
    println!("# {changed} of {lines} lines changed");
    Ok(())
}
