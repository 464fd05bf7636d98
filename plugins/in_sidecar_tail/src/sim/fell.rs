//! Schedules that fell once, cut down. With them are reports of other tails, in our own words.

use std::sync::{Mutex, PoisonError};

use super::host::Tells;
use super::run;
use super::schedule::{Action, Mode, Scheme, Setting, Step};

/// What most of them have.
pub(super) const PLAIN: Setting = Setting {
    device: u64::MAX,
    scheme: Scheme::Rename,
    mode: Mode::Append,
    pattern: "app.log*",
    header: false,
    inotify: true,
    from_head: true,
    ignores_old: false,
    by_name: false,
    wide: false,
    late: 0,
    room: 16_384,
    stale: None,
    births: true,
    reuses: false,
    tells: Tells::Count,
    delivers_after: 0,
};

pub(super) fn write(lines: u64, open: bool) -> Step {
    Step::Write { lines, open }
}

/// What fell once, cut down.
#[test]
fn schedules_that_fell_stand() {
    let setting = Setting {
        scheme: Scheme::LinkTarget,
        pattern: "*.log",
        inotify: false,
        ..PLAIN
    };
    let behind_a_link = vec![
        Step::Start,
        Step::Wait(7_200_000),
        Step::Rotate,
        write(1, true),
        Step::Wait(1_000),
        Step::Stop,
        write(4, true),
    ];
    let copied = Setting {
        scheme: Scheme::HardLink,
        pattern: "*",
        ..setting
    };
    let cut_and_copied = vec![
        Step::Start,
        write(2, true),
        Step::Complete,
        write(2, false),
        Step::CopyTruncate,
    ];
    let linked = Setting {
        scheme: Scheme::HardLink,
        mode: Mode::Position,
        pattern: "app.log*",
        inotify: true,
        ignores_old: true,
        ..setting
    };
    let numbered = Setting {
        scheme: Scheme::Numbered,
        pattern: "app.log",
        header: true,
        inotify: true,
        late: 60,
        births: false,
        device: u64::MAX - 1,
        ..setting
    };
    // A position that was confirmed when the file had been truncated.
    let confirmed_late = vec![
        Step::Start,
        write(3, false),
        Step::During(
            8,
            Action::Write {
                lines: 3,
                open: true,
            },
        ),
        Step::Wait(60),
        Step::CopyTruncate,
        Step::CrashAt(13),
        Step::Wait(7_200_000),
        Step::During(1, Action::Rotate),
        Step::Reopen,
        Step::Rotate,
        write(4, false),
        write(4, false),
    ];
    let under_another_name = vec![
        Step::Rotate,
        Step::Wait(7_200_000),
        Step::Start,
        write(4, false),
    ];
    // Nobody may read the log for longer than positions of files that are gone are kept.
    let denied = Setting {
        scheme: Scheme::LinkSwap,
        mode: Mode::Mapped,
        inotify: true,
        births: false,
        reuses: true,
        device: u64::MAX - 2,
        ..setting
    };
    let denied_for_days = vec![
        Step::Start,
        write(3, false),
        Step::Deny,
        Step::Stop,
        Step::Stranger,
        Step::Wait(200_000_000),
        Step::Start,
    ];
    // What was reported of others in other words. A new file has the number of one that is gone from the
    // server, of which only a stale handle is left: google/mtail issue 505, grafana/loki issue 3651.
    let stale = Setting {
        scheme: Scheme::HardLink,
        pattern: "*",
        from_head: false,
        room: 2,
        stale: Some(100),
        births: false,
        reuses: true,
        tells: Tells::Ring,
        device: u64::MAX - 3,
        ..setting
    };
    let stale_handle = vec![
        Step::Start,
        Step::Rotate,
        Step::Reopen,
        Step::Compress,
        Step::Rotate,
        Step::Reopen,
        write(3, false),
    ];
    // A new log has the number of a compressed one: elastic/beats issues 1341 and 6984.
    let used = Setting {
        scheme: Scheme::Numbered,
        pattern: "*",
        inotify: true,
        from_head: false,
        births: false,
        reuses: true,
        device: u64::MAX - 4,
        ..setting
    };
    let (rotate, reopen) = (Step::Rotate, Step::Reopen);
    let used_number = vec![
        Step::Start,
        write(3, false),
        rotate,
        reopen,
        rotate,
        reopen,
        rotate,
        reopen,
        Step::Compress,
        rotate,
        reopen,
        Step::Stop,
        rotate,
        reopen,
        write(2, false),
        write(2, false),
    ];
    // Nobody wrote to it for long, and then it is copied and emptied and has more than before.
    let old = Setting {
        scheme: Scheme::Rename,
        pattern: "app.log",
        inotify: true,
        from_head: false,
        ignores_old: true,
        device: u64::MAX - 5,
        ..setting
    };
    let old_and_emptied = vec![
        write(3, false),
        Step::Wait(7_200_000),
        Step::Start,
        Step::CopyTruncate,
        write(3, false),
    ];
    // A rename that was seen is kept: elastic/beats issue 1022, logstash-plugins/logstash-input-file issue 225.
    let a_rename = (
        Setting {
            device: u64::MAX - 6,
            scheme: Scheme::HardLink,
            pattern: "app.log*",
            from_head: false,
            by_name: true,
            late: 700,
            room: 2,
            tells: Tells::Numbers,
            delivers_after: 40,
            ..setting
        },
        vec![
            Step::Start,
            Step::During(1, Action::Rotate),
            Step::Wait(8_000),
            Step::Crash,
            write(4, false),
        ],
    );
    // Whoever rotates renames the copy while it is looked for: elastic/beats pull request 53280.
    let renumbered = (
        Setting {
            device: u64::MAX - 7,
            scheme: Scheme::Numbered,
            mode: Mode::Mapped,
            pattern: "app.log",
            late: 60,
            room: 5,
            delivers_after: 200,
            ..setting
        },
        vec![
            Step::Rotate,
            Step::During(37, Action::Reopen),
            Step::Rotate,
            Step::Reopen,
            Step::Deny,
            Step::Allow,
            write(4, false),
            Step::During(59, Action::CopyTruncate),
            write(2, false),
            Step::Start,
            Step::Wait(7_200_000),
            Step::During(
                47,
                Action::Write {
                    lines: 1,
                    open: false,
                },
            ),
            Step::CopyTruncate,
            Step::During(8, Action::Rotate),
            Step::Wait(30_000),
        ],
    );
    // A line that a drain cut goes on in a compressed file, and the process ends in it.
    let cut_and_compressed = (
        Setting {
            device: u64::MAX - 8,
            scheme: Scheme::HardLink,
            pattern: "app.log*",
            inotify: true,
            from_head: false,
            late: 700,
            room: 5,
            births: false,
            tells: Tells::Numbers,
            ..setting
        },
        vec![
            Step::Start,
            Step::During(28, Action::Rotate),
            Step::Reopen,
            write(1, true),
            Step::Rotate,
            Step::Complete,
            write(3, false),
            Step::Start,
            Step::Reopen,
            Step::During(44, Action::Archive),
            Step::Crash,
            Step::Compress,
            Step::HostFull,
            Step::Start,
            Step::CrashAt(12),
        ],
    );
    // A compressed file has the number of another one: open-telemetry/opentelemetry-collector-contrib issue
    // 40523, logstash-plugins/logstash-input-file issue 109.
    let used_by_compressed = (
        Setting {
            device: u64::MAX - 9,
            scheme: Scheme::Numbered,
            pattern: "*",
            inotify: true,
            late: 3,
            room: 5,
            births: false,
            reuses: true,
            tells: Tells::Numbers,
            delivers_after: 40,
            ..setting
        },
        vec![
            Step::Rotate,
            Step::Reopen,
            Step::Compress,
            Step::During(56, Action::CopyTruncate),
            Step::Rotate,
            write(1, false),
            Step::Start,
            Step::Reopen,
            Step::CopyTruncate,
            Step::Wait(7_200_000),
            Step::Rotate,
            Step::Compress,
        ],
    );
    // A copy has the number of a file of which nothing had been read.
    let used_by_copy = (
        Setting {
            device: u64::MAX - 10,
            scheme: Scheme::Numbered,
            pattern: "*",
            room: 2,
            births: false,
            reuses: true,
            tells: Tells::Ring,
            ..setting
        },
        vec![
            Step::CopyTruncate,
            Step::CopyTruncate,
            Step::Start,
            Step::CopyTruncate,
            Step::Compress,
            write(2, false),
            Step::Stop,
            Step::During(38, Action::CopyTruncate),
        ],
    );
    // A file that has a position of its own begins like one that was truncated: open-telemetry/
    // opentelemetry-collector-contrib issue 19765.
    let of_another = (
        Setting {
            device: u64::MAX - 11,
            scheme: Scheme::Numbered,
            mode: Mode::Mapped,
            pattern: "app.log",
            header: true,
            from_head: false,
            stale: Some(1_000),
            tells: Tells::Numbers,
            ..setting
        },
        vec![
            Step::Start,
            Step::Crash,
            Step::CopyTruncate,
            Step::Wait(8_000),
            Step::During(49, Action::Rotate),
            Step::HostFull,
            Step::Archive,
            Step::Start,
            Step::Reopen,
            Step::Wait(30_000),
            Step::During(23, Action::Rotate),
            Step::Wait(7_200_000),
            Step::CrashAt(29),
            write(2, false),
            Step::Start,
            Step::HostWorks,
            Step::Wait(200_000_000),
            Step::Crash,
        ],
    );
    // Two positions fit a file whose number was used before.
    let furthest = (
        Setting {
            device: u64::MAX - 12,
            scheme: Scheme::HardLink,
            pattern: "app.log",
            header: true,
            inotify: true,
            room: 2,
            births: false,
            reuses: true,
            tells: Tells::Numbers,
            ..setting
        },
        vec![
            Step::During(49, Action::Rotate),
            Step::Start,
            Step::During(24, Action::Reopen),
            Step::CopyTruncate,
            Step::Wait(707),
            Step::Compress,
            Step::Compress,
            Step::CrashAt(77),
            Step::Rotate,
            Step::Reopen,
            Step::Start,
            write(1, false),
            Step::Rotate,
            Step::Wait(11_161),
            Step::CrashAt(57),
            Step::Start,
            Step::Wait(30_000),
            Step::Complete,
        ],
    );
    // A file was copied, truncated and renamed, and nobody could look.
    let copied_and_renamed = (
        Setting {
            device: u64::MAX - 13,
            scheme: Scheme::HardLink,
            mode: Mode::Mapped,
            pattern: "*",
            inotify: true,
            from_head: false,
            late: 3,
            room: 5,
            reuses: true,
            tells: Tells::Numbers,
            delivers_after: 200,
            ..setting
        },
        vec![
            Step::Start,
            write(4, false),
            Step::Wait(30_000),
            Step::CopyTruncate,
            Step::During(7, Action::Rotate),
            Step::Descriptors(3),
            Step::Wait(10),
            Step::Descriptors(0),
            Step::Crash,
            Step::Start,
        ],
    );
    // What is known of a compressed file is no original of a copy.
    let no_original = (
        Setting {
            device: u64::MAX - 14,
            scheme: Scheme::Rename,
            mode: Mode::Position,
            pattern: "app.log*",
            header: true,
            inotify: true,
            late: 3,
            delivers_after: 40,
            ..setting
        },
        vec![
            Step::Rotate,
            Step::Reopen,
            Step::Compress,
            Step::Start,
            Step::Rotate,
            Step::Reopen,
            Step::During(
                26,
                Action::Write {
                    lines: 2,
                    open: false,
                },
            ),
            Step::Complete,
            Step::During(4, Action::CopyTruncate),
        ],
    );
    // A network filesystem tells of the copy after the truncation, and no pattern matches it: grafana-cold-storage/
    // tail issue 9.
    let told_late = (
        Setting {
            device: u64::MAX - 15,
            scheme: Scheme::Rename,
            mode: Mode::Mapped,
            pattern: "app.log",
            inotify: true,
            ignores_old: true,
            late: 60,
            room: 5,
            stale: Some(3_000),
            tells: Tells::Ring,
            ..setting
        },
        vec![
            Step::Start,
            Step::Wait(10),
            Step::Wait(200_000_000),
            write(3, false),
            Step::CrashAt(25),
            Step::During(6, Action::CopyTruncate),
            Step::Start,
            write(2, false),
            Step::Wait(23_083),
            write(2, false),
            Step::During(21, Action::CopyTruncate),
        ],
    );
    // While files are renumbered, an older one with the same header has the number of the copy.
    let same_header = (
        Setting {
            device: 911_769,
            scheme: Scheme::Numbered,
            pattern: "app.log",
            header: true,
            from_head: false,
            ignores_old: true,
            late: 700,
            room: 2,
            ..setting
        },
        vec![
            write(3, false),
            Step::Wait(7_200_000),
            Step::Start,
            Step::Rotate,
            Step::Reopen,
            Step::Wait(30_000),
            Step::CopyTruncate,
            Step::During(10, Action::Rotate),
            Step::Wait(200_000_000),
        ],
    );
    // A link was swapped while its target was closed, and the new one begins with the same lines on a network
    // filesystem: that has got no other number.
    let swapped = (
        Setting {
            device: 1_017_483,
            scheme: Scheme::LinkSwap,
            mode: Mode::Preallocated,
            header: true,
            inotify: true,
            late: 700,
            room: 5,
            stale: Some(100),
            reuses: true,
            tells: Tells::Ring,
            delivers_after: 40,
            ..setting
        },
        vec![
            Step::Start,
            Step::Wait(7_200_000),
            write(4, false),
            Step::During(45, Action::Rotate),
            Step::Descriptors(0),
            Step::Wait(30_000),
        ],
    );
    // What was seen behind the end of what was written is there, though its file is closed before it is read.
    let closed_before_its_turn = (
        Setting {
            device: 1_101_401,
            scheme: Scheme::Rename,
            mode: Mode::Mapped,
            pattern: "app.log*",
            header: true,
            inotify: true,
            wide: true,
            late: 3,
            tells: Tells::Ring,
            ..setting
        },
        vec![
            Step::Start,
            Step::During(7, Action::Rotate),
            write(3, false),
            Step::Reopen,
            Step::Descriptors(0),
            Step::SetClock(7200),
            Step::Wait(8_000),
        ],
    );
    // Whoever copies waits for the disk before he truncates: logrotate/logrotate issue 269.
    let slow_copy = (
        Setting {
            device: u64::MAX - 16,
            scheme: Scheme::Numbered,
            pattern: "app.log*",
            header: true,
            inotify: true,
            late: 700,
            room: 5,
            tells: Tells::Ring,
            delivers_after: 200,
            ..setting
        },
        vec![
            Step::Start,
            Step::Wait(8_000),
            Step::SlowCopyTruncate(3_192, 2_730),
        ],
    );
    // The copy is seen before the first lines of its original are.
    let copied_unseen = (
        Setting {
            device: u64::MAX - 17,
            scheme: Scheme::HardLink,
            pattern: "*",
            from_head: false,
            ..setting
        },
        vec![
            Step::Start,
            Step::Wait(30_000),
            write(1, false),
            Step::SlowCopyTruncate(2_212, 3_938),
        ],
    );
    // A network filesystem has told of half of a copy when its original is truncated.
    let half_told = (
        Setting {
            device: 1_134_833,
            scheme: Scheme::Numbered,
            pattern: "*",
            inotify: true,
            room: 2,
            stale: Some(3_000),
            reuses: true,
            delivers_after: 40,
            ..setting
        },
        vec![
            Step::Start,
            Step::During(
                42,
                Action::Write {
                    lines: 4,
                    open: false,
                },
            ),
            Step::Wait(7_200_000),
            Step::Wait(1_000),
            Step::SlowCopyTruncate(3_000, 196),
        ],
    );
    // A new file has the number of one that was longer and begins with the same lines.
    let shorter = (
        Setting {
            device: 1_368_435,
            scheme: Scheme::HardLink,
            pattern: "*",
            header: true,
            inotify: true,
            late: 3,
            room: 2,
            births: false,
            reuses: true,
            tells: Tells::Ring,
            delivers_after: 200,
            ..setting
        },
        vec![
            Step::Rotate,
            Step::Reopen,
            write(3, false),
            write(4, false),
            Step::CopyTruncate,
            Step::Rotate,
            Step::Start,
            Step::Compress,
            Step::Descriptors(3),
            Step::Wait(3_000),
            Step::Descriptors(400),
            Step::Compress,
            Step::Reopen,
            write(3, false),
        ],
    );
    // What is read first was written behind a truncation of what had been looked at.
    let truncated_unread = (
        Setting {
            device: 1_052_990,
            scheme: Scheme::Numbered,
            mode: Mode::Mapped,
            pattern: "app.log*",
            inotify: true,
            late: 700,
            delivers_after: 200,
            ..setting
        },
        vec![
            Step::Start,
            write(2, false),
            Step::During(8, Action::CopyTruncate),
            Step::Wait(1_000),
            write(2, false),
        ],
    );
    // On a network filesystem a file that was made longer in advance is truncated and is as long as it was at once.
    let as_long = (
        Setting {
            device: 1_608_926,
            scheme: Scheme::Numbered,
            mode: Mode::Preallocated,
            pattern: "*",
            inotify: true,
            from_head: false,
            late: 60,
            room: 2,
            stale: Some(3_000),
            reuses: true,
            tells: Tells::Numbers,
            delivers_after: 1_100,
            ..setting
        },
        vec![
            Step::Wait(300),
            write(4, false),
            Step::Start,
            write(1, false),
            Step::CopyTruncate,
            Step::During(
                6,
                Action::Write {
                    lines: 3,
                    open: true,
                },
            ),
            Step::Rotate,
        ],
    );
    // A stranger's file that begins alike has the number of one that is gone, and the next run does not follow it.
    let taken_for_renamed = (
        Setting {
            mode: Mode::Position,
            pattern: "app.log",
            header: true,
            wide: true,
            room: 2,
            stale: Some(1_000),
            births: false,
            reuses: true,
            delivers_after: 200,
            ..setting
        },
        vec![
            Step::Start,
            Step::Wait(7_200_000),
            Step::Rotate,
            Step::Reopen,
            Step::Compress,
            Step::HostStuck,
            Step::Rotate,
            Step::Stranger,
            Step::Wait(7_200_000),
            Step::Complete,
        ],
    );
    // A drain while a file is copied: half of a line is the end of the copy.
    let half_copied = (
        Setting {
            scheme: Scheme::Rename,
            pattern: "app.log*",
            inotify: true,
            room: 2,
            stale: Some(1_000),
            reuses: true,
            tells: Tells::Numbers,
            delivers_after: 40,
            ..setting
        },
        vec![
            write(1, true),
            Step::Start,
            Step::Wait(8_000),
            Step::SlowCopyTruncate(3_041, 187),
            Step::Complete,
        ],
    );
    let all = [
        (stale, stale_handle),
        (used, used_number),
        (old, old_and_emptied),
        (denied, denied_for_days),
        (setting, behind_a_link),
        (copied, cut_and_copied),
        (linked, under_another_name),
        (numbered, confirmed_late),
        a_rename,
        renumbered,
        cut_and_compressed,
        used_by_compressed,
        used_by_copy,
        of_another,
        furthest,
        copied_and_renamed,
        no_original,
        told_late,
        same_header,
        swapped,
        closed_before_its_turn,
        slow_copy,
        copied_unseen,
        half_told,
        shorter,
        truncated_unread,
        as_long,
        taken_for_renamed,
        half_copied,
    ];
    all_stand(&all);
}

