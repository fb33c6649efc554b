//! Asks sources that are no meter, without ever being hurt by them.
//!
//! Each call has a thread of its own, so that it may block. A call that takes too long is left alone; while too many of a source have not
//! returned, it is not called. That a source fails is told once, and so is that it works again.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::bus::Bus;
use crate::engine::{Sample, WishedSpan};
use crate::notice::Notice;
use crate::openadr::message::{DataQuality, Float, PayloadBase};
use crate::report_source::{ReportSource, SourceError, SourceValue};
use crate::time::{Span, Timestamp};

/// Calls of one source that may be under way at the same time, those that never return among them.
const MOST_CALLS: usize = 4;
/// A call returns within this; later, the report has gone out without it.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type Answer = Result<Vec<SourceValue>, SourceError>;

/// [`ReportSource`] without its type.
pub(crate) trait DynSource: Send + Sync + 'static {
    fn window(&self, from: Timestamp, to: Timestamp, granularity: Span) -> Boxed<'_, Answer>;
}

impl<S: ReportSource> DynSource for S {
    fn window(&self, from: Timestamp, to: Timestamp, granularity: Span) -> Boxed<'_, Answer> {
        Box::pin(ReportSource::window(self, from, to, granularity))
    }
}

/// Sources by their names, each with how long it has to answer.
pub(crate) type Sources = BTreeMap<String, (Arc<dyn DynSource>, Duration)>;

/// Where the sources sit.
pub(crate) struct SourceSeat {
    sources: BTreeMap<String, Arc<Seated>>,
    /// `None` where there is no source, and while it is being dropped.
    runtime: Option<Runtime>,
}

struct Seated {
    name: String,
    source: Arc<dyn DynSource>,
    within: Duration,
    free: Arc<Semaphore>,
    failing: AtomicBool,
    bus: Bus,
}

/// The steps that values are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) granularity: Span,
}

impl Steps {
    /// Of a wish; the latest value is that of the newest whole step where it belongs to a span of time, otherwise of now.
    pub(super) fn of(span: WishedSpan, interval_data: bool, now: Timestamp) -> Self {
        match span {
            WishedSpan::Window { from, to, granularity } => Self { from, to, granularity },
            WishedSpan::Latest { length } => {
                let from =
                    if interval_data { now.floor_to(length) - length } else { now.floor_to(Span::SECOND) };
                Self { from, to: from + length, granularity: length }
            }
        }
    }

    /// A sample for each step; where no value belongs to it, it is a gap.
    fn samples(self, mut values: Vec<SourceValue>) -> Vec<Sample> {
        values.sort_by_key(|value| value.start);
        let mut values = values.into_iter().peekable();
        let starts = std::iter::successors(Some(self.from), |start| Some(*start + self.granularity));
        let starts = starts.take_while(|start| *start < self.to && self.granularity > Span::ZERO);
        let sample = |start: Timestamp| {
            let end = (start + self.granularity).min(self.to);
            while values.next_if(|value| value.start < start).is_some() {}
            let found = values.next_if(|value| value.start < end);
            let (value, quality) =
                found.map_or((None, DataQuality::Bad), |found| (found.value, found.quality));
            let quality = if value.is_some() { quality } else { DataQuality::Bad };
            let value = value.map(|value| PayloadBase::Float(Float::from(value)));
            Sample { start, duration: end - start, value, quality }
        };
        starts.map(sample).collect()
    }
}

impl SourceSeat {
    /// A seat for these sources.
    ///
    /// # Errors
    ///
    /// Where the system has no threads left.
    pub(crate) fn new(sources: Sources, bus: &Bus) -> std::io::Result<Self> {
        let runtime = if sources.is_empty() {
            None
        } else {
            let threads = MOST_CALLS.saturating_mul(sources.len()).min(512);
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let builder = builder.worker_threads(1).max_blocking_threads(threads).thread_name("source");
            Some(builder.enable_all().build()?)
        };
        let seated = |(name, (source, within)): (String, (Arc<dyn DynSource>, Duration))| {
            let seated = Seated {
                name: name.clone(),
                source,
                within,
                free: Arc::new(Semaphore::new(MOST_CALLS)),
                failing: AtomicBool::new(false),
                bus: bus.clone(),
            };
            (name, Arc::new(seated))
        };
        Ok(Self { sources: sources.into_iter().map(seated).collect(), runtime })
    }

