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
            "name = \"a\"\nkind = \"rust\"\n[[plugin]]\nname = \"a\"\ncommand = [\"p\"]",
            "plugin[1].name: \"a\" stands twice",
        ),
        (
            "name = \"a\"\nkind = \"rust\"\ncommand = [\"p\"]",
            "plugin[0].command: is not known; known here: name",
        ),
        ("name = \"a\"\nkind = \"rust\"\nconfig = 1", "plugin[0].config: expected a table, found integer"),
        ("name = \"a\"\ncommand = [\"p\"]\nmax_memory = \"64 MB\"", "plugin[0].max_memory: expected a size"),
        (
            "name = \"a\"\ncommand = [\"p\"]\nconfig = { a = { b = \"${EVIL}\" } }",
            "plugin[0].config.a.b: expected ${env:NAME} or ${file:/path}",
        ),
        (
            "name = \"a\"\ncommand = [\"p\"]\nconfig = { a = [nan] }",
            "plugin[0].config.a: expected a number that",
        ),
        (
            "name = \"a\"\ncommand = [\"p\"]\nconfig = { a = 9223372036854775808 }",
            "plugin[0].config.a: expected a whole number",
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

#[test]
fn plugins_that_are_brought_along_have_settings_too() {
    let text = format!(
        "{SMALLEST}\n[[plugin]]\nname = \"lamp\"\nkind = \"rust\"\n[plugin.config]\nwatt = 60\n[[plugin]]\nname = \"p\"\ncommand = [\"p\"]"
    );
    let config = read(&text).unwrap();
    let [lamp] = config.rust_plugins.as_slice() else { panic!("{:?}", config.rust_plugins) };
    assert_eq!((lamp.name.as_str(), lamp.enabled), ("lamp", true));
    assert_eq!(lamp.config.0["watt"], 60);
    assert_eq!(config.plugins[0].name, "p");
    let only = read(&format!("{text}\n[plugins]\nonly = \"p\"")).unwrap();
    assert!(!only.rust_plugins[0].enabled, "it is named, but not among those that run");
}

/// Whatever stands there is handed on, and secrets are read only then.
#[test]
fn settings_of_a_plugin_are_handed_on_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "s3cret\n").unwrap();
    let section = r#"
[handler]
kind = "exec"
command = ["p"]
max_memory = "1GiB"
[handler.config]
zone = "house"
levels = [1, 2.5, 0x10, { deep = true }]
since = 2030-01-01T00:00:00Z
token = "Bearer ${file:key}"
"#;
    let config = read(&format!("{SMALLEST}{section}")).unwrap();
    let program = config.handler.program.unwrap();
    assert_eq!(program.max_memory, 1 << 30);
    assert!(!format!("{program:?}").contains("s3cret"));
    let handed = program.config.with_secrets(folder.path()).unwrap();
    let expected = r#"{"zone":"house","levels":[1,2.5,16,{"deep":true}],"since":"2030-01-01T00:00:00Z","token":"Bearer s3cret"}"#;
    assert_eq!(serde_json::Value::Object(handed).to_string(), expected, "in the order of the file");
    let error = program.config.with_secrets(std::path::Path::new("/nowhere")).unwrap_err();
    assert!(error.starts_with("token: /nowhere/key: "), "{error}");
}
