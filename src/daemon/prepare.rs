//! Loads what the configuration names: certificates, keys, trust; every fault at once.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::PrivateKeyDer;

use crate::config::{
    Config, ConfigError, ConfigFault, OptScheduleSection, ReportSection, SecretSource, TrustSection, Verify,
    folder_of, read_private, secret_files, with_secrets,
};
use crate::engine::{Incoming, OptSchedule, PointOffer, ReportOffer, Settings};
use crate::hook::hashes::Hashes;
use crate::hook::settings::{HookSettings, Target};
use crate::openadr::signature::{Description, Gate, Policy, SigningKey, Trust, private_key};
use crate::openadr::trust::Fingerprint;
use crate::openadr::xml::Limits;

use super::certificates::{Credentials, OwnCertificate};
use super::clock::Clock;
use super::entropy;
use super::http::{Setup, Tokens};
use super::meter_task::MeterSettings;
use super::outbox::Parts;
use super::prepare_http::{http, tokens};
use super::prepare_meters::meters;
use super::prepare_programs::{HandlerProgram, PreparedPlugin, handler_program, plugins};
use super::transport::{normalised, server_for_vtn, simple_root, tls};

/// A configuration whose files are loaded and fit together.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Where the VTN's services are.
    pub(crate) root: String,
    pub(crate) credentials: Credentials,
    /// `None`: we poll.
    pub(crate) push: Option<PreparedPush>,
    pub(crate) gate: Gate,
    pub(crate) settings: Settings,
    pub(crate) meters: Vec<MeterSettings>,
    pub(crate) hooks: Vec<PreparedHook>,
    /// `None`: there is no local API.
    pub(super) http: Option<Setup>,
    /// `None`: no program decides.
    pub(crate) handler: Option<HandlerProgram>,
    pub(crate) plugins: Vec<PreparedPlugin>,
    /// What does not stand in the way, but should be put right; one line each.
    pub(crate) warnings: Vec<String>,
}

/// A hook that is ready to run.
#[derive(Debug)]
pub(crate) struct PreparedHook {
    pub(crate) image: HookImage,
    pub(crate) parts: Parts,
}

/// All that a hook is made of, to be compared: its settings with the secrets in them, and the certificates that it trusts.
#[derive(Clone, PartialEq)]
pub(crate) struct HookImage {
    settings: HookSettings,
    ca: Option<Vec<u8>>,
}

impl std::fmt::Debug for HookImage {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HookImage").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl HookImage {
    fn of(settings: HookSettings) -> Self {
        let ca = match &settings.target {
            Target::Http(target) => target.ca.as_ref(),
            Target::Mqtt(target) => target.ca.as_ref(),
            Target::PvOutput(target) => target.ca.as_ref(),
            Target::File(_) | Target::Tcp(_) | Target::Serial(_) | Target::Exec(_) => None,
        };
        // One that cannot be read is faulted where the sink is made.
        Self { ca: ca.and_then(|file| std::fs::read(file).ok()), settings }
    }
}

/// What the VTN pushes to.
#[derive(Debug)]
pub(crate) struct PreparedPush {
    pub(crate) listen: SocketAddr,
    /// Where the services are, as others see it.
    pub(crate) root: String,
    /// Its path.
    pub(crate) path: String,
    /// Of the certificate that is shown there.
    pub(crate) fingerprint: Fingerprint,
}

/// The faults found so far.
pub(super) struct Faults<'c> {
    pub(super) config: &'c Config,
    pub(super) found: Vec<ConfigFault>,
    pub(super) warnings: Vec<String>,
    certificates: Vec<OwnCertificate>,
}

impl<'c> Faults<'c> {
    pub(super) const fn new(config: &'c Config) -> Self {
        Self { config, found: Vec::new(), warnings: Vec::new(), certificates: Vec::new() }
    }

