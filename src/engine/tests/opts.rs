//! Opts about resources, and opt schedules: what goes by `EiOpt`, and what holds here.

use std::collections::BTreeSet;

use super::pair::{Pair, t};
use crate::engine::{Fulfilled, Input, OptSchedule, Order, OrderError, Settings};
use crate::handler::Decision;
use crate::mock_vtn::{EventBuilder, Fault};
use crate::notice::{DecidedBy, Notice};
use crate::openadr::message::{
    Available, CreateOpt, Duration, EiTarget, OadrEvent, OptReason, OptType, PayloadKind, ResourceId,
};
use crate::time::Span;

const CONTEXT: &str = "http://markets.example.org/dr";

/// Registered, with the resources `a` and `b`, which may be opted in and out one by one.
pub(super) fn with_resources(mut pair: Pair) -> Pair {
    pair.settings.resources = vec!["a".into(), "b".into()];
    pair.settings.opt_resources.clone_from(&pair.settings.resources);
    pair.restart();
    pair.run(Span::SECOND);
    pair
}

fn registered() -> Pair {
    with_resources(Pair::registered())
}

/// An hour from one o'clock on, for these resources; none: for all that we are.
pub(super) fn event(id: &str, resources: &[&str]) -> OadrEvent {
    let builder = EventBuilder::new(id, t("2030-01-01T01:00:00Z"), Span::HOUR).market_context(CONTEXT);
    let mut event = OadrEvent::from(builder);
    event.event.target.resource_ids = resources.iter().map(|id| ResourceId::from(*id)).collect();
    event
}

/// In or out from then on, for so many seconds.
pub(super) fn schedule(id: &str, opt: OptType, start: &str, seconds: i64) -> OptSchedule {
    OptSchedule {
        id: id.into(),
        opt,
        reason: OptReason::MustRun,
        market_context: None,
        resources: Vec::new(),
        periods: vec![Available { start: t(start), duration: Duration::from_seconds(seconds) }],
    }
}

/// Out of everything for the first day.
fn first_day(id: &str) -> OptSchedule {
    schedule(id, OptType::OptOut, "2030-01-01T00:00:00Z", 86_400)
}

/// Gives an order, and says what was answered.
pub(super) fn order(pair: &mut Pair, order: Order) -> Result<Fulfilled, OrderError> {
    pair.answers.clear();
    pair.input(Input::Order { number: 1, order });
    pair.answers.pop().unwrap()
}

pub(super) fn opt(
    pair: &mut Pair,
    id: &str,
    opt: OptType,
    resources: &[&str],
) -> Result<Fulfilled, OrderError> {
    let resources = resources.iter().map(|id| ResourceId::from(*id)).collect();
    order(pair, Order::Opt { event: id.into(), opt, resources })
}

/// The opts by `oadrCreateOpt` that the VTN holds: the event and its version or the optID, the opt, the resources.
pub(super) fn created(pair: &Pair) -> Vec<String> {
    let show = |opt: &CreateOpt| {
        let what = match &opt.qualified_event_id {
            Some(event) => format!("{} {}", event.event_id, event.modification_number),
            None => opt.opt_id.to_string(),
        };
        let resources: Vec<_> = opt.target.resource_ids.iter().map(ResourceId::as_str).collect();
        format!("{what} {} {}", opt.opt_type, resources.join("+")).trim_end().to_owned()
    };
    pair.vtn.created_opts.iter().map(show).collect()
}

fn decided_by(pair: &Pair, id: &str) -> Vec<DecidedBy> {
    let by = |notice: &Notice| {
        let Notice::OptDecided { event_id, by, .. } = notice else { return None };
        (event_id.as_str() == id).then_some(*by)
    };
    pair.notices.iter().filter_map(by).collect()
}

/// Rules 16, 17: a change for the whole event goes by `oadrCreatedEvent`, in either direction.
#[test]
fn rules_16_17_a_later_opt_for_a_whole_event_goes_by_created_event() {
    let mut pair = registered();
    pair.vtn.add_event(event("e1", &[]));
    pair.run(Span::MINUTE);
    for opt_type in [OptType::OptOut, OptType::OptIn] {
        assert_eq!(opt(&mut pair, "e1", opt_type, &[]), Ok(Fulfilled::Opted { told: true }));
        pair.run(Span::MINUTE);
    }
    assert_eq!(pair.opts(), ["e1 0 optIn", "e1 0 optOut", "e1 0 optIn"]);
    assert_eq!(pair.vtn.count(PayloadKind::CreateOpt), 0);
    pair.assert_lawful();
}

