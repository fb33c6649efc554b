//! A year of random events, modifications, cancellations, outages and restarts, held against a model that knows nothing of the engine.
//!
//! The model keeps the VTN's side of each event, reads from the VTN what the VEN has promised, and works out naively what must be
//! running and what governs. The handler decides at random, so a promise that is kept was stored.

use std::collections::BTreeMap;

use super::pair::{Pair, start};
use crate::engine::dice::Dice;
use crate::mock_vtn::{EventBuilder, Fault};
use crate::openadr::message::{Duration, EiTarget, Float, OadrEvent, OptType, PayloadBase, StreamPayload};
use crate::time::{Span, Timestamp};

/// Longer than it takes until the VEN has heard of everything, whatever went wrong before.
const SETTLED: Span = Span::from_seconds(720);

const PROGRAMMES: [&str; 2] = ["http://markets.example.org/dr", "http://markets.example.org/other"];
const RESOURCES: [&str; 2] = ["boiler", "pump"];

/// What the VTN means by an event.
struct Event {
    id: String,
    start: Timestamp,
    /// `None`: for ever.
    lasts: Option<Span>,
    level: i64,
    priority: u32,
    test: bool,
    programme: usize,
    resource: Option<usize>,
    modification: u32,
}

impl Event {
    fn build(&self) -> OadrEvent {
        let event =
            EventBuilder::new(&self.id, self.start, self.lasts.unwrap_or(Span::ZERO)).level(self.level);
        let event = event.priority(self.priority).market_context(PROGRAMMES[self.programme]);
        let event = if self.test { event.test("yes") } else { event };
        match self.resource {
            Some(at) => event.target(EiTarget::resource(RESOURCES[at].into())).build(),
            None => event.build(),
        }
    }

    fn is_on(&self, now: Timestamp) -> bool {
        self.start <= now && self.lasts.is_none_or(|lasts| now < self.start + lasts)
    }

    /// Whether something of it happens so soon, or has just happened, that the handler may not know yet.
    fn is_at_a_boundary(&self, now: Timestamp) -> bool {
        let bounds = [Some(self.start), self.lasts.map(|lasts| self.start + lasts)];
        bounds.into_iter().flatten().any(|bound| (bound - now).abs() < Span::from_seconds(5))
    }

    fn is_about_what(&self, other: &Self) -> bool {
        let one_resource =
            self.resource.is_some() && other.resource.is_some() && self.resource != other.resource;
        self.programme == other.programme && !one_resource
    }

    fn beats(&self, other: &Self) -> bool {
        if self.test != other.test {
            return other.test;
        }
        if self.priority != other.priority {
            return self.priority != 0 && (other.priority == 0 || self.priority < other.priority);
        }
        (self.start, &self.id) < (other.start, &other.id)
    }
}

struct Year {
    pair: Pair,
    dice: Dice,
    events: Vec<Event>,
    added: usize,
    hearing: Hearing,
    /// What the VTN was promised about each version of each event.
    promises: BTreeMap<(String, u32), OptType>,
    /// How often the model had something to say.
    overlaps: usize,
    runs: usize,
}

impl Year {
    fn new(seed: u64) -> Self {
        let mut pair = Pair::registered();
        pair.settings.resources = RESOURCES.map(Into::into).to_vec();
        pair.vtn.poll_freq = Span::MINUTE * 5;
        pair.restart();
        let mut moods = Dice::new(seed + 1000);
        pair.decide = Box::new(move |_, _| {
            let out = moods.up_to(Span::from_micros(4)).is_zero();
            Some(if out { OptType::OptOut } else { OptType::OptIn }.into())
        });
        Self {
            pair,
            dice: Dice::new(seed),
            events: Vec::new(),
            added: 0,
            hearing: Hearing::default(),
            promises: BTreeMap::new(),
            overlaps: 0,
            runs: 0,
        }
    }

    /// From 0 up to, and not including, `end`.
    fn below(&mut self, end: i64) -> i64 {
        self.dice.up_to(Span::from_micros(end - 1)).micros()
    }

