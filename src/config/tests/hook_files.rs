//! Hooks that have a file of their own.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::SMALLEST;
use crate::config::{Config, HookFile, switch};
use crate::hook::settings::Target;
use crate::time::Span;

const OPS: &str = "type = \"http\"\ntopics = \"event.*\"\nurl = \"https://example.net/\"\n";

/// A configuration with this much more in it, and files of hooks beside it.
fn folder(more: &str, files: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("ven.toml");
    std::fs::write(&main, format!("{SMALLEST}\n{more}")).unwrap();
    let hooks = folder.path().join("hooks.d");
    std::fs::create_dir(&hooks).unwrap();
    for (name, text) in files {
        std::fs::write(hooks.join(name), text).unwrap();
        let owner_only = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(hooks.join(name), owner_only).unwrap();
    }
    (folder, main)
}

fn faults(more: &str, files: &[(&str, &str)]) -> String {
    let (folder, main) = folder(more, files);
    let error = Config::load(&main).unwrap_err().to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_file_is_a_hook_of_its_name() {
    let files = [("b-2.toml", OPS), ("a.toml", &*format!("name = \"a\"\n{OPS}")), ("b-2.toml~", "broken")];
    let in_main = format!("[[hook]]\nname = \"main\"\n{OPS}");
    let (folder, main) = folder(&in_main, &files);
    let config = Config::load(&main).unwrap();
    let names: Vec<_> = config.hooks.iter().map(|hook| hook.name.as_str()).collect();
    assert_eq!(names, ["main", "a", "b-2"], "in the order of their names, after those of the main file");
    assert_eq!(config.hook_files["a"], folder.path().join("hooks.d/a.toml"));
    let fault = config.fault("hook.b-2", "is odd").in_file(&main);
    assert!(fault.ends_with("hooks.d/b-2.toml: hook.b-2: is odd"), "{fault}");
    let fault = config.fault("hook.main", "is odd").in_file(&main);
    assert!(fault.ends_with("ven.toml:17: hook.main: is odd"), "{fault}");
}

#[test]
fn no_folder_means_no_such_hooks() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("ven.toml");
    std::fs::write(&main, SMALLEST).unwrap();
    assert!(Config::load(&main).unwrap().hooks.is_empty());
}

#[test]
fn faults_are_told_with_their_own_file_and_line() {
    let files = [
        ("a.toml", "type = \"http\"\ntopics = \"event.*\"\nurll = \"https://example.net/\"\n"),
        ("b.toml", "type = http"),
        ("C.toml", OPS),
        ("d.toml", &*format!("name = \"e\"\n{OPS}")),
    ];
    let faults = faults("[colour]", &files);
    for expected in [
        "ven.toml:17: colour: is not known",
        "hooks.d/a.toml: url: is missing",
        "hooks.d/a.toml:3: urll: is not known; did you mean \"url\"?",
        "hooks.d/b.toml:1: ",
        "hooks.d/C.toml: the file is called like the hook",
        "hooks.d/d.toml:1: name: is \"d\", as the file is called; leave it out, found \"e\"",
    ] {
        assert!(faults.contains(expected), "{expected}\nis not in\n{faults}");
    }
}

#[test]
fn a_name_that_clashes_is_told_with_both_places() {
    let faults = faults(&format!("[[hook]]\nname = \"a\"\n{OPS}"), &[("a.toml", OPS)]);
    let expected = "hooks.d/a.toml: a hook \"a\" stands in the main configuration on line 17 too";
    assert!(faults.contains(expected), "{faults}");
}

#[test]
fn who_can_write_a_file_of_a_hook_can_start_programs() {
    let (folder, main) = folder("", &[("a.toml", OPS)]);
    let file = folder.path().join("hooks.d/a.toml");
    for mode in [0o620, 0o602] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = Config::load(&main).unwrap_err().to_string();
        assert!(error.contains("a.toml: others than its owner can write this file"), "{error}");
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(Config::load(&main).unwrap().hooks.len(), 1);
}

#[test]
fn what_is_no_file_is_told() {
    let (folder, main) = folder("", &[]);
    std::fs::create_dir(folder.path().join("hooks.d/a.toml")).unwrap();
    let error = Config::load(&main).unwrap_err().to_string();
    assert!(error.contains("a.toml: expected a file of at most"), "{error}");
    std::fs::remove_dir_all(folder.path().join("hooks.d")).unwrap();
    std::fs::write(folder.path().join("hooks.d"), "").unwrap();
    let error = Config::load(&main).unwrap_err().to_string();
    assert!(error.contains("hooks.d: Not a directory"), "{error}");
}

