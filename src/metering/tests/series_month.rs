//! A month with two hundred faults: no energy is lost or invented, and every gap is told, against a model that keeps everything.

use super::super::channel::Channel;
use super::super::quantity::Quantity;
use super::super::tier::Keep;
use super::super::{Reading, Series, Value};
use super::series::at;
use super::series_rows::Disk;
use crate::openadr::message::{DataQuality, Decimal};
use crate::time::{Span, Timestamp};

const DAYS: i64 = 30;
const QUARTER: i64 = 900;
const FAULTS: i64 = 200;
/// The meter has five digits before the point.
const END: i64 = 100_000_000;
const COMMIT_EVERY: i64 = 300;
/// An answer waits so long for what is missing.
const PATIENCE: i64 = 60;

/// Numbers that look like chance, the same ones for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap() % end
    }
}

/// What happens to the meter, its line or us; in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// So many telegrams are cut.
    Cut(i64),
    /// The register of one telegram is this.
    Noise(i64),
    /// Nothing is heard.
    Unplugged(i64),
    /// Our clock goes wrong by so much, and is put right an hour later.
    Clock(i64),
    /// Another meter, after so long without power.
    Exchange(i64),
    /// The register begins again.
    Reset,
    /// So long without power for us.
    PowerCut(i64),
}

fn fault(chance: &mut Chance) -> Fault {
    match chance.below(9) {
        0 | 1 => Fault::Cut(1 + chance.below(30)),
        2 => Fault::Noise([0, 98_765_432, 3][usize::try_from(chance.below(3)).unwrap()]),
        3 => Fault::Unplugged(10 + chance.below(3_000)),
        4 => Fault::Clock(chance.below(121) - 60),
        5 => Fault::Exchange(60 + chance.below(1_500)),
        6 => Fault::Reset,
        _ => Fault::PowerCut(5 + chance.below(2_400)),
    }
}

/// What was heard: when by our clock, and what the house had used by then. It keeps everything.
#[derive(Default)]
struct Model {
    heard: Vec<(Timestamp, i64)>,
    /// What the register showed then.
    shown: Vec<i64>,
    /// So many of them are stored.
    stored: usize,
    /// Times of the first readings after an exchange or a reset.
    breaks: Vec<Timestamp>,
}

impl Model {
    fn hear(&mut self, at: Timestamp, used: i64, shown: i64) {
        self.heard.push((at, used));
        self.shown.push(shown);
    }

    /// The readings around a moment; the second one is at it or later.
    fn around(&self, at: Timestamp) -> Option<((Timestamp, i64), (Timestamp, i64))> {
        let next = self.heard.partition_point(|(time, _)| *time < at);
        let after = *self.heard.get(next)?;
        if after.0 == at {
            Some((after, after))
        } else {
            Some((*self.heard.get(next.checked_sub(1)?)?, after))
        }
    }

    /// How far apart they are.
    fn gap(&self, at: Timestamp) -> Option<Span> {
        self.around(at).map(|(before, after)| after.0 - before.0)
    }

    /// None is near, and those around are further apart than readings usually are.
    fn is_apart(&self, at: Timestamp, usual: Span) -> bool {
        self.around(at).is_none_or(|((before, _), (after, _))| {
            after - before > usual * 2 && (at - before).min(after - at) * 2 > usual
        })
    }

    /// Between these the energy from one moment to the other is.
    fn between(&self, start: Timestamp, end: Timestamp) -> Option<(Decimal, Decimal)> {
        let ((_, low_start), (_, high_start)) = self.around(start)?;
        let ((_, low_end), (_, high_end)) = self.around(end)?;
        Some(((low_end - high_start).into(), (high_end - low_start).into()))
    }
}

struct Month {
    chance: Chance,
    step: i64,
    keep: Keep,
    series: Series,
    disk: Disk,
    model: Model,
    /// What the house has used, in Wh, and what the meter adds to it.
    used: i64,
    added: i64,
    meter: i64,
    clock: i64,
    saved: Timestamp,
    asked: Timestamp,
    answers: Vec<(Value, Value)>,
    /// Until when nothing is heard, or the house has no power, or we have none; in seconds of true time.
    silent: i64,
    house_dark: i64,
    we_dark: i64,
    /// The register has left its line since.
    strayed: Option<Timestamp>,
    /// The next telegram is the first one of another count.
    anew: bool,
    /// The register has just rolled over.
    rolling: bool,
    /// What was used and nobody counted, up to such a telegram.
    lost: i64,
    noise: Option<i64>,
    shown: i64,
}

