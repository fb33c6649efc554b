//! Files that are right, and files that are wrong in many ways at once.

mod changes;
mod hook_files;
mod hook_types;
mod hooks;
mod http;
mod monitors;
mod programs;
mod reports;

use std::collections::BTreeMap;
use std::path::Path;

use super::{Config, MapSource, MeterSource, SecretSource, TrustSection, Verify};
use crate::handler::DefaultOpt;
use crate::metering::{Framing, Limits, Protocol};
use crate::openadr::message::{Decimal, OptType};
use crate::time::Span;

const SMALLEST: &str = r#"
[ven]
name = "my-ven"
state = "state"

[vtn]
url = "https://vtn.example.org"

[tls]
ca = "ca.pem"
cert = "/etc/ven.pem"
key = "ven.key"

[signature]
vtn_fingerprint = "AA:BB:CC:DD:EE:FF:00:11:22:33"
"#;

fn read(text: &str) -> Result<Config, String> {
    Config::from_toml(text, Path::new("/etc/ven/ven.toml")).map_err(|error| error.to_string())
}

#[test]
fn ten_lines_are_enough() {
    let config = read(SMALLEST).unwrap();
    assert_eq!(config.ven.state, Path::new("/etc/ven/state"), "relative to the file");
    assert_eq!(config.tls.cert, Path::new("/etc/ven.pem"));
    assert_eq!(config.signature.cert, config.tls.cert, "one certificate for both");
    assert_eq!((config.signature.sign, config.signature.verify), (true, Verify::Require));
    let default = DefaultOpt::Always(OptType::OptOut);
    assert_eq!((config.handler.default, config.handler.timeout), (default, Span::from_seconds(3)));
    assert!(config.meters.is_empty() && config.reports.is_empty());
    assert!(config.journal.enabled);
    assert_eq!((config.journal.keep, config.journal.max_size), (Span::DAY * 7, 32 << 20));
}

#[test]
fn a_meter_alone_makes_a_report() {
    let config =
        read(&format!("{SMALLEST}\n[[meter]]\nname = \"main\"\nsource = \"serial:/dev/ttyUSB0\"")).unwrap();
    let points: Vec<_> = config.reports[0].points.iter().map(|point| point.r_id.as_str()).collect();
    assert_eq!(points, ["main.import_energy", "main.export_energy", "main.net_power"]);
    let status = &config.reports[1];
    assert_eq!((status.name.as_str(), status.points[0].r_id.as_str()), ("TELEMETRY_STATUS", "main.status"));
    assert_eq!((config.meters[0].baud, config.meters[0].framing), (None, None), "as is usual");
}

#[test]
fn every_section_is_read() {
    let text = r#"
ven = { name = "v", id = "0012", state = "/s", restart = "register" }
vtn = { url = "https://h", market_contexts = "http://m", poll_min = "2s", register_after_cancel = "never" }
tls = { ca = "system", cert = "c", key = "k", server_name = "allow-cn" }
signature = { sign = false, verify = "if-present", ca = "signers.pem", vtn_name = "vtn.example.org", window = "1min" }
store = { when_full = "silent" }
journal = { enabled = false, keep = "1day", max_size = "512KiB" }
meter = [ { name = "old", source = "serial:/dev/old", baud = 9_600, framing = "7E1", protocol = "dsmr" } ]
handler = { kind = "rules", default = "optIn", timeout = "500ms", rule = [ { when = "price > 0.5", opt = "optOut" } ] }
[[report]]
specifier = "mine"
min_period = "1s"
max_period = "15min"
points = [ { quantity = "net_energy", meter = "old", id = "r1", reading_type = "Direct Read" } ]
"#;
    let config = read(text).unwrap();
    assert!(config.ven.register_on_start && config.tls.allow_common_name && config.tls.ca.is_none());
    assert_eq!(config.ven.id.as_ref().map(|id| id.as_str()), Some("0012"));
    assert_eq!((config.vtn.poll_min, config.vtn.register_after_cancel), (Span::from_seconds(2), None));
    assert!(matches!(&config.signature.trust, TrustSection::Chain { name, .. } if name == "vtn.example.org"));
    assert_eq!((config.opt_when_full, config.handler.rules.len()), (None, 1));
    assert_eq!((config.journal.keep, config.journal.max_size), (Span::DAY, 512 * 1024));
    assert!(!config.journal.enabled);
    assert_eq!((config.meters[0].baud, config.meters[0].framing), (Some(9600), Some(Framing::SevenEven)));
    assert_eq!(config.reports[0].points[0].r_id.as_str(), "r1");
}

