//! Dates and times, with and without a deviation.

use super::super::clock::utc;
use super::*;

fn of(octets: &str, base_minutes: i64) -> Option<String> {
    let octets: [u8; 12] = hex(octets).try_into().unwrap();
    utc(octets, Span::MINUTE * base_minutes).map(|time| time.to_string())
}

#[test]
fn a_deviation_is_what_utc_is_ahead_of_the_clock() {
    for (octets, expected) in [
        ("07E50713 01 0F2E2300 FF88 80", "2021-07-19T13:46:35Z"),
        ("07E50113 01 0F2E2300 FFC4 00", "2021-01-19T14:46:35Z"),
        // West of Greenwich.
        ("07E50113 01 162E2300 012C 00", "2021-01-20T03:46:35Z"),
        // The hour that comes twice.
        ("07E50A1F FF 02000000 FF88 80", "2021-10-31T00:00:00Z"),
        ("07E50A1F FF 02000000 FFC4 00", "2021-10-31T01:00:00Z"),
        // A doubtful clock is told, and so is one whose seconds are not.
        ("07E50113 FF 0F2EFFFF FFC4 02", "2021-01-19T14:46:00Z"),
    ] {
        assert_eq!(of(octets, 60).as_deref(), Some(expected), "{octets}");
        assert_eq!(of(octets, 120).as_deref(), Some(expected), "the base does not matter: {octets}");
    }
}

#[test]
fn without_a_deviation_the_base_counts_and_whatever_says_summer() {
    for (octets, base, expected) in [
        // The status says.
        ("07E50713 01 0F2E2300 8000 80", 60, "2021-07-19T13:46:35Z"),
        ("07E50713 01 0F2E2300 8000 00", 60, "2021-07-19T14:46:35Z"),
        // The rule of the Union does.
        ("07E50713 01 0F2E2300 8000 FF", 60, "2021-07-19T13:46:35Z"),
        ("07E50113 01 0F2E2300 8000 FF", 60, "2021-01-19T14:46:35Z"),
        ("07E50113 01 0F2E2300 8000 FF", 120, "2021-01-19T13:46:35Z"),
        // A deviation of zero beside local time is none; in Greenwich it is one.
        ("07E40115 02 10000000 0000 00", 60, "2020-01-21T15:00:00Z"),
        ("07E40715 02 10000000 0000 00", 0, "2020-07-21T16:00:00Z"),
        ("07E40115 02 10000000 0000 00", 0, "2020-01-21T16:00:00Z"),
        // No place of the world has it.
        ("07E40115 02 10000000 0400 00", 60, "2020-01-21T15:00:00Z"),
    ] {
        assert_eq!(of(octets, base).as_deref(), Some(expected), "{octets} {base}");
    }
}

#[test]
fn what_is_no_date_is_no_time() {
    for octets in [
        "FFFF0113 01 0F2E2300 8000 00",
        "07E5FF13 01 0F2E2300 8000 00",
        "07E501FF 01 0F2E2300 8000 00",
        "07E5011E 01 FF2E2300 8000 00",
        "07E5021E 01 0F2E2300 8000 00",
        "07E50113 01 182E2300 FFC4 00",
        // The clock says that it is invalid.
        "07E50113 01 0F2E2300 FFC4 01",
        "00000000 00 00000000 0000 00",
    ] {
        assert_eq!(of(octets, 60), None, "{octets}");
    }
}