    /// The value, or a note of what is wrong with that setting.
    pub(super) fn check<T, E: std::fmt::Display>(
        &mut self,
        key: &str,
        path: Option<&Path>,
        outcome: Result<T, E>,
    ) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                let file = path.map_or_else(String::new, |path| format!("{}: ", path.display()));
                self.found.push(self.config.fault(key, format!("{file}{error}")));
                None
            }
        }
    }

    fn file(&mut self, key: &str, path: &Path) -> Option<Vec<u8>> {
        self.check(key, Some(path), std::fs::read(path))
    }

    /// The private key of `[tls]` or `[signature]`.
    pub(super) fn key(
        &mut self,
        section: &str,
        path: &Path,
        passphrase: Option<&SecretSource>,
    ) -> Option<PrivateKeyDer<'static>> {
        let setting = format!("{section}.key");
        let pem = self.check(&setting, None, read_private(path));
        if section != "signature" || *path != self.config.tls.key {
            self.warn_of_readers(&setting, path);
        }
        let passphrase = match passphrase {
            None => None,
            Some(source) => Some(self.check(&format!("{section}.passphrase"), None, source.read())?),
        };
        self.check(&setting, Some(path), private_key(&pem?, passphrase.as_ref()))
    }

    /// Our certificate, which must not have expired (rule 516); one that is not valid yet is a clock that is not set yet.
    pub(super) fn certificate(&mut self, key: &str, path: &Path) -> Option<Vec<u8>> {
        let pem = self.file(key, path)?;
        let own = self.check(key, Some(path), tls::certificates(&pem))?;
        let until = own.first().and_then(|der| Description::of(der)).map(|certificate| certificate.to);
        let until = self.check(key, Some(path), until.ok_or("the certificate cannot be read"))?;
        if until < Clock::start().now().wall {
            let expired = format!("the certificate has expired, it was valid until {until}; have it renewed");
            return self.check(key, Some(path), Err(expired));
        }
        let own = OwnCertificate { path: path.to_owned(), until };
        if !self.certificates.contains(&own) {
            self.certificates.push(own);
        }
        Some(pem)
    }

    /// Whoever can write the configuration says which programs are run, and whom is told what.
    fn warn_of_writers(&mut self) {
        use std::os::unix::fs::PermissionsExt as _;
        const OTHERS_WRITE: u32 = 0o022;
        let path = &self.config.file;
        let mode = std::fs::metadata(path).map_or(0, |file| file.permissions().mode());
        if mode & OTHERS_WRITE != 0 {
            let path = path.display();
            let what = format!("{path}: others than its owner can change it; run: chmod go-w {path}");
            self.warnings.push(what);
        }
    }

    /// Whoever reads the key can speak in our name.
    pub(super) fn warn_of_readers(&mut self, key: &str, path: &Path) {
        use std::os::unix::fs::PermissionsExt as _;
        const OTHERS_READ: u32 = 0o044;
        let mode = std::fs::metadata(path).map_or(0, |file| file.permissions().mode());
        if mode & OTHERS_READ != 0 {
            let path = path.display();
            let what = format!("others than its owner can read this key; run: chmod 600 {path}");
            self.warnings.push(self.config.fault(key, what).in_file(&self.config.file));
        }
    }
}

/// What of a configuration can change while the VEN runs, loaded.
#[derive(Debug)]
pub(super) struct PreparedLive {
    pub(super) hooks: Vec<PreparedHook>,
    pub(super) handler: Option<HandlerProgram>,
    pub(super) plugins: Vec<PreparedPlugin>,
    /// `None`: there is no local API.
    pub(super) tokens: Option<Tokens>,
}

impl PreparedLive {
    /// Loads it.
    ///
    /// # Errors
    ///
    /// Every fault at once.
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut faults = Faults::new(config);
        let hooks = hooks(&mut faults);
        let handler = handler_program(&mut faults);
        let plugins = plugins(&mut faults);
        let tokens = config.http.as_ref().map(|section| tokens(&mut faults, section));
        let found = faults.found;
        if found.is_empty() {
            return Ok(Self { hooks, handler, plugins, tokens });
        }
        Err(ConfigError { file: config.file.clone(), faults: found })
    }
}

impl Prepared {
    /// Loads no more than what is demanded of the VTN's messages.
    ///
    /// # Errors
    ///
    /// Every fault at once.
    pub(crate) fn policy(config: &Config) -> Result<Policy, ConfigError> {
        let mut faults = Faults::new(config);
        let trust = trust(&mut faults);
        trust
            .map(|trust| policy(config, trust))
            .ok_or_else(|| ConfigError { file: config.file.clone(), faults: faults.found })
    }

    /// Loads everything.
    ///
    /// # Errors
    ///
    /// Every fault at once.
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut faults = Faults::new(config);
        faults.warn_of_writers();
        let root = faults.check("vtn.url", None, simple_root(&config.vtn.url));
        let trust = trust(&mut faults);
        let (tls, tls_key) = tls(&mut faults, trust.as_ref()).unzip();
        let (tls, server) = tls.unzip();
        let shown = tls_key.as_ref().map(SigningKey::fingerprint);
        let push = push(&mut faults, root.as_deref(), shown);
        let key = signing_key(&mut faults, tls_key);
        let policy = trust.map(|trust| policy(config, trust));
        if config.signature.tolerance.no_replay_protect {
            let what = "messages without ReplayProtect can be repeated by whoever stands between; ask the VTN to send it";
            let fault = config.fault("signature.tolerate", what.to_owned());
            faults.warnings.push(fault.in_file(&config.file));
        }
        let meters = meters(&mut faults);
        let hooks = hooks(&mut faults);
        let http = http(&mut faults);
        let handler = handler_program(&mut faults);
        let plugins = plugins(&mut faults);
        match (root, tls, key, policy, meters) {
            (Some(root), Some(tls), Some(key), Some(policy), Some(meters)) if faults.found.is_empty() => {
                Ok(Self {
                    root,
                    push,
                    gate: Gate::new(policy.clone(), config.signature.window, Limits::VEN)
                        .tolerating(config.signature.tolerance),
                    settings: settings(config, key.is_some()),
                    credentials: Credentials {
                        tls,
                        server: server.flatten(),
                        key,
                        policy,
                        certificates: faults.certificates,
                    },
                    meters,
                    hooks,
                    http,
                    handler,
                    plugins,
                    warnings: faults.warnings,
                })
            }
            _ => Err(ConfigError { file: config.file.clone(), faults: faults.found }),
        }
    }
}

