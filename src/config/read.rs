//! Reads each section of the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::handler::DefaultOpt;
use crate::openadr::message::{MarketContext, OptType, ResourceId, SignalName};
use crate::openadr::trust::{Fingerprint, Tolerance};
use crate::rules::{Condition, Rule};
use crate::time::Span;

use super::fault::ConfigFault;
use super::hook::{Around, HookFile, hooks};
use super::http::http;
use super::meter::meter;
use super::monitor::{monitors, push_monitor};
use super::opt_schedule::opt_schedules;
use super::plugin::plugins;
use super::reader::{Found, Reader, Section};
use super::report::{report_sources, reports};
use super::secret::SecretSource;
use super::shared_line::shared_lines;
use super::{
    BusSection, Config, HandlerSection, JournalSection, MeterSection, PointOrigin, PushSection,
    ReportSection, SignatureSection, Startup, TlsBackend, TlsSection, TrustSection, VenSection, Verify,
    VtnSection, folder_of, program,
};

const DEFAULTS: &[(&str, DefaultOpt)] = &[
    ("optIn", DefaultOpt::Always(OptType::OptIn)),
    ("optOut", DefaultOpt::Always(OptType::OptOut)),
    ("last", DefaultOpt::Last),
];
pub(super) const OPTS: &[(&str, OptType)] = &[("optIn", OptType::OptIn), ("optOut", OptType::OptOut)];

/// The lines that are no TOML.
fn broken(reader: Reader<'_>, errors: &[toml::de::Error]) -> Vec<ConfigFault> {
    for error in errors {
        let line = error.span().map(|span| reader.line(span.start));
        reader.fault(line, "", error.message());
    }
    reader.finish().0
}

pub(super) fn config(
    text: &str,
    file: &Path,
    overrides: BTreeMap<String, String>,
    hook_files: Vec<HookFile>,
) -> Result<Config, Vec<ConfigFault>> {
    let reader = Reader::new(text, overrides);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What comes after a broken line would be blamed wrongly.
        return Err(broken(reader, &errors));
    }
    let folder = folder_of(file).to_owned();
    let root = Section::root(&reader, table.get_ref());
    let ven = ven(root.section("ven"), &folder);
    let vtn = root.section("vtn");
    let pushed = or(vtn.choice("mode", &[("pull", false), ("push", true)]), false);
    let vtn = self::vtn(vtn);
    let tls = tls(root.section("tls"), &folder);
    let signature = signature(root.section("signature"), &folder, tls.as_ref());
    let push = push(root.section("push"), pushed, signature.as_ref());
    let handler = handler(root.section("handler"), &folder);
    let opt_when_full = store(root.section("store"));
    let (journal, bus) = (journal(root.section("journal")), bus(root.section("bus")));
    let http = http(&root, &folder);
    let (monitors, push_monitor) = (monitors(&root, http.as_ref()), push_monitor(&root, http.as_ref()));
    let meters: Vec<_> =
        root.sections("meter").into_iter().filter_map(|section| meter(section, &folder)).collect();
    let ours = vtn.as_ref().map(|vtn| vtn.market_contexts.as_slice());
    let reports = reports(root.sections("report"), &meters, ours.unwrap_or_default());
    let report_sources = report_sources(&root, &folder);
    check_names(&root, &meters, &reports);
    let opt_schedules = opt_schedules(&root, ven.as_ref().map(|ven| ven.resources.as_slice()));
    let ven_name = ven.as_ref().map_or("", |ven| ven.name.as_str());
    let around = Around { folder: &folder, ven: ven_name, meters: &meters };
    let mut hooks = hooks(&root, &around);
    let (plugins, rust_plugins) = plugins(&root, &folder);
    root.end();
    let (mut faults, lines) = reader.finish();
    let mut own_files = BTreeMap::new();
    for hook_file in hook_files {
        match hook_file.hook(&around, &hooks, &lines) {
            Ok(hook) => {
                own_files.insert(hook.name.clone(), hook_file.path);
                hooks.push(hook);
            }
            Err(found) => faults.extend(found),
        }
    }
    match (ven, vtn, tls, signature) {
        (Some(ven), Some(vtn), Some(tls), Some(signature)) if faults.is_empty() => Ok(Config {
            file: file.to_owned(),
            lines,
            ven,
            vtn,
            push,
            tls,
            signature,
            handler,
            opt_when_full,
            journal,
            http,
            meters,
            reports,
            report_sources,
            opt_schedules,
            bus,
            hooks,
            monitors,
            push_monitor,
            plugins,
            rust_plugins,
            hook_files: own_files,
        }),
        _ => Err(faults),
    }
}

