//! `make soak-stuck`: a Job for every way in which a destination may be stuck, every output, 0 to 2
//! workers, every trigger, on every real host. Arguments: how many at once, which part of them (1 of
//! that many; all by default), and words that their names must have.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a soak talks")]

use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flb_sidecar_tests::host::{real_hosts, Host};
use flb_sidecar_tests::side_by_side;
use flb_sidecar_tests::stuck::{Play, Trigger, Way, OUTPUTS};
use rustix::process::{getrlimit, setrlimit, Resource};

const DEADLINE: Duration = Duration::from_secs(4);

fn plays(hosts: &[Host]) -> Vec<(Host, Play)> {
    let mut plays = Vec::new();
    for host in hosts {
        let help = Command::new(&host.program).arg("-h").output();
        let help = help.map_or_else(|_| Vec::new(), |output| output.stdout);
        let help = String::from_utf8_lossy(&help).into_owned();
        // Not every build has all of them.
        let has = |output: &str| {
            help.lines()
                .any(|line| line.split_whitespace().next() == Some(output))
        };
        for way in Way::ALL {
            for output in OUTPUTS {
                for workers in 0..3 {
                    for trigger in Trigger::ALL {
                        let play = Play {
                            way,
                            output,
                            workers,
                            trigger,
                            deadline: DEADLINE,
                        };
                        let name = play.to_string();
                        let is_asked = std::env::args().skip(3).all(|word| name.contains(&word));
                        if play.is_possible() && has(output) && is_asked {
                            plays.push((host.clone(), play));
                        }
                    }
                }
            }
        }
    }
    plays
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// A queue of connections is full with 128 of them.
fn allow_many_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is not allowed, a destination may be less stuck than it should be.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn main() -> ExitCode {
    let number = |index| {
        let text = std::env::args().nth(index);
        text.and_then(|text| text.parse::<usize>().ok())
    };
    let at_once = number(1).unwrap_or(12);
    let part = number(2).unwrap_or(1).max(1);
    allow_many_descriptors();
    let hosts = real_hosts();
    // Every so many of them, so that a part has some of everything.
    let plays: Vec<_> = plays(&hosts).into_iter().step_by(part).collect();
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    side_by_side(0..at_once, |_| {
        while let Some((host, play)) = plays.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = play.run(host);
            let faults = outcome.faults(play);
            if !faults.is_empty() {
                let guard = outcome.said.lines().find(|line| line.contains("ends now"));
                let guard = guard.unwrap_or("the guard said nothing");
                println!(
                    "{host}: {play}: {}; load {}; {guard}",
                    faults.join(", "),
                    load()
                );
            }
            let late = outcome.took.map(|took| took.saturating_sub(DEADLINE));
            outcomes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((host.version, late, faults.is_empty()));
        }
    });
    let outcomes = outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    println!("| host | Jobs | hung | wrong | latest behind the deadline |");
    println!("|---|---|---|---|---|");
    for host in &hosts {
        let ours: Vec<_> = outcomes.iter().filter(|o| o.0 == host.version).collect();
        let hung = ours.iter().filter(|o| o.1.is_none()).count();
        let wrong = ours.iter().filter(|o| !o.2).count();
        let latest = ours.iter().filter_map(|o| o.1).max().unwrap_or_default();
        println!(
            "| {host} | {} | {hung} | {wrong} | {:.2} s |",
            ours.len(),
            latest.as_secs_f64()
        );
    }
    if outcomes.iter().all(|o| o.2) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