impl Month {
    fn new(seed: u64, step: i64) -> Self {
        let keep = Keep::for_span(Span::DAY * 40);
        Self {
            chance: Chance(seed),
            step,
            keep,
            series: Series::with(keep, None),
            disk: Disk::default(),
            model: Model::default(),
            used: 0,
            added: END - 400_000,
            meter: 1,
            clock: 0,
            saved: Timestamp::EPOCH,
            asked: at(QUARTER),
            answers: Vec::new(),
            silent: 0,
            house_dark: 0,
            we_dark: 0,
            strayed: None,
            anew: false,
            rolling: false,
            lost: 0,
            noise: None,
            shown: END - 400_000,
        }
    }

    fn commit(&mut self, now: Timestamp) {
        self.disk.commit(self.series.changes());
        self.series.mark_stored();
        self.saved = now;
        self.model.stored = self.model.heard.len();
    }

    fn strike(&mut self, fault: Fault, second: i64) {
        match fault {
            Fault::Cut(telegrams) => self.silent = second + telegrams * self.step,
            Fault::Noise(register) => self.noise = Some(register),
            Fault::Unplugged(seconds) => self.silent = second + seconds,
            Fault::Clock(seconds) => self.clock = seconds,
            Fault::Exchange(seconds) => {
                self.house_dark = second + seconds;
                self.meter += 1;
                // Some of the new ones are about to roll over.
                let first = if self.meter % 2 == 0 { END - self.chance.below(90_000) } else { 1_000_000 };
                self.added = first - self.used;
                self.shown = first;
                self.anew = true;
            }
            // Nobody can tell a reset just before the end from a roll-over, nor just after the start from a glitch.
            Fault::Reset if !(10_000..END - 10_000).contains(&self.shown) => self.silent = second + self.step,
            Fault::Reset => {
                self.house_dark = second + self.step;
                self.added = -self.used;
                self.shown = 0;
                self.anew = true;
                self.strayed = Some(at(second + self.clock) + Span::from_seconds(1_000_000));
            }
            Fault::PowerCut(seconds) => {
                self.we_dark = second + seconds;
                self.series = self.disk.read(self.keep);
                self.model.heard.truncate(self.model.stored);
                self.model.shown.truncate(self.model.stored);
            }
        }
    }

    /// A step of true time: the house uses energy, the meter speaks, and we listen.
    fn pass(&mut self, second: i64) {
        if second < self.house_dark {
            return;
        }
        let watts = 300 + (second / 3_600 % 24) * 200 + self.chance.below(2_000);
        self.used += watts * self.step / 3_600 + self.chance.below(2);
        let now = at(second + self.clock);
        self.shown = (self.used + self.added).rem_euclid(END);
        if second < self.silent || second < self.we_dark {
            return;
        }
        let noise = self.noise.take();
        self.listen(now, noise.unwrap_or(self.shown), watts);
        self.remember(now, self.shown, noise.is_some());
        self.report(now);
    }

    fn listen(&mut self, now: Timestamp, register: i64, watts: i64) {
        let values = [(Channel::Import, register), (Channel::Power, watts)];
        self.series.push(Reading {
            meter: Some(format!("meter {}", self.meter)),
            values: values.map(|(channel, value)| (channel, Decimal::from(value))).into(),
            ..Reading::new(now)
        });
    }

    /// What the model takes of it: not what is noise, nor what a reset meter says until it is believed.
    fn remember(&mut self, now: Timestamp, shown: i64, noise: bool) {
        let behind = self.model.heard.last().is_some_and(|(last, _)| now <= *last);
        if noise || behind {
            return;
        }
        let anew = std::mem::take(&mut self.anew) || self.strayed.is_some();
        if anew && self.strayed.is_none_or(|since| since > now) {
            self.lost = self.used - self.model.heard.last().map_or(0, |(_, used)| *used);
            if self.strayed.is_none() {
                self.model.breaks.push(now);
            }
        }
        if let Some(since) = self.strayed {
            let since = since.min(now);
            self.strayed = Some(since);
            if now - since < Span::MINUTE * 10 {
                return;
            }
            self.strayed = None;
            self.model.breaks.push(now);
        }
        // A roll-over is believed when the register goes on from there.
        let fell = !anew && self.model.shown.last().is_some_and(|last| shown < *last);
        self.rolling = fell && !self.rolling;
        if self.rolling {
            return;
        }
        self.model.hear(now, self.used - self.lost, shown);
    }

    /// Asks for what is due, and stores it before it is told.
    fn report(&mut self, now: Timestamp) {
        while now >= self.asked
            && (self.series.is_complete(self.asked) || now - self.asked >= Span::from_seconds(PATIENCE))
        {
            self.commit(now);
            let quarter = Span::from_seconds(QUARTER);
            let value =
                |quantity| self.series.window(quantity, self.asked - quarter, self.asked, quarter).remove(0);
            self.answers.push((value(Quantity::IMPORT_ENERGY), value(Quantity::Most(Channel::Power))));
            self.series.seal(self.asked);
            self.asked += quarter;
        }
        if now - self.saved >= Span::from_seconds(COMMIT_EVERY) {
            self.commit(now);
        }
    }
}

