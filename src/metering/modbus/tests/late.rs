//! Answers that come too late look like those to the next request.

use super::{Coming, Line, PIECES, SOON, alike, meter_of, settings, values};
use crate::time::Span;

/// The meter answers each so manieth request only after that.
fn with_late_answers(every: usize, late: Span, piece: usize) -> (usize, Vec<Vec<(String, String)>>) {
    let (mut meter, mut count) = (meter_of(&alike()), 0);
    let mut line = Line::new(settings(alike()), piece, |request: &[u8]| -> Coming {
        count += 1;
        let after = if count % every == 0 { late } else { SOON };
        vec![(after, meter.hear(request))]
    });
    line.run_to(Span::from_seconds(99));
    (line.sent.len(), line.telegrams().into_iter().map(values).collect())
}

#[test]
fn a_late_answer_is_never_taken_for_that_to_the_next_request() {
    let right = ["11", "12", "13", "14000"];
    for every in 1..=5 {
        for late in (900..=2_000).step_by(37).chain([999, 1_000, 1_001, 1_990, 1_999]) {
            for piece in PIECES {
                let (sent, telegrams) = with_late_answers(every, Span::from_millis(late), piece);
                assert!(sent >= 40, "{sent}");
                assert!(every == 1 || telegrams.len() == 10, "{every}, {late} ms: {}", telegrams.len());
                for (code, value) in telegrams.iter().flatten() {
                    let place =
                        ["32.7.0", "31.7.0", "16.7.0", "1.8.0"].iter().position(|end| code.ends_with(end));
                    assert_eq!(value, right[place.unwrap()], "{code} of {every}, {late} ms");
                }
            }
        }
    }
}

#[test]
fn a_late_answer_that_still_comes_when_it_should_be_over_is_waited_for() {
    let (mut meter, mut count) = (meter_of(&alike()), 0);
    let mut line = Line::new(settings(alike()), 64, |request: &[u8]| -> Coming {
        count += 1;
        let answer = meter.hear(request);
        if count != 1 {
            return vec![(SOON, answer)];
        }
        // Its first half comes before all that is late is over, the rest behind.
        let (first, rest) = answer.split_at(3);
        vec![(Span::from_millis(1_980), first.to_vec()), (Span::from_millis(2_050), rest.to_vec())]
    });
    line.run_to(Span::from_seconds(9));
    assert_eq!(line.sent[1].0, Span::from_millis(2_150));
    assert_eq!((line.refused().len(), line.telegrams().len()), (0, 1));
}
