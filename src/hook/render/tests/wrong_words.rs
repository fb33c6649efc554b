use super::{BadWords, SAMPLES, Samples, by, by_as, in_zone, refused, renderer, samples, serialized};
use crate::fact::Topics;
use crate::hook::render::Renderer;
use crate::hook::settings::{Serializer, TimeZone, Words};

fn says(words: &Words, batched: bool, why: &str) {
    let error = refused(words, batched).to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    says(&by("{\n\"a\": {{ data.level }"), false, "template, line 2:");
    says(&by("{% if data.level %}"), false, "template, line 1:");
    says(&by("{% include '/etc/passwd' %}"), false, "unknown statement include");
    says(&by("\n\n{{ data.level|nofilter }}"), false, "template, line 3: unknown filter");
    says(&by("{{ data.level is notest }}"), false, "unknown test");
    let form = vec![("a".to_owned(), "x".to_owned()), ("b".to_owned(), "{{".to_owned())];
    says(&Words { form, ..Words::default() }, false, "form.b, line 1:");
}

#[test]
fn names_that_no_fact_has_are_told_with_those_there_are() {
    says(
        &by("{{ dat.level }}"),
        false,
        "speaks of \"dat\", which there is not; known are topic, event, data",
    );
    says(
        &by("{{ data.levle }}"),
        false,
        "speaks of \"data.levle\", which no fact of this hook has; data has comment,",
    );
    says(&by("{{ data.start.year }}"), false, "data.start.year");
    says(&by("{{ namespace(a=1) }}"), false, "namespace");
    says(&by("{{ event.nosuch }}"), false, "there is no event.nosuch in this fact");
    let fields = vec![("power".to_owned(), "net_w".to_owned())];
    says(
        &Words { fields, ..serialized(Serializer::Data) },
        false,
        "fields: \"net_w\" is in no fact of this hook",
    );
}

/// Nobody knows what plugins will tell.
#[test]
fn of_the_data_of_plugins_every_name_is_taken() {
    let open = Samples::new(&Topics::parse(["x.peak.*"]).unwrap(), SAMPLES.iter().copied());
    Renderer::new(&by("{{ data.whatever.there.is }}"), "ops", false, &open).unwrap();
}

#[test]
fn a_template_that_fails_for_some_topics_is_a_warning_and_for_all_an_error() {
    let both = samples(&["event.started", "meter.reading"]);
    let words = by(r#"{"level":{{ data.level }}}"#);
    let some = Renderer::new(&words, "ops", false, &both).unwrap();
    assert_eq!(
        some.warnings(),
        ["it fails for meter.reading: template, line 1: there is no data.level in this fact"]
    );
    let none = refused(&by("{\"a\": {{ data.comment }}}"), false);
    assert!(matches!(none, BadWords::NeverWorks { .. }), "{none}");
    says(
        &by("{\"a\": {{ data.comment }}}"),
        false,
        "it works for no topic of this hook; for event.started: invalid-payload",
    );
}

#[test]
fn a_template_wins_over_a_serializer_and_that_is_told() {
    let words = Words { serializer: Some(Serializer::Data), ..by("{{ data.level }}") };
    assert_eq!(renderer(&words, false).warnings(), ["serializer is not used, since there is a template"]);
    let fields = vec![("a".to_owned(), "level".to_owned())];
    let words = Words { fields, ..by("{{ data.level }}") };
    assert_eq!(renderer(&words, false).warnings(), ["fields is not used, since there is a template"]);
    let fields = vec![("a".to_owned(), "net_w".to_owned())];
    let words = Words { fields, ..serialized(Serializer::DsmrReading) };
    let reader = Renderer::new(&words, "dsmr", false, &samples(&["meter.reading"])).unwrap();
    assert_eq!(reader.warnings(), ["fields is not used, since DSMR-reader has names of its own"]);
    let form = vec![("a".to_owned(), "1".to_owned())];
    assert_eq!(refused(&Words { form, ..by("1") }, false), BadWords::Both);
}

#[test]
fn names_of_serializers_and_zones_are_read() {
    assert_eq!("cloudevents".parse(), Ok(Serializer::CloudEvents));
    assert_eq!("dsmr-reader".parse(), Ok(Serializer::DsmrReading));
    let unknown = "cloudevent".parse::<Serializer>().unwrap_err().to_string();
    assert_eq!(
        unknown,
        "no serializer is called \"cloudevent\"; there are cloudevents, data and dsmr-reader"
    );
    assert_eq!(TimeZone::from("local"), TimeZone::Local);
    says(
        &in_zone("Mars/Olympus", Words::default()),
        false,
        "timezone: no time zone is called \"Mars/Olympus\"",
    );
}

#[test]
fn a_content_type_must_be_one_and_fit() {
    says(&by_as("1", "json"), false, "content_type: \"json\" is none");
    says(&by_as("1", "text/plain\r\nx: y"), false, "is none");
    let xml = Words { content_type: Some("text/xml".into()), ..Words::default() };
    says(&xml, false, "content_type: text/xml does not fit: a serializer writes JSON");
    let form = vec![("a".to_owned(), "1".to_owned())];
    says(
        &Words { form, content_type: Some("text/plain".into()), ..Words::default() },
        false,
        "a form writes fields",
    );
}

#[test]
fn what_cannot_hold_several_facts_is_refused_for_batches() {
    says(&serialized(Serializer::DsmrReading), true, "batch: the serializer dsmr-reader tells one fact");
    says(
        &by_as("<a>{{ data.level }}</a>", "text/xml"),
        true,
        "a template for XML must speak of all facts, {% for",
    );
    let form = vec![("a".to_owned(), "{{ data.level }}".to_owned())];
    says(&Words { form, ..Words::default() }, true, "a template for a form must speak of all facts");
    let form = Words {
        content_type: Some("application/x-www-form-urlencoded".into()),
        ..serialized(Serializer::Data)
    };
    says(&form, true, "batch: a form tells one fact");
    says(&by("[{% for f in facts %}{{ data.level }}{% endfor %}]"), true, "within the list it is fact.data");
}
