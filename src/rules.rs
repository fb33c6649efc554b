//! Decides by rules, for those who do not want to write code.
//!
//! A condition is an expression of minijinja over what the event says. A rule that speaks of something that the event does not have
//! (a price, where there is none) does not apply.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use crate::handler::{Change, Decision, DefaultOpt, EventHandler};
use crate::openadr::message::{EiEvent, EventSignal, OptType, SignalType};

/// What a condition can speak of.
const NAMES: &[&str] = &[
    "event",
    "market_context",
    "priority",
    "test",
    "comment",
    "start",
    "duration",
    "signal",
    "type",
    "value",
    "level",
    "price",
    "signals",
];

/// Steps that an expression may take.
const FUEL: u64 = 10_000;

/// What is answered when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) when: Condition,
    pub(crate) opt: OptType,
}

/// An expression that holds of an event or not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    text: String,
    names: HashSet<String>,
}

/// Why a text is no condition.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadCondition {
    #[error("is no expression: {0}")]
    Unreadable(#[from] minijinja::Error),
    #[error("speaks of \"{0}\", which no event has; known are {known}", known = NAMES.join(", "))]
    UnknownName(String),
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    ///
    /// Where it is no expression, or speaks of something that no event has.
    pub(crate) fn new(text: &str) -> Result<Self, BadCondition> {
        let environment = environment();
        let expression = environment.compile_expression(text)?;
        let names = expression.undeclared_variables(false);
        if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
            return Err(BadCondition::UnknownName(unknown.clone()));
        }
        // Filters and tests are looked up when they are used only.
        let zeros: BTreeMap<_, _> = NAMES.iter().map(|name| (*name, Value::from(0))).collect();
        match expression.eval(zeros) {
            Err(error) if matches!(error.kind(), ErrorKind::UnknownFilter | ErrorKind::UnknownTest) => {
                Err(error.into())
            }
            _ => Ok(Self { text: text.to_owned(), names }),
        }
    }

    /// Whether it holds.
    fn holds(&self, facts: &BTreeMap<&'static str, Value>) -> Result<bool, minijinja::Error> {
        if !self.names.iter().all(|name| facts.contains_key(name.as_str())) {
            return Ok(false);
        }
        let environment = environment();
        Ok(environment.compile_expression(&self.text)?.eval(facts)?.is_true())
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

/// The first rule that applies decides, else the default.
#[derive(Debug)]
pub(crate) struct RulesHandler {
    pub(crate) rules: Vec<Rule>,
    pub(crate) default: DefaultOpt,
}

impl RulesHandler {
    fn decide(&self, event: &EiEvent) -> Decision {
        let facts = facts(event);
        let applies = |rule: &&Rule| {
            rule.when.holds(&facts).unwrap_or_else(|error| {
                tracing::warn!(event = %event.id(), rule = rule.when.text, "rule does not work: {error}");
                false
            })
        };
        match (self.rules.iter().find(applies), self.default) {
            (Some(rule), _) => rule.opt.into(),
            (None, DefaultOpt::Always(opt)) => opt.into(),
            // Only who holds the event knows it.
            (None, DefaultOpt::Last) => Decision::Undecided("no rule applies".to_owned()),
        }
    }
}

impl EventHandler for RulesHandler {
    async fn on_event(&self, event: Arc<EiEvent>, _change: Change) -> Decision {
        self.decide(&event)
    }
}

fn facts(event: &EiEvent) -> BTreeMap<&'static str, Value> {
    let descriptor = &event.descriptor;
    let period = &event.active_period;
    let mut facts = BTreeMap::from([
        ("event", Value::from(event.id().as_str())),
        ("market_context", Value::from(descriptor.market_context.as_str())),
        ("priority", Value::from(descriptor.priority.unwrap_or(0))),
        ("test", Value::from(descriptor.is_test())),
        ("comment", Value::from(descriptor.vtn_comment.as_deref().unwrap_or(""))),
        ("start", Value::from(period.start.to_string())),
        ("duration", Value::from(period.duration.length_from(period.start).seconds())),
        ("signals", Value::from(event.signals.iter().map(signal).collect::<Vec<_>>())),
    ]);
    let mut add = |name, value: Option<Value>| facts.extend(value.map(|value| (name, value)));
    let first = event.signals.first();
    add("signal", first.map(|signal| Value::from(signal.name.as_str())));
    add("type", first.map(|signal| Value::from(signal.signal_type.as_str())));
    add("value", first.and_then(highest));
    let simple = event.signals.iter().find(|signal| signal.name.is_simple());
    add("level", simple.and_then(highest));
    let price = |signal: &&EventSignal| {
        matches!(
            signal.signal_type,
            SignalType::Price | SignalType::PriceRelative | SignalType::PriceMultiplier
        )
    };
    add("price", event.signals.iter().find(price).and_then(highest));
    facts
}