#[test]
fn hooks_are_switched_off_together() {
    let read = |more: &str| Config::from_toml(&format!("{SMALLEST}\n{more}"), Path::new("ven.toml"));
    let bus = read("").unwrap().bus;
    assert_eq!((bus.hooks, bus.max_size), (true, 256 << 20));
    assert_eq!((bus.tick, bus.strict), (Some(Span::from_seconds(10)), false));
    let bus = read("[bus]\nhooks = false\nmax_size = \"64MiB\"").unwrap().bus;
    assert_eq!((bus.hooks, bus.max_size), (false, 64 << 20));
    let bus = read("[bus]\ntick = \"0s\"\nstrict = true").unwrap().bus;
    assert_eq!((bus.tick, bus.strict), (None, true));
    let error = read("[bus]\ntick = \"10ms\"").unwrap_err().to_string();
    assert!(error.contains("bus.tick: expected \"1s\" or more"), "{error}");
    for (word, expected) in
        [("off", Ok(false)), ("on", Ok(true)), ("none", Err("bus.hooks: expected true or false"))]
    {
        let overrides = [("bus.hooks".to_owned(), switch(word))].into();
        let read = Config::from_text(SMALLEST, Path::new("ven.toml"), overrides, Vec::new());
        match (read.map(|config| config.bus.hooks), expected) {
            (Ok(hooks), expected) => assert_eq!(Ok(hooks), expected, "{word}"),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (Err(error), Ok(_)) => panic!("{error}"),
        }
    }
}

/// Texts as TOML writes them, with quotes and other scripts in them.
fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[ -~äß€]{0,20}")
        .unwrap()
        .prop_filter("no reference", |text| !text.contains("${"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever writes a file by program gets the hook that was meant.
    #[test]
    fn what_is_written_is_read(
        (filter, template, value) in (text(), text(), text()),
        (enabled, durable, strict) in any::<(bool, bool, bool)>(),
        (items, kibibytes, age, timeout) in (1_u32..=u32::MAX, 1_u64..1 << 40, 1_i64..1 << 40, 1_i64..=600_000),
        (jitter, waits) in (0_u8..=100, prop::collection::vec(1_i64..1 << 40, 1..9)),
    ) {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let waits: Vec<String> = waits.iter().map(|wait| format!("\"{wait}s\"")).collect();
        let file = format!(
            "type = \"http\"\ntopics = [\"event.*\"]\nurl = \"https://example.net/\"\nenabled = {enabled}\nfilter = {}\n\
             template = {}\nheaders = {{ a = {} }}\ndurable = \"{}\"\norder = \"{}\"\ntimeout = \"{timeout}ms\"\n\
             queue = {{ max_items = {items}, max_bytes = \"{kibibytes}KiB\", max_age = \"{age}s\" }}\n\
             retry = {{ jitter = {}.{:02}, schedule = [{}] }}\n",
            quoted(&filter), quoted(&template), quoted(&value),
            if durable { "always" } else { "auto" }, if strict { "strict" } else { "relaxed" },
            jitter / 100, jitter % 100, waits.join(", "),
        );
        let hook_file = HookFile { path: PathBuf::from("/etc/ven/hooks.d/it.toml"), text: Ok(file) };
        let config = Config::from_text(SMALLEST, Path::new("/etc/ven/ven.toml"), BTreeMap::new(), vec![hook_file]);
        let hook = config.unwrap().hooks.remove(0);
        prop_assert_eq!(hook.name, "it");
        prop_assert_eq!((hook.enabled, hook.durable_always, hook.strict_order), (enabled, durable, strict));
        prop_assert_eq!((hook.filter, hook.words.template), (Some(filter), Some(template)));
        prop_assert_eq!(hook.timeout, Span::from_millis(timeout));
        prop_assert_eq!(u64::try_from(hook.queue.max_items).unwrap(), u64::from(items));
        prop_assert_eq!(u64::try_from(hook.queue.max_bytes).unwrap(), kibibytes << 10);
        prop_assert_eq!((hook.queue.max_age, hook.retry.jitter_percent), (Span::from_seconds(age), jitter));
        let read: Vec<String> = hook.retry.schedule.iter().map(|wait| format!("\"{}s\"", wait.seconds())).collect();
        prop_assert_eq!(read, waits);
        let Target::Http(target) = hook.target else { panic!() };
        prop_assert_eq!(target.headers, [("a".to_owned(), value)]);
    }

    /// Whatever stands in a file, reading it ends with a hook or with faults of that file.
    #[test]
    fn no_file_stops_the_reader(
        keys in prop::collection::vec(("[a-z_]{1,9}|topics|url|type|queue|retry|headers|line", "[ -~]{0,30}|\"http\"|\"mqtt\"|\"serial\"|\"[ -~]{0,30}\""), 0..9),
    ) {
        let file: String = keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let hook_file = HookFile { path: PathBuf::from("/etc/ven/hooks.d/it.toml"), text: Ok(file) };
        let read = Config::from_text(SMALLEST, Path::new("/etc/ven/ven.toml"), BTreeMap::new(), vec![hook_file]);
        if let Err(error) = read {
            let own = |fault: &crate::config::ConfigFault| fault.file == Some("/etc/ven/hooks.d/it.toml".into());
            prop_assert!(error.faults.iter().all(own), "{}", error);
        }
    }
}
