//! Conversations that no script would think of: whatever comes, the VEN keeps its word and goes on.

use std::collections::BTreeMap;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::pair::{Pair, wish};
use crate::dice::{Dice, fuzz};
use crate::mock_vtn::{EventBuilder, Fault};
use crate::openadr::message::arbitrary::payload_of;
use crate::openadr::message::{OptType, Payload, PayloadKind};
use crate::time::Span;

/// What the VTN has said of its events: the version of each that it still speaks of.
type Events = BTreeMap<String, u32>;

fn seconds(dice: &mut Dice, most: u64) -> Span {
    Span::from_seconds(i64::try_from(dice.below(most)).unwrap())
}

/// One thing that happens, among them any of these messages; events get ids that were never there before.
fn happen(pair: &mut Pair, dice: &mut Dice, events: &mut Events, any: &[Payload]) {
    let known: Vec<String> = events.keys().cloned().collect();
    match dice.below(12) {
        0..=2 => {
            let id = format!("e{}", pair.handled);
            let event =
                EventBuilder::new(&id, pair.now() + seconds(dice, 600), seconds(dice, 600) + Span::MINUTE);
            pair.vtn.add_event(event.level(1).start_after(seconds(dice, 60)));
            events.insert(id, 0);
        }
        3 | 4 if !known.is_empty() => {
            let id = dice.one_of(&known);
            let priority = u32::try_from(dice.below(3)).unwrap();
            pair.vtn.modify_event(&id, |event| event.event.descriptor.priority = Some(priority));
            *events.get_mut(&id).unwrap() += 1;
        }
        5 if !known.is_empty() => {
            let id = dice.one_of(&known);
            pair.vtn.drop_event(&id);
            events.remove(&id);
        }
        6 => {
            let id = format!("r{}", dice.below(4));
            let (step, back) = (seconds(dice, 60), seconds(dice, 120));
            pair.vtn.request_reports(vec![wish(&id, &["energy"], step, back, None)]);
        }
        7 => pair.vtn.cancel_reports(&["r0", "r1"], dice.one_in(2)),
        8 => {
            let faults = [
                Fault::Status(500, None),
                Fault::Status(503, Some(2)),
                Fault::Empty,
                Fault::LoseAnswer,
                Fault::Status(301, None),
            ];
            pair.vtn.faults.push_back(dice.one_of(&faults));
        }
        9 => pair.restart(),
        10 => pair.link_up = !pair.link_up,
        _ => pair.vtn.queue(any[dice.place(any.len())].clone()),
    }
    let long = seconds(dice, 40);
    pair.run(long);
}

/// Each version has one opt, whatever happened between its answers.
fn assert_one_word(pair: &Pair) {
    let mut words = BTreeMap::new();
    for opt in &pair.vtn.opts {
        // Code 450 refuses a version that is older than the one that counts.
        if opt.code.number() == 200 {
            let first = *words.entry((opt.event_id.clone(), opt.modification)).or_insert(opt.opt);
            assert_eq!(first, opt.opt, "{} {} was answered in two ways", opt.event_id, opt.modification);
        }
    }
}

/// When everything works again, every event that the VTN speaks of is answered in its last version.
fn assert_everything_is_answered(pair: &mut Pair, events: &Events) {
    pair.link_up = true;
    pair.vtn.faults.clear();
    pair.run(Span::MINUTE * 20);
    pair.vtn.repeat_events();
    pair.run(Span::MINUTE * 20);
    for (id, modification) in events {
        let opts = pair.opts();
        assert!(
            opts.iter().any(|opt| opt.starts_with(&format!("{id} {modification} opt"))),
            "{id} {modification} of {opts:?}"
        );
    }
}

/// Nothing among the arbitrary messages excuses silence: their ids are not ours.
#[test]
fn fuzz_conversations_keep_their_word() {
    let mut runner = TestRunner::deterministic();
    let mut any: Vec<Payload> = Vec::new();
    for kind in PayloadKind::ALL {
        for _ in 0..6 {
            any.push(payload_of(*kind).new_tree(&mut runner).unwrap().current());
        }
    }
    fuzz(|dice| {
        let mut pair = Pair::registered();
        let fickle = dice.octet();
        let mut turn = fickle;
        pair.decide = Box::new(move |_, _| {
            turn = turn.wrapping_mul(5).wrapping_add(1);
            Some(if turn & 4 == 0 { OptType::OptIn } else { OptType::OptOut }.into())
        });
        let mut events = Events::new();
        for _ in 0..dice.below(60) {
            happen(&mut pair, dice, &mut events, &any);
        }
        assert_one_word(&pair);
        assert_everything_is_answered(&mut pair, &events);
        assert_one_word(&pair);
    });
}
