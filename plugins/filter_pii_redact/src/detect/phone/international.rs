//! International numbers: a calling code of E.164, `+` or `00` in front.

use super::form::{extension, MAX_GROUPS};
use super::plan::calling_code;
use crate::catalog::Id;
use crate::detect::bounds::{self, Join};
use crate::detect::row::{Gap, Row};
use crate::detect::Inspection;
use crate::keywords::group::{CALL, PHONE};

/// Most digits of an international number, calling code included: ITU-T E.164, 6.1.
const MAX_DIGITS: usize = 15;

/// `+CC ...` and `00CC-...`.
pub(super) fn find(i: &mut Inspection<'_>, row: &Row<'_>) -> bool {
    let text = i.text;
    let Some(first) = row.group(0) else {
        return false;
    };
    let plus = first.start > 0 && text[first.start - 1] == b'+';
    let zeros = !plus
        && row.group(1).is_none_or(|g| g.gap != Gap::Paren)
        && text[first.start..first.end].starts_with(b"00")
        && (3..=5).contains(&first.len())
        && text[first.start + 2] != b'0';
    if !plus && !zeros {
        return false;
    }
    let start = if plus { first.start - 1 } else { first.start };
    // A sign behind a digit starts a number only if that is grouped: "667946+43 20 667946".
    let glued = plus && start > 0 && text[start - 1].is_ascii_digit();
    if (!glued && bounds::left(text, start) != Join::Free) || text[first.start] == b'0' && plus {
        return false;
    }
    let skip = if zeros { 2 } else { 0 };
    let code = first.start + skip;
    let known = calling_code(&text[code..]);
    let bracketed = plus && row.group(1).is_some_and(|g| g.gap == Gap::Paren);
    let (min, max) = match known {
        Some((len, min, max)) if !bracketed => (min + len, max + len),
        _ => (8, MAX_DIGITS),
    };
    let mut total = 0;
    let mut best = None;
    for n in 0..MAX_GROUPS + 1 {
        let Some(group) = row.group(n) else { break };
        if n > 0 && group.gap == Gap::None {
            break;
        }
        // "+44 (0)20": the trunk prefix is not dialled.
        let trunk =
            n > 0 && group.len() == 1 && group.gap == Gap::Paren && text[group.start] == b'0';
        if !trunk {
            total += group.len();
        }
        let digits = total - skip;
        if digits > max {
            break;
        }
        if digits >= min {
            best = Some((group.end, n));
        }
    }
    let Some((mut end, groups)) = best else {
        i.report(Id::Phone, start, first.end, false);
        return false;
    };
    let bare_unknown = (groups == 0 || zeros) && known.is_none() || (groups == 0 && glued);
    let valid = bounds::right(text, end) != Join::Tight
        && !bare_unknown
        && (!zeros
            || (groups > 0
                && (row.gap(2) == Some(Gap::Hyphen) || i.near(start, end, PHONE | CALL))));
    let extension = extension(text, end);
    let valid = valid || extension > end;
    end = extension;
    i.report(Id::Phone, start, end, valid)
}
