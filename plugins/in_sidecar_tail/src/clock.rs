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
            Clock::Rfc3339 => match zulu(text.as_bytes()) {
                Some(time) => return Some(time),
                None => text.parse::<jiff::Timestamp>().ok()?,
            },
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

/// The form that most logs have, `2024-01-01T10:00:00.5Z`. `None`: another one, or none.
fn zulu(text: &[u8]) -> Option<Timestamp> {
    const DAYS_BEFORE: [u32; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |number, digit| {
            let is_digit = digit.is_ascii_digit();
            is_digit.then(|| number * 10 + u32::from(digit - b'0'))
        })
    };
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1, fraction @ .., b'Z'] =
        text
    else {
        return None;
    };
    let year = number(&[*y0, *y1, *y2, *y3])?;
    let month = number(&[*m0, *m1])? as usize;
    let day = number(&[*d0, *d1])?;
    let (hour, minute, second) = (
        number(&[*h0, *h1])?,
        number(&[*n0, *n1])?,
        number(&[*s0, *s1])?,
    );
    let nanos = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            number(digits)? * 10u32.pow(9 - digits.len() as u32)
        }
        _ => return None,
    };
    // Every fourth of these years has a leap day.
    let known = (1970..2100).contains(&year) && (1..=12).contains(&month);
    if !known || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leap = u32::from(year % 4 == 0);
    let length = DAYS_BEFORE[month] - DAYS_BEFORE[month - 1];
    if day == 0 || day > length + if month == 2 { leap } else { 0 } {
        return None;
    }
    let days = (year - 1970) * 365 + (year - 1969) / 4 + DAYS_BEFORE[month - 1] + day - 1;
    let days = days + if month > 2 { leap } else { 0 };
    Some(Timestamp {
        seconds: days * 86_400 + hour * 3600 + minute * 60 + second,
        nanos,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn the_usual_form_is_read_as_any_other(
            date in "(19[67][0-9]|20[0-9]{2}|2100)-[0-3][0-9]-[0-3][0-9]",
            time in "[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?",
        ) {
            let text = format!("{date}T{time}Z");
            if let Some(read) = zulu(text.as_bytes()) {
                let other: jiff::Timestamp = text.parse().unwrap();
                prop_assert_eq!(i64::from(read.seconds), other.as_second());
                prop_assert_eq!(i64::from(read.nanos), i64::from(other.subsec_nanosecond()));
            }
        }

        #[test]
        fn no_day_is_read_as_another(day in 0i64..47_481, nanos in 0i32..1_000_000_000) {
            let time = jiff::Timestamp::new(day * 86_400, nanos).unwrap();
            let read = zulu(time.to_string().as_bytes()).unwrap();
            prop_assert_eq!(i64::from(read.seconds), time.as_second());
            prop_assert_eq!(i64::from(read.nanos), i64::from(nanos));
        }
    }
}
