//! Many files and few handles: whatever comes between two steps of the worker, it never has more files
//! open than it may, and every line comes once.

use super::number;
use super::schedule::Random;
use crate::sim::steps::Steps;

const FILES: u64 = 12;
const STEPS: usize = 120;
const SETTLED: std::time::Duration = std::time::Duration::from_secs(60);

struct Crowd {
    steps: Steps,
    random: Random,
    most: usize,
    /// The patterns match rotated files, too.
    rotated_match: bool,
    written: Vec<String>,
    names: u64,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let rotated_match = random.below(2) == 0;
        let pattern = if rotated_match { "*.log*" } else { "*.log" };
        let inotify = random.of(&["on", "on", "off"]);
        let mut steps = Steps::prepared(pattern, &[("inotify_watcher", inotify)], |_| {});
        let most = random.of(&[0, 1, 3, 6]);
        let handles = &mut steps.worker.files.handles;
        *handles = handles.apart(most);
        Crowd {
            steps,
            random,
            most,
            rotated_match,
            written: Vec::new(),
            names: 0,
        }
    }

    fn write(&mut self, name: &str) {
        let line = format!("{} {name}", self.written.len());
        self.steps.append(name, &format!("{line}\n"));
        self.written.push(line);
    }

    fn rotated(&mut self, name: &str) -> String {
        self.names += 1;
        format!("{name}.{}", self.names)
    }

    /// Something happens to files.
    fn happen(&mut self) {
        let name = format!("{}.log", self.random.below(FILES));
        match self.random.below(8) {
            0..=3 => self.write(&name),
            // All at once, as a rotation of many logs is.
            4 => {
                for n in 0..FILES {
                    self.write(&format!("{n}.log"));
                }
            }
            5 | 6 if self.steps.path(&name).exists() => {
                let to = self.rotated(&name);
                self.write(&name);
                if self.steps.worker.discovery.sources.watches().is_none() {
                    // Nobody tells of it later.
                    self.steps.worker.scan();
                }
                self.steps.rename(&name, &to);
                self.write(&to);
                self.write(&name);
            }
            7 if self.steps.path(&name).exists() => {
                // Two truncations that nobody sees are one.
                self.settle();
                self.write(&name);
                let to = self.rotated(&name);
                self.steps.copy(&name, &to);
                if self.rotated_match {
                    self.work();
                }
                self.steps.cut(&name, 0);
                self.write(&name);
                self.steps.round();
            }
            _ => {}
        }
    }

    /// A step of the worker.
    fn work(&mut self) {
        match self.random.below(6) {
            0 | 1 => self.steps.told(),
            2 => self.steps.worker.scan(),
            3 => self.steps.worker.poll_files(),
            4 => self.steps.worker.check_some(),
            _ => {
                self.steps.read_once();
            }
        }
        let open = self.steps.worker.files.handles.count();
        assert!(open <= self.most, "{open} of {} are open", self.most);
    }

    fn settle(&mut self) {
        self.steps.round();
        self.steps.round_after(SETTLED);
    }

    fn check(&mut self) {
        self.settle();
        self.settle();
        let times = |line: &String| self.steps.lines.iter().filter(|l| *l == line).count();
        let came = self.written.iter().map(|line| (line, times(line)));
        let wrong: Vec<_> = came.filter(|(_, times)| *times != 1).collect();
        assert!(wrong.is_empty(), "{wrong:?} with {} handles", self.most);
        assert_eq!(self.steps.lost(), 0);
    }
}

#[test]
fn few_handles_are_enough_for_many_files() {
    let first = number("SIDECAR_TAIL_SEED", 1);
    for seed in first..first + number("SIDECAR_TAIL_SCHEDULES", 100) {
        let ran = std::panic::catch_unwind(|| {
            let mut crowd = Crowd::new(seed);
            for _ in 0..STEPS {
                if crowd.random.below(2) == 0 {
                    crowd.happen();
                } else {
                    crowd.work();
                }
            }
            crowd.check();
        });
        assert!(ran.is_ok(), "seed {seed}");
    }
}
