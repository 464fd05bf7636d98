//! Times in lines: RFC 3339, or a format in the letters of strptime(3).

use flb_sidecar_sdk::event::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;

/// How times are read.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    /// RFC 3339.
    Rfc3339,
    /// These formats, in turn.
    Formats(Vec<String>),
}

impl Clock {
    /// `format` in the letters of strptime(3), with Fluent Bit's `%L` for a fraction of a second.
    pub(crate) fn new(format: &str) -> Self {
        let plain = format.replace(".%L", "%.f").replace("%L", "%f");
        // `%z` stands for `+0100`, `+01:00` and `Z` in Fluent Bit, for the first one in jiff.
        let mut formats = vec![plain.replace("%z", "%:z"), plain.clone()];
        if let Some(zulu) = plain.strip_suffix("%z") {
            formats.push(format!("{zulu}Z"));
        }
        formats.dedup();
        Clock::Formats(formats)
    }

    /// The time in `text`. Without a zone it is UTC.
    pub(crate) fn read(&self, text: &str) -> Option<Timestamp> {
        let time = match self {
            Clock::Rfc3339 => text.parse::<jiff::Timestamp>().ok()?,
            Clock::Formats(formats) => formats.iter().find_map(|format| {
                let time = BrokenDownTime::parse(format, text).ok()?;
                time.to_timestamp().ok().or_else(|| {
                    let time = time.to_datetime().ok()?;
                    jiff::tz::Offset::UTC.to_timestamp(time).ok()
                })
            })?,
        };
        Some(Timestamp {
            seconds: u32::try_from(time.as_second()).ok()?,
            nanos: u32::try_from(time.subsec_nanosecond()).ok()?,
        })
    }

    /// Seconds since 1970 as a number.
    pub(crate) fn of_seconds(seconds: f64) -> Option<Timestamp> {
        (seconds >= 0.0 && seconds < f64::from(u32::MAX)).then(|| Timestamp {
            seconds: seconds as u32,
            nanos: ((seconds.fract() * 1e9) as u32).min(999_999_999),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_many_forms() {
        let nine = |nanos| {
            Some(Timestamp {
                seconds: 1_704_103_200,
                nanos,
            })
        };
        for (format, text, time) in [
            ("", "2024-01-01T10:00:00Z", nine(0)),
            ("", "2024-01-01T10:00:00.123456789Z", nine(123_456_789)),
            ("", "2024-01-01T12:00:00.5+02:00", nine(500_000_000)),
            ("", "2024-01-01", None),
            ("", "yesterday", None),
            (
                "%Y-%m-%dT%H:%M:%S.%L%z",
                "2024-01-01T12:00:00.5+02:00",
                nine(500_000_000),
            ),
            (
                "%Y-%m-%dT%H:%M:%S.%L%z",
                "2024-01-01T12:00:00.5+0200",
                nine(500_000_000),
            ),
            (
                "%Y-%m-%dT%H:%M:%S.%L%z",
                "2024-01-01T10:00:00.25Z",
                nine(250_000_000),
            ),
            ("%Y-%m-%d %H:%M:%S", "2024-01-01 10:00:00", nine(0)),
            (
                "%d/%b/%Y:%H:%M:%S %z",
                "01/Jan/2024:11:00:00 +0100",
                nine(0),
            ),
            ("%s", "1704103200", nine(0)),
            ("%Y", "no", None),
        ] {
            let clock = if format.is_empty() {
                Clock::Rfc3339
            } else {
                Clock::new(format)
            };
            assert_eq!(clock.read(text), time, "{format} {text}");
        }
    }
}
