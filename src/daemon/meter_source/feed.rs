//! Turns a source into telegrams: reads, lets the decoders of its meters speak, opens it again, and says why nothing good comes.

use std::io;

use tokio::sync::mpsc;

use crate::config::MeterSource;
use crate::daemon::clock::Clock;
use crate::metering::{Act, CounterGuard, Decoder, LineSettings, RawTelegram, Refused, Telegram, Turns};
use crate::time::{Span, Timestamp};

use super::listener::Listener;
use super::pace::Pace;
use super::{Read, Source, Trouble};

/// A pause after which a telegram that has begun will not go on.
const QUIET: Span = Span::from_seconds(5);
/// A decoder that wants so much done without listening is not asked again before this.
const MOST_ACTS: usize = 16;
const ACT_AGAIN: Span = Span::from_millis(20);

/// A line: where its bytes come from, and how it is set.
#[derive(Debug)]
pub(crate) struct FeedSettings {
    pub(crate) source: MeterSource,
    pub(crate) line: LineSettings,
}

/// The place of a meter on a line: who understands it, and who is told.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) decoder: Box<dyn Decoder>,
    /// How long the meter may be silent whose pace is not known yet, or is faster.
    pub(crate) patience: Span,
    pub(crate) out: mpsc::Sender<Fed>,
}

/// What comes from a meter.
#[derive(Debug)]
pub(crate) enum Fed {
    /// `received`: when its first byte came.
    Telegram {
        telegram: Telegram,
        received: Timestamp,
        raw: Option<RawTelegram>,
    },
    Refused(Refused),
    /// The frame counters that were accepted, after they have changed: before the telegram that they are of.
    Counters(CounterGuard),
    /// Bytes as they come, where somebody wants them.
    Raw(Vec<u8>),
    /// Nothing good comes, and why; told again from time to time.
    Trouble(Trouble),
    /// More comes than any meter says, so the line is read more slowly than it comes; told again from time to time.
    HeldBack,
}

struct Feed {
    source: Source,
    turns: Turns,
    /// The same meters in the same order.
    listeners: Vec<Listener>,
    clock: Clock,
    raw: bool,
    /// `None`: as fast as it comes.
    pace: Option<Pace>,
    /// When the last byte came, and whether the decoders know that nothing has come since.
    byte_at: Span,
    quiet: bool,
    /// When any of the meters said something good, or the source was opened again because none did.
    good_at: Span,
}

/// Feeds until nobody listens any more, or a recording is over; `raw`: tells the bytes too.
///
/// Several meters on one line are asked in turn, and each is told what concerns it.
pub(crate) async fn feed(settings: FeedSettings, places: Vec<Place>, clock: Clock, raw: bool) {
    let now = clock.now().since_start;
    let outs: Vec<_> = places.iter().map(|place| place.out.clone()).collect();
    let silence = settings.line.silence();
    let (listeners, decoders): (Vec<_>, Vec<_>) = places
        .into_iter()
        .map(|place| (Listener::new(place.out, place.patience, now, place.decoder.counters()), place.decoder))
        .unzip();
    let source = Source::new(settings.source, settings.line);
    let mut feed = Feed {
        // A recording was made at its own pace, and ends.
        pace: (!source.is_recording()).then(|| Pace::new(settings.line.baud)),
        source,
        turns: Turns::new(decoders, silence),
        listeners,
        clock,
        raw,
        byte_at: now,
        quiet: true,
        good_at: now,
    };
    let all_gone = async {
        for out in &outs {
            out.closed().await;
        }
    };
    tokio::select! {
        () = all_gone => {}
        () = feed.run() => {}
    }
}