#[test]
fn a_size_has_a_unit() {
    for wrong in ["32", "0MiB", "-1MiB", "32 megabytes", "99999999999GiB"] {
        let fault = read(&format!("{SMALLEST}\n[journal]\nmax_size = \"{wrong}\"")).unwrap_err();
        assert!(fault.contains("journal.max_size: expected a size like \"512KiB\""), "{fault}");
    }
}

#[test]
fn every_fault_is_named_at_once_with_line_and_advice() {
    let text = r#"[ven]
nmae = "my-ven"
state = 5
[vtn]
url = "https://h"
mode = "shove"
poll_min = "fast"
[tls]
ca = "ca.pem"
cert = "ven.pem"
[signature]
sign = "yes"
vtn_fingerprint = "AA:BB"
[handler]
rule = [ { when = "levle <= 2", opt = "in" } ]
[[meter]]
name = "main"
source = "usb"
[[report]]
points = [ { quantity = "energy", meter = "main" }, { quantity = "net_power", meter = "mian" } ]
[colour]
"#;
    let error = read(text).unwrap_err();
    for expected in [
        "ven.toml:2: ven.nmae: is not known; did you mean \"name\"?",
        "ven.name: is missing",
        "ven.toml:3: ven.state: expected a text in quotes, found integer",
        "ven.toml:6: vtn.mode: expected one of \"pull\", \"push\", found \"shove\"",
        "ven.toml:7: vtn.poll_min: expected a length of time",
        "tls.key: is missing; name the file with its private key",
        "ven.toml:12: signature.sign: expected true or false, found string",
        "ven.toml:13: signature.vtn_fingerprint: \"AA:BB\" is not a fingerprint",
        "ven.toml:15: handler.rule[0].when: speaks of \"levle\"",
        "ven.toml:15: handler.rule[0].opt: expected one of \"optIn\", \"optOut\", found \"in\"",
        "ven.toml:18: meter[0].source: expected \"serial:/dev/...\", \"tcp://host:port\"",
        "ven.toml:20: report[0].points[0].quantity: expected one of \"import_energy\"",
        "ven.toml:21: colour: is not known",
    ] {
        assert!(error.contains(expected), "{expected}\nis not in\n{error}");
    }
}

#[test]
fn a_chain_alone_is_no_identity() {
    let with = |lines: &str| {
        read(&SMALLEST.replace("vtn_fingerprint = \"AA:BB:CC:DD:EE:FF:00:11:22:33\"", lines)).unwrap_err()
    };
    assert!(with("").contains("signature.vtn_fingerprint: is missing; your utility tells you"));
    assert!(with("ca = \"x.pem\"").contains("needs vtn_name beside it"));
    assert!(with("vtn_name = \"x\"").contains("needs ca beside it"));
    let error = with("ca = \"x.pem\"\nvtn_name = \"x\"\nvtn_cert = \"vtn.pem\"");
    assert!(error.contains("signature.vtn_cert: stands beside another way to know the VTN"), "{error}");
}

