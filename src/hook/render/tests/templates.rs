use serde_json::json;

use super::{RenderFault, body, body_of, by, by_as, event, in_zone, parsed, rendered, renderer, saying};
use crate::hook::render::Unsound;
use crate::hook::settings::Words;

#[test]
fn strings_stay_inside_the_quotes_of_the_author_and_numbers_stand_without() {
    let text = body(
        r#"{"text":"{{ data.comment }}","level":{{ data.level }},"price":{{ data.price }},"test":{{ data.test_event }},"all":{{ data.signals }}}"#,
        &event(),
    );
    let expected = json!({
        "text": "say \"hi\"\n", "level": 3, "price": 0.275, "test": false, "all": [{ "name": "SIMPLE", "value": 3 }],
    });
    assert_eq!(parsed(&text), expected);
    assert!(text.contains(r#""price":0.275,"#), "{text}");
}

#[test]
fn a_template_speaks_of_all_there_is() {
    let text = body(
        r#"["{{ topic }}","{{ event.id }}",{{ event.seq }},"{{ event.time }}","{{ event.subject }}","{{ ven.name }}","{{ ven.id }}","{{ ven.vtn_id }}",{{ ven.vtn_id|tojson }},"{{ hook.name }}","{{ now }}"]"#,
        &event(),
    );
    let expected = json!([
        "event.started",
        "0198f3a0-0000-7000-8000-00000000000a",
        42,
        "2030-10-27T00:30:00Z",
        "e1",
        "my house",
        "ven-1",
        "",
        null,
        "ops",
        "2030-03-17T17:46:40Z",
    ]);
    assert_eq!(parsed(&text), expected);
}

#[test]
fn quotes_newlines_control_characters_and_emoji_do_not_break_json() {
    for odd in [
        "\"",
        "\\",
        "\n\r\t",
        "\u{0}\u{1f}",
        "🔌é\u{2028}",
        "{{ data }}",
        "</script>",
        "\",\"x\":\"",
        "${env:HOME}",
    ] {
        let fact = saying(odd);
        let text = body(
            r#"{"a":"{{ data.comment }}","b":{{ data.comment|tojson }},"c":"{{ data.comment ~ '\"' }}"}"#,
            &fact,
        );
        assert_eq!(parsed(&text), json!({ "a": odd, "b": odd, "c": format!("{odd}\"") }));
    }
}

#[test]
fn xml_is_escaped_and_stays_well_formed() {
    let words = by_as(
        r#"<e id="{{ event.subject }}" l='{{ data.level }}'><c>{{ data.comment }}</c>{{ data.signals }}</e>"#,
        "text/xml",
    );
    let text = body_of(&words, &[&saying("a<b> & \"c\"\n\u{1}]]>")]);
    let expected = "<e id=\"e1\" l='3'><c>a&lt;b&gt; &amp; &quot;c&quot;&#10;\u{fffd}]]&gt;</c>\
                    [{&quot;name&quot;:&quot;SIMPLE&quot;,&quot;value&quot;:3}]</e>";
    assert_eq!(text, expected);
    let broken = renderer(&by_as("<e>{{ data.comment|safe }}</e>", "application/xml"), false);
    assert!(matches!(rendered(&broken, &[&saying("<x>")]), Err(RenderFault::Unsound(Unsound::Xml(_)))));
}

#[test]
fn fields_of_a_form_are_encoded_each() {
    let form = vec![
        ("telegram".to_owned(), "{{ data.comment }}".to_owned()),
        ("l&l".to_owned(), "{{ data.level }}".to_owned()),
    ];
    let renderer = renderer(&Words { form, ..Words::default() }, false);
    let sent = rendered(&renderer, &[&saying("/KFM5\r\n!1&2=é")]).unwrap();
    assert_eq!(sent.body, b"telegram=%2FKFM5%0D%0A%211%262%3D%C3%A9&l%26l=3");
    assert_eq!(sent.content_type, "application/x-www-form-urlencoded");
}

#[test]
fn what_is_no_json_is_not_sent() {
    let renderer =
        renderer(&by(r#"{"a":{% if data.level > 2 %}{{ data.comment }}{% else %}1{% endif %}}"#), false);
    let fault = rendered(&renderer, &[&event()]).unwrap_err();
    assert!(matches!(fault, RenderFault::Unsound(Unsound::Json(_))), "{fault}");
    assert!(fault.to_string().starts_with("invalid-payload: what was written is no JSON:"), "{fault}");
}

#[test]
fn a_member_that_is_not_there_is_told_with_its_line() {
    let renderer = renderer(&by("{\n  \"level\": {{ data.level }}\n}"), false);
    let mut fact = event();
    fact.data.remove("level");
    let fault = rendered(&renderer, &[&fact]).unwrap_err();
    assert_eq!(fault.to_string(), "template, line 2: there is no data.level in this fact");
    let lenient = super::renderer(&by("{{ data.level|default(0) }}"), false);
    assert_eq!(rendered(&lenient, &[&fact]).unwrap().body, b"0");
}

#[test]
fn bombs_go_out() {
    for (bomb, why) in [
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "takes too many steps",
        ),
        ("{{ 'x' * 1000000000 }}", "takes too many steps"),
        ("{% for a in range(9999) %}{{ 'x' * 99 }}{% endfor %}", "writes more than 256 KiB"),
        ("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", "recursion limit"),
        ("{{ range(1000000000)|list }}", "too many elements"),
        ("{{ [0] * 1000000000 }}", "sequence is too large"),
        ("{{ '%999999999d'|format(1) }}", "takes too many steps"),
        ("{{ ('x' * 9999)|replace('x', 'y' * 9999) }}", "takes too many steps"),
        ("{% set a = 'x' * 3000000 %}{% set b = a ~ a ~ a %}{{ b|length }}", "takes too many steps"),
    ] {
        let template = format!("{{% if data.level > 2 %}}{bomb}{{% endif %}}");
        let fault = rendered(&renderer(&by_as(&template, "text/plain"), false), &[&event()]).unwrap_err();
        assert!(fault.to_string().contains(why), "{bomb}: {fault}");
    }
}

#[test]
fn no_number_of_json_is_made_of_infinity() {
    let renderer = renderer(&by("{% if data.level > 2 %}{{ [1e308 * 10] }}{% else %}1{% endif %}"), false);
    let fault = rendered(&renderer, &[&event()]).unwrap_err().to_string();
    assert!(fault.contains("no number of JSON"), "{fault}");
}

#[test]
fn times_are_in_the_zone_of_the_receiver() {
    let words = in_zone(
        "Europe/Amsterdam",
        by(
            r#"["{{ event.time }}","{{ data.start }}","{{ now }}","{{ data.start|localtime('Asia/Tokyo') }}",{{ event.time|unix }},"{{ data.start|strftime('%d %H:%M') }}"]"#,
        ),
    );
    let expected = json!([
        "2030-10-27T02:30:00+02:00",
        "2030-10-27T02:30:00+01:00",
        "2030-03-17T18:46:40+01:00",
        "2030-10-27T10:30:00+09:00",
        1_919_291_400,
        "27 02:30",
    ]);
    assert_eq!(parsed(&body_of(&words, &[&event()])), expected);
}

#[test]
fn the_point_of_a_decimal_is_moved_exactly() {
    let words = r#"[{{ data.price|scale(3) }},{{ "12345678.905"|scale(-3) }},{{ data.level|scale(-3) }}]"#;
    assert_eq!(body(words, &event()), "[275,12345.678905,0.003]");
    let fault = rendered(
        &renderer(&by("{{ data.comment|default('1')|scale(1) if data.level > 2 else 1 }}"), false),
        &[&event()],
    );
    assert!(fault.unwrap_err().to_string().contains("is no decimal number"));
}

#[test]
fn a_batch_is_a_list_of_what_each_fact_says() {
    let (one, other) = (saying("1"), saying("2"));
    assert_eq!(body_of(&by(r#""{{ data.comment }}""#), &[&one, &other]), r#"["1","2"]"#);
    assert_eq!(
        body_of(&by_as(r#""{{ data.comment }}""#, "application/x-ndjson"), &[&one, &other]),
        "\"1\"\n\"2\""
    );
    let single = renderer(&by(r#""{{ data.comment }}""#), true);
    assert_eq!(rendered(&single, &[&one]).unwrap().body, br#"["1"]"#, "a batch of one is a list too");
    let all = by_as(
        "<a>{% for fact in facts %}<b t='{{ fact.topic }}'>{{ fact.data.comment }}</b>{% endfor %}</a>",
        "text/xml",
    );
    assert_eq!(body_of(&all, &[&one, &other]), "<a><b t='event.started'>1</b><b t='event.started'>2</b></a>");
}

/// The bounds are for bombs; honest work has room in them.
#[test]
fn a_batch_of_a_thousand_facts_has_room() {
    let facts: Vec<_> = (0..1000).map(|_| event()).collect();
    let facts: Vec<_> = facts.iter().collect();
    let all = by(
        r#"[{% for fact in facts %}{"t":"{{ fact.event.time }}","l":{{ fact.data.level }},"c":"{{ fact.data.comment }}"}{% if not loop.last %},{% endif %}{% endfor %}]"#,
    );
    assert_eq!(parsed(&body_of(&all, &facts)).as_array().unwrap().len(), 1000);
}

#[test]
fn the_same_fact_gives_the_same_octets() {
    let words = by("{{ data }}");
    assert_eq!(body_of(&words, &[&event()]), body_of(&words, &[&event()]));
    let mut turned = event();
    turned.data = event().data.into_iter().rev().collect();
    assert_eq!(body_of(&words, &[&event()]), body_of(&words, &[&turned]));
}
