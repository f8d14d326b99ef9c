//! Moments as text: `2026-11-26T18:55:16Z`, always in UTC, so that files of machines in different time zones compare.

use std::time::{Duration, SystemTime};

const SECONDS_PER_DAY: u64 = 86_400;

/// The moment in UTC, to the second, as in RFC 3339; moments before 1970 become its beginning.
pub fn utc_text(moment: SystemTime) -> String {
    let seconds = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (year, month, day) = date(seconds / SECONDS_PER_DAY);
    let of_day = seconds % SECONDS_PER_DAY;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// The moment that [`utc_text`] wrote as `text`; `None` if the text has another form.
pub fn parse_utc(text: &str) -> Option<SystemTime> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, separator: char| -> Option<[u64; 3]> {
        let parts: Vec<u64> = text.split(separator).map(|part| part.parse().ok()).collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(day, '-')?, numbers(time, ':')?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // The days before a month are counted by going through them, since there are only a few thousand.
    let before_year: u64 = (1970..year).map(days_of_year).sum();
    let before_month: u64 = (1..month).map(|month| days_of_month(year, month)).sum();
    if day == 0 || day > days_of_month(year, month) {
        return None;
    }
    let days = before_year + before_month + day - 1;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second))
}

/// (year, month, day) of the day with this number, counted from the first of January 1970.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_of_month(year, month) {
        days -= days_of_month(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_everyone_writes_them() {
        // Pairs from `date -u -d @SECONDS +%FT%TZ`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_795_719_316, "2026-11-26T18:55:16Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(utc_text(moment), text);
            assert_eq!(parse_utc(text), Some(moment));
        }
        for wrong in ["", "now", "2026-02-29T00:00:00Z", "2026-11-26 18:55:16", "2026-13-01T00:00:00Z"] {
            assert_eq!(parse_utc(wrong), None, "{wrong}");
        }
    }
}
