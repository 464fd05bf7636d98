//! A short Job with a random life: its main container writes lines, the last of them right before
//! it ends, also into a file that is new; then a trigger ends the sidecar. SIGTERM may come at any
//! moment.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kube_client::testing::{Authority, Server};
use rustix::process::Signal;
use serde_json::{json, Value as Json};

use crate::host::Host;
use crate::pipeline::Pipeline;
use crate::process::{json_lines, Running};
use crate::random::Random;

/// A sidecar that is not gone after this hangs: no deadline here is above 30 s.
const HUNG: Duration = Duration::from_secs(45);

/// What ends the sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// A flag file with the exit status.
    Flag,
    /// The end of a process that a PID file names.
    Process,
    /// SIGTERM once the main container has ended, as native sidecars get it.
    Sigterm,
    /// Silence.
    Idle,
    /// The pod's status in the API.
    Api,
}

/// A Job.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its place in the run.
    pub number: u64,
    /// What ends the sidecar.
    pub trigger: Trigger,
    /// Time from the start of both containers to the trigger.
    pub life: Duration,
    /// Lines of the main container.
    pub lines: u64,
    /// Files they go to.
    pub files: u64,
    /// Exit status of the main container.
    pub code: u8,
    /// SIGTERM comes this long after the sidecar is ready, whatever happens then.
    pub terminate_after: Option<Duration>,
}

impl Plan {
    /// A random Job.
    pub fn random(random: &mut Random, number: u64) -> Self {
        const TRIGGERS: [Trigger; 6] = [
            Trigger::Flag,
            Trigger::Flag,
            Trigger::Process,
            Trigger::Sigterm,
            Trigger::Idle,
            Trigger::Api,
        ];
        let life = random.time(Duration::from_millis(5), Duration::from_secs(5));
        Plan {
            number,
            trigger: TRIGGERS[random.below(6) as usize],
            life,
            lines: 1 + random.below(200),
            files: 1 + random.below(3),
            code: random.below(4) as u8,
            terminate_after: (random.below(4) == 0)
                .then(|| random.time(Duration::from_millis(1), life + Duration::from_secs(2))),
        }
    }
}

/// How a Job went.
#[derive(Debug)]
pub struct Outcome {
    /// Lines that had to come and did not.
    pub lost: u64,
    /// Lines that came more than once.
    pub twice: u64,
    /// The sidecar did not end.
    pub hung: bool,
    /// From the trigger to the end of the process, where the sidecar was ready before the trigger
    /// and no SIGTERM came between.
    pub after_trigger: Option<Duration>,
    /// Everything that is wrong, with what the host said; empty if nothing is.
    pub fault: String,
}

/// The main container.
struct Main {
    plan: Plan,
    folder: String,
    files: Vec<File>,
    written: u64,
}

impl Main {
    fn open(&mut self, name: &str) {
        let path = Path::new(&self.folder).join(name);
        let file = OpenOptions::new().create(true).append(true).open(path);
        self.files.push(file.expect("the folder takes files"));
    }

    fn write(&mut self, file: usize) {
        let line = format!("job {} line {}\n", self.plan.number, self.written);
        let file = &mut self.files[file];
        file.write_all(line.as_bytes())
            .expect("the file takes lines");
        self.written += 1;
    }
}

/// SIGTERM at a moment of its own.
struct Terminator {
    ready_file: String,
    after: Option<Duration>,
    ready: Option<Instant>,
    /// How many lines were there when it was sent.
    sent: Option<u64>,
}

impl Terminator {
    fn look(&mut self, running: &Running, written: u64) {
        if self.ready.is_none() && Path::new(&self.ready_file).exists() {
            self.ready = Some(Instant::now());
        }
        if let (Some(after), Some(ready), None) = (self.after, self.ready, self.sent) {
            if ready.elapsed() >= after {
                running.signal(Signal::TERM);
                self.sent = Some(written);
            }
        }
    }
}

