//! Says how long is waited: between tries, and after a restart.
//!
//! Waits are counted on the clock that cannot be set; [`Timestamp`]s are what is written down for people and for the next start.

use crate::fact::Class;
use crate::hook::settings::RetrySettings;
use crate::time::{Now, Span, Timestamp};

/// Before the second, third, … try of a message that was refused: 0, 5 and 30 s after the first.
const REFUSED: [Span; 2] = [Span::from_seconds(5), Span::from_seconds(25)];
/// An endpoint may ask for so much time, and no more.
pub(super) const LONGEST_ASKED: Span = Span::HOUR;
/// An endpoint that fails is left alone so long at least, whatever it or the schedule says.
const SHORTEST: Span = Span::SECOND;

/// Before the first try of anything.
pub(super) fn first(retry: &RetrySettings, class: Class) -> Span {
    schedule(retry, class).first().copied().unwrap_or_default()
}

/// After so many tries in a row that failed by the endpoint's fault.
pub(super) fn hold(retry: &RetrySettings, class: Class, failures: u32, roll: u64) -> Span {
    let steps = schedule(retry, class);
    let at = usize::try_from(failures).unwrap_or(usize::MAX);
    let step = steps.get(at).or_else(|| steps.last()).copied().unwrap_or(Span::MINUTE);
    jittered(step, retry.jitter_percent, roll).max(SHORTEST)
}

/// The time that an endpoint asks for, as far as it is given.
pub(super) fn asked(retry_after: Span) -> Span {
    retry_after.clamp(SHORTEST, LONGEST_ASKED)
}

/// After so many refusals.
pub(super) fn refused(retry: &RetrySettings, refusals: u32, roll: u64) -> Span {
    let at = usize::try_from(refusals.saturating_sub(1)).unwrap_or(usize::MAX);
    jittered(REFUSED[at.min(REFUSED.len() - 1)], retry.jitter_percent, roll)
}

/// How long to wait still for a moment that was written down before a restart.
///
/// The wall clock may have been set since: it is never longer than the longest step there is.
pub(super) fn remaining(retry: &RetrySettings, next_at: Option<Timestamp>, now: Now) -> Span {
    let steps = retry.schedule.iter().chain(&retry.meter_schedule).copied();
    let longest = steps.max().unwrap_or_default().max(LONGEST_ASKED);
    next_at.map_or(Span::ZERO, |at| (at - now.wall).clamp(Span::ZERO, longest))
}

fn schedule(retry: &RetrySettings, class: Class) -> &[Span] {
    match class {
        Class::Control => &retry.schedule,
        Class::Meter => &retry.meter_schedule,
    }
}

/// So many per cent more or less, as the dice fall.
fn jittered(span: Span, percent: u8, roll: u64) -> Span {
    let most = span * i64::from(percent) * 2;
    let Ok(width) = u64::try_from(most.micros() / 100) else { return span };
    let rolled = Span::from_micros(i64::try_from(roll % width.saturating_add(1)).unwrap_or_default());
    span - Span::from_micros(most.micros() / 200) + rolled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_a_fifth_more_or_less_and_no_further() {
        let wide = Span::from_seconds(100);
        let throws: Vec<_> =
            (0..1_000_u64).map(|n| jittered(wide, 20, n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
        let (least, most) = (throws.iter().min().unwrap(), throws.iter().max().unwrap());
        assert!(*least >= Span::from_seconds(80) && *most <= Span::from_seconds(120), "{least} {most}");
        assert!(*least < Span::from_seconds(81) && *most > Span::from_seconds(119), "{least} {most}");
        assert_eq!(jittered(wide, 0, 12_345), wide);
        assert_eq!(jittered(Span::ZERO, 20, 12_345), Span::ZERO);
    }
}