fn live(seed: u64, step: i64) -> Month {
    let mut month = Month::new(seed, step);
    let (mut fault_at, mut right_at) = (3_600, i64::MAX);
    let (mut faults, mut bytes) = (0, 0);
    for second in (0..DAYS * 86_400).step_by(usize::try_from(step).unwrap()) {
        if second >= fault_at && faults < FAULTS {
            let fault = fault(&mut month.chance);
            month.strike(fault, second);
            faults += 1;
            if matches!(fault, Fault::Clock(_)) {
                right_at = second + 3_600;
            }
            fault_at = faults * (DAYS * 86_400 / FAULTS) + 3_600 + month.chance.below(5_000);
        }
        if second >= right_at {
            (month.clock, right_at) = (0, i64::MAX);
        }
        month.pass(second);
        if second % 86_400 == 43_200 {
            let now = month.series.bytes();
            assert!(bytes == 0 || now == bytes, "{now} bytes after {bytes}");
            bytes = now;
            let rows = month.disk.prune(&month.keep, at(second));
            assert!(rows <= 2 * (2_880 + 3_840 + 8), "{rows} rows");
        }
    }
    assert_eq!(faults, FAULTS);
    assert!(bytes <= 2 * 850_000, "{bytes} bytes for two numbers");
    month
}

/// Checks one answer against the model.
fn check(month: &Month, value: &Value) {
    let (start, end) = (value.start, value.start + value.duration);
    let gaps = [start, end].map(|at| month.model.gap(at));
    let apart = [start, end].iter().any(|at| month.model.is_apart(*at, Span::from_seconds(month.step)));
    let Some(number) = value.value else {
        assert!(apart, "a gap for no reason: {value:?} {gaps:?}");
        return;
    };
    let (low, high) = month.model.between(start, end).unwrap();
    assert!(low <= number && number <= high, "{start}: {value:?} is not between {low} and {high}");
    assert!(
        gaps.iter().flatten().all(|gap| *gap <= value.duration),
        "invented over a gap: {value:?} {gaps:?}"
    );
    if value.quality == DataQuality::Good {
        assert!(!apart, "good, with a gap at an end: {value:?} {gaps:?}");
        let broken = month.model.breaks.iter().any(|at| start < *at && *at <= end);
        assert!(!broken, "good, with a break inside: {value:?}");
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a seed is printed, so that a failure can be repeated")]
#[expect(clippy::disallowed_methods, reason = "a test asks who started it")]
fn a_month_of_faults_loses_no_energy_and_tells_every_gap() {
    let seed = std::env::var("VEN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_115);
    let step = if std::env::var_os("VEN_LONG").is_some() { 1 } else { 10 };
    let month = live(seed, step);
    let (numbers, good) = month.answers.iter().fold((0, 0), |(numbers, good), (value, _)| {
        let is_good = value.quality == DataQuality::Good;
        (numbers + usize::from(value.value.is_some()), good + usize::from(is_good))
    });
    let (all, commits) = (month.answers.len(), month.disk.commits);
    eprintln!("seed {seed}: {all} answers, {numbers} numbers, {good} good, {commits} commits");
    assert!(all >= 2_860 && good >= 2_500 && commits <= 9_000 + 200);
    month.answers.iter().for_each(|(value, _)| check(&month, value));
    // Numbers one after the other add up to what the register has risen, exactly where readings stand at both ends.
    let (mut sum, mut since, mut exact) = (Decimal::ZERO, None, 0);
    for (value, _) in &month.answers {
        let Some(number) = value.value else {
            since = None;
            continue;
        };
        let start = *since.get_or_insert_with(|| {
            sum = Decimal::ZERO;
            value.start
        });
        sum += number;
        let (low, high) = month.model.between(start, value.start + value.duration).unwrap();
        assert!(
            low <= sum && sum <= high,
            "from {start} to {value:?}: {sum} is not between {low} and {high}"
        );
        exact += usize::from(low == high);
    }
    assert!(exact > 1_500, "only {exact} sums are known to the Wh");
    // What was told stays, from what is kept and over every power cut.
    for (told, most) in &month.answers {
        let again =
            |quantity| month.series.window(quantity, told.start, told.start + told.duration, told.duration);
        for (told, quantity) in [(told, Quantity::IMPORT_ENERGY), (most, Quantity::Most(Channel::Power))] {
            if told.value.is_some() {
                assert_eq!(again(quantity), std::slice::from_ref(told), "it was told otherwise");
            }
        }
    }
    let whole = Span::from_seconds((DAYS * 86_400 - 7_200).div_euclid(QUARTER) * QUARTER);
    let value =
        month.series.window(Quantity::IMPORT_ENERGY, at(QUARTER), at(QUARTER) + whole, whole).remove(0);
    check(&month, &value);
}