fn signal(signal: &EventSignal) -> Value {
    let mut parts = BTreeMap::from([
        ("name", Value::from(signal.name.as_str())),
        ("type", Value::from(signal.signal_type.as_str())),
    ]);
    parts.extend(highest(signal).map(|value| ("value", value)));
    Value::from(parts)
}

/// The highest value of a signal.
fn highest(signal: &EventSignal) -> Option<Value> {
    let values = signal.intervals.iter().filter_map(|interval| interval.signal_value()).map(|v| v.to_f64());
    values.filter(|value| !value.is_nan()).reduce(f64::max).map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::{Condition, Rule, RulesHandler};
    use crate::handler::{Decision, DefaultOpt};
    use crate::mock_vtn::EventBuilder;
    use crate::openadr::message::{CurrencyPer, OptType, SiScale, SignalName, SignalType, Unit};
    use crate::time::{Span, Timestamp};

    fn decide(rules: &[(&str, OptType)], event: EventBuilder) -> OptType {
        let rule = |(when, opt): &(&str, OptType)| Rule { when: Condition::new(when).unwrap(), opt: *opt };
        let rules = rules.iter().map(rule).collect();
        let handler = RulesHandler { rules, default: DefaultOpt::Always(OptType::OptOut) };
        let event = event.build().event;
        let decision = handler.decide(&event);
        let Decision::Opt(opt) = decision else { panic!("{decision:?}") };
        let last = RulesHandler { default: DefaultOpt::Last, ..handler }.decide(&event);
        assert!(
            last == decision || opt == OptType::OptOut && matches!(last, Decision::Undecided(_)),
            "{last:?}"
        );
        opt
    }

    fn event() -> EventBuilder {
        EventBuilder::new("e1", Timestamp::EPOCH, Span::HOUR)
    }

    #[test]
    fn a_limit_on_the_level_decides() {
        let rules = [("signal == 'SIMPLE' and level <= 2", OptType::OptIn)];
        assert_eq!(decide(&rules, event().level(2)), OptType::OptIn);
        assert_eq!(decide(&rules, event().level(3)), OptType::OptOut);
    }

    #[test]
    fn the_first_rule_that_applies_decides() {
        let rules = [
            ("test", OptType::OptIn),
            ("duration > 1800 and market_context == 'http://markets.example.org/dr'", OptType::OptOut),
            ("true", OptType::OptIn),
        ];
        assert_eq!(decide(&rules, event()), OptType::OptOut);
        assert_eq!(decide(&rules, EventBuilder::new("e1", Timestamp::EPOCH, Span::MINUTE)), OptType::OptIn);
    }

    #[test]
    fn a_rule_about_what_the_event_does_not_have_does_not_apply() {
        let rules = [("price < 0.3", OptType::OptIn)];
        assert_eq!(decide(&rules, event().level(0)), OptType::OptOut);
        let unit = Unit::Currency(CurrencyPer::KWh, "EUR".into(), SiScale::None);
        let priced = event().signal(SignalName::EnergyPrice, SignalType::Price, Some(unit));
        assert_eq!(decide(&rules, priced.steps([(Span::HOUR, 0)])), OptType::OptIn);
        let every = [("signals | length == 1 and signals[0].name == 'SIMPLE'", OptType::OptIn)];
        assert_eq!(decide(&every, event()), OptType::OptIn);
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for (text, why) in [
            ("level <=", "is no expression"),
            ("levle <= 2", "speaks of \"levle\""),
            ("range(100000) | sum > 0", "speaks of \"range\""),
            ("signals | lenght > 1", "is no expression: unknown filter"),
        ] {
            let error = Condition::new(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