/// Rule 206: what was said of a resource by `oadrCreateOpt` is changed by it only; a whole-event change goes the same way then.
#[test]
fn rule_206_after_create_opt_no_created_event_is_used_for_a_change() {
    let mut pair = registered();
    pair.vtn.add_event(event("e1", &["a", "b"]));
    pair.run(Span::MINUTE);
    opt(&mut pair, "e1", OptType::OptOut, &["a"]).unwrap();
    pair.run(Span::MINUTE);
    assert_eq!(created(&pair), ["e1 0 optOut a"]);
    opt(&mut pair, "e1", OptType::OptOut, &[]).unwrap();
    pair.run(Span::MINUTE);
    opt(&mut pair, "e1", OptType::OptIn, &[]).unwrap();
    pair.run(Span::MINUTE);
    assert_eq!(created(&pair), ["e1 0 optOut a", "e1 0 optOut", "e1 0 optIn"]);
    assert_eq!(pair.opts(), ["e1 0 optIn"], "the VTN does not listen to it any more");
    pair.assert_lawful();
}

/// Rule 206: the modification of an event does not lift it, so what the handler says then is said by `oadrCreateOpt` too.
#[test]
fn rule_206_a_modified_event_is_still_spoken_of_by_create_opt() {
    let mut pair = registered();
    pair.vtn.add_event(event("e1", &[]));
    pair.run(Span::MINUTE);
    opt(&mut pair, "e1", OptType::OptIn, &["a"]).unwrap();
    opt(&mut pair, "e1", OptType::OptOut, &[]).unwrap();
    pair.run(Span::MINUTE);
    pair.vtn.modify_event("e1", |event| event.event.descriptor.priority = Some(1));
    pair.run(Span::MINUTE);
    assert_eq!(created(&pair).last().map(String::as_str), Some("e1 1 optIn"), "{:?}", created(&pair));
    assert_eq!(pair.opts(), ["e1 0 optIn", "e1 1 optIn"], "every reception is answered all the same");
    pair.assert_lawful();
}

/// Rules 12, 206: an event that wants no answer gets no opt; what a person wants holds here.
#[test]
fn rules_12_206_an_event_that_wants_no_answer_gets_no_opt() {
    let mut pair = registered();
    let mut never = event("e1", &[]);
    never.response_required = crate::openadr::message::ResponseRequired::Never;
    pair.vtn.add_event(never);
    pair.run(Span::MINUTE);
    let unsaid = Ok(Fulfilled::Opted { told: false });
    assert_eq!(opt(&mut pair, "e1", OptType::OptOut, &["a"]), unsaid);
    assert_eq!(opt(&mut pair, "e1", OptType::OptOut, &[]), unsaid);
    pair.run_to("2030-01-01T03:00:00Z");
    assert_eq!(pair.vtn.count(PayloadKind::CreateOpt) + pair.opts().len(), 0);
    assert!(pair.told.is_empty(), "{:?}", pair.told);
    pair.assert_lawful();
}

/// Rule 206: no opt names what its event does not.
#[test]
fn rule_206_what_an_event_is_not_for_is_refused_before_it_is_sent() {
    let mut pair = registered();
    pair.vtn.add_event(event("e1", &["a"]));
    pair.vtn.add_event(EventBuilder::new("gone", t("2030-01-01T00:00:30Z"), Span::from_seconds(10)));
    pair.run(Span::MINUTE * 2);
    let error = |pair: &mut Pair, id: &str, resource: &[&str]| {
        opt(pair, id, OptType::OptOut, resource).unwrap_err().to_string()
    };
    assert_eq!(error(&mut pair, "e1", &["b"]), "event e1 is not for resource b alone (rule 206)");
    assert_eq!(error(&mut pair, "e1", &["c"]), "there is no resource c; [ven] resources are: a, b");
    assert_eq!(error(&mut pair, "e2", &[]), "there is no event e2; known are: e1");
    assert_eq!(error(&mut pair, "gone", &["a"]), "event gone is over");
    pair.run(Span::MINUTE);
    assert_eq!(pair.vtn.count(PayloadKind::CreateOpt), 0);
}

