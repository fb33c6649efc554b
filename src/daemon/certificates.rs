//! Keeps the certificates that say who we are: takes new ones when their files change, and says early enough that one expires.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use tokio::sync::{Notify, watch};
use zeroize::Zeroizing;

use crate::config::{Config, ConfigError, SecretSource, TrustSection};
use crate::notice::Notice;
use crate::openadr::signature::{Policy, SigningKey};
use crate::time::{Now, Span, Timestamp};

use super::bus::Bus;
use super::clock::{CLOCK_ADVICE, Clock, is_set, unset};
use super::prepare::Prepared;
use super::transport::tls::TlsClient;

/// So long before the end it is said: whoever issues certificates takes weeks.
const EARLY: Span = Span::from_seconds(30 * 24 * 3600);
/// It is said so often.
const AGAIN: Span = Span::DAY;
/// The files are looked at so often.
pub(crate) const LOOK: Span = Span::from_seconds(5);
/// A clock that was not set is looked at so often.
const LOOK_AT_CLOCK: Span = Span::SECOND;

/// A certificate that says who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnCertificate {
    pub(crate) path: PathBuf,
    /// When it expires.
    pub(crate) until: Timestamp,
}

impl OwnCertificate {
    /// What others should know about it.
    pub(crate) fn notice(&self, now: Timestamp) -> Option<Notice> {
        let which = self.path.display().to_string();
        if self.has_expired(now) {
            return Some(Notice::CertificateExpired { which, at: self.until });
        }
        (self.until - now <= EARLY).then_some(Notice::CertificateExpires { which, at: self.until })
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.until < now
    }
}

/// Who we are, and whom we believe; replaced as a whole.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) tls: TlsClient,
    /// For the VTN that pushes; `None`: we poll.
    pub(crate) server: Option<Arc<rustls::ServerConfig>>,
    /// `None`: messages go unsigned.
    pub(crate) key: Option<SigningKey>,
    pub(crate) policy: Policy,
    pub(crate) certificates: Vec<OwnCertificate>,
}

impl Credentials {
    /// Whether something may be said with them at this time: not with a certificate that has expired (rule 516), and not before anybody
    /// knows what time it is, since the time is signed.
    pub(crate) fn may_speak(&self, now: Timestamp) -> bool {
        is_set(now) && !self.have_expired(now)
    }

    /// Whether one of our certificates has expired.
    fn have_expired(&self, now: Timestamp) -> bool {
        self.certificates.iter().any(|certificate| certificate.has_expired(now))
    }
}

/// Looks after the credentials while the VEN runs; whoever uses them watches the sender's other end.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// The one that runs.
    pub(crate) config: watch::Receiver<Arc<Config>>,
    pub(crate) clock: Clock,
    pub(crate) bus: Bus,
    pub(crate) credentials: watch::Sender<Arc<Credentials>>,
    /// Somebody wants the files read at once.
    pub(crate) wanted: Arc<Notify>,
    seen: Seen,
    told: Told,
}

/// What stood in the files.
#[derive(Debug)]
struct Seen {
    taken: Vec<u8>,
    /// Could not be used when it was seen first; it may be half of a change.
    doubtful: Option<Vec<u8>>,
    refused: Option<Vec<u8>>,
}

/// What was said of the ends of certificates.
#[derive(Debug, Default)]
struct Told {
    next: Span,
    expired: bool,
}

impl Keeper {
    /// With the credentials that were just loaded.
    pub(crate) fn new(
        config: watch::Receiver<Arc<Config>>,
        clock: Clock,
        bus: Bus,
        credentials: watch::Sender<Arc<Credentials>>,
    ) -> Self {
        let seen = Seen { taken: contents(&config.borrow()), doubtful: None, refused: None };
        let wanted = Arc::new(Notify::new());
        Self { config, clock, bus, credentials, wanted, seen, told: Told::default() }
    }

    /// Looks at the files after each step, until `gone`.
    pub(crate) async fn run(mut self, step: Span, gone: impl Future<Output = ()>) {
        tokio::pin!(gone);
        let wanted = self.wanted.clone();
        loop {
            let now = self.clock.now();
            self.tell_of_ends(now);
            let again = self.clock.instant(now.since_start + step);
            tokio::select! {
                () = &mut gone => return,
                () = wanted.notified() => self.look(true).await,
                () = tokio::time::sleep_until(again) => self.look(false).await,
            }
        }
    }

