//! Compressed files that come with pauses: what is there of them is read, and a line whose end is not there
//! waits for it like that of any file.

use std::fs::{self, File};
use std::io::Write as _;
use std::time::Duration;

use flate2::{write::GzEncoder, Compression};

use crate::counters::Trouble;
use crate::host::queue::Purpose;
use crate::sim::steps::Steps;

/// Time goes by for a compressed file, in rounds of a quarter of a second.
fn pass(steps: &mut Steps, time: Duration) {
    for _ in 0..time.as_millis() / 250 {
        steps.round_after(Duration::from_millis(250));
        while steps.worker.search_on() {
            steps.read();
        }
    }
}

fn member(text: &str) -> Vec<u8> {
    let mut member = GzEncoder::new(Vec::new(), Compression::fast());
    member.write_all(text.as_bytes()).unwrap();
    member.finish().unwrap()
}

fn write(steps: &Steps, name: &str, bytes: &[u8]) {
    let mut options = File::options();
    let file = options.append(true).create(true).open(steps.path(name));
    file.unwrap().write_all(bytes).unwrap();
}

/// Lines that do not compress to nothing.
fn lines(name: &str, count: u64) -> String {
    let number = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let lines = (1..=count).map(|n| format!("{name} {n} {:x}\n", number(n)));
    lines.collect()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 40,
        ..proptest::prelude::ProptestConfig::default()
    })]

    #[test]
    fn a_compressed_file_may_come_with_any_pauses(
        members in proptest::collection::vec(0_u64..400, 1..4),
        cuts in proptest::collection::vec((0.0..1.0_f64, 0_u64..16), 0..5),
        long in proptest::bool::ANY,
    ) {
        let limit = [("buffer_max_size", if long { "32k" } else { "20" })];
        let mut steps = Steps::prepared("*", &limit, |_| {});
        let texts = members.iter().enumerate();
        let texts: Vec<String> = texts.map(|(n, count)| lines(&n.to_string(), *count)).collect();
        let bytes: Vec<u8> = texts.iter().flat_map(|text| member(text)).collect();
        let mut cuts: Vec<(usize, u64)> = cuts
            .iter()
            .map(|(part, quarters)| ((part * bytes.len() as f64) as usize, *quarters))
            .collect();
        cuts.sort_unstable();
        let mut at = 0;
        for (cut, quarters) in cuts {
            write(&steps, "a.gz", &bytes[at..cut]);
            at = cut;
            pass(&mut steps, Duration::from_millis(250 * quarters));
        }
        write(&steps, "a.gz", &bytes[at..]);
        pass(&mut steps, Duration::from_secs(4));
        // Parts of long lines stand side by side.
        let (came, all) = (steps.lines.concat(), texts.concat());
        proptest::prop_assert_eq!(came, all.replace('\n', ""));
        if long {
            proptest::prop_assert_eq!(steps.lines.len(), all.lines().count());
        }
        proptest::prop_assert_eq!(steps.worker.ctx.counters.errors(Trouble::Compressed), 0);
        proptest::prop_assert!(steps.worker.files.windows.is_empty());
    }
}

/// One byte does not tell yet what a file is.
#[test]
fn the_first_byte_of_a_file_may_come_alone() {
    let bytes = member("one\ntwo\n");
    let mut steps = Steps::new("*");
    for (name, rest) in [("a.gz", &bytes[1..]), ("b.log", b"three\n")] {
        write(&steps, name, &bytes[..1]);
        pass(&mut steps, Duration::from_secs(1));
        write(&steps, name, rest);
        pass(&mut steps, Duration::from_secs(4));
    }
    assert_eq!(steps.lines, ["one", "two", "\u{1f}three"]);
}

/// The first half of a compressed file, read.
fn half(steps: &mut Steps, name: &str) -> Vec<u8> {
    let bytes = member(&lines(name, 2000));
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    write(steps, name, first);
    pass(steps, Duration::from_secs(4));
    rest.to_vec()
}

#[test]
fn a_file_that_ends_inside_a_member_is_broken_when_nothing_more_can_come() {
    for how in ["deleted", "renamed", "drained", "stopped"] {
        let mut steps = Steps::new("*.gz");
        half(&mut steps, "a.gz");
        let errors = |steps: &Steps| steps.worker.ctx.counters.errors(Trouble::Compressed);
        pass(&mut steps, Duration::from_secs(60));
        let before = steps.lines.len();
        assert!(before > 100 && errors(&steps) == 0, "{how}: {before}");
        assert_eq!(steps.worker.files.windows.left_of_all(), 0);
        match how {
            "deleted" => fs::remove_file(steps.path("a.gz")).unwrap(),
            "renamed" => steps.rename("a.gz", "a.gz.old"),
            _ => {
                let purpose = if how == "drained" {
                    Purpose::Completion
                } else {
                    Purpose::Stop
                };
                steps
                    .worker
                    .ctx
                    .shared
                    .start_drain(Duration::from_secs(9), purpose);
                for _ in 0..20 {
                    steps.worker.turn();
                    steps.read();
                }
            }
        }
        pass(&mut steps, Duration::from_secs(8));
        assert_eq!(errors(&steps), u64::from(how != "stopped"), "{how}");
        // Without positions the last line comes as it is, once.
        assert_eq!(steps.lines.len(), before + 1, "{how}");
        let text = lines("a.gz", 2000).replace('\n', "");
        assert!(text.starts_with(&steps.lines.concat()), "{how}");
    }
}

#[test]
fn a_file_that_waits_for_its_rest_may_be_rewritten() {
    let mut steps = Steps::new("*.gz");
    half(&mut steps, "a.gz");
    let before = steps.lines.len();
    fs::write(steps.path("a.gz"), member(&lines("new", 3000))).unwrap();
    pass(&mut steps, Duration::from_secs(10));
    let new = lines("new", 3000);
    let came: Vec<&str> = steps.lines[before + 1..]
        .iter()
        .map(String::as_str)
        .collect();
    assert_eq!(came, new.lines().collect::<Vec<_>>());
}

#[test]
fn files_that_wait_for_their_rest_keep_no_others_from_being_read() {
    let mut steps = Steps::new("*.gz");
    let rests: Vec<(String, Vec<u8>)> = (0..12)
        .map(|n| format!("{n:02}.gz"))
        .map(|name| (name.clone(), half(&mut steps, &name)))
        .collect();
    write(&steps, "whole.gz", &member("whole\n"));
    pass(&mut steps, Duration::from_secs(4));
    assert_eq!(steps.lines.last().unwrap(), "whole");
    for (name, rest) in &rests {
        write(&steps, name, rest);
    }
    pass(&mut steps, Duration::from_secs(4));
    assert_eq!(steps.lines.len(), 12 * 2000 + 1);
    assert!(steps.worker.files.windows.is_empty());
    assert_eq!(steps.worker.ctx.counters.errors(Trouble::Compressed), 0);
}