/// Rules 206, 207, 208, 209: an opt about an event says what it has to, and nothing else.
#[test]
fn rules_206_207_208_209_an_event_opt_has_its_form() {
    let mut pair = registered();
    pair.vtn.add_event(event("e1", &["a", "b"]));
    pair.run(Span::MINUTE);
    opt(&mut pair, "e1", OptType::OptOut, &["a"]).unwrap();
    opt(&mut pair, "e1", OptType::OptOut, &["b"]).unwrap();
    pair.run(Span::MINUTE);
    let [first, second] = pair.vtn.created_opts.as_slice() else { panic!("{:?}", created(&pair)) };
    assert_ne!(first.opt_id, second.opt_id);
    assert!(!first.opt_id.is_empty() && !first.request_id.is_empty());
    assert_eq!(Some(&first.ven_id), pair.vtn.registered());
    let target = EiTarget { resource_ids: vec!["a".into()], ..EiTarget::ven(first.ven_id.clone()) };
    assert_eq!(first.target, target);
    assert_eq!((&first.availability, &first.market_context, &first.device_class), (&None, &None, &None));
    assert_eq!(first.opt_reason, OptReason::NotParticipating);
    pair.assert_lawful();
}

/// Rules 200, 202, 204, 207, 208, 209: a schedule says what it has to, and nothing else. Its periods have no place for anything but start
/// and duration (rule 200).
#[test]
fn rules_200_202_204_207_208_209_a_schedule_has_its_form() {
    let mut pair = registered();
    let wanted = OptSchedule {
        market_context: Some(CONTEXT.into()),
        resources: vec!["a".into(), "b".into()],
        ..first_day("s1")
    };
    order(&mut pair, Order::Schedule(wanted.clone())).unwrap();
    pair.run(Span::SECOND);
    let [sent] = pair.vtn.created_opts.as_slice() else { panic!("{:?}", created(&pair)) };
    assert_eq!((&sent.opt_id, sent.opt_type, &sent.opt_reason), (&wanted.id, wanted.opt, &wanted.reason));
    assert_eq!(sent.market_context, wanted.market_context);
    assert_eq!(sent.availability.as_ref().map(|times| &times.available), Some(&wanted.periods));
    let target = EiTarget { resource_ids: wanted.resources, ..EiTarget::ven(sent.ven_id.clone()) };
    assert_eq!((&sent.target, &sent.qualified_event_id, &sent.device_class), (&target, &None, &None));
    assert!(!sent.request_id.is_empty());
    pair.assert_lawful();
}

/// Rules 201, 202: what the standard leaves open is done so: out is out, unless it is a test, or some of us are in.
#[test]
fn rules_201_202_an_event_in_an_opt_out_schedule_is_opted_out_of_unasked() {
    let mut pair = registered();
    order(&mut pair, Order::Schedule(OptSchedule { resources: vec!["a".into()], ..first_day("s1") }))
        .unwrap();
    pair.vtn.add_event(event("for-a", &["a"]));
    pair.vtn.add_event(event("for-b", &["b"]));
    pair.vtn.add_event(event("for-all", &[]));
    let mut test = event("test", &["a"]);
    test.event.descriptor.test_event = Some("true".into());
    pair.vtn.add_event(test);
    let mut later = event("later", &["a"]);
    later.event.active_period.start = t("2030-01-02T00:00:00Z");
    pair.vtn.add_event(later);
    pair.run(Span::MINUTE);
    assert_eq!(pair.asked, ["for-all new", "for-b new", "later new", "test new"]);
    assert_eq!(decided_by(&pair, "for-a"), [DecidedBy::Schedule]);
    assert!(pair.opts().contains(&"for-a 0 optOut".to_owned()), "{:?}", pair.opts());
    order(&mut pair, Order::Schedule(OptSchedule { resources: vec!["b".into()], ..first_day("s2") }))
        .unwrap();
    pair.vtn.add_event(event("for-both", &["a", "b"]));
    pair.vtn.add_event(event("for-everything", &[]));
    pair.run(Span::MINUTE);
    assert_eq!(decided_by(&pair, "for-both"), [DecidedBy::Schedule]);
    assert_eq!(decided_by(&pair, "for-everything"), [DecidedBy::Schedule]);
    assert_eq!(decided_by(&pair, "for-all"), [DecidedBy::Handler], "what was decided stays");
    pair.assert_lawful();
}

