//! What a drain came to: one line for the log, one JSON object for `report_file`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use flb_sidecar_sdk::{EngineHost, InputAccount, InputInfo, OutputInfo};
use serde_json::{json, Map, Value};

use crate::account::{Account, Others, Unfollowed};
use crate::delivery::believed;
use crate::drain::{Cause, End, Left};
use crate::losses::Losses;
use crate::trigger::Fired;

/// The kubelet keeps this much of a termination message.
pub(crate) const MAX_BYTES: usize = 4096;
/// A longer text (paths, names) is cut.
const MAX_TEXT: usize = 300;
/// What one entry of a file may take; a longer one is reduced to the known keys.
const MAX_FILE: usize = 500;

/// A finished drain.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) fired: Vec<Fired>,
    pub(crate) code: Option<u8>,
    /// `None`: the host ends by itself.
    pub(crate) status: Option<i32>,
    pub(crate) end: End,
    /// Time from the start of the plugin to the trigger.
    pub(crate) waited: Duration,
    pub(crate) inputs: Vec<InputInfo>,
    pub(crate) outputs: Vec<OutputInfo>,
    /// What has become of the records, as far as inputs are followed.
    pub(crate) followed: Vec<(String, InputAccount)>,
    /// Chunks of other inputs that the host threw away.
    pub(crate) evicted: u64,
    /// Records that `rewrite_tag` took out and could not give back; `None`: there is no such filter.
    pub(crate) lost_in_filters: Option<u64>,
    /// Records of threaded inputs that never came into a chunk.
    pub(crate) lost_in_rings: u64,
    /// What is known of their records for each output, by its number.
    pub(crate) unfollowed: BTreeMap<u32, Unfollowed>,
    /// Whether those have sent anything.
    pub(crate) others: Others,
    /// JSON arrays of objects, one per input.
    pub(crate) files: Vec<(String, String)>,
}

/// The report of an engine that hung before it could tell anything.
pub(crate) fn of_a_hang(status: i32) -> String {
    json!({
        "trigger": null,
        "reason": "the host hung: it did not notice the trigger by the deadline",
        "status": status,
        "complete": false,
        "ended_by": "deadline",
    })
    .to_string()
}

/// The host tells of every output what it gave up.
pub(crate) fn tells_drops(outputs: &[OutputInfo]) -> bool {
    let mut destinations = destinations(outputs);
    // This plugin is an output: a host that shows none shows nothing.
    !outputs.is_empty() && destinations.all(|output| output.dropped_records.is_some())
}

/// Outputs that deliver something; this plugin takes records only to count them.
fn destinations(outputs: &[OutputInfo]) -> impl Iterator<Item = &OutputInfo> {
    outputs
        .iter()
        .filter(|output| output.plugin != "completion_exit")
}

/// `None` if nobody tells.
fn sum(values: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    values.flatten().reduce(u64::saturating_add)
}

impl Report {
    /// Asks `host` for the rest.
    pub(crate) fn new(
        fired: &[Fired],
        code: Option<u8>,
        end: End,
        waited: Duration,
        losses: &Losses,
        host: &dyn EngineHost,
    ) -> Self {
        let inputs = host.inputs();
        let followed = host.accounts();
        let is_quiet = |input: &InputInfo| {
            // What an earlier run has left is there from the start, and seen.
            input.plugin == "storage_backlog"
                || followed.iter().any(|(name, _)| *name == input.name)
        };
        let others = if inputs.iter().all(is_quiet) {
            losses.others()
        } else {
            Others::Heard
        };
        Report {
            fired: fired.to_vec(),
            code,
            status: None,
            end,
            waited,
            inputs,
            outputs: believed(host.outputs()),
            unfollowed: losses.records(host, &followed),
            followed,
            evicted: losses.chunks(),
            lost_in_filters: host.lost_in_filters(),
            lost_in_rings: host.lost_in_rings().unwrap_or(0),
            others,
            files: host.drain_reports(),
        }
    }

    /// Something is known to be left behind or dropped.
    pub(crate) fn has_loss(&self) -> bool {
        let dropped = self.account().dropped() + self.lost_on_the_way();
        !self.end.left.is_nothing() || dropped > 0 || self.evicted_chunks() > 0
    }

