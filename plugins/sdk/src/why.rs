//! Why something could not be done, in words that say what to do about it.

use std::fmt;
use std::io;

use rustix::process::{getegid, geteuid, getgroups};

/// An error of the system as a log line has it. A refused permission names who was refused and how
/// that is changed: in a container nobody sees which user the process has.
#[derive(Clone, Copy, Debug)]
pub struct Why<'a>(pub &'a io::Error);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        // One with a text of its own has all that already.
        if self.0.kind() != io::ErrorKind::PermissionDenied || self.0.raw_os_error().is_none() {
            return Ok(());
        }
        let (user, group) = (geteuid().as_raw(), getegid().as_raw());
        write!(f, ": this process is user {user} of group {group}")?;
        let mut others: Vec<u32> = getgroups()
            .unwrap_or_default()
            .iter()
            .map(|group| group.as_raw())
            .filter(|other| *other != group)
            .collect();
        others.dedup();
        if let Some((first, rest)) = others.split_first() {
            write!(f, " and {first}")?;
            for other in rest.iter().take(7) {
                write!(f, ", {other}")?;
            }
        }
        f.write_str("; give one of its groups the right (fsGroup in Kubernetes), or everybody")
    }
}

/// The same as an error, for those who only pass it on.
pub(crate) fn explained(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::PermissionDenied {
        io::Error::new(error.kind(), Why(&error).to_string())
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_permission_names_who_and_what_to_do() {
        let error = io::Error::from_raw_os_error(rustix::io::Errno::ACCESS.raw_os_error());
        let text = Why(&error).to_string();
        assert!(text.starts_with("Permission denied (os error 13): this process is user "));
        let user = format!("user {} of group", geteuid().as_raw());
        assert!(text.contains(&user) && text.contains("fsGroup"), "{text}");
        // Once, whoever else says it.
        let again = explained(explained(error));
        assert_eq!(again.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(Why(&again).to_string(), text);
    }

    #[test]
    fn other_errors_stay_as_they_are() {
        let error = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(Why(&error).to_string(), error.to_string());
        assert_eq!(explained(error).kind(), io::ErrorKind::NotFound);
    }
}