/// The folder of the state, whatever else is wrong with the text; `None` where it does not say.
pub(super) fn state(text: &str, file: &Path, overrides: BTreeMap<String, String>) -> Option<PathBuf> {
    let reader = Reader::new(text, overrides);
    let (table, _) = DeTable::parse_recoverable(text);
    let state = Section::root(&reader, table.get_ref()).section("ven").text("state")?;
    Some(folder_of(file).join(state.value))
}

pub(super) fn or<T>(found: Option<Found<T>>, default: T) -> T {
    found.map_or(default, |found| found.value)
}

fn ven(section: Section<'_, '_>, folder: &Path) -> Option<VenSection> {
    let name = section.required("name", "give this VEN a name of your choice, as name = \"my-ven\"");
    let id = section.text("id").map(|found| found.value.into());
    let advice = "name the folder that keeps the VEN's memory, as state = \"/var/lib/ven\"";
    let state = section.required("state", advice);
    let texts = |name| section.texts(name).into_iter().map(|found| found.value);
    let resources = texts("resources").map(ResourceId::from).collect();
    let groups = texts("groups").collect();
    let register_on_start = or(section.choice("restart", &[("resume", false), ("register", true)]), false);
    section.end();
    let state = folder.join(state?.value);
    Some(VenSection { name: name?.value, id, resources, groups, state, register_on_start })
}

fn vtn(section: Section<'_, '_>) -> Option<VtnSection> {
    let url = section.required("url", "your utility tells you, as url = \"https://vtn.example.org\"");
    let market_contexts = section.texts("market_contexts").into_iter();
    let market_contexts = market_contexts.map(|found| MarketContext::from(found.value.as_str())).collect();
    let poll_default = or(section.span("poll_default"), Span::from_seconds(10));
    let poll_min = or(section.span("poll_min"), Span::SECOND);
    let poll_max = section.span("poll_max");
    if let Some(poll_max) = poll_max.as_ref().filter(|found| found.value < poll_min) {
        section.reader.fault(poll_max.line, &poll_max.key, "is shorter than poll_min");
    }
    let register_after_cancel = match section.text("register_after_cancel") {
        Some(found) if found.value == "never" => None,
        Some(_) => section.span("register_after_cancel").map(|found| found.value),
        None => Some(Span::HOUR),
    };
    section.end();
    let poll_max = or(poll_max, Span::DAY);
    Some(VtnSection {
        url: url?.value,
        market_contexts,
        poll_default,
        poll_min,
        poll_max,
        register_after_cancel,
    })
}

fn push(section: Section<'_, '_>, pushed: bool, signature: Option<&SignatureSection>) -> Option<PushSection> {
    const KEYS: [&str; 3] = ["listen", "address", "vtn_fingerprint"];
    if !pushed {
        for name in KEYS.into_iter().filter(|name| section.has(name)) {
            section.fault(name, "is for [vtn] mode = \"push\" only");
        }
        return None;
    }
    let advice = "say where to listen for the VTN, as listen = \"0.0.0.0:8443\"";
    let listen = section.required("listen", advice);
    let advice = "say how the VTN finds that, as address = \"https://ven.example.org:8443\"";
    let address = section.required("address", advice);
    let pins = fingerprints(&section);
    let nobody_known = |signature: &SignatureSection| matches!(&signature.trust, TrustSection::Pinned(pins) if pins.is_empty());
    if !section.has("vtn_fingerprint") && signature.is_some_and(nobody_known) {
        let advice = "is missing; every VEN of the same authority could push, so say by which certificate the VTN is known";
        section.fault("vtn_fingerprint", advice);
    }
    let at = listen.as_ref().map(|found| found.value.parse());
    if let (Some(found), Some(Err(_))) = (&listen, &at) {
        let what = format!("expected an address and a port like \"0.0.0.0:8443\", found \"{}\"", found.value);
        section.reader.fault(found.line, &found.key, what);
    }
    section.end();
    Some(PushSection { listen: at?.ok()?, address: address?.value.trim().to_owned(), pins })
}

fn fingerprints(section: &Section<'_, '_>) -> Vec<Fingerprint> {
    let mut pins = Vec::new();
    for found in section.texts("vtn_fingerprint") {
        match found.value.parse::<Fingerprint>() {
            Ok(pin) => pins.push(pin),
            Err(error) => section.reader.fault(found.line, &found.key, error.to_string()),
        }
    }
    pins
}