    fn account(&self) -> Account<'_> {
        let outputs =
            destinations(&self.outputs).map(|output| (output, self.unfollowed_of(output)));
        Account::new(&self.followed, outputs, self.others)
    }

    fn unfollowed_of(&self, output: &OutputInfo) -> Unfollowed {
        let number = output.number;
        let unfollowed = number.and_then(|number| self.unfollowed.get(&number));
        unfollowed.copied().unwrap_or_default()
    }

    /// What has become of an input's records; `None`: it is not followed.
    fn account_of(&self, input: &InputInfo) -> Option<&InputAccount> {
        let mut followed = self.followed.iter();
        let (_, account) = followed.find(|(name, _)| *name == input.name)?;
        Some(account)
    }

    /// Lost before any output could count them.
    fn lost_on_the_way(&self) -> u64 {
        let in_filters = self.lost_in_filters.unwrap_or(0);
        in_filters.saturating_add(self.lost_in_rings)
    }

    /// What filters took out, and did not lose; `None`: it is not known of every input.
    fn filtered(&self, read: u64) -> Option<i64> {
        let has_read = |input: &InputInfo| input.drain.as_ref().is_some_and(|d| d.records > 0);
        let mut inputs = self.inputs.iter();
        if inputs.any(|input| has_read(input) && self.account_of(input).is_none()) {
            return None;
        }
        let all = self.account().filtered(read)?;
        Some(all.saturating_sub_unsigned(self.lost_in_filters.unwrap_or(0)))
    }

    fn evicted_chunks(&self) -> u64 {
        self.account().evicted_chunks().saturating_add(self.evicted)
    }

    /// `None`: the host does not tell.
    fn dropped(&self) -> Option<u64> {
        let counted = sum(destinations(&self.outputs).map(|output| output.dropped_records));
        counted.map(|_| {
            self.account()
                .dropped()
                .saturating_add(self.lost_on_the_way())
        })
    }

    /// Whether everything was delivered; `None`: no loss is known, but the host does not tell all.
    fn complete(&self) -> Option<bool> {
        if self.has_loss() {
            return Some(false);
        }
        let unseen = self.end.left.unseen || self.perhaps_turned_back() || self.misses_an_input();
        (tells_drops(&self.outputs) && !unseen).then_some(true)
    }

    /// An input is a `sidecar_tail`, or may be one, and was not found to be asked: its host is laid out
    /// otherwise than is known.
    fn misses_an_input(&self) -> bool {
        let may_be_ours = |input: &InputInfo| matches!(input.plugin.as_str(), "" | "sidecar_tail");
        let mut inputs = self.inputs.iter();
        inputs.any(|input| input.drain.is_none() && may_be_ours(input))
    }

    /// What an emitter of `rewrite_tag` has no room for may keep its old tag, which no output wants. Then it
    /// cannot be told from what shall not be sent.
    fn perhaps_turned_back(&self) -> bool {
        self.lost_in_filters.is_some() && self.unwanted() > 0
    }

    fn unwanted(&self) -> u64 {
        let all = self.followed.iter().map(|(_, account)| account.unwanted);
        all.sum()
    }

    fn drain_sum(&self, field: impl Fn(&flb_sidecar_sdk::drain::DrainStatus) -> u64) -> u64 {
        self.inputs
            .iter()
            .filter_map(|input| input.drain.as_ref())
            .fold(0, |sum, drain| sum.saturating_add(field(drain)))
    }

    fn ended_by(&self) -> &'static str {
        match self.end.cause {
            Cause::Drained => "drained",
            Cause::Deadline => "deadline",
            Cause::Host => "stopped",
        }
    }

    fn reason(&self) -> String {
        if self.fired.is_empty() {
            return "the host stopped before anything had said that the Job is done".to_owned();
        }
        let reasons: Vec<String> = self.fired.iter().map(ToString::to_string).collect();
        cut(&reasons.join("; "))
    }

    /// At most [`MAX_BYTES`]; entries of files and inputs are left out from the end if need be.
    pub(crate) fn json(&self) -> String {
        let mut report = self.head();
        let mut outputs = self.output_entries();
        let mut inputs: Vec<Value> = self.inputs.iter().map(|i| self.input_entry(i)).collect();
        let mut files = self.file_entries();
        // What was not read is what the reader of a report looks for.
        files.sort_by_key(|file| std::cmp::Reverse(file["unread_bytes"].as_u64().unwrap_or(0)));
        // Room for the keys and counts that are added last.
        let mut room =
            MAX_BYTES.saturating_sub(Value::Object(report.clone()).to_string().len() + 80);
        let lists = [
            ("outputs", &mut outputs),
            ("inputs", &mut inputs),
            ("files", &mut files),
        ];
        for (name, entries) in lists {
            let total = entries.len();
            let mut kept = Vec::new();
            for entry in entries.drain(..) {
                let length = entry.to_string().len() + 1;
                if length > room {
                    break;
                }
                room -= length;
                kept.push(entry);
            }
            let omitted = total - kept.len();
            report.insert(name.to_owned(), Value::Array(kept));
            if omitted > 0 {
                report.insert(format!("{name}_omitted"), json!(omitted));
            }
        }
        Value::Object(report).to_string()
    }

    fn head(&self) -> Map<String, Value> {
        let left = &self.end.left;
        let mut head = Map::new();
        let kinds: Vec<&str> = self
            .fired
            .iter()
            .map(|fired| fired.trigger.name())
            .collect();
        let kinds = (!kinds.is_empty()).then(|| kinds.join("+"));
        head.insert("trigger".to_owned(), json!(kinds));
        head.insert("reason".to_owned(), json!(self.reason()));
        head.insert("trigger_code".to_owned(), json!(self.code));
        head.insert("status".to_owned(), json!(self.status));
        head.insert("complete".to_owned(), json!(self.complete()));
        head.insert("ended_by".to_owned(), json!(self.ended_by()));
        head.insert(
            "seconds".to_owned(),
            json!({"waited": seconds(self.waited), "drain": seconds(self.end.took)}),
        );
        let read = self.drain_sum(|drain| drain.records);
        let followed = !self.followed.is_empty();
        let asked_all = !self.misses_an_input();
        head.insert(
            "records".to_owned(),
            json!({
                "in": asked_all.then_some(read),
                "filtered": followed.then(|| self.filtered(read)).flatten(),
                "unwanted": followed.then(|| self.unwanted()),
                "out": sum(destinations(&self.outputs).map(|output| output.delivered_records)),
                "dropped": self.dropped(),
                "left": followed.then(|| self.account().left()),
            }),
        );
        head.insert(
            "retries".to_owned(),
            json!(sum(self.outputs.iter().map(|output| output.retries))),
        );
        head.insert("evicted_chunks".to_owned(), json!(self.evicted_chunks()));
        head.insert(
            "left".to_owned(),
            json!({
                "inputs": left.inputs,
                "unread_bytes": asked_all.then_some(left.unread_bytes),
                "missed_files": asked_all.then_some(left.missed_files),
                "chunks": left.chunks,
                "tasks": left.tasks,
            }),
        );
        head
    }

    fn output_entries(&self) -> Vec<Value> {
        let account = self.account();
        destinations(&self.outputs)
            .zip(&account.outputs)
            .map(|(output, sum)| {
                let mut entry = sum.json(&cut(&sum.name));
                let sent = self.unfollowed_of(output).sent;
                if self.followed.is_empty() && sent.is_none() {
                    // Of what came only the outputs tell.
                    entry["in"] = Value::Null;
                    entry["left"] = Value::Null;
                }
                entry
            })
            .collect()
    }

    fn input_entry(&self, input: &InputInfo) -> Value {
        let mut entry = Map::new();
        entry.insert("name".to_owned(), json!(cut(&input.name)));
        if let Some(drain) = &input.drain {
            entry.insert("files".to_owned(), json!(drain.files));
            entry.insert("read_bytes".to_owned(), json!(drain.read_bytes));
            entry.insert("unread_bytes".to_owned(), json!(drain.unread_bytes));
            entry.insert("records".to_owned(), json!(drain.records));
        }
        if let Some(account) = self.account_of(input) {
            let wanted = account.kept.map(|k| k.saturating_sub(account.unwanted));
            let done = |wanted: u64| wanted.saturating_sub(account.lost + account.left);
            entry.insert("in".to_owned(), json!(wanted));
            entry.insert("out".to_owned(), json!(wanted.map(done)));
            entry.insert("dropped".to_owned(), json!(account.lost));
            entry.insert("left".to_owned(), json!(account.left));
        }
        if let Some(pending) = input.pending.filter(|p| p.chunks > 0 || p.tasks > 0) {
            entry.insert("chunks".to_owned(), json!(pending.chunks));
            entry.insert("tasks".to_owned(), json!(pending.tasks));
        }
        Value::Object(entry)
    }

    fn file_entries(&self) -> Vec<Value> {
        self.files
            .iter()
            .filter_map(|(_, text)| serde_json::from_str::<Vec<Value>>(text).ok())
            .flatten()
            .map(|file| {
                if file.to_string().len() <= MAX_FILE {
                    return file;
                }
                json!({
                    "path": cut(file["path"].as_str().unwrap_or("?")),
                    "read_bytes": file["read_bytes"],
                    "unread_bytes": file["unread_bytes"],
                })
            })
            .collect()
    }
}