    fn minutes(&mut self, least: i64, most: i64) -> Span {
        Span::MINUTE * (least + self.below(most - least + 1))
    }

    fn act(&mut self) {
        match self.below(12) {
            0..5 => self.add(),
            5..7 => self.modify(),
            7 => self.end(VtnEnd::Cancel),
            8 => self.end(VtnEnd::Drop),
            9 => self.outage(),
            10 => self.restart(),
            _ => self.fault(),
        }
    }

    fn add(&mut self) {
        self.added += 1;
        let event = Event {
            id: format!("e{}", self.added),
            start: self.pair.now() + self.minutes(-60, 720),
            lasts: Some(self.minutes(20, 600)).filter(|_| !self.added.is_multiple_of(10)),
            level: self.below(4),
            priority: u32::try_from(self.below(4)).unwrap(),
            test: self.below(6) == 0,
            programme: usize::from(self.below(4) == 0),
            resource: [None, Some(0), Some(1)][usize::try_from(self.below(3)).unwrap()],
            modification: 0,
        };
        self.pair.vtn.add_event(event.build());
        self.events.push(event);
    }

    fn pick(&mut self) -> Option<usize> {
        let count = i64::try_from(self.events.len()).unwrap();
        (count > 0).then(|| usize::try_from(self.below(count)).unwrap())
    }

    fn modify(&mut self) {
        let Some(at) = self.pick() else { return };
        let (what, minutes, number) = (self.below(4), self.minutes(-120, 240), self.below(4));
        let event = &mut self.events[at];
        match what {
            0 => event.start += minutes,
            1 => event.lasts = event.lasts.map(|lasts| (lasts + minutes).max(Span::MINUTE * 10)),
            2 => event.level = number,
            _ => event.priority = u32::try_from(number).unwrap(),
        }
        event.modification += 1;
        let (id, start, level, priority) = (event.id.clone(), event.start, event.level, event.priority);
        let lasts = Duration::from_span(event.lasts.unwrap_or(Span::ZERO));
        self.pair.vtn.modify_event(&id, |event| {
            event.event.descriptor.priority = Some(priority);
            (event.event.active_period.start, event.event.active_period.duration) = (start, lasts);
            let interval = &mut event.event.signals[0].intervals[0];
            interval.duration = Some(lasts);
            interval.payloads = vec![StreamPayload::Signal(PayloadBase::Float(Float::from(level)))];
        });
    }

    fn end(&mut self, how: VtnEnd) {
        let Some(at) = self.pick() else { return };
        let event = self.events.remove(at);
        match how {
            VtnEnd::Cancel => self.pair.vtn.cancel_event(&event.id),
            VtnEnd::Drop => self.pair.vtn.drop_event(&event.id),
        }
    }

    fn outage(&mut self) {
        self.pair.link_up = false;
        for _ in 0..self.below(4) {
            let span = self.minutes(1, 120);
            self.pair.run(span);
            if self.below(3) == 0 {
                self.modify();
            }
        }
        if self.below(2) == 0 {
            self.restart();
        }
        self.pair.link_up = true;
    }

    fn restart(&mut self) {
        self.pair.told.push("restart".to_owned());
        self.pair.restart();
    }

    fn fault(&mut self) {
        let fault = match self.below(3) {
            0 => Fault::Status(500, None),
            1 => Fault::Status(503, None),
            _ => Fault::LoseAnswer,
        };
        self.pair.vtn.faults.push_back(fault);
    }

    /// Everything that the VTN has said has been heard, and nothing is just about to happen.
    fn settle(&mut self) {
        self.pair.run(SETTLED);
        while self.events.iter().any(|event| event.is_at_a_boundary(self.pair.now())) {
            self.pair.run(Span::from_seconds(7));
        }
    }