/// The hooks that are enabled; what is odd about their words is a warning.
fn hooks(faults: &mut Faults<'_>) -> Vec<PreparedHook> {
    let mut hooks = Vec::new();
    if !faults.config.bus.hooks {
        faults
            .warnings
            .push("hooks are switched off by [bus] hooks or VEN_HOOKS: nobody is told anything".to_owned());
        return hooks;
    }
    for settings in faults.config.hooks.iter().filter(|settings| settings.enabled) {
        let key = format!("hook.{}", settings.name);
        let folder = folder_of(&faults.config.file);
        secret_files(settings, folder).iter().for_each(|path| faults.warn_of_readers(&key, path));
        let hashes = Hashes::of(settings);
        let ready = with_secrets(settings, folder).and_then(|settings| {
            let parts = Parts::of(&settings, hashes)?;
            Ok(PreparedHook { image: HookImage::of(settings), parts })
        });
        let Some(hook) = faults.check(&key, None, ready) else { continue };
        for warning in hook.parts.renderer.warnings() {
            let fault = faults.config.fault(&key, warning.clone());
            faults.warnings.push(fault.in_file(&faults.config.file));
        }
        hooks.push(hook);
    }
    hooks
}

/// TLS as a client and, where the VTN pushes, as a server.
type Tls = (tls::TlsClient, Option<Arc<rustls::ServerConfig>>);

/// TLS, and our key there as one that signs.
fn tls(faults: &mut Faults<'_>, trust: Option<&Trust>) -> Option<(Tls, SigningKey)> {
    let section = &faults.config.tls;
    let roots = match &section.ca {
        None => Some(tls::Roots::System),
        Some(path) => {
            let pem = faults.file("tls.ca", path);
            let pem = pem.and_then(|pem| {
                faults.check("tls.ca", Some(path), tls::certificates(&pem).map(|_| ())).map(|()| pem)
            });
            pem.map(tls::Roots::Pem)
        }
    };
    let cert = faults.certificate("tls.cert", &section.cert);
    let key = faults.key("tls", &section.key, section.passphrase.as_ref());
    let (cert, key) = (cert?, key?);
    // Says more about a key that does not fit than TLS does.
    let fits = SigningKey::new(&key, &cert, &entropy::dice());
    let fits = faults.check("tls.key", Some(&section.key), fits);
    let (roots, signing) = (roots?, fits?);
    let names = if section.allow_common_name {
        tls::NameCheck::OrCommonName
    } else {
        tls::NameCheck::AlternativeName
    };
    let server = match &faults.config.push {
        None => None,
        Some(push) => {
            let trust = if push.pins.is_empty() { trust?.clone() } else { Trust::Pinned(push.pins.clone()) };
            let server = server_for_vtn(&roots, &cert, key.clone_key(), trust);
            Some(Arc::new(faults.check("tls.cert", Some(&section.cert), server)?))
        }
    };
    let client = tls::client(section.backend, &roots, &cert, key, names);
    let client = faults.check("tls.cert", Some(&section.cert), client)?;
    Some(((client, server), signing))
}

/// `Some(None)`: messages go unsigned. The key of TLS is not read twice.
fn signing_key(faults: &mut Faults<'_>, of_tls: Option<SigningKey>) -> Option<Option<SigningKey>> {
    let section = &faults.config.signature;
    if !section.sign {
        return Some(None);
    }
    let tls = &faults.config.tls;
    let same_files = section.cert == tls.cert && section.key == tls.key;
    // Files that are also those of TLS are faulted once.
    if same_files && (section.passphrase == tls.passphrase || !faults.found.is_empty()) {
        return of_tls.map(Some);
    }
    let cert = faults.certificate("signature.cert", &section.cert);
    let key = faults.key("signature", &section.key, section.passphrase.as_ref());
    let key = SigningKey::new(&key?, &cert?, &entropy::dice());
    faults.check("signature.key", Some(&section.key), key).map(Some)
}

