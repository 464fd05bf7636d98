//! Credentials in URLs: `scheme://user:password@host` (RFC 3986, section 3.2.1).

use super::assignment::is_stand_in;
use super::Inspection;
use crate::catalog::Id;

/// Longest user information looked at: registries of clouds have tokens of two kilobytes in it.
const MAX: usize = 4096;
/// What stands behind the `@` in names of data sources of Go.
const NETWORKS: &[&[u8]] = &[b"tcp(", b"unix(", b"udp(", b"tcp6("];
/// What stands in front of `user/password@` in URLs of Oracle.
const THIN: &[u8] = b":thin:";

/// Where in a chain such as `a@a@a@` behind the `@` at `at` the last one is; what is in front of that has no
/// domain, so it belongs to no address, nor to a URL if the one at `at` does not.
pub(super) fn chain(text: &[u8], at: usize) -> usize {
    let mut last = at;
    let mut end = at + 1;
    while let Some(byte) = text.get(end) {
        if *byte == b'@' && end > last + 1 {
            last = end;
        } else if !(byte.is_ascii_alphanumeric() || *byte == b'-' || *byte >= 0x80) {
            break;
        }
        end += 1;
    }
    last
}

/// Whether the `@` stands in front of a domain, or behind `scheme://user:`.
pub(super) fn or_email_plausible(text: &[u8], at: usize) -> bool {
    let Some(host) = text.get(at + 1..) else {
        return false;
    };
    if at == 0 || text[at - 1] <= b' ' || !host.first().is_some_and(|b| is_host_start(*b)) {
        return false;
    }
    if matches!(host, [b'[', first, ..] if first.is_ascii_alphanumeric()) {
        return true;
    }
    let is_host = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-' || *b >= 0x80;
    let label = host.iter().take(64).take_while(|b| is_host(b)).count();
    let domain = host.get(label) == Some(&b'.')
        && host
            .get(label + 1)
            .is_some_and(|b| b.is_ascii_alphanumeric() || *b >= 0x80);
    if domain {
        return true;
    }
    if is_network(host) {
        return true;
    }
    // There is no slash in user information.
    let floor = at.saturating_sub(MAX);
    let Some(mark) = memchr::memrchr2(b'/', b'@', &text[floor..at]) else {
        return false;
    };
    let mark = floor + mark;
    let user = &text[mark + 1..at];
    // In front of another `@` all was looked at for that one.
    let begins = text[mark] == b'@' || text[..mark].ends_with(b":/") || is_thin(&text[..mark]);
    begins && user.iter().all(|b| is_user_info(*b))
}

fn is_host_start(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'[' | b'/' | b'(') || byte >= 0x80
}

/// Whether what is behind an `@` is the network of a data source: `app:pw@tcp(db:3306)/shop`.
fn is_network(host: &[u8]) -> bool {
    NETWORKS.iter().any(|network| host.starts_with(network))
}

/// Whether the user of a URL of Oracle ends a text: `jdbc:oracle:thin:app`.
fn is_thin(before: &[u8]) -> bool {
    let name = before
        .iter()
        .rev()
        .take(64)
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_');
    let name = name.count();
    name > 0 && before[..before.len() - name].ends_with(THIN)
}

/// Whether a user without a password is a token: `https://token@host`.
fn is_token(user: &[u8]) -> bool {
    user.len() >= 16
        && user.iter().any(u8::is_ascii_digit)
        && user.iter().any(u8::is_ascii_alphabetic)
        && user
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && crate::checksum::entropy(user) >= 3.0
}

/// Verifies the user information in front of the `@` at `at`, which a password may hold, too. `done`
/// is where the one before ended, and where its user information started.
pub(super) fn find(i: &mut Inspection<'_>, at: usize, done: &mut (usize, Option<usize>)) {
    let text = i.text;
    if !text.get(at + 1).is_some_and(|b| is_host_start(*b)) || !i.wants(Id::UrlCredentials) {
        return;
    }
    let floor = at.saturating_sub(MAX).max(done.0);
    let mut start = at;
    while start > floor && (is_user_info(text[start - 1]) || text[start - 1] == b'@') {
        start -= 1;
    }
    let mut found = None;
    let url = start > 2 && &text[start - 3..start] == b"://";
    let named = is_network(&text[at + 1..]) && !text[start..at].contains(&b'@');
    let thin = start > 0 && text[start - 1] == b'/' && is_thin(&text[..start - 1]);
    if url || named || thin {
        found = Some(start);
    } else if start == done.0 {
        found = done.1;
    }
    *done = (at + 1, found);
    let Some(start) = found else {
        return;
    };
    let user = &text[start..at];
    let (name, password) = match memchr::memchr(b':', user) {
        Some(sign) => (&user[..sign], &user[sign + 1..]),
        None => (user, &b""[..]),
    };
    // "https://token:@host", "https://token:x@host"
    let token = url && password.len() < 2 && is_token(name);
    let password = !password.is_empty() && !is_stand_in(password);
    let valid = password || thin && !user.is_empty() || token;
    i.report(Id::UrlCredentials, start, at, valid);
}

fn is_user_info(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b'/' | b'"' | b'<' | b'>' | b'@' | b'?' | b'\\' | 0x7f)
}