/// Rule 201: an optIn schedule promises that we can be asked; a person goes before any schedule.
#[test]
fn rule_201_an_opt_in_schedule_leaves_it_to_the_handler_and_a_person_to_himself() {
    let mut pair = registered();
    order(&mut pair, Order::Schedule(schedule("s1", OptType::OptIn, "2030-01-01T00:00:00Z", 86_400)))
        .unwrap();
    pair.decide = Box::new(|_, _| Some(OptType::OptOut.into()));
    pair.vtn.add_event(event("e1", &[]));
    pair.run(Span::MINUTE);
    assert_eq!(pair.opts(), ["e1 0 optOut"]);
    order(&mut pair, Order::Schedule(first_day("s2"))).unwrap();
    pair.vtn.add_event(event("e2", &[]));
    pair.run(Span::MINUTE);
    opt(&mut pair, "e2", OptType::OptIn, &[]).unwrap();
    pair.run(Span::MINUTE);
    assert_eq!(decided_by(&pair, "e2"), [DecidedBy::Schedule]);
    assert_eq!(pair.opts().last().map(String::as_str), Some("e2 0 optIn"));
    assert_eq!(created(&pair), ["s1 optIn", "s2 optOut"]);
}

/// Rule 205: a schedule with a market context is about events of that programme only.
#[test]
fn rule_205_a_schedule_is_about_events_of_its_programme() {
    let mut pair = registered();
    order(
        &mut pair,
        Order::Schedule(OptSchedule { market_context: Some(CONTEXT.into()), ..first_day("s1") }),
    )
    .unwrap();
    let mut other = event("other", &[]);
    other.event.descriptor.market_context = "http://markets.example.org/other".into();
    pair.vtn.add_event(other);
    pair.vtn.add_event(event("ours", &[]));
    pair.run(Span::MINUTE);
    assert_eq!(pair.asked, ["other new"]);
    assert_eq!(decided_by(&pair, "ours"), [DecidedBy::Schedule]);
}

/// Rule 210: without a duration a period never ends; an event before it is not touched.
#[test]
fn rule_210_a_period_without_duration_never_ends() {
    let mut pair = registered();
    order(&mut pair, Order::Schedule(schedule("s1", OptType::OptOut, "2030-01-01T02:00:00Z", 0))).unwrap();
    pair.vtn.add_event(event("before", &[]));
    pair.vtn.add_event(EventBuilder::new("after", t("2039-01-01T01:00:00Z"), Span::HOUR));
    pair.vtn.add_event(EventBuilder::new("open", t("2030-01-01T01:00:00Z"), Span::ZERO));
    pair.run(Span::MINUTE);
    assert_eq!(pair.asked, ["before new"], "an event that ends as the schedule begins does not fall into it");
    pair.assert_lawful();
}

/// Rule 203: the newer replaces the older for its resources, here as at the VTN; what is withdrawn lets the older hold again.
#[test]
fn rule_203_a_newer_schedule_replaces_and_its_withdrawal_restores() {
    let mut pair = registered();
    order(&mut pair, Order::Schedule(first_day("old"))).unwrap();
    let far = schedule("new", OptType::OptOut, "2031-01-01T00:00:00Z", 60);
    order(&mut pair, Order::Schedule(OptSchedule { resources: vec!["a".into()], ..far })).unwrap();
    pair.vtn.add_event(event("e1", &["a"]));
    pair.vtn.add_event(event("e2", &["b"]));
    pair.run(Span::MINUTE);
    assert_eq!(
        pair.asked,
        ["e1 new"],
        "the newer says nothing of that time, and the older not of that resource"
    );
    order(&mut pair, Order::CancelSchedule("new".into())).unwrap();
    pair.vtn.add_event(event("e3", &["a"]));
    pair.run(Span::MINUTE);
    assert_eq!(pair.asked, ["e1 new"]);
    assert_eq!(created(&pair), ["old optOut", "old optOut"], "the VTN is told once more");
    pair.assert_lawful();
}

