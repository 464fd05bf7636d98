//! `make e2e`: `e2e IMAGES TAG [NEXT]`. Prints one table, and fails if a row of it does. With words in
//! `ONLY`, separated by commas, only rows with one of them in their names.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a table is to be read")]

mod jobs;
mod lives;
mod manifests;
mod network;
mod policy;
mod rights;
mod setups;
mod shared;
mod volumes;

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use flb_sidecar_tests::e2e::{lives as all_lives, matrix};
use flb_sidecar_tests::e2e::{Cluster, Collector, Images, Table, Verdict};

/// A Job's images, its pods and their ends take this long at most.
const LIMIT: Duration = Duration::from_secs(300);

/// What a row found.
type Found = Result<Verdict, String>;

/// A row of the table, still to be made.
struct Row<'a> {
    name: String,
    check: Box<dyn FnOnce() -> Found + Send + 'a>,
}

impl<'a> Row<'a> {
    fn new(name: impl Into<String>, check: impl FnOnce() -> Found + Send + 'a) -> Self {
        Row {
            name: name.into(),
            check: Box::new(check),
        }
    }
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (Some(prefix), Some(tag)) = (words.next(), words.next()) else {
        println!("e2e IMAGES TAG [NEXT]");
        return ExitCode::from(2);
    };
    let images = Images {
        prefix,
        tag,
        next: words.next().filter(|next| !next.is_empty()),
    };
    if !Cluster::is_there() {
        println!("SKIPPED make e2e: KUBECONFIG names no cluster, or kubectl is not installed");
        return ExitCode::SUCCESS;
    }
    match run(&images) {
        Ok(table) => {
            println!("\n{table}");
            if table.is_good() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(why) => {
            println!("FAILED make e2e: {why}");
            ExitCode::FAILURE
        }
    }
}

fn number(name: &str, default: usize) -> usize {
    let text = std::env::var(name).unwrap_or_default();
    text.parse().unwrap_or(default)
}

fn run(images: &Images) -> Result<Table, String> {
    let name = format!("flb-e2e-{}", std::process::id());
    // One for what is to be restricted, and one each for what needs to be told apart from it.
    let cluster = &Cluster::new(&name)?;
    let for_policy = &Cluster::new(&format!("{name}-policy"))?;
    let apart = &Cluster::new(&format!("{name}-apart"))?;
    // Both apply the same ConfigMaps, at the same time.
    let mut for_stock = Vec::new();
    for component in ["stock-image", "image-volume"] {
        let cluster = Cluster::new(&format!("{name}-{component}"))?;
        for_stock.push((component, cluster));
    }
    let for_volumes = &Cluster::new(&format!("{name}-volumes"))?;
    let for_network = &Cluster::new(&format!("{name}-network"))?;
    let for_shared = &Cluster::new(&format!("{name}-shared"))?;
    let collector = &Collector::start(cluster, &images.collector())?;
    lives::prepare(cluster, collector)?;
    let mut rows = vec![
        Row::new("rights: every Role, by SubjectAccessReview", || {
            rights::check(apart)
        }),
        Row::new(
            "manifests: every kustomization, server-side, strict",
            || manifests::dry_run(cluster),
        ),
        Row::new(
            "policy: pod shapes by server-side dry run, and a Job",
            || policy::check(for_policy, images),
        ),
        Row::new("README: a redacted Job in five commands", || {
            manifests::readme(cluster, images)
        }),
    ];
    rows.extend(for_stock.iter().map(|(component, cluster)| {
        Row::new(format!("stock image: {component}"), move || {
            setups::stock(cluster, images, component)
        })
    }));
    rows.push(Row::new("conf/nginx, with an aggregator", || {
        setups::nginx(cluster, collector, images)
    }));
    rows.extend(matrix(&images.sidecar()).into_iter().map(|attempt| {
        Row::new(format!("Job: {}", attempt.name), move || {
            jobs::check(cluster, collector, &attempt)
        })
    }));
    rows.extend(manifests::triggers()?.into_iter().map(|file| {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        Row::new(format!("completion_exit/{name}"), move || {
            manifests::job(cluster, collector, images, &file)
        })
    }));
    rows.extend(all_lives(images).into_iter().map(|life| {
        Row::new(format!("Pod: {}", life.name), move || {
            lives::check(cluster, collector, images, &life)
        })
    }));
    rows.push(Row::new("volumes: a claim, a folder of the node", || {
        volumes::check(for_volumes, collector, images)
    }));
    rows.push(Row::new(
        "network: the policies of conf/kubernetes/base",
        || network::check(for_network, collector),
    ));
    let count = number("BURST", 100);
    let burst = format!("burst: {count} Jobs on one shared folder");
    let burst = Row::new(burst, move || {
        shared::burst(for_shared, collector, images, count)
    });
    let only = std::env::var("ONLY").unwrap_or_default();
    let is_meant = |row: &Row<'_>| {
        only.is_empty()
            || only
                .split(',')
                .any(|word| row.name.to_lowercase().contains(&word.to_lowercase()))
    };
    rows.retain(is_meant);
    let mut table = Table::default();
    at_once(number("AT_ONCE", 6), rows, &mut table);
    // After the others, whose seconds it would change.
    at_once(
        1,
        [burst].into_iter().filter(is_meant).collect(),
        &mut table,
    );
    Ok(table)
}

/// Makes rows, so many at once; the table has them in their order.
fn at_once(count: usize, rows: Vec<Row<'_>>, table: &mut Table) {
    let waiting = Mutex::new(rows.into_iter().enumerate().collect::<VecDeque<_>>());
    let done = Mutex::new(Vec::new());
    let next = || {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.pop_front()
    };
    let work = || {
        while let Some((place, row)) = next() {
            let start = Instant::now();
            let verdict = (row.check)().unwrap_or_else(Verdict::Failed);
            let seconds = start.elapsed().as_secs_f64();
            println!("{}: {verdict} ({seconds:.0} s)", row.name);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((place, row.name, seconds, verdict));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..count.max(1) {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|row| row.0);
    for (_, name, seconds, verdict) in done {
        table.add(name, seconds, verdict);
    }
}

fn expect(good: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if good {
        Ok(())
    } else {
        Err(what())
    }
}
