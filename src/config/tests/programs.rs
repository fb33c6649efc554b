//! Programs that decide.

use super::{SMALLEST, read};
use crate::config::{EnvValue, SecretSource, Startup};

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