/// Nobody tells of it, and neither size nor time does.
#[test]
fn what_changes_once_more_in_the_same_moment_is_seen() {
    let polled = Setting {
        pattern: "app.log",
        inotify: false,
        from_head: false,
        tells: Tells::Ring,
        ..PLAIN
    };
    let as_long_again = vec![
        write(5, false),
        Step::Start,
        write(2, true),
        Step::CopyTruncate,
        write(5, false),
    ];
    // And the clock does not.
    let remote = Setting {
        scheme: Scheme::Numbered,
        mode: Mode::Preallocated,
        pattern: "*",
        header: true,
        inotify: false,
        wide: false,
        late: 3,
        stale: Some(3_000),
        tells: Tells::Ring,
        ..PLAIN
    };
    let in_place = vec![
        Step::Stranger,
        Step::Stranger,
        Step::Descriptors(8),
        Step::Stranger,
        Step::Stranger,
        Step::Stranger,
        Step::Start,
        write(4, false),
        Step::SetClock(60),
        Step::Wait(7_200_000),
    ];
    // One that is closed is exactly as old as before, by a clock that was set back: nobody can tell.
    let closed = Setting {
        scheme: Scheme::Numbered,
        mode: Mode::Mapped,
        pattern: "*",
        header: true,
        stale: Some(3_000),
        tells: Tells::Numbers,
        ..PLAIN
    };
    let as_late_again = vec![
        Step::Descriptors(3),
        Step::Start,
        Step::SetClock(-7200),
        Step::Wait(7_200_000),
        write(2, false),
    ];
    all_stand(&[
        (polled, as_long_again),
        (remote, in_place),
        (closed, as_late_again),
    ]);
}

