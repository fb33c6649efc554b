//! Turns what programs post to the local API into telegrams, and tells them whether it was good.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::daemon::clock::Clock;
use crate::daemon::inlets::Posted;
use crate::metering::{CounterGuard, Decoder};
use crate::time::Span;

use super::{Fed, Place, Trouble};

/// Feeds until nobody listens or posts any more.
pub(crate) async fn feed_posted(mut posts: mpsc::Receiver<Posted>, place: Place, clock: Clock) {
    let Place { decoder, patience, out } = place;
    let counters = decoder.counters().cloned();
    let mut feed = PostedFeed { decoder, clock, counters, out: out.clone() };
    let patience = patience.to_std().max(Duration::from_secs(1));
    loop {
        let told = tokio::select! {
            () = out.closed() => return,
            post = tokio::time::timeout(patience, posts.recv()) => match post {
                Ok(Some(post)) => feed.take(post).await,
                Ok(None) => return,
                Err(_) => out.send(Fed::Trouble(Trouble::NotPosted(Span::from_std(patience)))).await,
            },
        };
        if told.is_err() {
            return;
        }
    }
}

struct PostedFeed {
    decoder: Box<dyn Decoder>,
    clock: Clock,
    counters: Option<CounterGuard>,
    out: mpsc::Sender<Fed>,
}

impl PostedFeed {
    /// The counters before the telegram that they are of: they are kept before it is believed.
    async fn tell_counters(&mut self) -> Result<(), mpsc::error::SendError<Fed>> {
        let counters = self.decoder.counters();
        if counters != self.counters.as_ref() {
            self.counters = counters.cloned();
            self.out.send(Fed::Counters(self.counters.clone().unwrap_or_default())).await?;
        }
        Ok(())
    }

    /// One post is whole: what does not end in it does not go on in the next.
    async fn take(&mut self, post: Posted) -> Result<(), mpsc::error::SendError<Fed>> {
        let received = self.clock.now().wall;
        let (mut good, mut why) = (false, None);
        self.decoder.push(&post.bytes);
        let mut is_over = false;
        loop {
            match self.decoder.next() {
                Some(Ok(telegram)) => {
                    good = true;
                    let raw = self.decoder.raw().cloned();
                    self.tell_counters().await?;
                    self.out.send(Fed::Telegram { telegram, received, raw }).await?;
                }
                Some(Err(refused)) => {
                    why = Some(refused.to_string());
                    self.out.send(Fed::Refused(refused)).await?;
                }
                None if is_over => break,
                None => {
                    self.decoder.quiet();
                    is_over = true;
                }
            }
        }
        let outcome =
            if good { Ok(()) } else { Err(why.unwrap_or_else(|| "there is no telegram in it".to_owned())) };
        // Whoever has posted it may be gone.
        drop(post.answer.send(outcome));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::{mpsc, oneshot};

    use super::super::Place;
    use super::{Fed, Posted, feed_posted};
    use crate::daemon::clock::Clock;
    use crate::metering::{ProtocolSettings, Sealing, Simulator};
    use crate::time::{Span, Timestamp};

    /// Nothing waits so long unless it is broken.
    const PATIENCE: Duration = Duration::from_secs(60);

    struct Feed {
        posts: mpsc::Sender<Posted>,
        fed: mpsc::Receiver<Fed>,
    }

    fn feed(patience: Span) -> Feed {
        let protocol = ProtocolSettings::Dsmr { clock_base: Span::HOUR, sealing: Sealing::default() };
        let ((posts, posted), (out, fed)) = (mpsc::channel(1), mpsc::channel(16));
        let place = Place { decoder: protocol.decoder(), patience, out };
        tokio::spawn(feed_posted(posted, place, Clock::start()));
        Feed { posts, fed }
    }

    impl Feed {
        async fn post(&self, bytes: &[u8]) -> Result<(), String> {
            let (answer, outcome) = oneshot::channel();
            self.posts.send(Posted { bytes: bytes.to_vec(), answer }).await.unwrap();
            tokio::time::timeout(PATIENCE, outcome).await.unwrap().unwrap()
        }

        async fn next(&mut self) -> String {
            match tokio::time::timeout(PATIENCE, self.fed.recv()).await.unwrap().unwrap() {
                Fed::Telegram { raw, .. } => format!("good, {} bytes", raw.unwrap().bytes.len()),
                Fed::Refused(refused) => refused.to_string(),
                Fed::Trouble(trouble) => trouble.to_string(),
                Fed::Counters(_) | Fed::Raw(_) | Fed::HeldBack => "other".into(),
            }
        }
    }

    fn telegram() -> Vec<u8> {
        let start = Timestamp::from_seconds(2_000_000_000);
        Simulator::v5(start).telegram(start + Span::SECOND)
    }

    #[tokio::test]
    async fn who_posts_is_told_whether_it_was_good() {
        let (mut feed, good) = (feed(Span::HOUR), telegram());
        assert_eq!(feed.post(&good).await, Ok(()));
        assert_eq!(feed.next().await, format!("good, {} bytes", good.len()), "with its line end");
        let mut damaged = good.clone();
        damaged[100] ^= 1;
        let why = feed.post(&damaged).await.unwrap_err();
        assert!(why.contains("checksum"), "{why}");
        assert_eq!(feed.next().await, why, "and the meter is told too");
    }

    #[tokio::test]
    async fn half_a_telegram_does_not_go_on_in_the_next_post() {
        let (feed, good) = (feed(Span::HOUR), telegram());
        let (front, back) = good.split_at(good.len() / 2);
        assert!(feed.post(front).await.is_err());
        assert!(feed.post(back).await.is_err());
        assert_eq!(feed.post(b"hello").await, Err("there is no telegram in it".into()));
        assert_eq!(feed.post(&good).await, Ok(()), "and the one behind is good");
    }

    #[tokio::test]
    async fn it_is_told_that_nobody_posts() {
        let mut feed = feed(Span::ZERO);
        assert_eq!(feed.next().await, "nothing was posted to the local API for 1 s");
    }
}