/// Rules 203, 204: what was changed in the configuration replaces under the same optID; about something else, the old is cancelled
/// first, since it would not be replaced.
#[test]
fn rules_203_204_a_changed_schedule_replaces_under_its_id() {
    let mut pair = registered();
    let set = |pair: &mut Pair, schedules: Vec<OptSchedule>| {
        pair.settings.opt_schedules = schedules;
        pair.restart();
        pair.run(Span::MINUTE);
        created(pair)
    };
    let longer = schedule("s1", OptType::OptOut, "2030-01-01T00:00:00Z", 172_800);
    assert_eq!(set(&mut pair, vec![first_day("s1")]), ["s1 optOut"]);
    assert_eq!(set(&mut pair, vec![first_day("s1")]), ["s1 optOut"], "told once");
    assert_eq!(set(&mut pair, vec![longer.clone()]), ["s1 optOut", "s1 optOut"]);
    assert_eq!(pair.vtn.count(PayloadKind::CancelOpt), 0);
    let only_a = OptSchedule { resources: vec!["a".into()], ..longer };
    assert_eq!(set(&mut pair, vec![only_a]), ["s1 optOut a"]);
    assert_eq!(pair.vtn.count(PayloadKind::CancelOpt), 1);
    assert!(set(&mut pair, Vec::new()).is_empty());
    assert!(pair.store.schedules.is_empty());
    pair.assert_lawful();
}

/// A configured schedule that changes does not replace those that stand below it.
#[test]
fn the_order_of_the_configuration_stays_when_one_changes() {
    let mut pair = registered();
    let whole = first_day("whole");
    let only_a = OptSchedule { resources: vec!["a".into()], ..first_day("only-a") };
    pair.settings.opt_schedules = vec![whole.clone(), only_a.clone()];
    pair.restart();
    pair.run(Span::MINUTE);
    let longer = schedule("whole", OptType::OptOut, "2030-01-01T00:00:00Z", 172_800);
    pair.settings.opt_schedules = vec![longer, only_a];
    pair.restart();
    pair.run(Span::MINUTE);
    assert_eq!(created(&pair)[2..], ["whole optOut", "only-a optOut a"]);
    let error = order(&mut pair, Order::CancelSchedule("whole".into())).unwrap_err();
    assert_eq!(error, OrderError::InConfiguration { id: "whole".into() });
    let error = order(&mut pair, Order::Schedule(whole)).unwrap_err();
    assert_eq!(error, OrderError::InConfiguration { id: "whole".into() });
}

/// Rule 211: an opt about an event is never cancelled, whatever becomes of the event.
#[test]
fn rule_211_event_opts_are_never_cancelled() {
    let mut pair = registered();
    pair.vtn.add_event(event("e1", &[]));
    pair.run(Span::MINUTE);
    opt(&mut pair, "e1", OptType::OptOut, &["a"]).unwrap();
    pair.run(Span::MINUTE);
    opt(&mut pair, "e1", OptType::OptIn, &["a"]).unwrap();
    pair.run(Span::MINUTE);
    pair.vtn.cancel_event("e1");
    pair.run(Span::MINUTE);
    pair.vtn.drop_event("e1");
    pair.run(Span::MINUTE);
    assert_eq!((pair.vtn.count(PayloadKind::CreateOpt), pair.vtn.count(PayloadKind::CancelOpt)), (2, 0));
    assert!(pair.store.event_opts.is_empty() && pair.store.events.is_empty());
    pair.assert_lawful();
}