fn tls(section: Section<'_, '_>, folder: &Path) -> Option<TlsSection> {
    let ca =
        section.required("ca", "name the file with the certificate that signed the VTN's, or \"system\"");
    let cert = section.required("cert", "name the file with your certificate, as cert = \"ven.pem\"");
    let key = section.required("key", "name the file with its private key, as key = \"ven.key\"");
    let passphrase = passphrase(&section, folder);
    let allow_common_name =
        or(section.choice("server_name", &[("verify", false), ("allow-cn", true)]), false);
    let backend = backend(&section);
    section.end();
    let ca = ca?.value;
    Some(TlsSection {
        ca: (ca != "system").then(|| folder.join(ca)),
        cert: folder.join(cert?.value),
        key: folder.join(key?.value),
        passphrase,
        allow_common_name,
        backend,
    })
}

#[cfg(feature = "openssl")]
fn backend(section: &Section<'_, '_>) -> TlsBackend {
    let words = [("rustls", TlsBackend::Rustls), ("openssl", TlsBackend::OpenSsl)];
    or(section.choice("backend", &words), TlsBackend::Rustls)
}

#[cfg(not(feature = "openssl"))]
fn backend(section: &Section<'_, '_>) -> TlsBackend {
    let found = section.choice("backend", &[("rustls", false), ("openssl", true)]);
    if let Some(found) = found.filter(|found| found.value) {
        let what = "is not compiled in; build with: cargo build --release --features openssl";
        section.reader.fault(found.line, &found.key, what);
    }
    TlsBackend::Rustls
}

fn passphrase(section: &Section<'_, '_>, folder: &Path) -> Option<SecretSource> {
    secret(section, "passphrase", "a passphrase", folder)
}

/// Where a secret stands, which is not here; `thing`: what it is.
pub(super) fn secret(
    section: &Section<'_, '_>,
    name: &'static str,
    thing: &str,
    folder: &Path,
) -> Option<SecretSource> {
    let found = section.text(name)?;
    let source = SecretSource::parse(&found.value, folder);
    if source.is_none() {
        // What stands there may be the secret, and faults are printed.
        let what = format!(
            "expected \"${{env:NAME}}\" or \"${{file:/path}}\"; {thing} itself does not belong in this file: put it into a file \
             that only the VEN's user can read"
        );
        section.reader.fault(found.line, &found.key, what);
    }
    source
}

fn signature(section: Section<'_, '_>, folder: &Path, tls: Option<&TlsSection>) -> Option<SignatureSection> {
    let sign = or(section.boolean("sign"), true);
    let words = [("require", Verify::Require), ("if-present", Verify::IfPresent), ("never", Verify::Never)];
    let verify = or(section.choice("verify", &words), Verify::Require);
    let path = |found: Found<String>| folder.join(found.value);
    let (cert, key) = (section.text("cert").map(path), section.text("key").map(path));
    let pins = fingerprints(&section);
    let (ca, name) = (section.text("ca"), section.text("vtn_name"));
    let (known, pinned) = (section.text("vtn_cert").map(path), section.has("vtn_fingerprint"));
    let trust = match (ca, name) {
        (ca, name) if known.is_some() && (ca.is_some() || name.is_some() || pinned) => {
            section
                .fault("vtn_cert", "stands beside another way to know the VTN; take all but one of them out");
            None
        }
        (Some(ca), Some(name)) if !pinned => {
            Some(TrustSection::Chain { ca: folder.join(ca.value), name: name.value })
        }
        (Some(ca), Some(_)) => {
            section.reader.fault(ca.line, &ca.key, "stands beside vtn_fingerprint; take one of them out");
            None
        }
        (Some(ca), None) => {
            let what = "needs vtn_name beside it: every VEN of the same authority has a chain to it, so a chain alone \
                        proves nothing";
            section.reader.fault(ca.line, &ca.key, what);
            None
        }
        (None, Some(name)) => {
            section.reader.fault(name.line, &name.key, "needs ca beside it");
            None
        }
        (None, None) if known.is_some() => known.map(|cert| TrustSection::Known { cert }),
        (None, None) if !pinned && verify != Verify::Never => {
            let advice = "is missing; your utility tells you, or run: ven fingerprint VTN-CERTIFICATE";
            section.fault("vtn_fingerprint", advice);
            None
        }
        (None, None) => Some(TrustSection::Pinned(pins)),
    };
    let window = or(section.span("window"), Span::MINUTE * 5);
    let tolerance = tolerance(&section);
    let passphrase = passphrase(&section, folder);
    section.end();
    let (cert, key) = (cert.or_else(|| Some(tls?.cert.clone()))?, key.or_else(|| Some(tls?.key.clone()))?);
    let same_key = tls.filter(|tls| tls.key == key);
    let passphrase = passphrase.or_else(|| same_key?.passphrase.clone());
    Some(SignatureSection { sign, cert, key, passphrase, verify, trust: trust?, window, tolerance })
}

