//! Knows how a meter on a line fares, and tells the one who listens to it.

use tokio::sync::mpsc;

use crate::metering::{CounterGuard, LineSettings, RawTelegram, Refused, Telegram, Why};
use crate::time::{Now, Span, Timestamp};

use super::trouble::{Heard, is_about_keys};
use super::{Fed, Trouble};

/// A pause before which bytes belong to one telegram; its time is that of its first byte.
const GAP: Span = Span::from_millis(250);
/// Without a good telegram for so many of its usual pauses, something is wrong with a meter.
const MISSED: i64 = 10;
/// But no pace is so slow.
const LONGEST: Span = Span::HOUR;

pub(super) struct Listener {
    out: mpsc::Sender<Fed>,
    /// How long the meter may be silent whose pace is not known yet, or is faster.
    patience: Span,
    heard: Heard,
    /// When its last byte came.
    byte_at: Span,
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

impl Listener {
    pub(super) fn new(
        out: mpsc::Sender<Fed>,
        patience: Span,
        now: Span,
        counters: Option<&CounterGuard>,
    ) -> Self {
        Self {
            out,
            patience,
            heard: Heard::default(),
            byte_at: now,
            began: None,
            good_at: now,
            pace: None,
            fresh: true,
            partial: true,
            asked: false,
            counters: counters.cloned(),
        }
    }

    /// Whoever listened may be gone.
    pub(super) async fn tell(&self, fed: Fed) {
        drop(self.out.send(fed).await);
    }

    /// The source is open: what has come before does not go on.
    pub(super) const fn opened(&mut self, now: Span, is_recording: bool) {
        (self.byte_at, self.began, self.fresh) = (now, None, true);
        self.partial = !is_recording;
    }

    /// What has begun will not go on.
    pub(super) const fn broken(&mut self) {
        self.partial = true;
    }

    /// It was asked for something.
    pub(super) const fn asked(&mut self) {
        self.asked = true;
    }

    /// So many bytes came from it.
    pub(super) fn bytes(&mut self, count: usize, now: Now) {
        if now.since_start - self.byte_at > GAP {
            self.began = Some(now.wall);
        }
        self.byte_at = now.since_start;
        self.heard.bytes(count);
    }

    /// A good telegram came; `counters`: of the frames that were accepted.
    pub(super) async fn telegram(
        &mut self,
        telegram: Telegram,
        raw: Option<RawTelegram>,
        counters: Option<&CounterGuard>,
        now: Now,
    ) {
        let received = self.began.replace(now.wall).unwrap_or(now.wall);
        if !self.fresh {
            self.pace = Some(now.since_start - self.good_at);
        }
        (self.fresh, self.partial) = (false, false);
        self.begin_watch(now.since_start);
        // The counters first: they are kept before the telegram is believed.
        if counters != self.counters.as_ref() {
            self.counters = counters.cloned();
            self.tell(Fed::Counters(self.counters.clone().unwrap_or_default())).await;
        }
        self.tell(Fed::Telegram { telegram, received, raw }).await;
    }

    /// Something came that was no good telegram.
    pub(super) async fn refused(&mut self, refused: Refused) {
        self.heard.refused(&refused);
        if is_about_keys(&refused.why) {
            let why = refused.why.to_string();
            self.tell(Fed::Refused(refused)).await;
            if self.fresh {
                self.tell(Fed::Trouble(Trouble::Key(why))).await;
            }
            return;
        }
        let is_rest = !matches!(refused.why, Why::NoAnswer | Why::Exception { .. });
        if is_rest && std::mem::take(&mut self.partial) {
            return;
        }
        self.tell(Fed::Refused(refused)).await;
    }

    /// From now on it is watched whether something good comes.
    pub(super) fn begin_watch(&mut self, now: Span) {
        self.good_at = now;
        self.heard = Heard::default();
    }

    /// How long nothing good may come.
    pub(super) fn allowed(&self) -> Span {
        self.pace.map_or(self.patience, |pace| self.patience.max((pace * MISSED).min(LONGEST)))
    }

    /// When there is something wrong, should nothing good come until then.
    pub(super) fn watch_at(&self) -> Span {
        self.good_at + self.allowed()
    }

    /// Says why nothing good has come.
    pub(super) async fn give_verdict(&mut self, now: Span, line: LineSettings) {
        let time = Span::from_seconds((now - self.good_at).seconds());
        let trouble = self.heard.verdict(time, line, self.asked);
        self.begin_watch(now);
        self.tell(Fed::Trouble(trouble)).await;
    }
}
