//! Opts and schedules: subjects P0 and P1, and those of E0 and E1 that are about opts.

use crate::engine::tests::opts::{created, event, opt, order, schedule, with_resources};
use crate::engine::tests::pair::Pair;
use crate::engine::{OptSchedule, Order};
use crate::mock_vtn::Fault;
use crate::notice::Notice;
use crate::openadr::message::{OptType, PayloadKind};
use crate::time::Span;

fn tomorrow(id: &str) -> OptSchedule {
    schedule(id, OptType::OptOut, "2030-01-02T00:00:00Z", 3600)
}

subject! {
    /// The opt of an event is changed by `oadrCreateOpt`.
    fn e1_1060_opt_change_by_create_opt, e0_6060_opt_change_by_create_opt(mode) {
        let mut pair = with_resources(Pair::registered_in(mode));
        pair.vtn.add_event(event("e1", &["a", "b"]));
        pair.run(Span::MINUTE);
        opt(&mut pair, "e1", OptType::OptOut, &["a", "b"]).unwrap();
        pair.run(Span::MINUTE);
        assert_eq!(pair.opts(), ["e1 0 optIn"]);
        assert_eq!(created(&pair), ["e1 0 optOut a+b"]);
        pair.run_to("2030-01-01T03:00:00Z");
        assert!(pair.told.is_empty(), "{:?}", pair.told);
        pair.assert_lawful();
    }
}

subject! {
    /// After `oadrCreateOpt` the VTN ignores the opts of `oadrCreatedEvent`: later changes go by `oadrCreateOpt`, and answers that have to
    /// be given all the same change nothing.
    fn e1_1065_created_event_ignored_after_create_opt, e0_6065_created_event_ignored_after_create_opt(mode) {
        let mut pair = with_resources(Pair::registered_in(mode));
        pair.vtn.add_event(event("e1", &[]));
        pair.run(Span::MINUTE);
        opt(&mut pair, "e1", OptType::OptOut, &["a"]).unwrap();
        opt(&mut pair, "e1", OptType::OptOut, &[]).unwrap();
        pair.run(Span::MINUTE);
        pair.vtn.repeat_events();
        pair.run(Span::MINUTE);
        assert_eq!(created(&pair), ["e1 0 optOut a", "e1 0 optOut"]);
        assert_eq!(pair.opts(), ["e1 0 optIn", "e1 0 optOut"], "the second answers the repetition");
        opt(&mut pair, "e1", OptType::OptIn, &[]).unwrap();
        pair.run(Span::MINUTE);
        assert_eq!(created(&pair)[2..], ["e1 0 optIn"]);
        assert_eq!(pair.opts().len(), 2);
        pair.assert_lawful();
    }
}

subject! {
    /// A schedule is sent.
    fn p1_2010_schedule, p0_7010_schedule(mode) {
        let mut pair = Pair::registered_in(mode);
        order(&mut pair, Order::Schedule(tomorrow("s1"))).unwrap();
        pair.run(Span::SECOND * 5);
        assert_eq!(created(&pair), ["s1 optOut"]);
        let sent = Notice::ScheduleSent { opt_id: "s1".into(), opt: OptType::OptOut };
        assert!(pair.notices.contains(&sent));
        pair.assert_lawful();
    }
}

subject! {
    /// A schedule without end: its duration is zero.
    fn p1_2015_open_ended_schedule, p0_7015_open_ended_schedule(mode) {
        let mut pair = Pair::registered_in(mode);
        let open = schedule("s1", OptType::OptIn, "2030-01-02T00:00:00Z", 0);
        order(&mut pair, Order::Schedule(open)).unwrap();
        pair.run(Span::SECOND * 5);
        assert_eq!(created(&pair), ["s1 optIn"]);
        let times = pair.vtn.created_opts[0].availability.clone().unwrap();
        assert!(times.available[0].duration.is_zero());
        pair.assert_lawful();
    }
}