fn tolerance(section: &Section<'_, '_>) -> Tolerance {
    let mut tolerance = Tolerance::NONE;
    for found in section.texts("tolerate") {
        match found.value.as_str() {
            "enveloped" => tolerance.enveloped = true,
            "no-replay-protect" => tolerance.no_replay_protect = true,
            other => {
                let what = format!("expected enveloped or no-replay-protect, found \"{other}\"");
                section.reader.fault(found.line, &found.key, what);
            }
        }
    }
    tolerance
}

fn handler(section: Section<'_, '_>, folder: &Path) -> HandlerSection {
    let by_program = or(section.choice("kind", &[("rules", false), ("exec", true)]), false);
    let default = or(section.choice("default", DEFAULTS), DefaultOpt::Always(OptType::OptOut));
    let timeout = or(section.span("timeout"), Span::from_seconds(3));
    let rules: Vec<_> = section.sections("rule").into_iter().filter_map(rule).collect();
    let signals =
        section.texts("signals").into_iter().map(|found| SignalName::from_token(&found.value)).collect();
    let named = section.has("command");
    let program = (by_program || named).then(|| program::program(&section, Startup::Error, folder)).flatten();
    if by_program && section.has("rule") {
        section.fault_at("rule", "is for [handler] kind = \"rules\" only: the program decides");
    }
    if named && !by_program {
        section.fault_at("command", "is for [handler] kind = \"exec\" only");
    }
    section.end();
    HandlerSection { default, timeout, rules, program, signals }
}

fn rule(section: Section<'_, '_>) -> Option<Rule> {
    let when = section.required("when", "say when it applies, as when = \"level <= 2\"");
    let opt = section.choice("opt", OPTS);
    if opt.is_none() {
        section.fault("opt", "is missing or wrong; expected opt = \"optIn\" or opt = \"optOut\"");
    }
    let when = when?;
    let condition = match Condition::new(&when.value) {
        Ok(condition) => Some(condition),
        Err(error) => {
            section.reader.fault(when.line, &when.key, error.to_string());
            None
        }
    };
    section.end();
    Some(Rule { when: condition?, opt: opt?.value })
}

fn store(section: Section<'_, '_>) -> Option<OptType> {
    let words = [("optOut", Some(OptType::OptOut)), ("optIn", Some(OptType::OptIn)), ("silent", None)];
    let opt = or(section.choice("when_full", &words), Some(OptType::OptOut));
    section.end();
    opt
}

fn journal(section: Section<'_, '_>) -> JournalSection {
    let enabled = or(section.boolean("enabled"), true);
    let keep = or(section.span("keep"), Span::DAY * 7);
    let max_size = or(section.octets("max_size"), 32 * 1024 * 1024);
    section.end();
    JournalSection { enabled, keep, max_size }
}

fn bus(section: Section<'_, '_>) -> BusSection {
    let hooks = or(section.boolean("hooks"), true);
    let max_size = or(section.octets("max_size"), 256 << 20);
    let tick = or(section.span("tick"), Span::from_seconds(10));
    if tick > Span::ZERO && tick < Span::SECOND {
        section.fault_at("tick", "expected \"1s\" or more, or \"0s\" for none");
    }
    let strict = or(section.boolean("strict"), false);
    section.end();
    let tick = Some(tick).filter(|tick| *tick >= Span::SECOND);
    BusSection { hooks, hooks_off: false, max_size, tick, strict, told: Vec::new() }
}

/// Names that must be unique, and names that must exist.
fn check_names(root: &Section<'_, '_>, meters: &[MeterSection], reports: &[ReportSection]) {
    let fault = |key: String, what: String| {
        let line = root.reader.line_of(&key);
        root.reader.fault(line, &key, what);
    };
    for (at, meter) in meters.iter().enumerate() {
        if meters[..at].iter().any(|other| other.name == meter.name) {
            fault(format!("meter[{at}].name"), format!("\"{}\" stands twice", meter.name));
        }
    }
    shared_lines(root.reader, meters);
    for (at, report) in reports.iter().enumerate() {
        if reports[..at].iter().any(|other| other.specifier == report.specifier) {
            fault(format!("report[{at}].specifier"), format!("\"{}\" stands twice", report.specifier));
        }
        for (nth, point) in report.points.iter().enumerate() {
            if let PointOrigin::Meter { meter: name, .. } = &point.origin
                && !meters.iter().any(|meter| meter.name == *name)
            {
                let what = format!("there is no [[meter]] with name = \"{name}\"");
                fault(format!("report[{at}].points[{nth}].meter"), what);
            }
            if report.points[..nth].iter().any(|other| other.r_id == point.r_id) {
                let what = format!("\"{}\" stands twice; give one of them another id", point.r_id);
                fault(format!("report[{at}].points[{nth}].id"), what);
            }
        }
    }
}