    /// Asks a source; a source that fails, or that is not there, leaves gaps.
    pub(super) fn ask(&self, name: &str, steps: Steps) -> impl Future<Output = Vec<Sample>> + use<> {
        let seated = self.sources.get(name).cloned();
        let threads = self.runtime.as_ref().map(|runtime| runtime.handle().clone());
        async move {
            let (Some(seated), Some(threads)) = (seated, threads) else { return steps.samples(Vec::new()) };
            let answer = seated.clone().call(&threads, steps).await;
            seated.note(answer.as_ref().err());
            steps.samples(answer.unwrap_or_default())
        }
    }
}

impl Drop for SourceSeat {
    /// Does not wait for calls that hang.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Seated {
    async fn call(
        self: Arc<Self>,
        threads: &tokio::runtime::Handle,
        steps: Steps,
    ) -> Result<Vec<SourceValue>, String> {
        let within = self.within;
        let late = || format!("it has not answered within {}", Span::from_std(within));
        // Those that ask at the same time wait for each other.
        let Ok(permit) = tokio::time::timeout(within, self.free.clone().acquire_owned()).await else {
            return Err(format!("{MOST_CALLS} of its calls have not returned"));
        };
        let inner = threads.clone();
        let call = threads.spawn_blocking(move || {
            let _permit = permit;
            let Steps { from, to, granularity } = steps;
            inner.block_on(async {
                tokio::time::timeout(within, self.source.window(from, to, granularity)).await
            })
        });
        // One that blocks its thread is not stopped by the clock inside.
        match tokio::time::timeout(within + Duration::from_secs(1), call).await {
            Ok(Ok(Ok(answer))) => answer.map_err(|error| error.to_string()),
            Ok(Ok(Err(_))) | Err(_) => Err(late()),
            Ok(Err(error)) => Err(error.to_string()),
        }
    }

