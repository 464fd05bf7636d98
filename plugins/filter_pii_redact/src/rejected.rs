//! What validators refused in a string, per rule.

/// The counts of rules, of which few are ever touched.
#[derive(Debug)]
pub(crate) struct Rejected {
    counts: Vec<u64>,
    /// A bit for each rule that has a count; the last one for all from there on.
    touched: u64,
}

/// The last bit.
const REST: usize = 63;

impl Rejected {
    pub(crate) fn new(rules: usize) -> Self {
        Rejected {
            counts: vec![0; rules],
            touched: 0,
        }
    }

    /// Counts a candidate of a rule.
    #[inline]
    pub(crate) fn add(&mut self, rule: usize) {
        self.counts[rule] += 1;
        self.touched |= 1 << rule.min(REST);
    }

    /// Forgets all of them.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if self.touched != 0 {
            self.take(|_, _| {});
        }
    }

    /// Calls `each` with every rule that has a count, and forgets it.
    #[inline]
    pub(crate) fn take(&mut self, mut each: impl FnMut(usize, u64)) {
        while self.touched != 0 {
            let first = self.touched.trailing_zeros() as usize;
            self.touched &= self.touched - 1;
            let end = match first {
                REST => self.counts.len(),
                _ => first + 1,
            };
            for (rule, count) in (first..end).zip(&mut self.counts[first..end]) {
                match std::mem::take(count) {
                    0 => {}
                    count => each(rule, count),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_given_once() {
        let mut rejected = Rejected::new(100);
        for rule in [0, 5, 5, 62, 63, 64, 99] {
            rejected.add(rule);
        }
        let mut all = Vec::new();
        rejected.take(|rule, count| all.push((rule, count)));
        assert_eq!(all, [(0, 1), (5, 2), (62, 1), (63, 1), (64, 1), (99, 1)]);
        rejected.add(70);
        rejected.clear();
        rejected.take(|rule, _| panic!("{rule}"));
    }
}
