//! What happens in a simulation: made from one seed, so that it can be made again and cut down.

use super::host::Tells;

/// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// How a writer's logs are rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `app.log` becomes `app.log.1` and so on; the writer goes on in the old file until it is told.
    Rename,
    /// The same in two steps.
    HardLink,
    /// All rotated files get the next number.
    Numbered,
    /// The writer begins a file with a new name; the old one stays as it is.
    Dated,
    /// The path is a symbolic link, and what it points to is renamed.
    LinkTarget,
    /// The path is a symbolic link that is replaced by one to another file.
    LinkSwap,
}

/// How lines are written into a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// At its end, wherever that is (`O_APPEND`).
    Append,
    /// Where the writer was, wherever the end is.
    Position,
    /// The same, and the file is made longer before there is something to write.
    Preallocated,
    /// The same through a map of the file, of which nobody is told.
    Mapped,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// The filesystem's number: no two at a time have the same.
    pub(super) device: u64,
    pub(super) scheme: Scheme,
    pub(super) mode: Mode,
    pub(super) pattern: &'static str,
    /// Every file begins with the same lines.
    pub(super) header: bool,
    pub(super) inotify: bool,
    pub(super) from_head: bool,
    /// `ignore_older` is an hour.
    pub(super) ignores_old: bool,
    /// `db.compare_filename`.
    pub(super) by_name: bool,
    /// The first run follows strangers, too: later ones have their positions and must not go by them.
    pub(super) wide: bool,
    /// Milliseconds after which the kernel tells, and how much it keeps.
    pub(super) late: u64,
    pub(super) room: usize,
    /// Milliseconds for which a network filesystem gives an old answer again; `None`: it is a local one.
    pub(super) stale: Option<u64>,
    /// The filesystem tells when files were made, and uses inodes again.
    pub(super) births: bool,
    pub(super) reuses: bool,
    pub(super) tells: Tells,
    /// Milliseconds that a chunk needs.
    pub(super) delivers_after: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Words of lines; the last line may be left without its end.
    Write {
        lines: u64,
        open: bool,
    },
    /// Milliseconds go by.
    Wait(u64),
    Rotate,
    /// The writer is told to open its path again.
    Reopen,
    CopyTruncate,
    /// The same, and for so many milliseconds only half of it is copied, and for so many all of it: whoever copies
    /// waits for the disk.
    SlowCopyTruncate(u64, u64),
    /// The oldest rotated file is moved away.
    Archive,
    /// The oldest rotated file is compressed.
    Compress,
    /// Something of another kind whose name and first lines are alike.
    Stranger,
    Stop,
    /// The same behind a drain.
    Complete,
    Crash,
    /// The process ends behind so many of its calls.
    CrashAt(u64),
    /// Something happens behind so many of them.
    During(u64, Action),
    /// There is no room for positions.
    DiskFull,
    DiskFree,
    /// The instance may not read the log, or may again.
    Deny,
    Allow,
    /// It may have so many files open.
    Descriptors(usize),
    /// The time of day is set by so many seconds.
    SetClock(i64),
    Start,
    /// The host takes nothing.
    HostFull,
    /// The host keeps what it takes.
    HostStuck,
    HostWorks,
}

/// What others do while the instance is in the middle of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Write { lines: u64, open: bool },
    Rotate,
    Reopen,
    CopyTruncate,
    Archive,
}

const WAITS: [u64; 12] = [
    0,
    0,
    10,
    60,
    300,
    1_000,
    1_000,
    3_000,
    8_000,
    30_000,
    7_200_000,
    200_000_000,
];

