//! Schedules that fell once, cut down: files that nobody can open, numbers that others have by now, originals that
//! are gone when their copies are looked for.

use super::fell::{all_stand, write, PLAIN};
use super::host::Tells;
use super::schedule::{Action, Mode, Scheme, Setting, Step};

/// A file that may not be opened has come to the path of another one, which is read on though nobody tells of it.
/// Logs are created with rights that only their writer has: fstab/grok_exporter issue 63, inverse-inc/packetfence issue
/// 1214, tnich/honssh issue 25.
#[test]
fn what_left_its_path_to_a_file_that_cannot_be_opened_is_read() {
    let setting = Setting {
        scheme: Scheme::Numbered,
        mode: Mode::Preallocated,
        inotify: false,
        from_head: false,
        births: false,
        tells: Tells::Ring,
        delivers_after: 40,
        ..PLAIN
    };
    let polled = vec![
        Step::Start,
        Step::During(27, Action::Rotate),
        write(3, false),
        Step::During(34, Action::Reopen),
        Step::Compress,
        Step::Deny,
        Step::Wait(7_200_000),
    ];
    let copied = vec![
        Step::Start,
        Step::CopyTruncate,
        write(2, false),
        Step::Rotate,
        Step::Reopen,
        Step::Compress,
        Step::Deny,
        Step::Wait(30_000),
    ];
    let with_header = Setting {
        header: true,
        inotify: false,
        late: 60,
        ..PLAIN
    };
    // It was closed for want of descriptors when its name was deleted, and has another one.
    let starved = Setting {
        scheme: Scheme::HardLink,
        pattern: "app.log",
        header: true,
        from_head: false,
        wide: true,
        tells: Tells::Ring,
        delivers_after: 40,
        ..PLAIN
    };
    let linked = vec![
        Step::Start,
        Step::Wait(8_000),
        Step::Descriptors(0),
        Step::Stranger,
        write(3, false),
        Step::Wait(200_000_000),
        Step::Descriptors(400),
        Step::Rotate,
    ];
    all_stand(&[(setting, polled), (with_header, copied), (starved, linked)]);
}

/// As was reported of others in other words: elastic/beats issue 1341, logstash-plugins/logstash-input-file issues 109
/// and 151, elastic/logstash issue 8818, rsyslog issue 4648, alibaba/loongcollector issue 597; of a compressed file
/// open-telemetry/opentelemetry-collector-contrib issue 46105.
#[test]
fn what_has_the_number_of_another_is_not_taken_for_it() {
    // That of a compressed one, and it cannot be opened.
    let compressed = Setting {
        scheme: Scheme::Numbered,
        mode: Mode::Position,
        inotify: false,
        late: 60,
        room: 2,
        births: false,
        reuses: true,
        tells: Tells::Ring,
        delivers_after: 1_100,
        ..PLAIN
    };
    let cannot_be_opened = vec![
        Step::Rotate,
        Step::Start,
        Step::During(38, Action::Reopen),
        Step::Rotate,
        Step::Reopen,
        Step::Compress,
        Step::CopyTruncate,
        Step::Rotate,
        Step::Wait(6_317),
        Step::Reopen,
        Step::Wait(7_200_000),
        Step::Rotate,
        Step::Reopen,
        write(3, true),
        Step::Deny,
        Step::Wait(2_353),
    ];
    // It is compressed, and is not read as it is.
    let remote = Setting {
        mode: Mode::Preallocated,
        header: true,
        room: 5,
        stale: Some(3_000),
        births: false,
        reuses: true,
        tells: Tells::Numbers,
        ..PLAIN
    };
    let begins_anew = vec![
        Step::SlowCopyTruncate(2_464, 1_319),
        Step::Start,
        Step::Wait(30_000),
        Step::Rotate,
        Step::Wait(20_087),
        write(1, false),
        Step::Wait(6_970),
        Step::Reopen,
        Step::Compress,
        Step::Compress,
    ];
    // The other one had been rotated, so that its last line was complete.
    let numbered = Setting {
        scheme: Scheme::Numbered,
        pattern: "app.log",
        header: true,
        late: 700,
        births: false,
        reuses: true,
        ..PLAIN
    };
    let goes_on = vec![
        Step::Start,
        Step::HostStuck,
        Step::Rotate,
        write(1, false),
        Step::Wait(1_895),
        Step::Reopen,
        Step::Compress,
        Step::Rotate,
        Step::Wait(4_666),
        Step::Wait(1_151),
        Step::Reopen,
        Step::Compress,
        Step::Rotate,
        Step::Wait(200_000_000),
        Step::Reopen,
        Step::Rotate,
        Step::Compress,
        Step::During(18, Action::Reopen),
        Step::CrashAt(30),
        write(1, true),
    ];
    all_stand(&[
        (compressed, cannot_be_opened),
        (remote, begins_anew),
        (numbered, goes_on),
    ]);
}

#[test]
fn a_copy_is_found_without_its_original() {
    let matched = Setting {
        mode: Mode::Preallocated,
        pattern: "*",
        header: true,
        from_head: false,
        ignores_old: true,
        late: 700,
        reuses: true,
        tells: Tells::Numbers,
        ..PLAIN
    };
    let taken_away = vec![
        Step::Start,
        write(2, false),
        Step::Wait(8_000),
        write(2, false),
        Step::CopyTruncate,
        Step::Rotate,
        Step::DiskFull,
        Step::HostFull,
        Step::Reopen,
        Step::During(37, Action::Archive),
        Step::CrashAt(72),
    ];
    let unmatched = Setting {
        mode: Mode::Mapped,
        pattern: "app.log",
        inotify: false,
        tells: Tells::Ring,
        delivers_after: 1_100,
        ..PLAIN
    };
    let compressed = vec![
        Step::CopyTruncate,
        Step::Start,
        Step::Rotate,
        Step::Reopen,
        Step::During(
            12,
            Action::Write {
                lines: 3,
                open: false,
            },
        ),
        Step::Wait(7_200_000),
        Step::Compress,
        write(2, true),
        Step::CopyTruncate,
        Step::Rotate,
        Step::Reopen,
        Step::Compress,
        Step::Compress,
        Step::CrashAt(26),
    ];
    all_stand(&[(matched, taken_away), (unmatched, compressed)]);
}