/// A resource that is out does not take the others with it; the last one does.
#[test]
fn an_event_is_carried_out_while_any_of_its_resources_is_in() {
    let mut pair = registered();
    pair.vtn.add_event(event("e1", &["a", "b"]));
    pair.run(Span::MINUTE);
    opt(&mut pair, "e1", OptType::OptOut, &["a"]).unwrap();
    pair.run_to("2030-01-01T01:10:00Z");
    assert_eq!(pair.told, ["e1 start", "e1 interval 0 = 1"]);
    opt(&mut pair, "e1", OptType::OptOut, &["b"]).unwrap();
    pair.run(Span::MINUTE);
    assert_eq!(pair.told.last().map(String::as_str), Some("e1 end OptedOut"));
    pair.restart();
    pair.run(Span::MINUTE);
    opt(&mut pair, "e1", OptType::OptIn, &["b"]).unwrap();
    pair.run(Span::MINUTE);
    assert_eq!(pair.told[3..], ["e1 start", "e1 interval 0 = 1"]);
}

/// A VTN that takes no opts is still spoken to by `oadrCreatedEvent`.
#[test]
fn what_the_vtn_refuses_is_told_and_not_repeated() {
    let mut pair = registered();
    pair.vtn.add_event(event("e1", &[]));
    pair.run(Span::MINUTE);
    let refusals = |pair: &Pair| {
        let why = |notice: &Notice| {
            if let Notice::MessageRefused { why, .. } = notice { Some(why.clone()) } else { None }
        };
        pair.notices.iter().filter_map(why).collect::<Vec<_>>()
    };
    pair.vtn.modify_event("e1", |_| {});
    opt(&mut pair, "e1", OptType::OptOut, &["a"]).unwrap();
    pair.run(Span::MINUTE);
    assert_eq!(refusals(&pair).len(), 1, "{:?}", refusals(&pair));
    assert!(refusals(&pair)[0].starts_with("event e1: 450"), "{:?}", refusals(&pair));
    pair.vtn.faults.push_back(Fault::Status(404, None));
    order(&mut pair, Order::Schedule(first_day("s1"))).unwrap();
    pair.run(Span::MINUTE);
    assert_eq!(refusals(&pair)[1], "schedule s1: http status 404");
    assert!(created(&pair).is_empty());
    opt(&mut pair, "e1", OptType::OptOut, &[]).unwrap();
    pair.run(Span::MINUTE);
    assert_eq!(pair.opts().last().map(String::as_str), Some("e1 1 optOut"));
    assert_eq!(pair.vtn.count(PayloadKind::CreateOpt), 1, "the fault came before the second was counted");
}

/// A VTN that takes one `oadrCreateOpt` and not the next is told by `oadrCreatedEvent`, which it may still listen to.
#[test]
fn a_whole_opt_that_is_refused_goes_the_other_way() {
    let mut pair = registered();
    pair.vtn.add_event(event("e1", &["a", "b"]));
    pair.run(Span::MINUTE);
    opt(&mut pair, "e1", OptType::OptOut, &["b", "a", "b"]).unwrap();
    pair.run(Span::MINUTE);
    assert_eq!(created(&pair), ["e1 0 optOut a+b"]);
    pair.vtn.faults.push_back(Fault::Status(404, None));
    opt(&mut pair, "e1", OptType::OptOut, &[]).unwrap();
    pair.run(Span::MINUTE);
    assert_eq!(pair.opts(), ["e1 0 optIn", "e1 0 optOut"]);
    assert_eq!(created(&pair).len(), 1);
    pair.assert_lawful();
}

/// Whatever step the VEN dies after, what was ordered reaches the VTN, each thing as often as it must and in its order.
#[test]
fn orders_that_were_answered_survive_a_crash_after_any_step() {
    for crash_after in 0..40 {
        let mut pair = registered();
        pair.vtn.add_event(event("e1", &["a", "b"]));
        pair.run(Span::MINUTE);
        pair.crash_at = Some(pair.handled + crash_after);
        let orders = [
            Order::Opt { event: "e1".into(), opt: OptType::OptOut, resources: vec!["a".into()] },
            Order::Schedule(first_day("s1")),
            Order::Schedule(first_day("s2")),
            Order::CancelSchedule("s1".into()),
        ];
        let stored = |pair: &Pair| (pair.store.event_opts.clone(), pair.store.schedules.clone());
        for order in orders {
            let before = stored(&pair);
            pair.answers.clear();
            pair.input(Input::Order { number: 1, order: order.clone() });
            let answered = !pair.answers.is_empty();
            assert!(!answered || stored(&pair) != before, "{crash_after}: answered before it was stored");
            pair.run(Span::MINUTE);
        }
        assert_eq!(pair.crash_at, None, "step {crash_after} was reached");
        // What was under way as it died is sent again, as the same request.
        let mut held = created(&pair);
        let requests: BTreeSet<_> = pair.vtn.created_opts.iter().map(|opt| &opt.request_id).collect();
        held.sort();
        held.dedup();
        assert_eq!(held, ["e1 0 optOut a", "s2 optOut"], "{crash_after}");
        assert_eq!(requests.len(), 2, "{crash_after}");
        pair.assert_lawful();
    }
}

