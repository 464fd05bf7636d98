//! Names of fields that announce what is in them, however far it is from the name: the gate looks at
//! what is near only.

use crate::detect::Finder;

/// Names whose answer is kept.
const SLOTS: usize = 64;
/// Longer names are rare, and asked about each time.
const LONGEST: usize = 64;

/// What was found out about names. Most records have the same ones.
#[derive(Debug)]
pub(super) struct Names {
    /// The last name of each slot, and whether it announces something.
    slots: Vec<(Vec<u8>, bool)>,
}

impl Default for Names {
    fn default() -> Self {
        Names {
            slots: vec![(Vec::new(), false); SLOTS],
        }
    }
}

impl Names {
    /// Whether the value of `name` is to be looked at, whatever the gate says of it.
    pub(super) fn announce(&mut self, finder: &Finder, name: &[u8]) -> bool {
        let (Some(first), Some(last)) = (name.first(), name.last()) else {
            return false;
        };
        if name.len() > LONGEST {
            return finder.announces(name);
        }
        let middle = name[name.len() / 2];
        let mix = [*first, middle, *last, name.len() as u8];
        let mix = mix
            .iter()
            .fold(0, |mix, byte| mix * 31 + usize::from(*byte));
        let (kept, announces) = &mut self.slots[mix % SLOTS];
        if kept != name {
            kept.clear();
            kept.extend_from_slice(name);
            *announces = finder.announces(name);
        }
        *announces
    }
}
