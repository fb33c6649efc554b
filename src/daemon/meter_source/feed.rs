//! Turns a source into telegrams: reads, lets the decoder speak, opens the source again, and says why nothing good comes.

use std::io;

use tokio::sync::mpsc;

use crate::config::MeterSource;
use crate::daemon::clock::Clock;
use crate::metering::{Act, CounterGuard, Decoder, LineSettings, Refused, Telegram, Why};
use crate::time::{Span, Timestamp};

use super::trouble::{Heard, is_about_keys};
use super::{Read, Source, Trouble};

/// A pause after which a telegram that has begun will not go on.
const QUIET: Span = Span::from_seconds(5);
/// A pause before which bytes belong to one telegram; its time is that of its first byte.
const GAP: Span = Span::from_millis(250);
/// Without a good telegram for so many of its usual pauses, a meter's port is opened again.
const MISSED: i64 = 10;
/// But no pace is so slow.
const LONGEST: Span = Span::HOUR;
/// A decoder that wants so much done without listening is not asked again before this.
const MOST_ACTS: usize = 16;
const ACT_AGAIN: Span = Span::from_millis(20);

/// What a feed needs.
#[derive(Debug)]
pub(crate) struct FeedSettings {
    pub(crate) source: MeterSource,
    pub(crate) line: LineSettings,
    /// How long a meter may be silent whose pace is not known yet, or is faster.
    pub(crate) patience: Span,
}

/// What comes from a meter.
#[derive(Debug)]
pub(crate) enum Fed {
    /// `received`: when its first byte came.
    Telegram {
        telegram: Telegram,
        received: Timestamp,
    },
    Refused(Refused),
    /// The frame counters that were accepted, after they have changed: before the telegram that they are of.
    Counters(CounterGuard),
    /// Bytes as they come, where somebody wants them.
    Raw(Vec<u8>),
    /// Nothing good comes, and why; told again from time to time.
    Trouble(Trouble),
}

struct Feed {
    source: Source,
    decoder: Box<dyn Decoder>,
    clock: Clock,
    out: mpsc::Sender<Fed>,
    patience: Span,
    raw: bool,
    heard: Heard,
    /// When the last byte came, and whether the decoder knows that nothing has come since.
    byte_at: Span,
    quiet: bool,
    /// When what is being read now has begun.
    began: Option<Timestamp>,
    /// When the last good telegram came, or the last verdict was given.
    good_at: Span,
    /// The pause between the last two good telegrams.
    pace: Option<Span>,
    /// Nothing good has come since the source was opened.
    fresh: bool,
    /// What comes first is the rest of a telegram, or will not go on.
    partial: bool,
    asked: bool,
    counters: Option<CounterGuard>,
}

/// Feeds until nobody listens any more, or a recording is over; `raw`: tells the bytes too.
pub(crate) async fn feed(
    settings: FeedSettings,
    decoder: Box<dyn Decoder>,
    clock: Clock,
    raw: bool,
    out: mpsc::Sender<Fed>,
) {
    let now = clock.now().since_start;
    let counters = decoder.counters().cloned();
    let mut feed = Feed {
        source: Source::new(settings.source, settings.line),
        decoder,
        clock,
        out: out.clone(),
        patience: settings.patience,
        raw,
        heard: Heard::default(),
        byte_at: now,
        quiet: true,
        began: None,
        good_at: now,
        pace: None,
        fresh: true,
        partial: true,
        asked: false,
        counters,
    };
    tokio::select! {
        () = out.closed() => {}
        // Nobody listens any more, or there is nothing more to tell.
        _ = feed.run() => {}
    }
}

/// Nobody listens.
type Gone = mpsc::error::SendError<Fed>;

impl Feed {
    async fn run(&mut self) -> Result<(), Gone> {
        loop {
            if !self.source.is_open() {
                if let Err(error) = self.source.open().await {
                    self.away(&error).await?;
                    continue;
                }
                self.opened();
            }
            let acted = self.act().await;
            // A meter that is asked is known to be silent when it is time to ask again.
            self.telegrams().await?;
            let until = match acted {
                Ok(until) => until.min(self.watch_at()),
                Err(error) => {
                    self.away(&error).await?;
                    continue;
                }
            };
            let read = tokio::time::timeout_at(self.clock.instant(until), self.source.read()).await;
            let raw = match read {
                Ok(Ok(Read::Bytes(bytes))) => {
                    let now = self.clock.now();
                    if now.since_start - self.byte_at > GAP {
                        self.began = Some(now.wall);
                    }
                    (self.byte_at, self.quiet) = (now.since_start, false);
                    self.heard.bytes(bytes.len());
                    self.decoder.push(bytes);
                    self.raw.then(|| bytes.to_vec())
                }
                Ok(Ok(Read::End)) => {
                    self.decoder.quiet();
                    self.telegrams().await?;
                    return self.out.send(Fed::Trouble(Trouble::Ended)).await;
                }
                Ok(Err(error)) => {
                    self.away(&error).await?;
                    continue;
                }
                Err(_) => {
                    let silent = self.clock.now().since_start - self.byte_at >= QUIET;
                    if silent && !std::mem::replace(&mut self.quiet, true) {
                        self.decoder.quiet();
                    }
                    None
                }
            };
            if let Some(raw) = raw {
                self.out.send(Fed::Raw(raw)).await?;
            }
            self.telegrams().await?;
            self.watch().await?;
        }
    }