/// Where the VTN pushes to, which is not where it is itself.
fn push(
    faults: &mut Faults<'_>,
    vtn: Option<&str>,
    fingerprint: Option<Fingerprint>,
) -> Option<PreparedPush> {
    let section = faults.config.push.as_ref()?;
    let root = faults.check("push.address", None, simple_root(&section.address))?;
    if Some(root.as_str()) == vtn {
        let what = "is that of the VTN; on the same host, the two need different prefixes (rule 511)";
        faults.check::<(), _>("push.address", None, Err(what))?;
    }
    let path = root.parse::<hyper::Uri>().ok().and_then(|uri| normalised(uri.path()));
    let path = faults.check("push.address", None, path.ok_or("its path cannot be read"))?;
    Some(PreparedPush { listen: section.listen, root, path, fingerprint: fingerprint? })
}

/// By what the VTN is known.
fn trust(faults: &mut Faults<'_>) -> Option<Trust> {
    let section = &faults.config.signature;
    Some(match &section.trust {
        TrustSection::Pinned(pins) => Trust::Pinned(pins.clone()),
        TrustSection::Known { cert } => {
            let pem = faults.file("signature.vtn_cert", cert)?;
            let all = faults.check("signature.vtn_cert", Some(cert), tls::certificates(&pem))?;
            let first = all.into_iter().next().ok_or("there is no certificate in it");
            Trust::Known(faults.check("signature.vtn_cert", Some(cert), first)?)
        }
        TrustSection::Chain { ca, name } => {
            let pem = faults.file("signature.ca", ca)?;
            let roots = faults.check("signature.ca", Some(ca), tls::certificates(&pem))?;
            Trust::Chain { roots, name: name.clone() }
        }
    })
}

fn policy(config: &Config, trust: Trust) -> Policy {
    match config.signature.verify {
        Verify::Require => Policy::Require(trust),
        Verify::IfPresent => Policy::IfPresent(trust),
        Verify::Never => Policy::TlsOnly,
    }
}

fn settings(config: &Config, signs: bool) -> Settings {
    let incoming = match &config.push {
        None => Incoming::Pull,
        Some(push) => Incoming::Push { address: push.address.clone() },
    };
    Settings {
        incoming,
        ven_name: Some(config.ven.name.clone()),
        ven_id: config.ven.id.clone(),
        xml_signature: signs,
        poll_default: config.vtn.poll_default,
        poll_min: config.vtn.poll_min,
        poll_max: config.vtn.poll_max,
        decision_timeout: config.handler.timeout,
        default_opt: config.handler.default,
        opt_when_full: config.opt_when_full,
        market_contexts: config.vtn.market_contexts.clone(),
        resources: resources(config),
        opt_resources: config.ven.resources.clone(),
        opt_schedules: config.opt_schedules.iter().map(opt_schedule).collect(),
        groups: config.ven.groups.clone(),
        signals: config.handler.signals.clone(),
        offers: offers(config),
        register_after_cancel: config.vtn.register_after_cancel,
        register_reports_on_start: config.ven.register_on_start,
        ..Settings::default()
    }
}

/// What the operator names, the meters, and what reports name as their sources.
fn resources(config: &Config) -> Vec<crate::openadr::message::ResourceId> {
    let meters = config.meters.iter().map(|meter| meter.name.as_str().into());
    let points = config.reports.iter().flat_map(|report| &report.points).map(|point| &point.resource);
    let mut resources: Vec<_> = config.ven.resources.iter().cloned().chain(meters).collect();
    for resource in points {
        if !resources.contains(resource) {
            resources.push(resource.clone());
        }
    }
    resources
}

fn opt_schedule(section: &OptScheduleSection) -> OptSchedule {
    OptSchedule {
        id: section.name.clone(),
        opt: section.opt,
        reason: section.reason.clone(),
        market_context: section.market_context.clone(),
        resources: section.resources.clone(),
        periods: section.periods.clone(),
    }
}

/// What a configuration offers to report.
pub(crate) fn offers(config: &Config) -> Vec<ReportOffer> {
    config.reports.iter().map(offer).collect()
}

fn offer(report: &ReportSection) -> ReportOffer {
    let point = |point: &crate::config::PointSection| PointOffer {
        r_id: point.r_id.clone(),
        resource: Some(point.resource.clone()),
        report_type: point.report_type.clone(),
        unit: point.unit.clone(),
        reading_type: point.reading_type.clone(),
        interval_data: point.interval_data,
        market_context: point.market_context.clone(),
    };
    ReportOffer {
        specifier: report.specifier.clone(),
        name: report.name.clone(),
        points: report.points.iter().map(point).collect(),
        min_period: report.min_period,
        max_period: report.max_period,
        kept: report.kept,
    }
}