    /// Takes in what has been promised and told: never two opts for one version.
    fn take_in(&mut self) {
        for opt in self.pair.vtn.opts.drain(..) {
            let before = self.promises.insert((opt.event_id.to_string(), opt.modification), opt.opt);
            assert!(before.is_none_or(|before| before == opt.opt), "{opt:?}, after {before:?}");
        }
        self.pair.told.drain(..).for_each(|line| self.hearing.hear(&line));
        self.pair.vtn.received.clear();
        self.pair.notices.clear();
        self.pair.asked.clear();
    }

    fn promise(&self, event: &Event) -> Option<OptType> {
        self.promises.get(&(event.id.clone(), event.modification)).copied()
    }

    /// Holds what the handler was told against what must be.
    fn check(&mut self) {
        self.take_in();
        let now = self.pair.now();
        let on: Vec<_> = self.events.iter().filter(|event| event.is_on(now)).collect();
        assert!(on.iter().all(|event| self.promise(event).is_some()), "something is not answered");
        let on: Vec<_> = on.into_iter().filter(|event| self.promise(event) == Some(OptType::OptIn)).collect();
        let over = |event: &Event| {
            let stronger = on.iter().filter(|other| other.is_about_what(event) && other.beats(event));
            let strongest = stronger.reduce(|one, other| if one.beats(other) { one } else { other });
            strongest.map(|other| other.id.clone())
        };
        let expected: BTreeMap<_, _> =
            on.iter().map(|event| (event.id.clone(), (event.level.to_string(), over(event)))).collect();
        assert_eq!(self.hearing.running, expected, "at {now}");
        self.runs += expected.len();
        self.overlaps += expected.values().filter(|(_, over)| over.is_some()).count();
        self.forget_what_is_over(now - Span::HOUR * 6);
    }

    /// A VTN speaks for a while of what is over, and may still change it.
    fn forget_what_is_over(&mut self, since: Timestamp) {
        let over = |event: &mut Event| event.lasts.is_some_and(|lasts| event.start + lasts < since);
        for event in self.events.extract_if(.., over) {
            self.pair.vtn.drop_event(&event.id);
        }
        // What lasts for ever is called off some day.
        if self.events.len() > 30 {
            let event = self.events.remove(0);
            self.pair.vtn.cancel_event(&event.id);
        }
    }
}

#[derive(Clone, Copy)]
enum VtnEnd {
    Cancel,
    Drop,
}

/// What the handler was told, as far as it goes.
#[derive(Default)]
struct Hearing {
    /// What runs, with its value and what governs in its place.
    running: BTreeMap<String, (String, Option<String>)>,
    /// After how many restarts each event was spoken of last.
    last: BTreeMap<String, usize>,
    restarts: usize,
}

impl Hearing {
    /// What the handler is told must make sense; after a restart something may be told once more.
    fn hear(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        let [id, what, ..] = words.as_slice() else {
            self.restarts += 1;
            return;
        };
        let id = (*id).to_owned();
        let again = self.last.insert(id.clone(), self.restarts).is_some_and(|told| told < self.restarts);
        match *what {
            "start" => {
                let before = self.running.insert(id, (String::new(), None));
                assert!(before.is_none() || again, "{line}: it had started");
            }
            "interval" => {
                let under = words.iter().position(|word| *word == "under").map(|at| words[at + 1].to_owned());
                let before = self.running.insert(id, (words[4].to_owned(), under));
                assert!(before.is_some(), "{line}: it had not started");
            }
            "end" => {
                let before = self.running.remove(&id);
                assert!(
                    before.is_some() || again || line.contains("Cancelled"),
                    "{line}: it had not started"
                );
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_year_of_everything_goes_as_the_model_says() {
    let mut year = Year::new(1);
    while year.pair.now() < start() + Span::DAY * 365 {
        for _ in 0..=year.below(4) {
            year.act();
            let span = year.minutes(0, 90);
            year.pair.run(span);
        }
        year.settle();
        year.check();
    }
    let counts = (year.added, year.runs, year.overlaps);
    assert!(counts.0 > 1000 && counts.1 > 1000 && counts.2 > 300, "{counts:?}");
    assert_eq!(year.pair.vtn.registrations(), 1);
    year.pair.assert_lawful();
}