    /// A new beginning: what has come before does not go on.
    fn opened(&mut self) {
        let now = self.clock.now().since_start;
        (self.byte_at, self.quiet, self.began, self.fresh) = (now, true, None, true);
        self.partial = !self.source.is_recording();
    }

    /// Does what the decoder wants; when it is to be asked again.
    async fn act(&mut self) -> io::Result<Span> {
        for _ in 0..MOST_ACTS {
            let now = self.clock.now().since_start;
            let quiet_at = if self.quiet { now + QUIET } else { self.byte_at + QUIET };
            match self.decoder.act(now) {
                Act::Listen => return Ok(quiet_at),
                Act::ListenUntil(until) => return Ok(until.min(quiet_at)),
                Act::Set(line) => self.source.set(line)?,
                Act::Send(bytes) => {
                    self.asked = true;
                    self.source.send(&bytes).await?;
                }
                Act::Discard => self.source.discard().await,
            }
        }
        Ok(self.clock.now().since_start + ACT_AGAIN)
    }

    /// Takes everything that is complete.
    async fn telegrams(&mut self) -> Result<(), Gone> {
        while let Some(outcome) = self.decoder.next() {
            match outcome {
                Ok(telegram) => {
                    let now = self.clock.now();
                    let received = self.began.replace(now.wall).unwrap_or(now.wall);
                    if !self.fresh {
                        self.pace = Some(now.since_start - self.good_at);
                    }
                    (self.good_at, self.fresh, self.partial) = (now.since_start, false, false);
                    self.heard = Heard::default();
                    let counters = self.decoder.counters();
                    if counters != self.counters.as_ref() {
                        self.counters = counters.cloned();
                        let counters = self.counters.clone().unwrap_or_default();
                        self.out.send(Fed::Counters(counters)).await?;
                    }
                    self.out.send(Fed::Telegram { telegram, received }).await?;
                }
                Err(refused) => self.refused(refused).await?,
            }
        }
        Ok(())
    }

    async fn refused(&mut self, refused: Refused) -> Result<(), Gone> {
        self.heard.refused(&refused);
        if is_about_keys(&refused.why) {
            let why = refused.why.to_string();
            self.out.send(Fed::Refused(refused)).await?;
            return match self.fresh {
                true => self.out.send(Fed::Trouble(Trouble::Key(why))).await,
                false => Ok(()),
            };
        }
        let is_rest = !matches!(refused.why, Why::NoAnswer | Why::Exception { .. });
        if is_rest && std::mem::take(&mut self.partial) {
            return Ok(());
        }
        self.out.send(Fed::Refused(refused)).await
    }

    /// The source went away.
    async fn away(&mut self, error: &io::Error) -> Result<(), Gone> {
        self.partial = true;
        self.decoder.quiet();
        self.telegrams().await?;
        self.good_at = self.clock.now().since_start;
        self.heard = Heard::default();
        self.out.send(Fed::Trouble(Trouble::Away(error.to_string()))).await
    }

    /// How long nothing good may come.
    fn allowed(&self) -> Span {
        self.pace.map_or(self.patience, |pace| self.patience.max((pace * MISSED).min(LONGEST)))
    }

    fn watch_at(&self) -> Span {
        self.good_at + self.allowed()
    }

    /// Says why nothing good has come for too long, and opens the source again: that has helped many an adapter.
    async fn watch(&mut self) -> Result<(), Gone> {
        let now = self.clock.now().since_start;
        if now < self.watch_at() {
            return Ok(());
        }
        let time = Span::from_seconds((now - self.good_at).seconds());
        let trouble = self.heard.verdict(time, self.source.line(), self.asked);
        self.good_at = now;
        self.heard = Heard::default();
        self.source.close();
        self.out.send(Fed::Trouble(trouble)).await
    }
}