    /// Takes what is new. What cannot be used may be half of a change, so it is judged at the second look, or `at_once`.
    async fn look(&mut self, at_once: bool) {
        let (config, taken) = (self.config.borrow().clone(), self.seen.taken.clone());
        // A disk may hang, and nobody else shall wait for it.
        let loaded = tokio::task::spawn_blocking(move || {
            let found = contents(&config);
            let credentials = (found != taken).then(|| Prepared::new(&config));
            (found, credentials)
        });
        match loaded.await {
            Ok((found, Some(Ok(prepared)))) => self.take(prepared.credentials, found),
            Ok((found, Some(Err(error)))) => self.refuse(&error, found, at_once),
            // What was new has been taken back.
            Ok((_, None)) => (self.seen.doubtful, self.seen.refused) = (None, None),
            Err(panicked) => tracing::error!("certificates could not be read: {panicked}"),
        }
    }

    fn refuse(&mut self, error: &ConfigError, found: Vec<u8>, at_once: bool) {
        let is = |seen: &Option<Vec<u8>>| seen.as_ref() == Some(&found);
        let settled = is(&self.seen.doubtful) && !is(&self.seen.refused);
        if at_once || settled {
            self.bus.tell(Notice::CertificatesRefused { why: in_one_line(error) });
            self.seen.refused = Some(found.clone());
        }
        self.seen.doubtful = Some(found);
    }

    fn take(&mut self, credentials: Credentials, found: Vec<u8>) {
        let fingerprint = credentials.key.as_ref().map(|key| key.fingerprint().to_string());
        self.seen = Seen { taken: found, doubtful: None, refused: None };
        self.told = Told::default();
        self.credentials.send_replace(Arc::new(credentials));
        self.bus.tell(Notice::CertificatesReplaced { fingerprint });
    }

    fn tell_of_ends(&mut self, now: Now) {
        let credentials = self.credentials.borrow().clone();
        let expired = credentials.have_expired(now.wall);
        if now.since_start < self.told.next && expired == self.told.expired {
            return;
        }
        self.told = Told { next: now.since_start + AGAIN, expired };
        for certificate in &credentials.certificates {
            if let Some(notice) = certificate.notice(now.wall) {
                self.bus.tell(notice);
            }
        }
    }
}

/// Waits until something may be said: for new certificates, or for a clock that was wrong or never set (rule 516). `None` where the VEN
/// stops.
pub(crate) async fn valid(
    credentials: &mut watch::Receiver<Arc<Credentials>>,
    clock: Clock,
) -> Option<Arc<Credentials>> {
    let mut told = false;
    loop {
        let current = credentials.borrow_and_update().clone();
        let now = clock.now();
        if current.may_speak(now.wall) {
            if told {
                tracing::info!("the clock is set, to {}: the VTN is spoken to", now.wall);
            }
            return Some(current);
        }
        let unset = unset(now.wall);
        let step = if unset.is_some() { LOOK_AT_CLOCK } else { LOOK };
        if let Some(unset) = unset.filter(|_| !std::mem::replace(&mut told, true)) {
            tracing::warn!("{unset}; the VTN is not spoken to until it is set: {CLOCK_ADVICE}");
        }
        tokio::select! {
            changed = credentials.changed() => changed.ok()?,
            () = tokio::time::sleep_until(clock.instant(now.since_start + step)) => {}
        }
    }
}

/// A digest of everything that the credentials are made of; a file that cannot be read counts as empty.
fn contents(config: &Config) -> Vec<u8> {
    let mut digests = Vec::new();
    for path in files(config) {
        let octets = Zeroizing::new(std::fs::read(path).unwrap_or_default());
        digests.extend_from_slice(digest(&SHA256, &octets).as_ref());
    }
    digests
}

fn files(config: &Config) -> Vec<&Path> {
    let (tls, signature) = (&config.tls, &config.signature);
    let mut files = vec![&tls.cert, &tls.key, &signature.cert, &signature.key];
    files.extend(&tls.ca);
    match &signature.trust {
        TrustSection::Pinned(_) => {}
        TrustSection::Known { cert: file } | TrustSection::Chain { ca: file, .. } => files.push(file),
    }
    for passphrase in [&tls.passphrase, &signature.passphrase] {
        if let Some(SecretSource::File(path)) = passphrase {
            files.push(path);
        }
    }
    files.into_iter().map(PathBuf::as_path).collect()
}