/// The summary for the log, one line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = &self.end.left;
        write!(
            f,
            "{} after {} ms ({}): ",
            self.ended_by(),
            self.end.took.as_millis(),
            self.reason(),
        )?;
        if self.misses_an_input() {
            f.write_str("what was read is not known")?;
        } else {
            write!(
                f,
                "{} files, {} bytes and {} records read",
                self.drain_sum(|drain| drain.files),
                self.drain_sum(|drain| drain.read_bytes),
                self.drain_sum(|drain| drain.records),
            )?;
        }
        match self.dropped() {
            Some(n) if n > 0 => write!(f, ", {n} records dropped")?,
            _ if !tells_drops(&self.outputs) => f.write_str(", drops unknown")?,
            _ => {}
        }
        let n = self.account().unexplained();
        if n > 0 {
            write!(f, ", {n} of them gone without a trace")?;
        }
        let n = self.lost_in_filters.unwrap_or(0);
        if n > 0 {
            write!(
                f,
                ", {n} of them taken out by rewrite_tag, whose emitter had no room"
            )?;
        }
        let n = self.lost_in_rings;
        if n > 0 {
            write!(
                f,
                ", {n} of them of threaded inputs, for which the host had no room"
            )?;
        }
        let n = self.unwanted();
        if n > 0 {
            write!(f, ", {n} records that no output wants")?;
        }
        let n = self.evicted_chunks();
        if n > 0 {
            write!(f, ", {n} chunks thrown away by the host for lack of room")?;
        }
        if left.missed_files > 0 {
            write!(f, ", {} files could not be read", left.missed_files)?;
        }
        let only_missed = drain_left_nothing(left);
        if only_missed && left.unseen {
            f.write_str(", nothing left as far as the host shows")?;
        } else if only_missed {
            f.write_str(", nothing left")?;
        } else {
            write!(
                f,
                "; left: {} inputs not read out, {} bytes unread, {} chunks and {} tasks undelivered",
                left.inputs, left.unread_bytes, left.chunks, left.tasks
            )?;
        }
        match self.status {
            Some(status) => write!(f, "; exit status {status}"),
            None => f.write_str("; the host ends by itself"),
        }
    }
}

/// Besides files that could not be read, which are said.
fn drain_left_nothing(left: &Left) -> bool {
    let missed_files = 0;
    Left {
        missed_files,
        ..*left
    }
    .is_nothing()
}

/// In seconds, to the millisecond.
pub(crate) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// A text of bounded length without control characters, so that a line stays a line.
fn cut(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short = String::new();
    for c in clean {
        if short.len() + c.len_utf8() > MAX_TEXT {
            short.push_str("...");
            break;
        }
        short.push(c);
    }
    short
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
