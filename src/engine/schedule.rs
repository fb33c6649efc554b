//! Lays an event out in time: what begins when.
//!
//! ```text
//! S = dtstart + offset          D = duration
//! S        interval 0 ...  interval 1 ...            S + D
//! start                                              end       (D = 0: no end, one interval that lasts)
//! ```
//!
//! **Reading of the standard:** intervals follow from the sum of the durations before them; a start that a VTN sends in
//! them against rule 103 is ignored. Where they add up to less than the event, nothing holds in the rest of it; what goes
//! beyond its end is not reached. Boundary instants belong to what begins there (rule 18).

use std::sync::Arc;

use crate::handler::{ActiveInterval, Timeline};
use crate::notice::EventPlan;
use crate::openadr::message::{ActivePeriod, Duration, EiEvent, EventSignal};
use crate::time::{Span, Timestamp};

/// When an event with this random offset starts (rule 30).
pub(super) fn start(period: &ActivePeriod, offset: Span) -> Timestamp {
    period.start + offset
}

/// When it ends; `None` for an open end (rule 47).
pub(super) fn end(period: &ActivePeriod, offset: Span) -> Option<Timestamp> {
    (!period.duration.is_zero()).then(|| period.duration.after(period.start) + offset)
}

/// All of it, ramp-up and recovery too (rule 31).
pub(super) fn timeline(period: &ActivePeriod, offset: Span) -> Timeline {
    let (start, end) = (start(period, offset), end(period, offset));
    let length = |duration: Option<Duration>| duration.map(Duration::nominal).filter(|span| !span.is_zero());
    let ramp_up = length(period.ramp_up)
        .map(|up| if up > Span::ZERO { (start - up, start) } else { (start, start - up) });
    let back = |(end, back): (Timestamp, Span)| {
        if back > Span::ZERO { (end, end + back) } else { (end + back, end) }
    };
    Timeline { ramp_up, start, end, recovery: end.zip(length(period.recovery)).map(back) }
}

/// The event as it will be carried out, for those who are told.
pub(super) fn plan(event: &Arc<EiEvent>, offset: Span) -> Arc<EventPlan> {
    let of_signal =
        |signal: &EventSignal| steps(event, signal, offset).map(|(_, from, to)| (from, to)).collect();
    Arc::new(EventPlan {
        event: event.clone(),
        timeline: timeline(&event.active_period, offset),
        steps: event.signals.iter().map(of_signal).collect(),
    })
}

/// When it is near: its ramp-up has begun and it has not (rule 13). Never, where the ramp-up does not lie before the start.
pub(super) fn near(timeline: &Timeline) -> Option<Timestamp> {
    timeline.ramp_up.map(|(from, _)| from).filter(|from| *from < timeline.start)
}

/// The interval of a signal that holds at `now`, with its index, if one does.
pub(super) fn running(
    event: &EiEvent,
    signal: &EventSignal,
    offset: Span,
    now: Timestamp,
) -> Option<ActiveInterval> {
    let (index, from, to) =
        steps(event, signal, offset).find(|(_, from, to)| *from <= now && is_before(now, *to))?;
    Some(ActiveInterval {
        signal_id: signal.signal_id.clone(),
        signal_name: signal.name.clone(),
        index,
        value: signal.intervals[index].signal_value(),
        start: from,
        end: to,
        resumed: false,
        overridden_by: None,
        timeline: timeline(&event.active_period, offset),
    })
}

/// The next instant after `now` at which the event is near, starts, ends, or a signal changes.
pub(super) fn next_change(event: &EiEvent, offset: Span, now: Timestamp) -> Option<Timestamp> {
    let period = &event.active_period;
    let timeline = timeline(period, offset);
    let bounds = [near(&timeline), Some(timeline.start), timeline.end].into_iter().flatten();
    let steps = event.signals.iter().flat_map(|signal| steps(event, signal, offset));
    bounds
        .chain(steps.flat_map(|(_, from, to)| [Some(from), to].into_iter().flatten()))
        .filter(|t| *t > now)
        .min()
}

/// Each interval of a signal with its bounds, cut at the end of the event.
fn steps<'e>(
    event: &'e EiEvent,
    signal: &'e EventSignal,
    offset: Span,
) -> impl Iterator<Item = (usize, Timestamp, Option<Timestamp>)> + 'e {
    let event_end = end(&event.active_period, offset);
    let mut next = Some(start(&event.active_period, offset));
    signal.intervals.iter().enumerate().map_while(move |(index, interval)| {
        let from = next?;
        if !is_before(from, event_end) {
            return None;
        }
        // Without a length it lasts as long as the event (rule 47).
        let duration = interval.duration.filter(|d| !d.is_zero());
        let own_end = duration.map(|d| d.after(from));
        next = own_end;
        let to = match (own_end, event_end) {
            (Some(own), Some(whole)) => Some(own.min(whole)),
            (own, whole) => own.or(whole),
        };
        Some((index, from, to))
    })
}

fn is_before(t: Timestamp, end: Option<Timestamp>) -> bool {
    end.is_none_or(|end| t < end)
}

#[cfg(test)]
mod tests {
    use super::{near, timeline};
    use crate::mock_vtn::EventBuilder;
    use crate::time::{Span, Timestamp};

    /// Ramps of both signs, around an hour that starts ten minutes late.
    #[test]
    fn rule_31_positive_ramps_lie_outside_the_event_and_negative_ones_within() {
        let start = Timestamp::from_seconds(36_000);
        let (moved, end) = (start + Span::MINUTE * 10, start + Span::MINUTE * 70);
        let laid_out = |up: i64, back: i64, lasts| {
            let event = EventBuilder::new("e1", start, lasts).ramps(Span::MINUTE * up, Span::MINUTE * back);
            timeline(&event.build().event.active_period, Span::MINUTE * 10)
        };
        let five = Span::MINUTE * 5;
        let outside = laid_out(5, 5, Span::HOUR);
        assert_eq!((outside.start, outside.end), (moved, Some(end)));
        assert_eq!(outside.ramp_up, Some((moved - five, moved)));
        assert_eq!(outside.recovery, Some((end, end + five)));
        assert_eq!(near(&outside), Some(moved - five));
        let within = laid_out(-5, -5, Span::HOUR);
        assert_eq!(within.ramp_up, Some((moved, moved + five)));
        assert_eq!(within.recovery, Some((end - five, end)));
        assert_eq!(near(&within), None, "near exists only with a positive ramp-up (rule 13)");
        let open = laid_out(0, 5, Span::ZERO);
        assert_eq!((open.ramp_up, open.end, open.recovery), (None, None, None));
    }
}