fn in_one_line(error: &ConfigError) -> String {
    let faults: Vec<String> = error.faults.iter().map(|fault| fault.in_file(&error.file)).collect();
    faults.join("; ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{broadcast, watch};

    use crate::daemon::bus::Bus;

    use super::{EARLY, Keeper, OwnCertificate};
    use crate::config::Config;
    use crate::daemon::clock::Clock;
    use crate::daemon::prepare::Prepared;
    use crate::mock_vtn::{KeyKind, TestCertificates};
    use crate::notice::Notice;
    use crate::time::{Span, Timestamp};

    #[test]
    fn a_certificate_is_spoken_of_thirty_days_before_its_end() {
        let until = Timestamp::from_seconds(2_000_000_000);
        let certificate = OwnCertificate { path: "ven.pem".into(), until };
        assert_eq!(certificate.notice(until - EARLY - Span::SECOND), None);
        for now in [until - EARLY, until] {
            let notice = certificate.notice(now).unwrap();
            assert!(notice.is_trouble());
            let said = "certificate ven.pem is valid until 2033-05-18T03:33:20Z only; have it renewed";
            assert_eq!(notice.to_string(), said);
        }
        let expired = certificate.notice(until + Span::SECOND).unwrap();
        assert!(expired.is_trouble());
        assert!(expired.to_string().starts_with("certificate ven.pem has expired at 2033-05-18T03:33:20Z"));
    }

    fn keeper(folder: &std::path::Path) -> (Keeper, broadcast::Receiver<Notice>) {
        let certificates = TestCertificates::create(&folder.join("certs"), KeyKind::P256).unwrap();
        let pin = certificates.vtn_fingerprint();
        let text = format!(
            "[ven]\nname = \"x\"\nstate = \"s\"\n[vtn]\nurl = \"https://localhost\"\n[tls]\nca = \"certs/ca.pem\"\n\
             cert = \"certs/ven.pem\"\nkey = \"certs/ven.key\"\n[signature]\nvtn_fingerprint = \"{pin}\"\n"
        );
        let config = Config::from_toml(&text, &folder.join("ven.toml")).unwrap();
        let bus = Bus::new(Clock::start());
        let told = bus.listen();
        let credentials = watch::Sender::new(Arc::new(Prepared::new(&config).unwrap().credentials));
        let config = watch::Sender::new(Arc::new(config)).subscribe();
        (Keeper::new(config, Clock::start(), bus, credentials), told)
    }

    #[tokio::test]
    async fn it_is_said_again_and_again_until_the_ven_stops() {
        let folder = tempfile::tempdir().unwrap();
        let (mut keeper, mut told) = keeper(folder.path());
        let mut now = keeper.clock.now();
        let certificate =
            |path: &str, days: i64| OwnCertificate { path: path.into(), until: now.wall + Span::DAY * days };
        let certificates = vec![certificate("good", 300), certificate("old", 3)];
        let credentials = Prepared::new(&keeper.config.borrow()).unwrap().credentials;
        keeper.credentials.send_replace(Arc::new(super::Credentials { certificates, ..credentials }));
        for _ in 0..3 {
            keeper.tell_of_ends(now);
            keeper.tell_of_ends(now);
            let notice = told.try_recv().unwrap();
            assert!(
                matches!(&notice, Notice::CertificateExpires { which, .. } if which == "old"),
                "{notice}"
            );
            assert!(told.try_recv().is_err(), "once a day is enough");
            now.since_start = now.since_start + Span::DAY;
        }
        now.wall += Span::DAY * 4;
        keeper.tell_of_ends(now);
        assert!(
            matches!(told.try_recv().unwrap(), Notice::CertificateExpired { .. }),
            "that is said at once"
        );
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        drop(stop);
        keeper.run(Span::DAY, async { drop(stopped.await) }).await;
    }

    #[tokio::test]
    async fn half_of_a_change_is_not_judged() {
        let folder = tempfile::tempdir().unwrap();
        let (mut keeper, mut told) = keeper(folder.path());
        let other = TestCertificates::create(&folder.path().join("other"), KeyKind::P256).unwrap();
        let put = |name: &str| {
            std::fs::copy(other.path(name), folder.path().join("certs").join(name)).unwrap();
        };
        let before = keeper.credentials.borrow().key.as_ref().unwrap().fingerprint().to_string();
        keeper.look(false).await;
        put("ven.pem");
        keeper.look(false).await;
        assert!(told.try_recv().is_err(), "neither an unchanged file nor half of a pair is worth a word");
        put("ven.key");
        keeper.look(false).await;
        let fingerprint = Some(other.ven_fingerprint().to_owned());
        assert_eq!(told.try_recv().unwrap(), Notice::CertificatesReplaced { fingerprint });
        assert_ne!(before, other.ven_fingerprint());

        std::fs::write(folder.path().join("certs/ven.key"), "no key").unwrap();
        keeper.look(false).await;
        assert!(told.try_recv().is_err());
        keeper.look(false).await;
        let refused = told.try_recv().unwrap().to_string();
        assert!(
            refused.contains("the old ones go on") && refused.contains("there is no private key in it"),
            "{refused}"
        );
        keeper.look(false).await;
        assert!(told.try_recv().is_err(), "it is said once");
        keeper.look(true).await;
        assert!(told.try_recv().is_ok(), "and again to whoever asks");
        let held = keeper.credentials.borrow().key.as_ref().unwrap().fingerprint().to_string();
        assert_eq!(held, other.ven_fingerprint());
    }
}
