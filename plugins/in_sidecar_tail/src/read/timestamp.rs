//! Times in lines: RFC 3339, or a format in the letters of strptime(3).

use std::cell::Cell;

use flb_sidecar_sdk::event::Timestamp;
use flb_sidecar_sdk::ConfigError;
use jiff::civil::date;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{Offset, TimeZone};

/// How times are read.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    /// RFC 3339.
    Rfc3339(Days),
    /// These formats, in turn.
    Formats(Vec<String>),
}

impl Clock {
    /// What `format` stands for, in the letters of strptime(3) with Fluent Bit's `%L` for a fraction of a
    /// second.
    ///
    /// # Errors
    /// A format that gives no moment, such as one without a year, or has letters that nobody reads here.
    pub(crate) fn formats(format: &str) -> Result<Vec<String>, ConfigError> {
        let plain = format.replace(".%L", "%.f").replace("%L", "%f");
        // `%z` stands for `+0100`, `+01:00` and `Z` in Fluent Bit, for the first one in jiff.
        let mut formats = vec![plain.replace("%z", "%:z"), plain.clone()];
        if let Some(zulu) = plain.strip_suffix("%z") {
            formats.push(format!("{zulu}Z"));
        }
        formats.dedup();
        let clock = Clock::Formats(formats.clone());
        // The name of a zone would be read, and its time taken for UTC.
        let named_zone = plain.contains("%Q") || plain.contains("%:Q");
        if !named_zone && clock.reads(&plain) {
            return Ok(formats);
        }
        let allowed = "letters of strptime(3) that give a day and a time of day, such as \
             %Y-%m-%dT%H:%M:%S.%L%z or %s.%L, and neither %Z nor %Q";
        Err(ConfigError::value("time_format", format, allowed))
    }

    /// Whether a time that is written in this format is read as what it was.
    fn reads(&self, format: &str) -> bool {
        let day = date(2024, 2, 3);
        let [exact, second, minute, hour, midnight] = [
            day.at(16, 5, 6, 789_000_000),
            day.at(16, 5, 6, 0),
            day.at(16, 5, 0, 0),
            day.at(16, 0, 0, 0),
            day.at(0, 0, 0, 0),
        ]
        .map(|time| {
            let time = Offset::UTC.to_timestamp(time).ok()?;
            let text = strtime::format(format, &time.to_zoned(TimeZone::UTC)).ok()?;
            let reads = self.read(&text) == of_jiff(time);
            Some((text, reads))
        });
        // The beginning of a day is what a format without a time of day means.
        let texts = exact.as_ref().zip(midnight.as_ref());
        let day_only =
            texts.is_some_and(|((text, _), (midnight, reads))| text == midnight && *reads);
        let times = [exact, second, minute, hour];
        day_only || times.into_iter().flatten().any(|(_, reads)| reads)
    }

    pub(crate) fn rfc3339() -> Self {
        Clock::Rfc3339(Days::default())
    }

    /// The time in `text`. Without a zone it is UTC.
    pub(crate) fn read(&self, text: &str) -> Option<Timestamp> {
        let time = match self {
            Clock::Rfc3339(days) => match days.read(text) {
                None => days.learn(text)?,
                known => return known,
            },
            Clock::Formats(formats) => formats.iter().find_map(|format| {
                let parts = BrokenDownTime::parse(format, text).ok()?;
                if let Some(whole) = parts.timestamp() {
                    // `%s` is in whole seconds; the fraction stands beside it.
                    let fraction = parts.subsec_nanosecond().unwrap_or(0);
                    return jiff::Timestamp::new(whole.as_second(), fraction).ok();
                }
                parts.to_timestamp().ok().or_else(|| {
                    let time = parts.to_datetime().ok()?;
                    Offset::UTC.to_timestamp(time).ok()
                })
            })?,
        };
        of_jiff(time)
    }

    /// Seconds since 1970 as a number.
    pub(crate) fn of_seconds(seconds: f64) -> Option<Timestamp> {
        (seconds >= 0.0 && seconds < f64::from(u32::MAX)).then(|| Timestamp {
            seconds: seconds as u32,
            nanos: ((seconds.fract() * 1e9) as u32).min(999_999_999),
        })
    }
}

fn of_jiff(time: jiff::Timestamp) -> Option<Timestamp> {
    Some(Timestamp {
        seconds: u32::try_from(time.as_second()).ok()?,
        nanos: u32::try_from(time.subsec_nanosecond()).ok()?,
    })
}

/// When days began that were read before, one for each day of the month: most lines of a log are of
/// a day that is known. Anything but a plain time in UTC is for jiff to read, and so is a new day.
#[derive(Clone, Debug, Default)]
pub(crate) struct Days(Box<[Cell<Day>; 32]>);

/// `2024-01-01T`.
type Date = [u8; 11];