/// As few bytes as were read of what is gone may be those with which another one begins.
#[test]
fn what_begins_like_what_is_gone_is_no_copy_of_it_where_that_was() {
    let held = Setting {
        mode: Mode::Preallocated,
        pattern: "app.log",
        header: true,
        inotify: false,
        late: 700,
        tells: Tells::Numbers,
        delivers_after: 200,
        ..PLAIN
    };
    let found_by_its_position = vec![
        Step::Start,
        Step::SlowCopyTruncate(367, 3_183),
        write(3, true),
        write(1, false),
        write(4, false),
        Step::Stranger,
        Step::Rotate,
        Step::Reopen,
        Step::During(22, Action::CopyTruncate),
        Step::Wait(8_000),
        Step::HostStuck,
        write(3, false),
        Step::Rotate,
        Step::CrashAt(46),
        Step::Start,
        Step::Crash,
    ];
    let numbered = Setting {
        scheme: Scheme::Numbered,
        pattern: "app.log",
        header: true,
        inotify: false,
        ignores_old: true,
        reuses: true,
        ..PLAIN
    };
    let the_next_one = vec![
        Step::Start,
        Step::Rotate,
        Step::Complete,
        Step::During(34, Action::Reopen),
        Step::Start,
        Step::Rotate,
        Step::Wait(8_717),
        Step::Reopen,
        Step::Compress,
        Step::CrashAt(62),
        Step::During(
            9,
            Action::Write {
                lines: 3,
                open: true,
            },
        ),
        Step::Wait(7_200_000),
    ];
    let remote = Setting {
        scheme: Scheme::Numbered,
        pattern: "app.log",
        header: true,
        stale: Some(100),
        delivers_after: 200,
        ..PLAIN
    };
    // Of one that is followed, in the making as the start goes on for want of descriptors.
    let of_another = vec![
        Step::Start,
        Step::Stop,
        Step::CopyTruncate,
        Step::Start,
        Step::Wait(7_200_000),
        Step::Rotate,
        Step::During(48, Action::Reopen),
        Step::Wait(30_000),
        Step::Rotate,
        Step::During(45, Action::Reopen),
        write(3, false),
        Step::Wait(8_000),
        Step::CrashAt(17),
        Step::Descriptors(3),
        Step::Start,
        Step::Descriptors(400),
        Step::SlowCopyTruncate(583, 2_307),
    ];
    // Of one of which only its header was seen, by its name as long as its server tells the old one.
    let old = Setting {
        from_head: false,
        ignores_old: true,
        wide: true,
        late: 3,
        tells: Tells::Ring,
        ..remote
    };
    let too_old = vec![
        write(3, false),
        Step::Wait(7_200_000),
        Step::Start,
        Step::Rotate,
        Step::HostFull,
        Step::Reopen,
        Step::Wait(7_200_000),
        Step::Crash,
        Step::CopyTruncate,
    ];
    all_stand(&[
        (held, found_by_its_position),
        (numbered, the_next_one),
        (remote, of_another),
        (old, too_old),
    ]);
}