impl Feed {
    /// Until a recording is over.
    async fn run(&mut self) {
        loop {
            if !self.source.is_open() {
                tokio::time::sleep_until(self.clock.instant(self.open_at())).await;
                if let Err(error) = self.source.open().await {
                    self.away(&error).await;
                    continue;
                }
                self.opened();
                self.tell_of_pace().await;
            }
            let acted = self.act().await;
            // A meter that is asked is known to be silent when it is time to ask again.
            self.telegrams().await;
            let until = match acted {
                Ok(until) => self.listeners.iter().map(Listener::watch_at).fold(until, Span::min),
                Err(error) => {
                    self.away(&error).await;
                    continue;
                }
            };
            let open_at = self.clock.instant(self.open_at());
            let read = async {
                tokio::time::sleep_until(open_at).await;
                self.source.read().await
            };
            match tokio::time::timeout_at(self.clock.instant(until), read).await {
                Ok(Ok(Read::Bytes(bytes))) => {
                    let now = self.clock.now();
                    (self.byte_at, self.quiet) = (now.since_start, false);
                    if let Some(pace) = &mut self.pace {
                        pace.took(bytes.len(), now.since_start);
                    }
                    self.turns.push(bytes);
                    if let Some(listener) = self.listeners.get_mut(self.turns.holder()) {
                        listener.bytes(bytes.len(), now);
                        if self.raw {
                            listener.tell(Fed::Raw(bytes.to_vec())).await;
                        }
                    }
                }
                Ok(Ok(Read::End)) => {
                    self.turns.quiet();
                    self.telegrams().await;
                    return self.tell_all(&Trouble::Ended).await;
                }
                Ok(Err(error)) => {
                    self.away(&error).await;
                    continue;
                }
                Err(_) => {
                    let silent = self.clock.now().since_start - self.byte_at >= QUIET;
                    if silent && !std::mem::replace(&mut self.quiet, true) {
                        self.turns.quiet();
                    }
                }
            }
            self.telegrams().await;
            self.tell_of_pace().await;
            self.watch().await;
        }
    }

    /// When more may be read, or opened again.
    fn open_at(&self) -> Span {
        self.pace.as_ref().map_or(Span::ZERO, Pace::open_at)
    }

    async fn tell_of_pace(&mut self) {
        let now = self.clock.now().since_start;
        if self.pace.as_mut().is_some_and(|pace| pace.is_to_be_told(now)) {
            for listener in &self.listeners {
                listener.tell(Fed::HeldBack).await;
            }
        }
    }

    /// A new beginning: what has come before does not go on.
    fn opened(&mut self) {
        let now = self.clock.now().since_start;
        (self.byte_at, self.quiet) = (now, true);
        if let Some(pace) = &mut self.pace {
            pace.opened(now);
        }
        let is_recording = self.source.is_recording();
        self.listeners.iter_mut().for_each(|listener| listener.opened(now, is_recording));
    }

    /// Does what is to be done at the line; when that is to be asked again.
    async fn act(&mut self) -> io::Result<Span> {
        for _ in 0..MOST_ACTS {
            let now = self.clock.now().since_start;
            let quiet_at = if self.quiet { now + QUIET } else { self.byte_at + QUIET };
            match self.turns.act(now) {
                Act::Listen => return Ok(quiet_at),
                Act::ListenUntil(until) | Act::Rest(until) => return Ok(until.min(quiet_at)),
                Act::Set(line) => self.source.set(line)?,
                Act::Send(bytes) => {
                    if let Some(listener) = self.listeners.get_mut(self.turns.holder()) {
                        listener.asked();
                    }
                    self.source.send(&bytes).await?;
                }
                Act::Discard => self.source.discard().await,
            }
        }
        Ok(self.clock.now().since_start + ACT_AGAIN)
    }

    /// Takes everything that is complete.
    async fn telegrams(&mut self) {
        while let Some((at, outcome)) = self.turns.next() {
            let Some(listener) = self.listeners.get_mut(at) else { continue };
            match outcome {
                Ok(telegram) => {
                    let now = self.clock.now();
                    self.good_at = now.since_start;
                    let (raw, counters) = (self.turns.raw(at).cloned(), self.turns.counters(at));
                    listener.telegram(telegram, raw, counters, now).await;
                }
                Err(refused) => listener.refused(refused).await,
            }
        }
    }

    /// The source went away.
    async fn away(&mut self, error: &io::Error) {
        self.listeners.iter_mut().for_each(Listener::broken);
        self.turns.quiet();
        self.telegrams().await;
        self.good_at = self.clock.now().since_start;
        self.listeners.iter_mut().for_each(|listener| listener.begin_watch(self.good_at));
        self.tell_all(&Trouble::Away(error.to_string())).await;
    }

    async fn tell_all(&mut self, trouble: &Trouble) {
        for listener in &self.listeners {
            listener.tell(Fed::Trouble(trouble.clone())).await;
        }
    }

    /// Says why nothing good has come from a meter for too long. Where that is so of all on the line, the source is opened again: that
    /// has helped many an adapter.
    async fn watch(&mut self) {
        let (now, line) = (self.clock.now().since_start, self.source.line());
        let longest = self.listeners.iter().map(Listener::allowed).max().unwrap_or_default();
        for listener in &mut self.listeners {
            if now < listener.watch_at() {
                continue;
            }
            if now - self.good_at >= longest {
                self.good_at = now;
                self.source.close();
            }
            listener.give_verdict(now, line).await;
        }
    }
}
