//! What happens in a simulation: made from one seed, so that it can be made again and cut down.

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
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) scheme: Scheme,
    pub(super) mode: Mode,
    pub(super) pattern: &'static str,
    /// Every file begins with the same lines.
    pub(super) header: bool,
    pub(super) inotify: bool,
    pub(super) from_head: bool,
    /// `ignore_older` is an hour.
    pub(super) ignores_old: bool,
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
    /// The oldest rotated file is moved away.
    Archive,
    /// Something of another kind whose name and first lines are alike.
    Stranger,
    Stop,
    /// The same behind a drain.
    Complete,
    Crash,
    Start,
    /// The host takes nothing.
    HostFull,
    /// The host keeps what it takes.
    HostStuck,
    HostWorks,
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
    let scheme = random.of(&[
        Scheme::Rename,
        Scheme::Rename,
        Scheme::HardLink,
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
    Setting {
        scheme,
        mode: random.of(&[
            Mode::Append,
            Mode::Append,
            Mode::Append,
            Mode::Position,
            Mode::Preallocated,
        ]),
        pattern,
        header: random.below(3) == 0,
        inotify: random.below(4) > 0,
        from_head: random.below(4) > 0,
        ignores_old: random.below(5) == 0,
    }
}

pub(super) fn schedule(random: &mut Random, steps: usize) -> Vec<Step> {
    let step = |random: &mut Random| match random.below(40) {
        0..=11 => Step::Write {
            lines: 1 + random.below(4),
            open: random.below(4) == 0,
        },
        12..=23 => Step::Wait(random.of(&WAITS)),
        24..=26 => Step::Rotate,
        27..=28 => Step::Reopen,
        29..=30 => Step::CopyTruncate,
        31 => Step::Archive,
        32 => Step::Stranger,
        33 => random.of(&[Step::Stop, Step::Complete]),
        34 => Step::Crash,
        35..=36 => Step::Start,
        37 => Step::HostFull,
        38 => Step::HostStuck,
        _ => Step::HostWorks,
    };
    (0..steps).map(|_| step(random)).collect()
}