#[test]
fn names_must_be_unique_and_exist() {
    let meters = "[[meter]]\nname = \"a\"\nsource = \"serial:/dev/x\"\n";
    let report = "[[report]]\npoints = [ { quantity = \"net_power\", meter = \"b\" } ]\n";
    let error = read(&format!("{SMALLEST}{meters}{meters}{report}{report}")).unwrap_err();
    for expected in [
        "\"a\" stands twice",
        "ven.toml:21: meter[1].source: is that of meter \"a\" (line 18) too; only meters with protocol = \"modbus\" share",
        "there is no [[meter]] with name = \"b\"",
        "\"TELEMETRY_USAGE\" stands twice",
    ] {
        assert!(error.contains(expected), "{expected}\nis not in\n{error}");
    }
}

#[test]
fn meters_of_modbus_share_a_line_if_their_units_differ() {
    let modbus = |name: &str, source: &str, unit: &str| {
        format!(
            "[[meter]]\nname = \"{name}\"\nsource = \"{source}\"\nprotocol = \"modbus\"\nmap = \"eastron-sdm630\"\n{unit}\n"
        )
    };
    let sml = "[[meter]]\nname = \"s\"\nsource = \"serial:/dev/x\"\nprotocol = \"sml\"\n";
    let both = |other: String| {
        read(&format!("{SMALLEST}\n{}{other}", modbus("a", "serial:/dev/x", ""))).map(|config| config.meters)
    };
    let meters = both(modbus("b", "serial:/dev/x", "unit = 2")).unwrap();
    assert_eq!(meters.iter().map(|meter| meter.unit).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(both(modbus("b", "tcp://h:1", "")).unwrap().len(), 2, "another line");
    let fault = both(modbus("b", "serial:/dev/x", "unit = 2") + &modbus("c", "serial:/dev/x", "unit = 2"));
    let unit = "meter[2].unit: is that of meter \"b\" (line";
    assert!(fault.as_ref().is_err_and(|fault| fault.contains(unit)), "{fault:?}");
    let fault = both(modbus("b", "serial:/dev/x", "unit = 1")).unwrap_err();
    assert!(fault.contains("meter[1].unit: is that of meter \"a\" (line"), "{fault}");
    let fault = both(sml.to_owned()).unwrap_err();
    assert!(fault.contains("meter[1].source: is that of meter \"a\" (line"), "{fault}");
    let file = modbus("a", "file:x", "") + &modbus("b", "file:x", "unit = 2");
    let fault = read(&format!("{SMALLEST}\n{file}")).unwrap_err();
    assert!(fault.contains("meter[1].source: is that of meter \"a\""), "{fault}");
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let error = read("[ven]\nname = \"unfinished").unwrap_err();
    assert!(error.contains("ven.toml:2"), "{error}");
}

#[test]
fn the_environment_goes_before_the_file() {
    let overrides = BTreeMap::from([
        ("vtn.url".to_owned(), "https://other.example.org".to_owned()),
        ("signature.sign".to_owned(), "false".to_owned()),
        ("handler.timeout".to_owned(), "1min".to_owned()),
    ]);
    let config = Config::from_text(SMALLEST, Path::new("ven.toml"), overrides, Vec::new()).unwrap();
    assert_eq!(config.vtn.url, "https://other.example.org");
    assert!(!config.signature.sign);
    assert_eq!(config.handler.timeout, Span::MINUTE);
    let wrong = BTreeMap::from([("signature.sign".to_owned(), "perhaps".to_owned())]);
    let error = Config::from_text(SMALLEST, Path::new("ven.toml"), wrong, Vec::new()).unwrap_err();
    assert!(
        error.to_string().contains("signature.sign: expected true or false, found \"perhaps\""),
        "{error}"
    );
}

#[test]
fn a_passphrase_is_named_by_its_place_and_never_repeated() {
    let with = |line: &str| read(&SMALLEST.replace("[tls]", &format!("[tls]\n{line}")));
    let config = with("passphrase = \"${env:VEN_KEY}\"").unwrap();
    assert_eq!(config.tls.passphrase, Some(SecretSource::Env("VEN_KEY".into())));
    assert_eq!(config.signature.passphrase, config.tls.passphrase, "one key for both");
    let config = with("passphrase = \"${file:secret}\"").unwrap();
    assert_eq!(
        config.tls.passphrase,
        Some(SecretSource::File("/etc/ven/secret".into())),
        "relative to the file"
    );
    let other =
        SMALLEST.replace("[signature]", "passphrase = \"${env:A}\"\n[signature]\nkey = \"other.key\"");
    assert_eq!(read(&other).unwrap().signature.passphrase, None, "another key, another passphrase");
    for wrong in ["hunter2", "${hunter2}", "${env:}", "$hunter2", "${vault:hunter2}", "env:hunter2"] {
        let error = with(&format!("passphrase = \"{wrong}\"")).unwrap_err();
        assert!(error.contains("tls.passphrase: expected \"${env:NAME}\""), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn secrets_are_read_without_the_end_of_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let source = SecretSource::File(path.clone());
    assert!(source.read().unwrap_err().contains("No such file"));
    for (text, good) in [("", false), ("\n", false), ("\r\n", false), ("s", true), ("s \r\n", true)] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(source.read().is_ok(), good, "{text:?}");
    }
    assert!(
        SecretSource::Env("VEN_TEST_NO_SUCH".into())
            .read()
            .unwrap_err()
            .contains("$VEN_TEST_NO_SUCH is not set")
    );
}

#[test]
fn opt_schedules_are_read() {
    let text = SMALLEST.replace("[ven]", "[ven]\nresources = [\"hvac\"]");
    let schedules = "[[opt_schedule]]\nname = \"fair\"\nopt = \"optOut\"\nreason = \"mustRun\"\nresources = \"hvac\"\n\
                     market_context = \"http://markets.example.org/dr\"\n\
                     periods = [ { start = \"2030-07-01T06:00:00Z\", duration = \"12h\" }, { start = \"2031-07-01T06:00:00Z\" } ]\n\
                     [[opt_schedule]]\nname = \"rest\"\nopt = \"optIn\"\nperiods = [ { start = \"2030-07-01T06:00:00Z\" } ]\n";
    let config = read(&format!("{text}{schedules}")).unwrap();
    let [fair, rest] = config.opt_schedules.as_slice() else { panic!("{:?}", config.opt_schedules) };
    assert_eq!((fair.name.as_str(), fair.opt, fair.reason.as_str()), ("fair", OptType::OptOut, "mustRun"));
    assert_eq!(fair.resources, ["hvac".into()]);
    let lengths: Vec<_> = fair.periods.iter().map(|period| period.duration.to_string()).collect();
    assert_eq!(lengths, ["PT12H", "PT0S"]);
    assert_eq!((rest.reason.as_str(), &rest.market_context, rest.resources.len()), ("x-schedule", &None, 0));
}

/// A schedule that replaces another at the VTN (rule 203) would be a surprise.
#[test]
fn faults_of_opt_schedules_are_named() {
    let schedule = |name: &str, more: &str| {
        format!(
            "[[opt_schedule]]\nname = \"{name}\"\nopt = \"optOut\"\nperiods = [ {{ start = \"2030-07-01T06:00:00Z\" }} ]\n{more}\n"
        )
    };
    let text = [
        SMALLEST.to_owned(),
        schedule("a", ""),
        schedule("a", "market_context = \"http://markets.example.org/dr\""),
        schedule("b", "reason = \"lazy\"\nresources = \"hvac\""),
        "[[opt_schedule]]\nname = \"c\"\nperiods = [ { start = \"tomorrow\" } ]\n".to_owned(),
        "[[opt_schedule]]\nname = \"d\"\nopt = \"optOut\"\n".to_owned(),
        schedule("e", ""),
    ];
    let error = read(&text.concat()).unwrap_err();
    for expected in [
        "opt_schedule[1].name: \"a\" stands twice",
        "expected economic",
        "\"hvac\" is not in [ven] resources",
        "opt_schedule[3].opt: is missing",
        "expected a time like \"2030-01-31T18:00:00Z\", found \"tomorrow\"",
        "opt_schedule[4].periods: has none",
        "replaces \"a\" at the VTN (rule 203)",
    ] {
        assert!(error.contains(expected), "{expected}\nis not in\n{error}");
    }
}

#[test]
fn push_mode_says_where_the_vtn_finds_us() {
    let with = |mode: &str, push: &str| {
        let text = SMALLEST.replace("[vtn]", &format!("[vtn]\nmode = \"{mode}\""));
        read(&format!("{text}[push]\n{push}"))
    };
    let whole = "listen = \"0.0.0.0:8443\"\naddress = \"https://ven.example.org:8443/dr\"";
    let push = with("push", whole).unwrap().push.unwrap();
    assert_eq!(push.listen, "0.0.0.0:8443".parse().unwrap());
    assert_eq!((push.address.as_str(), push.pins.len()), ("https://ven.example.org:8443/dr", 0));
    assert!(with("pull", "").unwrap().push.is_none());
    let error = with("push", "listne = 5").unwrap_err();
    for expected in [
        "push.listen: is missing; say where to listen for the VTN",
        "push.address: is missing; say how the VTN finds that",
        "push.listne: is not known; did you mean \"listen\"?",
    ] {
        assert!(error.contains(expected), "{expected}\nis not in\n{error}");
    }
    let error = with("push", &whole.replace("0.0.0.0:8443", "8443")).unwrap_err();
    assert!(error.contains("push.listen: expected an address and a port"), "{error}");
    let error = with("pull", whole).unwrap_err();
    assert!(error.contains("push.listen: is for [vtn] mode = \"push\" only"), "{error}");
}

#[test]
fn whoever_pushes_must_be_known_by_more_than_a_chain() {
    let pushed = "[vtn]\nmode = \"push\"";
    let text = SMALLEST.replace("[vtn]", pushed);
    let text = text.replace("vtn_fingerprint = \"AA:BB:CC:DD:EE:FF:00:11:22:33\"", "verify = \"never\"");
    let push = "[push]\nlisten = \"0.0.0.0:8443\"\naddress = \"https://ven.example.org:8443\"\n";
    let error = read(&format!("{text}{push}")).unwrap_err();
    assert!(error.contains("push.vtn_fingerprint: is missing; every VEN of the same authority"), "{error}");
    let pin = "vtn_fingerprint = \"AA:BB:CC:DD:EE:FF:00:11:22:33\"";
    assert_eq!(read(&format!("{text}{push}{pin}")).unwrap().push.unwrap().pins.len(), 1);
}

#[test]
fn what_a_vtn_does_otherwise_is_tolerated_by_name() {
    let with =
        |list: &str| read(&SMALLEST.replace("[signature]", &format!("[signature]\ntolerate = {list}")));
    let tolerance = with("[\"enveloped\"]").unwrap().signature.tolerance;
    assert_eq!((tolerance.enveloped, tolerance.no_replay_protect), (true, false));
    let error = with("[\"no-replay-protect\", \"sha1\"]").unwrap_err();
    assert!(error.contains("expected enveloped or no-replay-protect, found \"sha1\""), "{error}");
}

fn meter(lines: &str) -> Result<super::MeterSection, String> {
    let text = format!("{SMALLEST}\n[[meter]]\nname = \"m\"\n{lines}");
    Ok(read(&text)?.meters.remove(0))
}

#[test]
fn a_meter_comes_from_anywhere() {
    let source = |source: &str| meter(&format!("source = \"{source}\"")).map(|meter| meter.source);
    assert_eq!(source("serial:/dev/ttyUSB0"), Ok(MeterSource::Serial("/dev/ttyUSB0".into())));
    assert_eq!(source("tcp://[::1]:2000"), Ok(MeterSource::Tcp("[::1]:2000".into())));
    assert_eq!(source("file:old.bin"), Ok(MeterSource::File("/etc/ven/old.bin".into())));
    assert_eq!(
        source("exec:ssh pi cat /dev/ttyUSB0"),
        Ok(MeterSource::Exec("ssh pi cat /dev/ttyUSB0".into()))
    );
    assert_eq!(source("api"), Ok(MeterSource::Api));
    for (wrong, what) in [
        ("seriall:/dev/x", "did you mean \"serial:\"?"),
        ("tcp://host", "found \"tcp://host\""),
        ("tcp://host:0", "found \"tcp://host:0\""),
        ("tcp:host:1", "found \"tcp:host:1\""),
        ("serial:", "found \"serial:\""),
        ("exec: ", "found \"exec: \""),
        ("api:x", "found \"api:x\""),
        (
            "api\"\nprotocol = \"s0\"\npulses_per_kwh = 1000\nname2 = \"",
            "of meters that speak by themselves only",
        ),
    ] {
        let fault = source(wrong).unwrap_err();
        assert!(fault.contains("meter[0].source: ") && fault.contains(what), "{fault}");
    }
}

#[test]
fn every_protocol_has_its_settings_and_no_others() {
    let found = meter(
        "source = \"serial:/dev/x\"\nprotocol = \"modbus\"\nunit = 247\nmap = \"abb-b-series\"\nevery = \"1s\"\ninvert = true",
    );
    let found = found.unwrap();
    assert_eq!(
        (found.protocol, found.unit, found.every, found.invert),
        (Protocol::Modbus, 247, Some(Span::SECOND), true)
    );
    assert_eq!(found.map, Some(MapSource::BuiltIn("abb-b-series".into())));
    let own = meter("source = \"tcp://h:1\"\nprotocol = \"modbus\"\nmap = \"mine.toml\"").unwrap();
    assert_eq!(own.map, Some(MapSource::File("/etc/ven/mine.toml".into())));
    let keys = "source = \"serial:/dev/x\"\nprotocol = \"dlms\"\nkey = \"${file:k}\"\nauthentication_key = \"${env:A}\"";
    let keys = meter(keys).unwrap();
    assert_eq!(keys.key, Some(SecretSource::File("/etc/ven/k".into())));
    assert_eq!(keys.authentication_key, Some(SecretSource::Env("A".into())));
    for (lines, what) in [
        ("protocol = \"modbuss\"", "meter[0].protocol: expected one of \"dsmr\", \"sml\""),
        ("protocol = \"modbus\"", "meter[0].map: is missing; say where the meter has what"),
        (
            "protocol = \"modbus\"\nmap = \"eastron-sdm63\"",
            "there is no map \"eastron-sdm63\"; did you mean \"eastron-sdm630\"?",
        ),
        (
            "protocol = \"modbus\"\nmap = \"x.toml\"\nunit = 248",
            "meter[0].unit: expected 1 to 247, found 248",
        ),
        ("protocol = \"sml\"\nunit = 1", "meter[0].unit: is for protocol = \"modbus\" only"),
        (
            "protocol = \"sml\"\nkey = \"${env:K}\"",
            "meter[0].key: is for protocol = \"dsmr\" or \"dlms\" only",
        ),
        ("protocol = \"s0\"", "meter[0].pulses_per_kwh: is missing; it stands on the meter"),
        ("protocol = \"s0\"\npulses_per_kwh = 0", "meter[0].pulses_per_kwh: expected 1 to 1000000, found 0"),
        (
            "current_ratio = \"200:5\"",
            "meter[0].current_ratio: expected a ratio like \"200/5\" or \"40\", found \"200:5\"",
        ),
        (
            "voltage_ratio = \"0\"",
            "meter[0].voltage_ratio: expected a ratio like \"200/5\" or \"40\", found \"0\"",
        ),
        (
            "protocol = \"s0\"\npulses_per_kwh = 1\ncurrent_ratio = \"2\"",
            "meter[0].current_ratio: is for protocol = \"dsmr\" or",
        ),
        ("authentication_key = \"${env:A}\"", "meter[0].authentication_key: needs key beside it"),
        ("baud = 9601", "meter[0].baud: expected one of 300, 600"),
        ("framing = \"7N1\"", "meter[0].framing: expected one of \"8N1\""),
        ("max_power = \"20\"", "meter[0].max_power: expected a power like \"20 kW\", found \"20\""),
        ("max_power = \"-5 kW\"", "meter[0].max_power: expected a power like"),
        ("max_power = 20", "meter[0].max_power: expected a text in quotes"),
        ("max_power = \"20 A\"", "meter[0].max_power: expected a power like"),
        ("max_current = \"0 A\"", "meter[0].max_current: is zero, which would leave nothing"),
        (
            "max_voltage = \"20 V\"",
            "meter[0].max_voltage: min_voltage is 50 and max_voltage is 20; expected one",
        ),
        ("min_frequency = \"65 Hz\"", "meter[0].min_frequency: min_frequency is 65 and max_frequency is 65"),
        ("max_powr = \"1 W\"", "meter[0].max_powr: is not known; did you mean \"max_power\"?"),
        ("port = \"/dev/x\"", "meter[0].port: is not known"),
        ("line = \"7E1\"", "meter[0].line: is not known"),
    ] {
        let fault = meter(&format!("source = \"serial:/dev/x\"\n{lines}")).unwrap_err();
        assert!(fault.contains(what), "{what}\nis not in\n{fault}");
    }
    let fault = meter("source = \"tcp://h:1\"\nbaud = 9600").unwrap_err();
    assert!(fault.contains("meter[0].baud: is for source = \"serial:...\" only"), "{fault}");
    let fault =
        read(&format!("{SMALLEST}\n[[meter]]\nname = \"a/b\"\nsource = \"serial:/dev/x\"")).unwrap_err();
    assert!(fault.contains("meter[0].name: expected a name without \"/\""), "{fault}");
}

#[test]
fn a_key_that_stands_in_the_file_is_refused_and_not_shown() {
    let fault = meter("source = \"serial:/dev/x\"\nkey = \"00112233445566778899AABBCCDDEEFF\"").unwrap_err();
    assert!(
        fault.contains(
            "meter[0].key: expected \"${env:NAME}\" or \"${file:/path}\"; a key itself does not belong"
        ),
        "{fault}"
    );
    assert!(!fault.contains("0011"), "{fault}");
}

#[test]
fn what_is_believed_of_a_meter_can_be_narrowed_and_widened() {
    let usual = meter("source = \"serial:/dev/x\"").unwrap().limits;
    assert_eq!(usual, Limits::default());
    let all = "max_power = \"17.25 kW\"\nmax_current = \"25A\"\nmin_voltage = \"200 V\"\nmax_voltage = \"11000 V\"\n\
               min_frequency = \"49.5 Hz\"\nmax_frequency = \"50.5 Hz\"";
    let limits = meter(&format!("source = \"serial:/dev/x\"\n{all}")).unwrap().limits;
    let whole = Decimal::from;
    let expected = Limits {
        voltage: (whole(200), whole(11_000)),
        current: whole(25),
        power: whole(17_250),
        frequency: (Decimal::new(495, 1), Decimal::new(505, 1)),
    };
    assert_eq!(limits, expected);
    let one = meter("source = \"serial:/dev/x\"\nmax_voltage = \"260 V\"").unwrap().limits;
    assert_eq!(one, Limits { voltage: (whole(50), whole(260)), ..Limits::default() });
}
