//! A record with what it gets: hints followed, `log` merged, the fields added.

use std::sync::Arc;

use flb_sidecar_sdk::ParsedTime;

use crate::counters::Tally;
use crate::encode::{Content, Encoded};
use crate::hints::Stream;
use crate::json::write_len;
use crate::merge::MergeLog;
use crate::parsers::HostParsers;
use crate::record::{stream, write_header};
use crate::splice::{splice, splice_pairs, Spliced};
use crate::view::View;

/// Writes the records of one batch after the other.
#[derive(Debug)]
pub(crate) struct Writer {
    content: Arc<Content>,
    merge: Option<MergeLog>,
    default_stream: Stream,
    /// The fields of a merged record, where they cannot go to the output at once.
    fields: Vec<u8>,
    /// A record of this batch may have a field of the names that records get.
    may_have: bool,
}

impl Writer {
    pub(crate) fn new(
        content: Arc<Content>,
        merge: Option<MergeLog>,
        default_stream: Stream,
    ) -> Self {
        Writer {
            content,
            merge,
            default_stream,
            fields: Vec::new(),
            may_have: false,
        }
    }

    /// Records of this view may not stay as they are.
    pub(crate) fn has_work(&self, view: &View) -> bool {
        !view.encoded.fields.is_empty() || view.hints.may_exclude() || self.merge.is_some()
    }

    /// Starts the batch `data`.
    pub(crate) fn begin(&mut self, data: &[u8], view: &View, out: &mut Vec<u8>) {
        self.may_have = self.content.may_be_in(data);
        out.reserve(data.len() + data.len() / 2 + view.encoded.suffix.len() * 8);
    }

    /// Writes one record, or leaves it out.
    pub(crate) fn record(
        &mut self,
        header: &[u8],
        body: &[u8],
        view: &View,
        parsers: &mut HostParsers,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) {
        let mut annotated = None;
        if view.hints.may_exclude() || view.hints.may_parse() {
            let stream = match stream(body) {
                Stream::None => self.default_stream,
                other => other,
            };
            if view.hints.excludes(stream) {
                tally.excluded += 1;
                return;
            }
            annotated = view.hints.parser(stream);
        }
        let before = out.len();
        let merged = self.merged(header, body, annotated, &view.encoded, parsers, out);
        tally.merged += u64::from(merged.is_some());
        let spliced = merged.unwrap_or_else(|| {
            out.extend_from_slice(header);
            splice(body, &view.encoded, self.may_have, out)
        });
        match spliced {
            Some(spliced) => {
                tally.added += u64::from(spliced.changed);
                tally.kept += u64::from(spliced.kept);
            }
            None => {
                out.truncate(before);
                out.extend_from_slice(header);
                out.extend_from_slice(body);
            }
        }
    }

    /// Writes the record with its `log` merged. `None`, and nothing written: there is nothing to
    /// merge. `Some(None)`: as [`splice`].
    fn merged(
        &mut self,
        header: &[u8],
        body: &[u8],
        annotated: Option<&str>,
        encoded: &Encoded,
        parsers: &mut HostParsers,
        out: &mut Vec<u8>,
    ) -> Option<Option<Spliced>> {
        let merge = self.merge.as_mut()?;
        let parser = parsers.choose(annotated);
        let before = out.len();
        let read_as_json = parser.is_none();
        let mut time = None;
        if read_as_json && !self.may_have {
            out.extend_from_slice(header);
            let head = out.len();
            // The header of the map: one byte, which grows if that is not enough.
            out.push(0);
            let Some(merged) = merge.merge(body, None, out) else {
                out.truncate(before);
                return None;
            };
            if !(merged.has_new_key && self.content.may_be_in(&out[head + 1..])) {
                out.extend_from_slice(&encoded.suffix);
                let added = encoded.fields.len();
                let written = write_len(out, head, merged.len + added, 0x80, 0xde);
                return Some(written.map(|()| Spliced {
                    changed: added > 0,
                    kept: false,
                }));
            }
            self.fields.clear();
            self.fields.extend_from_slice(&out[head + 1..]);
            out.truncate(before);
            return Some(self.spliced(header, time, merged.len, true, encoded, out));
        }
        self.fields.clear();
        let merged = merge.merge(body, parser, &mut self.fields)?;
        time = merged.time;
        let may_have =
            self.may_have || (merged.has_new_key && self.content.may_be_in(&self.fields));
        Some(self.spliced(header, time, merged.len, may_have, encoded, out))
    }

    /// Writes a header, with the time of a parser if there is one, and the merged fields.
    fn spliced(
        &self,
        header: &[u8],
        time: Option<ParsedTime>,
        len: usize,
        may_have: bool,
        encoded: &Encoded,
        out: &mut Vec<u8>,
    ) -> Option<Spliced> {
        write_header(header, time, out);
        splice_pairs(len, &self.fields, encoded, may_have, out)
    }
}
