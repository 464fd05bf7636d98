//! The life of a Job.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::judge::{judge, Life};
use super::sidecar::Sidecar;
use super::{Disturbance, Outcome, Plan, Trigger};
use crate::host::Host;
use crate::pod_api;
use crate::process::Running;

/// A sidecar that is not gone after this hangs: no deadline here is above 30 s.
const HUNG: Duration = Duration::from_secs(45);
const MOMENT: Duration = Duration::from_millis(1);

/// The main container.
struct Main {
    number: u64,
    folder: PathBuf,
    files: Vec<File>,
    lines: Vec<String>,
}

impl Main {
    fn open(&mut self, name: &str) {
        let path = self.folder.join(name);
        let file = OpenOptions::new().create(true).append(true).open(path);
        self.files.push(file.expect("the folder takes files"));
    }

    fn write(&mut self, file: usize) {
        let line = format!("job {} line {}", self.number, self.lines.len());
        // In one call: at SIGTERM half a line would count as one.
        let written = self.files[file].write_all(format!("{line}\n").as_bytes());
        written.expect("the file takes lines");
        self.lines.push(line);
    }
}

/// What happens to the sidecar besides the trigger.
struct Fate {
    disturbance: Option<Disturbance>,
    ready_file: String,
    ready: Option<Instant>,
    triggered: Option<Instant>,
    /// How many lines were there when SIGTERM was sent.
    terminated: Option<usize>,
}

impl Fate {
    /// Does what is due. `true`: the sidecar has been killed.
    fn look(&mut self, running: &Running, written: usize) -> bool {
        if self.ready.is_none() && Path::new(&self.ready_file).exists() {
            self.ready = Some(Instant::now());
        }
        let due = |since: Option<Instant>, after| since.is_some_and(|at| at.elapsed() >= after);
        match self.disturbance {
            Some(Disturbance::Sigterm(after)) if due(self.ready, after) => {
                running.signal(Signal::TERM);
                self.terminated = Some(written);
            }
            Some(Disturbance::ReloadAfter(after))
                if due(self.triggered, after) && running.main_thread_sleeps() =>
            {
                running.signal(Signal::HUP);
            }
            Some(Disturbance::Kill(after)) if due(self.triggered, after) => {
                running.signal(Signal::KILL);
                self.disturbance = None;
                return true;
            }
            _ => return false,
        }
        self.disturbance = None;
        false
    }
}

/// Runs the Job on `host`.
///
/// # Panics
/// When something does not start.
pub fn run(host: &Host, plan: &Plan) -> Outcome {
    let plan = &plan.clone().on(host);
    let mut sidecar = Sidecar::new(host, plan);
    let pipeline = &sidecar.pipeline;
    let folder = Path::new(&pipeline.file("logs/app-0.log", "")).with_file_name("");
    let mut main = Main {
        number: plan.number,
        folder: folder.clone(),
        files: Vec::new(),
        lines: Vec::new(),
    };
    for n in 0..plan.files {
        main.open(&format!("app-{n}.log"));
    }
    if plan.stock_tail {
        pipeline.file("beside/beside.log", "");
        main.open("../beside/beside.log");
    }
    let mut fate = Fate {
        disturbance: plan.disturbance,
        ready_file: pipeline.path("ready"),
        ready: None,
        triggered: None,
        terminated: None,
    };
    let start = Instant::now();
    let mut running = pipeline.start();
    while (main.lines.len() as u64) < plan.lines {
        let due = plan
            .life
            .mul_f64(main.lines.len() as f64 / plan.lines as f64);
        while start.elapsed() < due {
            fate.look(&running, main.lines.len());
            std::thread::sleep(MOMENT.min(due.saturating_sub(start.elapsed())));
        }
        let file = main.lines.len() % main.files.len();
        main.write(file);
    }
    let reload_now = plan.disturbance == Some(Disturbance::ReloadBefore);
    if plan.trigger == Trigger::Sigterm || reload_now {
        // Before it is up nobody could drain or reload.
        let up = |fate: &Fate, running: &Running| {
            fate.ready.is_some() && (!reload_now || running.main_thread_sleeps())
        };
        while !up(&fate, &running) && running.ended().is_none() && start.elapsed() < HUNG {
            fate.look(&running, main.lines.len());
            std::thread::sleep(MOMENT);
        }
    }
    fate.look(&running, main.lines.len());
    let ready = fate.ready.is_some();
    if reload_now {
        running.signal(Signal::HUP);
    }
    // Right before the end: a last line, and a file that is new.
    main.write(0);
    main.open("late.log");
    main.write(main.files.len() - 1);
    if plan.stock_tail {
        main.open("../beside/late.log");
        main.write(main.files.len() - 1);
    }
    main.files.clear();
    let trigger = Instant::now();
    match plan.trigger {
        Trigger::Flag => {
            fs::write(folder.join("flag"), plan.code.to_string()).expect("the folder takes files");
        }
        Trigger::Process => {
            if let Some(child) = &mut sidecar.process {
                child.kill().expect("our own child");
                child.wait().expect("our own child");
            }
        }
        Trigger::Sigterm => {
            if fate.terminated.is_none() {
                running.signal(Signal::TERM);
                if matches!(fate.disturbance, Some(Disturbance::Sigterm(_))) {
                    fate.disturbance = None;
                }
            }
        }
        Trigger::Idle => {}
        Trigger::Api => {
            if let Some(api) = &sidecar.api {
                api.set(pod_api::Main::Terminated(plan.code));
            }
        }
    }
    fate.triggered = Some(trigger);
    let mut killed = String::new();
    while running.ended().is_none() && trigger.elapsed() < HUNG {
        if fate.look(&running, main.lines.len()) {
            // It may have ended by itself in this very moment: then nothing starts it again.
            if running.wait_for_end().code().is_some() {
                break;
            }
            killed = running.output().stderr();
            if let Some(destination) = &sidecar.destination {
                destination.open();
            }
            running = sidecar.pipeline.start();
        }
        std::thread::sleep(MOMENT);
    }
    let life = Life {
        plan,
        lines: main.lines,
        terminated: fate.terminated,
        keeps_status: plan.keeps_status(host),
        ready,
        took: trigger.elapsed(),
        killed,
    };
    judge(&sidecar, &running, &life)
}
