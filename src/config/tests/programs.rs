//! Programs that decide.

use super::{SMALLEST, read};
use crate::config::program::EnvValue;
use crate::config::{SecretSource, Startup};

#[test]
fn a_program_that_decides_is_read_with_its_defaults() {
    let section = "[handler]\nkind = \"exec\"\ncommand = [\"bin/decide\", \"-v\"]\nenv = { A = \"1\", B = \"${file:b}\" }";
    let config = read(&format!("{SMALLEST}\n{section}")).unwrap();
    let program = config.handler.program.unwrap();
    assert_eq!(program.command, ["/etc/ven/bin/decide", "-v"], "a path is relative to the file");
    assert_eq!((program.once, program.startup), (false, Startup::Error));
    let secret = EnvValue::Secret(SecretSource::File("/etc/ven/b".into()));
    let expected = [("A".to_owned(), EnvValue::Text("1".to_owned())), ("B".to_owned(), secret)];
    assert_eq!(program.environment, expected);
    let section =
        "[handler]\nkind = \"exec\"\ncommand = \"python3\"\nmode = \"oneshot\"\nstartup = \"ignore\"";
    let program = read(&format!("{SMALLEST}\n{section}")).unwrap().handler.program.unwrap();
    assert_eq!((program.command, program.once), (vec!["python3".to_owned()], true));
    assert_eq!(program.startup, Startup::Ignore);
    assert!(read(SMALLEST).unwrap().handler.program.is_none());
}

#[test]
fn what_is_wrong_with_a_program_is_named() {
    for (section, why) in [
        ("kind = \"exec\"", "handler.command: is missing"),
        ("kind = \"exec\"\ncommand = []", "handler.command: is missing"),
        ("command = [\"x\"]", "handler.command: is for [handler] kind = \"exec\" only"),
        (
            "kind = \"exec\"\ncommand = [\"x\"]\nrule = [ { when = \"test\", opt = \"optIn\" } ]",
            "handler.rule: is for",
        ),
        (
            "kind = \"exec\"\ncommand = [\"x\"]\nmode = \"twice\"",
            "handler.mode: expected one of \"persistent\", \"oneshot\"",
        ),
        ("kind = \"exec\"\ncommand = [\"x\"]\nstartup = \"never\"", "handler.startup: expected one of"),
        (
            "kind = \"exec\"\ncommand = [\"x\"]\nenv = { A = 1 }",
            "handler.env.A: expected a text in quotes, found integer",
        ),
        ("kind = \"exec\"\ncommand = [\"x\"]\nenv = { \"A B\" = \"1\" }", "handler.env.A B: is no name"),
        (
            "kind = \"exec\"\ncommand = [\"x\"]\nenv = { A = \"${key}\" }",
            "handler.env.A: expected a text, \"${env:NAME}\"",
        ),
        ("kind = \"exec\"\ncomand = [\"x\"]", "did you mean \"command\"?"),
        ("kind = \"python\"", "handler.kind: expected one of \"rules\", \"exec\""),
    ] {
        let error = read(&format!("{SMALLEST}\n[handler]\n{section}")).unwrap_err();
        assert!(error.contains(why), "{section}: {error}");
    }
}

#[test]
fn plugins_are_read_with_their_defaults() {
    let text = format!(
        "{SMALLEST}\n[[plugin]]\nname = \"peak-guard\"\ncommand = [\"p\"]\n[[plugin]]\nname = \"b\"\nkind = \"exec\"\ncommand = [\"q\"]\ntopics = [\"event.*\", \"x.**\"]\nenabled = false\nstartup = \"error\""
    );
    let config = read(&text).unwrap();
    let [plugin] = config.plugins.as_slice() else { panic!("{:?}", config.plugins) };
    assert_eq!((plugin.name.as_str(), plugin.program.startup), ("peak-guard", Startup::Retry));
    assert!(plugin.topics.is_none(), "its hello says");
    let only = |only: &str| {
        let config = read(&format!("{text}\n[plugins]\nonly = {only}")).unwrap();
        config.plugins.into_iter().map(|plugin| plugin.name).collect::<Vec<_>>()
    };
    assert_eq!(only("[\"b\"]"), ["b"]);
    assert_eq!(only("\"peak-guard, b\""), ["peak-guard", "b"]);
    assert_eq!(only("[]"), [""; 0]);
    let both = read(&format!("{text}\n[plugins]\nonly = \"b\"")).unwrap();
    assert!(both.plugins[0].topics.as_ref().unwrap().pick("event.started"));
}

#[test]
fn what_is_wrong_with_a_plugin_is_named() {
    for (section, why) in [
        ("command = [\"p\"]", "plugin[0].name: is missing"),
        ("name = \"A\"\ncommand = [\"p\"]", "plugin[0].name: expected a small letter"),
        ("name = \"a\"", "plugin[0].command: is missing"),
        ("name = \"a\"\ncommand = [\"p\"]\nmode = \"oneshot\"", "plugin[0].mode: is for [handler] only"),
        ("name = \"a\"\ncommand = [\"p\"]\ntopics = [\"event.startet\"]", "did you mean \"event.started\"?"),
        ("name = \"a\"\ncommand = [\"p\"]\nkind = \"lua\"", "plugin[0].kind: expected one of \"exec\""),
        (
            "name = \"a\"\ncommand = [\"p\"]\n[[plugin]]\nname = \"a\"\ncommand = [\"p\"]",
            "plugin[1].name: \"a\" stands twice",
        ),
        (
            "name = \"a\"\ncommand = [\"p\"]\n[plugins]\nonly = [\"b\"]",
            "there is no [[plugin]] with name = \"b\"; known are: a",
        ),
    ] {
        let error = read(&format!("{SMALLEST}\n[[plugin]]\n{section}")).unwrap_err();
        assert!(error.contains(why), "{section}: {error}");
    }
}