    /// Tells of a failure, and of its end, once.
    fn note(&self, failure: Option<&String>) {
        let before = self.failing.swap(failure.is_some(), Ordering::Relaxed);
        let source = self.name.clone();
        match failure {
            Some(why) if !before => self.bus.tell(Notice::SourceFails { source, why: why.clone() }),
            None if before => self.bus.tell(Notice::SourceRecovered { source }),
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast;

    use crate::daemon::clock::Clock;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::openadr::message::Decimal;

    const WITHIN: Duration = Duration::from_millis(200);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn value(seconds: i64, value: i64) -> SourceValue {
        SourceValue::good(at(seconds), Decimal::from(value))
    }

    fn numbers(samples: &[Sample]) -> Vec<Option<i64>> {
        let number = |sample: &Sample| match &sample.value {
            Some(PayloadBase::Float(value)) => value.exact().and_then(|value| i64::try_from(value).ok()),
            Some(PayloadBase::ResourceStatus(_)) | None => None,
        };
        samples.iter().map(number).collect()
    }

    #[test]
    fn each_step_has_the_value_that_lies_in_it() {
        let steps = Steps { from: at(100), to: at(135), granularity: Span::from_seconds(10) };
        let gap = SourceValue { value: None, ..value(130, 0) };
        let samples = steps.samples(vec![
            value(121, 3),
            value(99, 9),
            value(100, 1),
            value(105, 8),
            gap,
            value(135, 9),
        ]);
        assert_eq!(numbers(&samples), [Some(1), None, Some(3), None]);
        let qualities: Vec<_> = samples.iter().map(|sample| sample.quality == DataQuality::Good).collect();
        assert_eq!(qualities, [true, false, true, false]);
        assert_eq!((samples[2].start, samples[3].duration), (at(120), Span::from_seconds(5)));
        let backwards = Steps { granularity: Span::ZERO, ..steps };
        assert_eq!(backwards.samples(vec![value(100, 1)]), []);
    }

    #[test]
    fn a_value_from_the_future_belongs_to_no_step() {
        let steps = Steps { from: at(100), to: at(120), granularity: Span::from_seconds(10) };
        let samples = steps.samples(vec![value(2 * 86_400, 8), value(120, 9), value(110, 2)]);
        assert_eq!(numbers(&samples), [None, Some(2)]);
    }

    #[test]
    fn the_latest_of_what_flows_is_a_whole_step_and_of_what_stands_is_now() {
        let (span, now) = (WishedSpan::Latest { length: Span::MINUTE }, at(3_605));
        let flows = Steps::of(span, true, now);
        assert_eq!((flows.from, flows.to), (at(3_540), at(3_600)));
        assert_eq!(Steps::of(span, false, now).from, now);
    }

    /// Does what it is told.
    struct Moody(Mutex<Receiver<&'static str>>);

    impl ReportSource for Moody {
        async fn window(&self, from: Timestamp, _to: Timestamp, _step: Span) -> Answer {
            let mood = self.0.lock().unwrap().try_recv().unwrap_or("works");
            match mood {
                "fails" => Err("out of service".into()),
                "hangs" => std::future::pending().await,
                "blocks" => {
                    // For longer than the test lasts.
                    let (_open, gate) = channel::<()>();
                    gate.recv_timeout(Duration::from_secs(60)).ok();
                    Ok(Vec::new())
                }
                "panics" => panic!("on purpose"),
                _ => Ok(vec![SourceValue::good(from, Decimal::from(7))]),
            }
        }
    }

    fn seat() -> (SourceSeat, Sender<&'static str>, broadcast::Receiver<Notice>) {
        let (moods, told) = channel();
        let source: Arc<dyn DynSource> = Arc::new(Moody(Mutex::new(told)));
        let bus = Bus::new(Clock::start());
        let heard = bus.listen();
        let seat = SourceSeat::new(BTreeMap::from([("moody".to_owned(), (source, WITHIN))]), &bus);
        (seat.unwrap(), moods, heard)
    }

    async fn ask(seat: &SourceSeat) -> Vec<Option<i64>> {
        let steps = Steps { from: at(0), to: at(10), granularity: Span::from_seconds(10) };
        numbers(&seat.ask("moody", steps).await)
    }

    #[tokio::test]
    async fn a_source_that_fails_leaves_gaps_and_that_is_told_once() {
        let (seat, moods, mut heard) = seat();
        for (mood, why) in [("fails", "out of service"), ("hangs", "within 0.2 s"), ("panics", "on purpose")]
        {
            moods.send(mood).unwrap();
            moods.send(mood).unwrap();
            assert_eq!([ask(&seat).await, ask(&seat).await], [[None], [None]], "{mood}");
            assert_eq!(ask(&seat).await, [Some(7)]);
            let told = heard.try_recv().unwrap().to_string();
            assert!(told.contains("moody brings no values") && told.contains(why), "{told}");
            assert!(matches!(heard.try_recv(), Ok(Notice::SourceRecovered { .. })));
            assert!(heard.try_recv().is_err(), "nothing is told twice");
        }
    }

    #[tokio::test]
    async fn one_that_is_not_there_leaves_gaps() {
        let (seat, ..) = seat();
        let steps = Steps { from: at(0), to: at(20), granularity: Span::from_seconds(10) };
        assert_eq!(numbers(&seat.ask("other", steps).await), [None, None]);
    }

    #[tokio::test]
    async fn calls_that_never_return_are_not_piled_up() {
        let (seat, moods, mut heard) = seat();
        for _ in 0..MOST_CALLS {
            moods.send("blocks").unwrap();
        }
        let answers = (0..MOST_CALLS).map(|_| ask(&seat));
        let mut calls = Vec::new();
        for answer in answers {
            calls.push(answer.await);
        }
        assert_eq!(calls, vec![[None]; MOST_CALLS]);
        assert_eq!(ask(&seat).await, [None]);
        assert!(heard.try_recv().unwrap().to_string().contains("within"));
        let seated = &seat.sources["moody"];
        assert_eq!(seated.free.available_permits(), 0, "it was not called once more");
    }
}