#[derive(Clone, Copy, Debug, Default)]
struct Day {
    date: Date,
    /// Its first second, since 1970.
    began: u32,
}

impl Days {
    fn of(&self, date: &Date) -> &Cell<Day> {
        let digit = |at: usize| usize::from(date[at] & 15);
        &self.0[(digit(8) * 10 + digit(9)) % 32]
    }

    /// `2024-01-01T10:00:00Z`, with up to nine digits of a fraction, on a known day.
    fn read(&self, text: &str) -> Option<Timestamp> {
        let (date, rest) = text.as_bytes().split_first_chunk()?;
        let day = self.of(date).get();
        let (&[h, hh, b':', m, mm, b':', s, ss], rest) = rest.split_first_chunk()? else {
            return None;
        };
        let fraction = match rest {
            b"Z" => &[],
            [b'.', fraction @ .., b'Z'] if (1..=9).contains(&fraction.len()) => fraction,
            _ => return None,
        };
        let (hour, minute, second) = (number(&[h, hh])?, number(&[m, mm])?, number(&[s, ss])?);
        let nanos = number(fraction)? * 10u32.pow(9 - fraction.len() as u32);
        let known = day.date == *date && date.ends_with(b"T");
        let plain = known && hour < 24 && minute < 60 && second < 60;
        plain.then(|| Timestamp {
            seconds: day.began + hour * 3600 + minute * 60 + second,
            nanos,
        })
    }

    /// Any time; what it tells of its day is kept.
    fn learn(&self, text: &str) -> Option<jiff::Timestamp> {
        let time = text.parse::<jiff::Timestamp>().ok()?;
        let date: Option<(&Date, _)> = text.as_bytes().split_first_chunk();
        let date = date.filter(|(date, _)| date.ends_with(b"T") && text.ends_with('Z'));
        let began = time.as_second() - time.as_second().rem_euclid(DAY);
        // Of the last day that 32 bits can count the end is beyond them.
        let began = u32::try_from(began + DAY)
            .ok()
            .map(|next| next - DAY as u32);
        if let Some(((date, _), began)) = date.zip(began) {
            self.of(date).set(Day { date: *date, began });
        }
        Some(time)
    }
}

/// Seconds of a day.
const DAY: i64 = 86_400;

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What jiff reads.
    fn as_jiff(text: &str) -> Option<Timestamp> {
        of_jiff(text.parse().ok()?)
    }

    proptest! {
        #[test]
        fn a_known_day_changes_nothing(
            texts in proptest::collection::vec(
                "(2024|1969|2106|202)-?(02|13|0)-?(28|29|30|07|10)[Tt ]?(23|00|24|1):?(59|60|0)(:(59|60|00))?(\\.[0-9]{0,10})?(Z|z|\\+01:00|Z\\[UTC\\])?",
                1..20,
            ),
        ) {
            let clock = Clock::rfc3339();
            for text in &texts {
                for _ in 0..2 {
                    prop_assert_eq!(clock.read(text), as_jiff(text), "{}", text);
                }
            }
        }
    }

    #[test]
    fn days_with_one_place_do_not_mix() {
        let clock = Clock::rfc3339();
        for day in ["2024-01-01", "2024-02-01", "2024-01-01", "2024-01-33"] {
            for time in [
                "T10:00:00Z",
                "T23:59:59.999999999Z",
                "T23:59:60Z",
                "T12:00:00.1+02:00",
            ] {
                let text = format!("{day}{time}");
                assert_eq!(clock.read(&text), as_jiff(&text), "{text}");
            }
        }
    }

    #[test]
    fn no_day_is_known_at_first() {
        let text = format!("{}10:00:00Z", "\0".repeat(11));
        assert_eq!(Clock::rfc3339().read(&text), None);
    }

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
            ("%s.%L", "1704103200.25", nine(250_000_000)),
            ("%s,%L", "1704103200,250", nine(250_000_000)),
            ("%s.%L", "1704103200", nine(0)),
            ("%Y-%m-%d %H", "2024-01-01 10", nine(0)),
            ("%y%m%d %I:%M %p", "240101 10:00 AM", nine(0)),
            ("%Y-%m-%d", "no", None),
        ] {
            let clock = if format.is_empty() {
                Clock::rfc3339()
            } else {
                Clock::Formats(Clock::formats(format).unwrap())
            };
            assert_eq!(clock.read(text), time, "{format} {text}");
        }
    }

    #[test]
    fn a_format_that_gives_no_moment_is_refused() {
        for format in [
            "%Y",
            "%b %d %H:%M:%S",
            "%H:%M:%S",
            "%Y-%m-%d %I:%M",
            "%Y-%m-%d %H:%M:%S %Z",
            "%Y-%m-%d %H:%M:%S %Q",
            "%Y-%m-%d %!",
            "%",
            "time",
        ] {
            let error = Clock::formats(format).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(&format!("'{format}'")), "{error}");
        }
    }
}
