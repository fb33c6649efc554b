//! Says when a source that went away is tried again.

use std::path::Path;
use std::time::Duration;

use crate::daemon::entropy;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// A missing port is looked for this often: a plug that is put back is found at once, whatever the pause has grown to.
const LOOK: Duration = Duration::from_millis(250);

/// Pauses between attempts: none before the first, then 1, 2, 4 and up to 30 s, each a fifth longer or shorter by chance.
#[derive(Debug)]
pub(in crate::daemon) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::up_to(LONGEST)
    }
}

impl Backoff {
    /// The same, but with another longest pause.
    pub(in crate::daemon) const fn up_to(longest: Duration) -> Self {
        Self { next: Duration::ZERO, longest }
    }

    /// The source works: the next attempt will be at once.
    pub(in crate::daemon) const fn succeeded(&mut self) {
        self.next = Duration::ZERO;
    }

    /// The next pause; `roll` is a random number.
    fn pause(&mut self, roll: u64) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).clamp(FIRST, self.longest);
        let percent = u32::try_from(80 + roll % 41).unwrap_or(100);
        pause * percent / 100
    }

    /// The next pause, by chance.
    pub(in crate::daemon) fn next_pause(&mut self) -> Duration {
        // Without random numbers the pauses are all the same.
        self.pause(entropy::seed().unwrap_or(20))
    }

    /// Waits as long as is due. A port that was missing and is there again ends the pause.
    pub(in crate::daemon) async fn wait(&mut self, port: Option<&Path>) {
        let pause = self.next_pause();
        let Some(port) = port else { return tokio::time::sleep(pause).await };
        let (mut left, mut missing) = (pause, false);
        loop {
            let there = std::fs::exists(port).unwrap_or(false);
            if there && missing {
                // It is another one, as it were: what delayed the last says nothing about it.
                self.next = FIRST;
                return;
            }
            if left.is_zero() {
                return;
            }
            missing = !there;
            let step = left.min(LOOK);
            tokio::time::sleep(step).await;
            left -= step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Duration};
    use crate::daemon::clock::Clock;
    use crate::time::Span;

    #[test]
    fn pauses_grow_to_half_a_minute_and_begin_anew_after_success() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..8).map(|_| backoff.pause(20).as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(backoff.pause(0), Duration::from_secs(24));
        assert_eq!(backoff.pause(40), Duration::from_secs(36));
        backoff.succeeded();
        assert_eq!(backoff.pause(7), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_port_that_comes_back_ends_the_pause() {
        let folder = tempfile::tempdir().unwrap();
        let port = folder.path().join("port");
        let mut backoff = Backoff { next: Duration::from_secs(30), ..Backoff::default() };
        let clock = Clock::start();
        let plug = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            std::fs::write(&port, "").unwrap();
        };
        tokio::join!(backoff.wait(Some(&port)), plug);
        assert!(clock.now().since_start < Span::from_seconds(3));
    }
}