/// The pod as the API shows it.
fn pod(code: Option<u8>) -> String {
    let state = match code {
        Some(code) => json!({"terminated": {"exitCode": code, "reason": "Completed"}}),
        None => json!({"running": {}}),
    };
    json!({
        "kind": "Pod",
        "metadata": {"name": "job-0"},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main"}, {"name": "logs"}]},
        "status": {"containerStatuses": [{"name": "main", "state": state}]},
    })
    .to_string()
}

/// What the trigger needs besides options.
struct Props {
    process: Option<Child>,
    api: Option<Server>,
}

fn prepare(pipeline: &mut Pipeline, plan: &Plan) -> Props {
    let mut props = Props {
        process: None,
        api: None,
    };
    let mut options = vec![
        ("report_file", pipeline.path("report")),
        ("ready_file", pipeline.path("ready")),
    ];
    match plan.trigger {
        Trigger::Flag => {
            options.push(("flag_file", pipeline.path("logs/flag")));
            options.push(("exit_code", "trigger".to_owned()));
        }
        Trigger::Process => {
            let child = Command::new("sleep")
                .arg("600")
                .stdin(Stdio::null())
                .spawn()
                .expect("there is sleep");
            let pid_file = pipeline.file("pid", child.id().to_string());
            props.process = Some(child);
            options.push(("process_pid_file", pid_file));
            options.push(("process_gone_time", "0".to_owned()));
        }
        Trigger::Sigterm => {}
        Trigger::Idle => options.push(("idle_time", "1".to_owned())),
        Trigger::Api => {
            let authority = Authority::new(pipeline.folder());
            let token = pipeline.file("token", "secret");
            let server = Server::start(authority.server_config(), "secret", &pod(None));
            options.push(("api_container", "main".to_owned()));
            options.push(("api_interval", "1".to_owned()));
            options.push(("exit_code", "trigger".to_owned()));
            options.push(("pod_name", "job-0".to_owned()));
            options.push(("namespace_name", "default".to_owned()));
            options.push(("kube_url", server.url.clone()));
            options.push(("kube_ca_file", pipeline.path("ca.crt")));
            options.push(("kube_token_file", token));
            props.api = Some(server);
        }
    }
    pipeline.output("completion_exit", "*", &options);
    props
}

