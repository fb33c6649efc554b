//! Picks facts by what they say.

use std::collections::BTreeSet;

use minijinja::Environment;
use minijinja::value::ValueKind;

use super::render::{self, BadTemplate, Decimals, Samples};
use crate::fact::Fact;

/// A condition on facts: an expression of minijinja that is true or false of each.
#[derive(Debug)]
pub(crate) struct Filter {
    text: String,
    /// What it speaks of, as `data.level`.
    paths: BTreeSet<String>,
    environment: Environment<'static>,
    decimals: Decimals,
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFilter {
    #[error("filter is no expression: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Name(#[from] BadTemplate),
    #[error("filter holds of no topic of this hook, since it works for none; for {topic}: {fault}")]
    NeverWorks { topic: String, fault: FilterFault },
}

/// Why a condition could not be answered; the fact is not told then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterFault {
    #[error("filter does not work: {0}")]
    Fails(String),
    #[error("filter gives {0}, where true or false is expected")]
    NoBoolean(String),
}

/// What a filter can speak of.
const NAMES: &[&str] = &["topic", "event", "data"];

impl Filter {
    /// Reads a condition on facts that are like these samples.
    ///
    /// # Errors
    ///
    /// Where it is no expression, speaks of what no fact has, or works for none of the samples.
    pub(crate) fn new(text: &str, samples: &Samples) -> Result<Self, BadFilter> {
        let environment = render::plain_environment();
        let expression = environment
            .compile_expression(text)
            .map_err(|error| BadFilter::Unreadable(render::reason(&error)))?;
        let paths: BTreeSet<String> = expression.undeclared_variables(true).into_iter().collect();
        render::check_names("filter", &paths, NAMES, samples)?;
        let filter = Self { text: text.to_owned(), paths, environment, decimals: samples.decimals() };
        let fault = |(topic, data)| Some((topic, filter.holds(&render::sample(topic, data)).err()?));
        let faults: Vec<(&str, FilterFault)> = samples.iter().filter_map(fault).collect();
        match faults.first() {
            Some((topic, fault)) if faults.len() == samples.iter().count() => {
                Err(BadFilter::NeverWorks { topic: (*topic).to_owned(), fault: fault.clone() })
            }
            _ => Ok(filter),
        }
    }

    /// Whether it holds of a fact; times are in UTC, decimals are numbers, and what is null is not there.
    ///
    /// # Errors
    ///
    /// Where it cannot be told: the fact has not what it speaks of, or it takes too long.
    pub(crate) fn holds(&self, fact: &Fact) -> Result<bool, FilterFault> {
        let names = render::to_compare(fact, &self.decimals);
        let fails = |error: &minijinja::Error| FilterFault::Fails(render::why(error, &self.paths, &names));
        let expression = self.environment.compile_expression(&self.text).map_err(|error| fails(&error))?;
        let answer = expression.eval(names.clone()).map_err(|error| fails(&error))?;
        if answer.kind() != ValueKind::Bool {
            return Err(FilterFault::NoBoolean(answer.kind().to_string()));
        }
        Ok(answer.is_true())
    }
}

#[cfg(test)]
mod tests {
    use super::{BadFilter, Filter, FilterFault};
    use crate::fact::{Fact, Topics};
    use crate::hook::render::{Samples, sample};

    const SAMPLES: &[(&str, &str)] = &[
        (
            "event.started",
            r#"{"event_id":"e1","level":2,"test_event":false,"price":"0.25","net_w":"417","end":null,"targets":["a"]}"#,
        ),
        ("vtn.connected", r#"{"vtn_id":"v1"}"#),
    ];

    fn filter(text: &str) -> Result<Filter, BadFilter> {
        Filter::new(text, &Samples::closed(SAMPLES.iter().copied()))
    }

    fn started() -> Fact {
        sample(SAMPLES[0].0, &serde_json::from_str(SAMPLES[0].1).unwrap())
    }

    fn connected() -> Fact {
        sample(SAMPLES[1].0, &serde_json::from_str(SAMPLES[1].1).unwrap())
    }

    #[test]
    fn a_condition_holds_or_not() {
        for (text, holds) in [
            ("data.level >= 2 and not data.test_event", true),
            ("data.level > 2", false),
            ("data.price < 0.3", true),
            ("data.net_w > 1000", false),
            ("data.net_w == 417", true),
            ("data.end is defined", false),
            ("topic == 'event.started' and event.subject == 'subject'", true),
            ("data.event_id == 'e2'", false),
            ("'a' in data.targets", true),
            ("event.time < '2030-01-01'", false),
        ] {
            assert_eq!(filter(text).unwrap().holds(&started()), Ok(holds), "{text}");
        }
    }

    #[test]
    fn what_a_fact_does_not_have_is_a_fault_and_no_answer() {
        for text in ["data.price < 0.3", "data.price != 1", "not data.price", "data.price in [1]"] {
            let fault = filter(text).unwrap().holds(&connected()).unwrap_err();
            assert_eq!(fault, FilterFault::Fails("there is no data.price in this fact".into()), "{text}");
        }
        let both = filter("topic == 'event.started' and data.level > 1").unwrap();
        assert_eq!((both.holds(&started()), both.holds(&connected())), (Ok(true), Ok(false)));
        assert_eq!(filter("data.price|default(0) > 0").unwrap().holds(&connected()), Ok(false));
    }

    /// An event without a level is not below one.
    #[test]
    fn null_is_not_compared_with_numbers() {
        let mut fact = started();
        fact.data.insert("level".to_owned(), serde_json::Value::Null);
        for text in ["data.level < 2", "data.level <= 2 or data.level > 2"] {
            let fault = filter(text).unwrap().holds(&fact).unwrap_err();
            assert_eq!(fault, FilterFault::Fails("there is no data.level in this fact".into()), "{text}");
        }
        assert_eq!(filter("data.level is defined and data.level < 2").unwrap().holds(&fact), Ok(false));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for (text, why) in [
            ("data.level >=", "filter is no expression: syntax error"),
            ("", "filter is no expression"),
            ("levle > 2", "filter speaks of \"levle\", which there is not; known are topic, event, data"),
            ("data.levle > 2", "filter speaks of \"data.levle\", which no fact of this hook has"),
            ("ven.name == 'x'", "filter speaks of \"ven\""),
            ("data.level|nofilter", "unknown filter"),
            ("data.level", "filter gives number, where true or false is expected"),
            ("range(9999999999)|sum > 0", "too many elements"),
        ] {
            let error = filter(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        let open = Samples::new(&Topics::all(), SAMPLES.iter().copied());
        Filter::new("data.anything == 1", &open).unwrap_err();
        Filter::new("data.anything|default(1) == 1", &open).unwrap();
    }

    #[test]
    fn a_condition_that_takes_too_long_is_a_fault() {
        let bomb = "topic == 'vtn.connected' or range(99999)|map('string')|map('length')|sum > 0";
        let fault = filter(bomb).unwrap().holds(&started()).unwrap_err();
        assert!(matches!(&fault, FilterFault::Fails(why) if why.contains("fuel")), "{fault}");
    }
}