/// Another file has the name under which one was found that may be it.
#[test]
fn a_compressed_file_is_looked_for_by_what_it_is() {
    let setting = Setting {
        device: 7_575_186,
        scheme: Scheme::Numbered,
        pattern: "*",
        header: true,
        from_head: false,
        late: 60,
        stale: Some(1_000),
        births: false,
        reuses: true,
        delivers_after: 200,
        ..PLAIN
    };
    let steps = vec![
        Step::Start,
        Step::Crash,
        Step::SlowCopyTruncate(492, 2_018),
        Step::Wait(30_000),
        Step::During(22, Action::Archive),
        Step::CopyTruncate,
        Step::Wait(6_061),
        Step::Rotate,
        Step::Reopen,
        Step::Compress,
        Step::Start,
        Step::Stop,
        Step::Wait(7_200_000),
        Step::Compress,
        Step::During(
            18,
            Action::Write {
                lines: 3,
                open: false,
            },
        ),
        Step::Rotate,
        Step::Start,
        write(2, false),
        Step::Reopen,
        Step::During(9, Action::Rotate),
        Step::Compress,
    ];
    all_stand(&[(setting, steps)]);
}

/// Fails with those of these schedules that fall.
pub(super) fn all_stand(all: &[(Setting, Vec<Step>)]) {
    // They have the same device, so the positions of one at a time are known to the process.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let fell = all.iter().filter_map(|(setting, steps)| {
        let failure = run(*setting, steps)?;
        Some(format!("{failure}\n{setting:?}\n{steps:?}"))
    });
    let fell: Vec<String> = fell.collect();
    assert!(fell.is_empty(), "{}", fell.join("\n\n"));
}
