//! Says early enough that a certificate of ours comes to its end.

use std::future::Future;
use std::path::PathBuf;

use tokio::sync::broadcast;

use crate::notice::Notice;
use crate::time::{Span, Timestamp};

use super::clock::Clock;
use super::ven_task::tell;

/// So long before the end it is said: whoever issues certificates takes weeks.
const EARLY: Span = Span::from_seconds(30 * 24 * 3600);

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
        let soon = self.until - now <= EARLY;
        soon.then(|| Notice::CertificateExpires { which: self.path.display().to_string(), at: self.until })
    }
}

/// Tells of certificates that expire soon, at once and again after each step, until `gone`.
pub(crate) async fn watch(
    certificates: Vec<OwnCertificate>,
    clock: Clock,
    notices: broadcast::Sender<Notice>,
    step: Span,
    gone: impl Future<Output = ()>,
) {
    tokio::pin!(gone);
    loop {
        let now = clock.now();
        for notice in certificates.iter().filter_map(|certificate| certificate.notice(now.wall)) {
            tell(&notices, notice);
        }
        let again = clock.instant(now.since_start + step);
        tokio::select! {
            () = &mut gone => return,
            () = tokio::time::sleep_until(again) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EARLY, OwnCertificate, watch};
    use crate::daemon::clock::Clock;
    use crate::notice::Notice;
    use crate::time::{Span, Timestamp};

    #[test]
    fn a_certificate_is_spoken_of_thirty_days_before_its_end() {
        let until = Timestamp::from_seconds(2_000_000_000);
        let certificate = OwnCertificate { path: "ven.pem".into(), until };
        assert_eq!(certificate.notice(until - EARLY - Span::SECOND), None);
        for now in [until - EARLY, until, until + Span::DAY] {
            let notice = certificate.notice(now).unwrap();
            assert!(notice.is_trouble());
            let said = "certificate ven.pem is valid until 2033-05-18T03:33:20Z only; have it renewed";
            assert_eq!(notice.to_string(), said);
        }
    }

    #[tokio::test]
    async fn it_is_said_again_and_again_until_the_ven_stops() {
        let clock = Clock::start();
        let now = clock.now().wall;
        let certificate =
            |path: &str, days: i64| OwnCertificate { path: path.into(), until: now + Span::DAY * days };
        let (notices, mut told) = tokio::sync::broadcast::channel(100);
        let certificates = vec![certificate("good", 300), certificate("old", 3)];
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let gone = async { drop(stopped.await) };
        let task = tokio::spawn(watch(certificates, clock, notices, Span::from_millis(1), gone));
        for _ in 0..3 {
            let notice = told.recv().await.unwrap();
            assert!(
                matches!(&notice, Notice::CertificateExpires { which, .. } if which == "old"),
                "{notice}"
            );
        }
        drop(stop);
        task.await.unwrap();
    }
}
