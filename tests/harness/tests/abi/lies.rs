//! A file that `FLB_SIDECAR_ABI` names and that is wrong in one number: the host is refused, or
//! nothing comes of it. A host that crashes or hangs, or records that are not redacted as the
//! configuration says, are what must not come of it.

use std::collections::BTreeSet;

use flb_sidecar_tests::random::{self, Random};
use flb_sidecar_tests::{each_real_host, say, Ended, Host};
use host_abi::layout::WANTED;

use super::{everything, random_hosts, written};

/// How many lies a host is told in `make test`; `FLB_SIDECAR_LIES` says another number, or `all`.
const ON_TEST_HOST: usize = 24;
const ON_REAL_HOST: usize = 4;
/// The largest number that a file may have.
const HUGE: u64 = (1 << 24) - 1;

/// A file with one number changed, and which.
struct Lie {
    what: String,
    text: String,
}

/// The lines of `good` that the library uses: their places, structs and words.
fn used_lines(good: &str) -> Vec<(usize, &'static str, Vec<&str>)> {
    let mut layout = None;
    let mut used = Vec::new();
    for (index, line) in good.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = words.get(1).copied().unwrap_or_default();
        if words.first() == Some(&"struct") {
            layout = WANTED.iter().find(|wanted| wanted.name == name);
        }
        let Some(layout) = layout else {
            continue;
        };
        let is_head = words.first() == Some(&"struct");
        let is_field = line.starts_with("  ") && layout.paths().any(|path| words[0] == path);
        if is_head || is_field {
            used.push((index, layout.name, words));
        }
    }
    used
}

/// Every number of the file that the library uses, changed in every way.
fn all_lies(good: &str) -> Vec<Lie> {
    let lines: Vec<&str> = good.lines().collect();
    let used = used_lines(good);
    let mut all = Vec::new();
    for (index, layout, words) in &used {
        let is_head = words[0] == "struct";
        let at = if is_head { 2 } else { 1 };
        let truth: u64 = words[at].parse().expect("a number");
        // Where others of the same struct are: their kinds may fit as well.
        let neighbours = used
            .iter()
            .filter(|(_, other, words)| other == layout && words[0] != "struct" && !is_head)
            .map(|(_, _, words)| words[1].parse::<u64>().expect("a number"));
        let below = truth.checked_sub(8);
        let mut told: BTreeSet<u64> = [0, truth + 8, truth + 4, HUGE].into();
        told.extend(below);
        told.extend(neighbours);
        told.remove(&truth);
        for number in told {
            let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            words[at] = number.to_string();
            let mut text: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            let indent = if is_head { "" } else { "  " };
            text[*index] = format!("{indent}{}", words.join(" "));
            let field = if is_head { "bytes" } else { words[0].as_str() };
            all.push(Lie {
                what: format!("{layout}.{field} at {number} instead of {truth}"),
                text: text.join("\n") + "\n",
            });
        }
    }
    all
}

fn logs(ended: &Ended) -> Vec<String> {
    let records = ended.records();
    let log = |record: &serde_json::Value| record["log"].as_str().map(str::to_owned);
    records.iter().filter_map(log).collect()
}

enum Came {
    Nothing,
    Refusal,
    /// What must not be.
    Harm(&'static str),
}

fn judge(ended: &Ended, truth: &[String]) -> Came {
    let says = |part: &str| ended.output().contains(part);
    match ended.status {
        Some(0) if says("4012888888881881") => Came::Harm("a card"),
        Some(0) if logs(ended) != truth => Came::Harm("other records"),
        Some(0) => Came::Nothing,
        Some(_) if says("FLB_SIDECAR_ABI") || says("trial run") => Came::Refusal,
        Some(_) => Came::Harm("refused without a reason"),
        None => Came::Harm("the host crashed"),
    }
}

fn tell(host: &Host, usual: usize) {
    let good = written(host);
    let run = |text: &str| {
        let mut pipeline = everything(host);
        let file = pipeline.file("host.abi", text);
        pipeline.env("FLB_SIDECAR_ABI", &file);
        pipeline.run()
    };
    let ended = run(&good);
    let truth = logs(ended.check_status(0));
    let mut lies = all_lies(&good);
    let many = match std::env::var("FLB_SIDECAR_LIES") {
        Ok(all) if all == "all" => lies.len(),
        Ok(number) => number
            .parse()
            .expect("FLB_SIDECAR_LIES is a number, or 'all'"),
        Err(_) => usual.min(lies.len()),
    };
    let seed = random::seed();
    let mut random = Random::new(seed);
    let (all, mut refused, mut harm) = (lies.len(), 0, Vec::new());
    for _ in 0..many {
        let lie = lies.swap_remove(random.below(lies.len() as u64) as usize);
        let ended = run(&lie.text);
        match judge(&ended, &truth) {
            Came::Nothing => {}
            Came::Refusal => refused += 1,
            Came::Harm(what) => harm.push(format!(
                "{}: {what}, status {:?}\n{}",
                lie.what,
                ended.status,
                ended.output()
            )),
        }
    }
    assert!(
        harm.is_empty(),
        "{} of {many} lies did harm (FLB_SIDECAR_SEED={seed}):\n{}",
        harm.len(),
        harm.join("\n")
    );
    say(&format!(
        "a file that lies: {host}: {many} of {all} lies, {refused} refused, seed {seed}"
    ));
}

#[test]
fn a_file_that_lies_does_no_harm_on_the_test_host() {
    let (_, host) = random_hosts().remove(0);
    tell(&host, ON_TEST_HOST);
}

#[test]
fn a_file_that_lies_does_no_harm_on_real_hosts() {
    each_real_host("a file that lies", |host| tell(host, ON_REAL_HOST));
}