/// A VTN that is away gets it later; one that has lost everything gets the schedules once more, but none that was withdrawn.
#[test]
fn schedules_wait_for_the_vtn_and_are_told_again_to_one_that_forgot() {
    let mut pair = registered();
    pair.link_up = false;
    order(&mut pair, Order::Schedule(first_day("s1"))).unwrap();
    order(&mut pair, Order::Schedule(OptSchedule { resources: vec!["a".into()], ..first_day("s2") }))
        .unwrap();
    pair.run(Span::MINUTE * 10);
    pair.link_up = true;
    pair.run(Span::MINUTE * 10);
    assert_eq!(created(&pair), ["s1 optOut", "s2 optOut a"]);
    pair.vtn.forget_everything();
    order(&mut pair, Order::CancelSchedule("s2".into())).unwrap();
    pair.run(Span::MINUTE * 10);
    assert_eq!(created(&pair), ["s1 optOut"]);
    assert_eq!(pair.vtn.registrations(), 2);
    let metadata = pair.vtn.received.iter().rposition(|(_, kind)| *kind == PayloadKind::RegisterReport);
    let told = pair.vtn.received.iter().rposition(|(_, kind)| *kind == PayloadKind::CreateOpt);
    assert!(metadata < told, "the metadata go first (rule 309)");
    pair.vtn.request_reregistration();
    pair.run(Span::MINUTE);
    assert_eq!(created(&pair), ["s1 optOut", "s1 optOut"], "it may mean that it knows nothing of us");
    pair.assert_lawful();
}

#[test]
fn what_cannot_be_stored_is_not_confirmed() {
    let mut pair = registered();
    pair.disk_up = false;
    pair.input(Input::Order { number: 1, order: Order::Schedule(first_day("s1")) });
    pair.run(Span::MINUTE);
    assert_eq!(pair.answers, [Err(OrderError::Unstored)]);
    assert!(created(&pair).is_empty());
}

#[test]
fn schedules_that_are_over_are_forgotten_and_none_is_declared() {
    let mut pair = registered();
    let minute = schedule("s1", OptType::OptOut, "2030-01-01T00:00:00Z", 60);
    order(&mut pair, Order::Schedule(minute.clone())).unwrap();
    pair.settings.opt_schedules = vec![schedule("s2", OptType::OptOut, "2029-01-01T00:00:00Z", 60)];
    pair.run(Span::MINUTE * 2);
    pair.restart();
    pair.run(Span::MINUTE);
    assert!(pair.store.schedules.is_empty());
    assert_eq!(created(&pair), ["s1 optOut"]);
    assert_eq!(order(&mut pair, Order::Schedule(minute)), Err(OrderError::Past));
    let error = order(&mut pair, Order::CancelSchedule("s1".into())).unwrap_err().to_string();
    assert_eq!(error, "there is no schedule s1; known are: none");
}

/// A handler that asks for time has its default answered at once; a person changes it by an order.
#[test]
fn a_pending_decision_is_changed_by_an_order() {
    let mut pair = Pair::with(Settings { opt_resources: vec!["a".into()], ..Settings::default() });
    pair.run(Span::SECOND);
    let until = t("2030-01-01T00:30:00Z");
    pair.decide = Box::new(move |_, _| Some(Decision::Pending { until, default: OptType::OptOut }));
    pair.vtn.add_event(event("e1", &[]));
    pair.run(Span::MINUTE);
    opt(&mut pair, "e1", OptType::OptIn, &[]).unwrap();
    pair.run(Span::MINUTE);
    assert_eq!(pair.opts(), ["e1 0 optOut", "e1 0 optIn"]);
}