subject! {
    /// A schedule is cancelled.
    fn p1_2020_cancel, p0_7020_cancel(mode) {
        let mut pair = Pair::registered_in(mode);
        order(&mut pair, Order::Schedule(tomorrow("s1"))).unwrap();
        pair.run(Span::SECOND * 5);
        order(&mut pair, Order::CancelSchedule("s1".into())).unwrap();
        pair.run(Span::SECOND * 5);
        assert!(created(&pair).is_empty());
        assert!(pair.notices.contains(&Notice::ScheduleCancelled { opt_id: "s1".into() }));
        assert_eq!(pair.vtn.count(PayloadKind::CancelOpt), 1);
        pair.assert_lawful();
    }
}

subject! {
    /// Several schedules with targets, in and out.
    fn p1_2030_several_schedules, p0_7030_several_schedules(mode) {
        let mut pair = with_resources(Pair::registered_in(mode));
        let of = |id: &str, resource: &str, opt| {
            OptSchedule { resources: vec![resource.into()], opt, ..tomorrow(id) }
        };
        let all = [
            of("out-a", "a", OptType::OptOut),
            of("out-b", "b", OptType::OptOut),
            of("in-a", "a", OptType::OptIn),
        ];
        for schedule in all {
            order(&mut pair, Order::Schedule(schedule)).unwrap();
        }
        pair.run(Span::SECOND * 5);
        assert_eq!(created(&pair), ["out-a optOut a", "out-b optOut b", "in-a optIn a"]);
        pair.assert_lawful();
    }
}

subject! {
    /// The same optID twice; one cancellation covers both.
    fn p1_2040_same_opt_id_twice, p0_7040_same_opt_id_twice(mode) {
        let mut pair = Pair::registered_in(mode);
        order(&mut pair, Order::Schedule(tomorrow("s1"))).unwrap();
        pair.run(Span::SECOND * 5);
        let other = schedule("s1", OptType::OptOut, "2030-01-03T00:00:00Z", 3600);
        order(&mut pair, Order::Schedule(other)).unwrap();
        pair.run(Span::SECOND * 5);
        assert_eq!(created(&pair), ["s1 optOut", "s1 optOut"]);
        order(&mut pair, Order::CancelSchedule("s1".into())).unwrap();
        pair.run(Span::SECOND * 5);
        assert!(created(&pair).is_empty());
        assert_eq!(pair.vtn.count(PayloadKind::CancelOpt), 1);
        pair.assert_lawful();
    }
}

subject! {
    /// Negative: the VTN does not know the optID that is cancelled, or refuses the message; the VEN says so and goes on.
    fn p1_2050_negative, p0_7050_negative(mode) {
        let mut pair = Pair::registered_in(mode);
        order(&mut pair, Order::Schedule(tomorrow("s1"))).unwrap();
        pair.run(Span::SECOND * 5);
        pair.vtn.created_opts.clear();
        order(&mut pair, Order::CancelSchedule("s1".into())).unwrap();
        pair.run(Span::MINUTE);
        assert_eq!(pair.vtn.count(PayloadKind::CancelOpt), 1);
        let cancelled = Notice::ScheduleCancelled { opt_id: "s1".into() };
        assert!(pair.notices.contains(&cancelled), "what the VTN does not know it does not hold");
        pair.vtn.faults.push_back(Fault::Status(406, None));
        order(&mut pair, Order::Schedule(tomorrow("s2"))).unwrap();
        pair.run(Span::MINUTE);
        let why = "schedule s2: http status 406".to_owned();
        let about = vec!["s2".to_owned()];
        let refused = Notice::MessageRefused { message: PayloadKind::CreateOpt, about, why };
        assert!(pair.notices.contains(&refused));
        order(&mut pair, Order::Schedule(tomorrow("s3"))).unwrap();
        pair.run(Span::SECOND * 5);
        assert_eq!(created(&pair), ["s3 optOut"]);
        pair.assert_lawful();
    }
}
