//! What has become of every record, for each input and output: what came in is out, dropped or left.
//! Pure.
//!
//! Outputs count themselves what they have delivered and given up. What came in for them, and what is
//! left, is known from the chunks of the inputs that are followed. So a chunk that the host threw away
//! is missing in the outputs' counts, whether the host counts that (since 2.2) or not. Where no other
//! input has sent anything, what is known from the chunks is believed: a host may count as dropped what it
//! refused to take and was handed again (5.1.1).

use flb_sidecar_sdk::{InputAccount, OutputInfo, Routed};
use serde_json::{json, Value};

/// One output's sum: `delivered + dropped + left`, which is all that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) name: String,
    pub(crate) delivered: u64,
    /// Given up, thrown away by the host, or gone nobody knows where.
    pub(crate) dropped: u64,
    pub(crate) left: u64,
    /// Those of the dropped of which the chunks do not tell that they were thrown away: the sum
    /// does not close by itself.
    pub(crate) unexplained: u64,
}

/// The sums of all outputs that deliver something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account<'a> {
    pub(crate) inputs: &'a [(String, InputAccount)],
    pub(crate) outputs: Vec<Sum>,
}

impl<'a> Account<'a> {
    /// From the counters and chunks of one moment.
    pub(crate) fn new<'b>(
        inputs: &'a [(String, InputAccount)],
        outputs: impl Iterator<Item = (&'b OutputInfo, Unfollowed)>,
        others: Others,
    ) -> Self {
        let sum = |(output, unfollowed)| sum(output, inputs, unfollowed, others);
        let outputs = outputs.map(sum).collect();
        Account { inputs, outputs }
    }

    pub(crate) fn evicted_chunks(&self) -> u64 {
        let inputs = self.inputs.iter();
        inputs.map(|(_, input)| input.evicted_chunks).sum()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.outputs.iter().map(|output| output.dropped).sum()
    }

    pub(crate) fn left(&self) -> u64 {
        self.outputs.iter().map(|output| output.left).sum()
    }

    pub(crate) fn unexplained(&self) -> u64 {
        self.outputs.iter().map(|output| output.unexplained).sum()
    }

    /// Records that filters took out, of as many that inputs handed over; `None`: not known.
    pub(crate) fn filtered(&self, read: u64) -> Option<i64> {
        let mut kept = 0i64;
        for (_, input) in self.inputs {
            kept = kept.saturating_add_unsigned(input.kept?);
        }
        Some(0i64.saturating_add_unsigned(read).saturating_sub(kept))
    }
}

/// Whether inputs that are not followed have sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// No chunk of theirs was ever seen.
    Silent,
    /// They may have.
    Heard,
}

/// What is known of the records that an output should have of inputs that are not followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unfollowed {
    /// Known to be missing, and not counted.
    pub(crate) lost: u64,
    /// How many came for it; `None`: not known.
    pub(crate) sent: Option<u64>,
    /// Still in chunks.
    pub(crate) left: u64,
}

fn sum(
    output: &OutputInfo,
    inputs: &[(String, InputAccount)],
    unfollowed: Unfollowed,
    others: Others,
) -> Sum {
    let delivered = output.delivered_records.unwrap_or(0);
    let mut dropped = output.dropped_records.unwrap_or(0);
    let mut kept = Some(0u64);
    let mut chunks = Routed::default();
    for (_, input) in inputs {
        let routed = input.outputs.iter().find(|(name, _)| *name == output.name);
        let routed = routed.map(|(_, routed)| *routed).unwrap_or_default();
        kept = kept
            .zip(input.kept)
            .map(|(sum, _)| sum.saturating_add(routed.kept));
        chunks.left = chunks.left.saturating_add(routed.left);
        chunks.evicted = chunks.evicted.saturating_add(routed.evicted);
    }
    // A host that counts nothing tells nothing.
    let kept = kept.filter(|_| output.delivered_records.is_some());
    if let Some(kept) = kept.filter(|kept| *kept > 0 && others == Others::Silent) {
        dropped = dropped.min(kept.saturating_sub(delivered));
    }
    let kept = kept.map(|kept| kept.saturating_add(unfollowed.sent.unwrap_or(0)));
    if unfollowed.sent.is_some() {
        chunks.left = chunks.left.saturating_add(unfollowed.left);
    }
    let counted = delivered.saturating_add(dropped);
    let missing = kept.map_or(chunks.left, |kept| kept.saturating_sub(counted));
    // A chunk stays until its last output has it.
    let left = missing.min(chunks.left);
    let uncounted = missing - left;
    let explained = chunks.evicted.saturating_add(unfollowed.lost);
    // Without a sum that they are in, what is lost of the others comes on top.
    let lost = match unfollowed.sent {
        Some(_) => uncounted.max(unfollowed.lost),
        None => uncounted.saturating_add(unfollowed.lost),
    };
    Sum {
        name: output.name.clone(),
        delivered,
        dropped: dropped.saturating_add(lost),
        left,
        unexplained: uncounted.saturating_sub(explained),
    }
}

