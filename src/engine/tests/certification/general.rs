//! General: subjects G0 and G1.

use crate::engine::tests::pair::{Mode, Pair, wish};
use crate::mock_vtn::EventBuilder;
use crate::openadr::message::PayloadKind;
use crate::time::Span;

/// The kinds that came after the first so many.
fn kinds_after(pair: &Pair, before: usize) -> Vec<PayloadKind> {
    pair.vtn.received[before..].iter().map(|(_, kind)| *kind).collect()
}

/// An empty queue is answered by oadrResponse, and the next poll waits for its interval.
#[test]
fn g1_4011_empty_poll() {
    let mut pair = Pair::registered_in(Mode::Pull);
    let before = pair.vtn.received.len();
    pair.run(Span::from_seconds(25));
    assert_eq!(kinds_after(&pair, before), [PayloadKind::Poll; 2], "each 10 to 11 s after the one before");
    pair.assert_lawful();
}

/// Everything that waits is fetched at once, each message answered before the next poll, until oadrResponse comes.
#[test]
fn g1_4015_draining_the_queue() {
    let mut pair = Pair::registered_in(Mode::Pull);
    let before = pair.vtn.received.len();
    pair.vtn.request_reports(vec![wish("r1", &["power"], Span::HOUR, Span::HOUR, None)]);
    pair.vtn.cancel_reports(&["r1"], false);
    pair.vtn.add_event(EventBuilder::new("e1", pair.now() + Span::HOUR, Span::HOUR));
    pair.run(Span::from_seconds(11));
    let expected = [
        PayloadKind::Poll,
        PayloadKind::CreatedReport,
        PayloadKind::Poll,
        PayloadKind::CanceledReport,
        PayloadKind::Poll,
        // The handler thinks meanwhile.
        PayloadKind::Poll,
        PayloadKind::CreatedEvent,
    ];
    assert_eq!(kinds_after(&pair, before), expected);
    pair.assert_lawful();
}