pub(super) fn setting(random: &mut Random) -> Setting {
    let device = random.0;
    let scheme = random.of(&[
        Scheme::Rename,
        Scheme::Rename,
        Scheme::HardLink,
        Scheme::Numbered,
        Scheme::Numbered,
        Scheme::Dated,
        Scheme::LinkTarget,
        Scheme::LinkSwap,
    ]);
    let linked = matches!(scheme, Scheme::LinkTarget | Scheme::LinkSwap);
    let pattern = match scheme {
        Scheme::Dated => random.of(&["app*.log", "*"]),
        _ if linked => random.of(&["app.log", "*.log"]),
        _ => random.of(&["app.log", "app.log", "app.log*", "*"]),
    };
    let ignores_old = random.below(5) == 0;
    Setting {
        device,
        scheme,
        mode: random.of(&[
            Mode::Append,
            Mode::Append,
            Mode::Append,
            Mode::Position,
            Mode::Preallocated,
            Mode::Mapped,
        ]),
        pattern,
        header: random.below(3) == 0,
        inotify: random.below(4) > 0,
        from_head: random.below(4) > 0,
        ignores_old,
        late: random.of(&[0, 0, 0, 0, 3, 60, 700]),
        room: random.of(&[16_384, 16_384, 16_384, 2, 5]),
        stale: (random.below(6) == 0).then(|| random.of(&[100, 1_000, 3_000])),
        births: ignores_old || random.below(4) > 0,
        reuses: random.below(3) == 0,
        tells: random.of(&[Tells::Count, Tells::Numbers, Tells::Ring]),
        delivers_after: random.of(&[0, 0, 40, 200, 1100]),
        // By a number of its own, so that a seed's other numbers stay what they were.
        by_name: Random(device.rotate_left(32)).below(12) == 0,
        wide: Random(device.rotate_left(16)).below(8) == 0,
    }
}

fn action(random: &mut Random) -> Action {
    match random.below(10) {
        0..=3 => Action::Write {
            lines: 1 + random.below(4),
            open: random.below(4) == 0,
        },
        4..=5 => Action::Rotate,
        6..=7 => Action::Reopen,
        8 => Action::CopyTruncate,
        _ => Action::Archive,
    }
}

pub(super) fn schedule(random: &mut Random, steps: usize) -> Vec<Step> {
    let step = |random: &mut Random| match random.below(52) {
        0..=11 => Step::Write {
            lines: 1 + random.below(4),
            open: random.below(4) == 0,
        },
        12..=23 => Step::Wait(random.of(&WAITS)),
        24..=26 => Step::Rotate,
        27..=28 => Step::Reopen,
        29..=30 => copy_truncate(random),
        31 => Step::Archive,
        32 => Step::Stranger,
        33 => random.of(&[Step::Stop, Step::Complete]),
        34 => Step::Crash,
        35..=36 => Step::Start,
        37 => Step::HostFull,
        38 => Step::HostStuck,
        39..=43 => Step::During(1 + random.below(60), action(random)),
        44 => Step::CrashAt(1 + random.below(80)),
        45 => random.of(&[Step::DiskFull, Step::DiskFree, Step::DiskFree]),
        47 => Step::Compress,
        48 => random.of(&[Step::Deny, Step::Allow]),
        49 => Step::Descriptors(random.of(&[0, 1, 3, 8, 400, 400])),
        46 => Step::SetClock(random.of(&[-7200, -60, -1, 1, 60, 7200, 200_000])),
        _ => Step::HostWorks,
    };
    let mut all = Vec::with_capacity(steps);
    while all.len() < steps {
        if random.below(40) == 0 {
            all.extend(rotation_with_a_signal(random));
        } else {
            all.push(step(random));
        }
    }
    all.truncate(steps);
    all
}

/// By numbers of its own, so that a seed's other numbers stay what they were.
fn copy_truncate(random: &Random) -> Step {
    let mut random = Random(random.0.rotate_left(32));
    match random.below(2) {
        0 => Step::CopyTruncate,
        // Less than a copy is waited for.
        _ => Step::SlowCopyTruncate(random.below(4_000), random.below(4_000)),
    }
}

/// The writer is told some time after its log was renamed, and writes meanwhile. What was rotated before
/// may be compressed then.
fn rotation_with_a_signal(random: &mut Random) -> Vec<Step> {
    let mut steps = vec![Step::Rotate];
    let mut left = random.below(30_000);
    while left > 0 {
        let wait = (1 + random.below(left)).max(left / 4);
        steps.push(Step::Wait(wait));
        steps.push(Step::Write {
            lines: random.below(3),
            open: random.below(4) == 0,
        });
        left -= wait;
    }
    steps.push(Step::Reopen);
    if random.below(2) == 0 {
        steps.push(Step::Compress);
    }
    steps
}