impl Sum {
    pub(crate) fn json(&self, name: &str) -> Value {
        let all = self.delivered + self.dropped + self.left;
        json!({
            "name": name,
            "in": all,
            "out": self.delivered,
            "dropped": self.dropped,
            "left": self.left,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn output(delivered: u64, dropped: u64) -> OutputInfo {
        OutputInfo {
            name: "http.0".to_owned(),
            delivered_records: Some(delivered),
            dropped_records: Some(dropped),
            ..OutputInfo::default()
        }
    }

    fn input(kept: u64, evicted: u64, left: u64) -> (String, InputAccount) {
        let routed = Routed {
            kept,
            evicted,
            left,
        };
        let account = InputAccount {
            kept: Some(kept),
            unwanted: 0,
            lost: evicted,
            left,
            evicted_chunks: u64::from(evicted > 0),
            outputs: vec![("http.0".to_owned(), routed)],
        };
        ("sidecar_tail.0".to_owned(), account)
    }

    fn sum_of(output: &OutputInfo, inputs: &[(String, InputAccount)]) -> (u64, u64, u64, u64) {
        let sum = super::sum(output, inputs, Unfollowed::default(), Others::Heard);
        (sum.delivered, sum.dropped, sum.left, sum.unexplained)
    }

    proptest! {
        /// Some records are delivered, given up, thrown away, left; the host counts what it throws away
        /// or not, and others than those that are followed may come to the output as well.
        #[test]
        fn the_sum_closes(
            delivered in 0u64..50, dropped in 0u64..50, evicted in 0u64..50, left in 0u64..50,
            counts in any::<bool>(),
        ) {
            let kept = delivered + dropped + evicted + left;
            let counted = output(delivered, dropped + if counts { evicted } else { 0 });
            let sum = sum_of(&counted, &[input(kept, evicted, left)]);
            prop_assert_eq!(sum, (delivered, dropped + evicted, left, 0));
        }

        /// What is nowhere is said.
        #[test]
        fn what_is_missing_is_not_explained(delivered in 0u64..50, gone in 1u64..50, left in 0u64..50) {
            let kept = delivered + gone + left;
            let sum = sum_of(&output(delivered, 0), &[input(kept, 0, left)]);
            prop_assert_eq!(sum, (delivered, gone, left, gone));
        }
    }

    proptest! {
        /// The same where some of it is of inputs that are not followed, whose losses may have been seen.
        #[test]
        fn the_sum_closes_with_what_nobody_follows(
            (delivered, dropped, evicted, left) in (0u64..50, 0u64..50, 0u64..50, 0u64..50),
            (followed, followed_evicted, seen) in (0u64..50, 0u64..50, 0u64..50),
        ) {
            let unfollowed = Unfollowed {
                lost: seen.min(evicted),
                sent: Some(delivered + dropped + evicted + left),
                left,
            };
            let counted = output(delivered + followed, dropped);
            let inputs = [input(followed + followed_evicted, followed_evicted, 0)];
            let sum = super::sum(&counted, &inputs, unfollowed, Others::Heard);
            prop_assert_eq!(sum.delivered, delivered + followed);
            prop_assert_eq!(sum.dropped, dropped + evicted + followed_evicted);
            prop_assert_eq!((sum.left, sum.unexplained), (left, evicted - seen.min(evicted)));
        }
    }

    #[test]
    fn a_chunk_that_another_output_waits_for_is_not_left_for_this_one() {
        assert_eq!(sum_of(&output(10, 0), &[input(10, 0, 10)]), (10, 0, 0, 0));
    }

    #[test]
    fn records_of_other_inputs_are_no_surplus() {
        assert_eq!(sum_of(&output(30, 0), &[input(10, 0, 0)]), (30, 0, 0, 0));
        assert_eq!(sum_of(&output(3, 0), &[]), (3, 0, 0, 0));
    }

    #[test]
    fn what_a_host_refused_to_take_is_not_dropped() {
        let none = Unfollowed::default();
        let sum = |others| super::sum(&output(3, 9), &[input(10, 0, 0)], none, others).dropped;
        assert_eq!(sum(Others::Silent), 7);
        assert_eq!(sum(Others::Heard), 9);
    }

    #[test]
    fn filters_take_out_and_put_in() {
        let inputs = [input(7, 0, 0)];
        let account = Account::new(&inputs, [].into_iter(), Others::Silent);
        assert_eq!(account.filtered(10), Some(3));
        assert_eq!(account.filtered(5), Some(-2));
        let mut uncounted = inputs.clone();
        uncounted[0].1.kept = None;
        assert_eq!(
            Account::new(&uncounted, [].into_iter(), Others::Silent).filtered(5),
            None
        );
    }
}
