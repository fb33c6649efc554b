//! Keeps the frame counters of meters that encrypt, so that nobody can play an old telegram after a restart or a power cut:
//! `<state>/counters-<meter>.json`. A meter that begins to count anew is heard again when the file is removed.
//!
//! The file is ahead of the meter by the frames of half a minute, so that it need not be written for each of them, and no frame that was
//! ever taken is above it. The price: after a power cut, frames that come before that half minute is over are refused, although they are
//! new. Where the program ends as it should, the file has the very counters, and the next frame is taken.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::metering::CounterGuard;
use crate::time::Span;

/// The file is ahead of the meter by the frames of so long a time.
const AHEAD: Span = Span::from_seconds(30);
/// But by no more frames, for those that have waited somewhere come all at once; no meter sends more than one in a second.
const MOST_AHEAD: u32 = 30;

/// Where those of a meter are kept.
pub(super) fn file(state: &Path, meter: &str) -> PathBuf {
    state.join(format!("counters-{meter}.json"))
}

/// The frame counters of a meter, and their file.
#[derive(Debug)]
pub(super) struct KeptCounters {
    file: PathBuf,
    /// In the file: no frame that was taken is above it.
    kept: CounterGuard,
    /// What was accepted when the file was written, and when, in this run.
    written: Option<(CounterGuard, Span)>,
    /// The last that were accepted in this run.
    accepted: Option<CounterGuard>,
    /// The file could not be written.
    failed: bool,
}

impl KeptCounters {
    /// With the counters of the last run; none where there was none.
    pub(super) fn load(file: PathBuf) -> Self {
        let kept = load(&file);
        Self { file, kept, written: None, accepted: None, failed: false }
    }

    /// At or below these nothing is taken.
    pub(super) const fn kept(&self) -> &CounterGuard {
        &self.kept
    }

    /// A frame was accepted: before it is believed, no later run will take it.
    pub(super) async fn accept(&mut self, counters: CounterGuard, now: Span) {
        if !self.kept.covers(&counters) {
            let ahead =
                self.written.as_ref().map_or(0, |(before, at)| frames_ahead(before, &counters, now - *at));
            self.write(counters.ahead(ahead)).await;
            self.written = Some((counters.clone(), now));
        }
        self.accepted = Some(counters);
    }

    /// Nothing more will come: the next run goes on with the next frame.
    pub(super) async fn finish(&mut self) {
        if let Some(accepted) = self.accepted.take()
            && accepted != self.kept
        {
            self.write(accepted).await;
        }
    }

    /// That they cannot be kept is no reason to stop; it is told once, and tried again with each frame.
    async fn write(&mut self, counters: CounterGuard) {
        let (file, saved) = (self.file.clone(), counters.clone());
        // Nobody ends this task before it is done.
        let Ok(outcome) = tokio::task::spawn_blocking(move || save(&file, &saved)).await else { return };
        let file = self.file.display();
        match outcome {
            Ok(()) => {
                self.kept = counters;
                if std::mem::take(&mut self.failed) {
                    tracing::info!("{file}: frame counters are kept again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failed, true) {
                    tracing::warn!("{file}: {error}; telegrams of now may be played again after a restart");
                }
            }
        }
    }
}

/// How many frames come until the file is to be written again, by the pace since it was written.
fn frames_ahead(before: &CounterGuard, now: &CounterGuard, passed: Span) -> u32 {
    let frames = i64::from(now.frames_since(before)).saturating_mul(AHEAD.micros()) / passed.micros().max(1);
    u32::try_from(frames).map_or(MOST_AHEAD, |frames| frames.min(MOST_AHEAD))
}

/// The counters of the last run; none where there was none.
fn load(file: &Path) -> CounterGuard {
    let text = match std::fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return CounterGuard::default(),
        text => text,
    };
    let counters = text.and_then(|text| serde_json::from_slice(&text).map_err(io::Error::from));
    counters.unwrap_or_else(|error| {
        tracing::warn!("{}: {error}; telegrams from before may be played again", file.display());
        CounterGuard::default()
    })
}

/// Writes all of them, or leaves the old ones; a power cut takes nothing back.
fn save(file: &Path, counters: &CounterGuard) -> io::Result<()> {
    let new = file.with_extension("json.new");
    std::fs::write(&new, serde_json::to_vec(counters)?)?;
    std::fs::File::open(&new)?.sync_all()?;
    std::fs::rename(&new, file)?;
    file.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::{AHEAD, KeptCounters, MOST_AHEAD, load};
    use crate::metering::{CounterGuard, SystemTitle};
    use crate::time::Span;

    const TITLE: SystemTitle = SystemTitle(*b"SAGS\xFF\xFF\xFF\xFF");

    fn counters(text: &str) -> CounterGuard {
        serde_json::from_str(text).unwrap()
    }

    fn at(counter: u32) -> CounterGuard {
        counters(&format!(r#"{{"53414753FFFFFFFF": {counter}}}"#))
    }

    #[tokio::test]
    async fn counters_come_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = super::file(folder.path(), "main");
        let mut kept = KeptCounters::load(file.clone());
        assert_eq!(kept.kept(), &CounterGuard::default());
        let two = counters(r#"{"53414753FFFFFFFF": 41, "4B464D0000000001": 7}"#);
        kept.accept(two.clone(), Span::SECOND).await;
        kept.finish().await;
        assert_eq!(KeptCounters::load(file.clone()).kept(), &two);
        std::fs::write(&file, "{").unwrap();
        assert_eq!(load(&file), CounterGuard::default());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// For a meter that sends so often: whatever was accepted is in the file at once, and how often that is written.
    async fn writes(every: Span, frames: u32) -> u32 {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = KeptCounters::load(super::file(folder.path(), "main"));
        let (mut writes, mut before) = (0, None);
        for frame in 1..=frames {
            kept.accept(at(7_000 + frame), every * i64::from(frame)).await;
            let last = load(&kept.file).last(TITLE).unwrap();
            assert!((7_000 + frame..=7_000 + frame + MOST_AHEAD).contains(&last), "{last} at {frame}");
            writes += u32::from(before.replace(last) != Some(last));
        }
        kept.finish().await;
        assert_eq!(load(&kept.file), at(7_000 + frames), "the next frame is taken by the next run");
        writes
    }

    #[tokio::test]
    async fn the_file_is_ahead_of_the_meter_and_seldom_written() {
        // Two at first, until the pace is known; then one for each half minute and frame.
        assert!((20..=22).contains(&writes(Span::SECOND, 600).await));
        assert!((16..=18).contains(&writes(Span::from_seconds(10), 60).await));
        assert_eq!(writes(AHEAD * 2, 20).await, 20, "each frame, where they are further apart");
        assert!(writes(Span::ZERO, 100).await <= 5, "what has waited comes at once");
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_tried_again_with_the_next_frame() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("later");
        let mut kept = KeptCounters::load(super::file(&state, "main"));
        kept.accept(at(5), Span::SECOND).await;
        assert!(kept.failed && load(&kept.file) == CounterGuard::default());
        std::fs::create_dir(&state).unwrap();
        kept.accept(at(6), Span::SECOND * 2).await;
        assert!(!kept.failed && load(&kept.file).last(TITLE) >= Some(6));
    }
}