/// Runs the Job on `host`.
///
/// # Panics
/// When something does not start.
pub fn run(host: &Host, plan: &Plan) -> Outcome {
    let mut pipeline = Pipeline::new(host);
    let first = pipeline.file("logs/app-0.log", "");
    let folder = first.trim_end_matches("/app-0.log").to_owned();
    let pattern = format!("{folder}/*.log");
    // The host's own default, not the shorter one of the other scenarios.
    pipeline.arg("-f").arg("1");
    pipeline
        .input(
            "sidecar_tail",
            &[("path", pattern.as_str()), ("tag", "app")],
        )
        .print();
    let mut props = prepare(&mut pipeline, plan);
    let mut main = Main {
        plan: plan.clone(),
        folder,
        files: Vec::new(),
        written: 0,
    };
    for n in 0..plan.files {
        main.open(&format!("app-{n}.log"));
    }
    let mut terminator = Terminator {
        ready_file: pipeline.path("ready"),
        after: plan.terminate_after,
        ready: None,
        sent: None,
    };
    let start = Instant::now();
    let mut running = pipeline.start();
    while main.written < plan.lines {
        let due = plan.life.mul_f64(main.written as f64 / plan.lines as f64);
        while start.elapsed() < due {
            terminator.look(&running, main.written);
            std::thread::sleep(Duration::from_millis(1).min(due - start.elapsed().min(due)));
        }
        main.write((main.written % plan.files) as usize);
    }
    if plan.trigger == Trigger::Sigterm {
        // Before it is up nobody could drain.
        while terminator.ready.is_none() && running.ended().is_none() && start.elapsed() < HUNG {
            terminator.look(&running, main.written);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    terminator.look(&running, main.written);
    let ready = terminator.ready.is_some();
    // Right before the end: a last line, and a file that is new.
    main.write(0);
    main.open("late.log");
    main.write(main.files.len() - 1);
    main.files.clear();
    let trigger = Instant::now();
    match plan.trigger {
        Trigger::Flag => {
            let flag = Path::new(&main.folder).join("flag");
            fs::write(flag, plan.code.to_string()).expect("the folder takes files");
        }
        Trigger::Process => {
            if let Some(child) = &mut props.process {
                child.kill().expect("our own child");
                child.wait().expect("our own child");
            }
        }
        Trigger::Sigterm => {
            if terminator.sent.is_none() {
                running.signal(Signal::TERM);
                terminator.after = None;
            }
        }
        Trigger::Idle => {}
        Trigger::Api => {
            if let Some(server) = &props.api {
                server.set_body(&pod(Some(plan.code)));
            }
        }
    }
    while running.ended().is_none() && trigger.elapsed() < HUNG {
        terminator.look(&running, main.written);
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = trigger.elapsed();
    let report = fs::read_to_string(pipeline.path("report")).unwrap_or_default();
    judge(&running, plan, &main, &terminator, &report, (ready, took))
}

fn judge(
    running: &Running,
    plan: &Plan,
    main: &Main,
    terminator: &Terminator,
    report: &str,
    (ready, took): (bool, Duration),
) -> Outcome {
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let prefix = format!("job {} line ", plan.number);
    let mut strange = 0;
    for record in json_lines(&running.output().stdout()) {
        let number = record["log"]
            .as_str()
            .and_then(|log| log.strip_prefix(&prefix)?.parse().ok());
        match number {
            Some(number) => *seen.entry(number).or_default() += 1,
            None => strange += 1,
        }
    }
    let due = terminator.sent.unwrap_or(main.written);
    let lost = (0..due).filter(|n| !seen.contains_key(n)).count() as u64;
    let twice = seen.values().filter(|count| **count > 1).count() as u64;
    let ended = running.last_status();
    let status = ended.and_then(|status| status.code());
    let carries_code = matches!(plan.trigger, Trigger::Flag | Trigger::Api);
    let mut allowed = vec![if carries_code { plan.code } else { 0 }];
    if terminator.sent.is_some() {
        allowed.push(0);
    }
    let report: Json = serde_json::from_str(report).unwrap_or_default();
    let mut faults = Vec::new();
    if lost > 0 {
        let which: Vec<u64> = (0..due).filter(|n| !seen.contains_key(n)).take(9).collect();
        faults.push(format!("{lost} of {due} lines lost, {which:?}"));
    }
    if twice > 0 || strange > 0 {
        faults.push(format!("{twice} lines came twice, {strange} are not ours"));
    }
    if ended.is_none() {
        faults.push("it does not end".to_owned());
    } else if !status.is_some_and(|s| allowed.iter().any(|a| i32::from(*a) == s)) {
        faults.push(format!("it ended with {ended:?}, {allowed:?} was expected"));
    }
    if terminator.sent.is_none() && report["complete"] != true {
        faults.push("the report says that it is not complete".to_owned());
    }
    let fault = if faults.is_empty() {
        String::new()
    } else {
        format!(
            "{plan:?}\nSIGTERM after {:?} lines\n{}\nreport: {report}\n{}",
            terminator.sent,
            faults.join("\n"),
            running.output().stderr()
        )
    };
    Outcome {
        lost,
        twice,
        hung: ended.is_none(),
        after_trigger: (ready && terminator.sent.is_none()).then_some(took),
        fault,
    }
}

/// Runs the Jobs on the hosts in turn, several at a time.
pub fn run_all(hosts: &[Host], plans: &[Plan], at_once: usize) -> Vec<(Host, Plan, Outcome)> {
    let work = plans.iter().zip(hosts.iter().cycle());
    let next = Mutex::new(work);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                // Not in the loop's head: the lock would be held during the run.
                let take = || next.lock().ok().and_then(|mut work| work.next());
                while let Some((plan, host)) = take() {
                    let outcome = run(host, plan);
                    if let Ok(mut done) = done.lock() {
                        done.push((host.clone(), plan.clone(), outcome));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(_, plan, _)| plan.number);
    done
}

/// The value that this part (0 to 1) of all do not exceed.
pub fn percentile(times: &[Duration], part: f64) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort();
    let index = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(index.max(1) - 1).copied()
}
