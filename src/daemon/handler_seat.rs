//! Calls the user's handler without ever being hurt by it.
//!
//! Each call has a thread of its own, so that it may block; calls for one event come one after the other. A call that takes too
//! long is left alone: the engine answers for it. Too many of those, and the handler is not called any more until some return.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::engine::{Announcement, Input, OptTicket, Told};
use crate::handler::{ActiveInterval, Change, Decision, EndReason, EventHandler, Timeline};
use crate::openadr::message::{EiEvent, EventId};
use crate::time::Span;

/// Calls that may be under way at the same time, those that never return among them.
const MOST_CALLS: usize = 64;
/// The next call for an event waits so long for the one before it.
const PATIENCE: Duration = Duration::from_secs(60);

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`EventHandler`] without its type.
pub(crate) trait DynHandler: Send + Sync + 'static {
    fn on_event(&self, event: Arc<EiEvent>, change: Change) -> Boxed<'_, Decision>;
    fn on_near(&self, event: Arc<EiEvent>, timeline: Timeline) -> Boxed<'_, ()>;
    fn on_start(&self, event: Arc<EiEvent>, late_by: Span) -> Boxed<'_, ()>;
    fn on_interval(&self, event: Arc<EiEvent>, interval: ActiveInterval) -> Boxed<'_, ()>;
    fn on_end(&self, event: Arc<EiEvent>, why: EndReason) -> Boxed<'_, ()>;
}

impl<H: EventHandler> DynHandler for H {
    fn on_event(&self, event: Arc<EiEvent>, change: Change) -> Boxed<'_, Decision> {
        Box::pin(EventHandler::on_event(self, event, change))
    }

    fn on_near(&self, event: Arc<EiEvent>, timeline: Timeline) -> Boxed<'_, ()> {
        Box::pin(EventHandler::on_near(self, event, timeline))
    }

    fn on_start(&self, event: Arc<EiEvent>, late_by: Span) -> Boxed<'_, ()> {
        Box::pin(EventHandler::on_start(self, event, late_by))
    }

    fn on_interval(&self, event: Arc<EiEvent>, interval: ActiveInterval) -> Boxed<'_, ()> {
        Box::pin(EventHandler::on_interval(self, event, interval))
    }

    fn on_end(&self, event: Arc<EiEvent>, why: EndReason) -> Boxed<'_, ()> {
        Box::pin(EventHandler::on_end(self, event, why))
    }
}

/// Where the handler sits.
pub(crate) struct HandlerSeat {
    handler: Arc<dyn DynHandler>,
    /// `None` only while it is being dropped.
    runtime: Option<Runtime>,
    free: Arc<Semaphore>,
    inputs: mpsc::UnboundedSender<Input>,
    /// For each event, the call that was begun last.
    last: HashMap<EventId, JoinHandle<()>>,
}

impl HandlerSeat {
    /// A seat for this handler; what it decides goes to `inputs`.
    ///
    /// # Errors
    ///
    /// Where the system has no threads left.
    pub(crate) fn new(
        handler: Arc<dyn DynHandler>,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(2 * MOST_CALLS)
            .thread_name("handler")
            .enable_all()
            .build()?;
        let free = Arc::new(Semaphore::new(MOST_CALLS));
        Ok(Self { handler, runtime: Some(runtime), free, inputs, last: HashMap::new() })
    }

    /// Asks about an event; if no decision has come within that time, none comes.
    pub(crate) fn offer(&mut self, ticket: OptTicket, event: Arc<EiEvent>, change: Change, within: Span) {
        let (handler, inputs) = (self.handler.clone(), self.inputs.clone());
        let id = event.id().clone();
        // A late decision still counts as a change of mind, so it gets more time than the engine waits for it.
        let most = within.to_std() + PATIENCE;
        self.call(id, most, move || async move {
            let decision = handler.on_event(event, change).await;
            drop(inputs.send(Input::Decided { ticket, decision }));
        });
    }

    /// Tells something about an event.
    pub(crate) fn announce(&mut self, told: Told, event: Arc<EiEvent>, what: Announcement) {
        let (handler, inputs) = (self.handler.clone(), self.inputs.clone());
        self.call(event.id().clone(), PATIENCE, move || async move {
            match what {
                Announcement::Near(timeline) => handler.on_near(event, timeline).await,
                Announcement::Start { late_by } => handler.on_start(event, late_by).await,
                Announcement::Interval(interval) => handler.on_interval(event, interval).await,
                Announcement::End(why) => handler.on_end(event, why).await,
            }
            drop(inputs.send(Input::Told(told)));
        });
    }

    fn call<F: Future<Output = ()>>(
        &mut self,
        id: EventId,
        most: Duration,
        begin: impl FnOnce() -> F + Send + 'static,
    ) {
        self.last.retain(|_, call| !call.is_finished());
        let Some(runtime) = &self.runtime else { return };
        let Ok(permit) = self.free.clone().try_acquire_owned() else {
            tracing::error!(event = %id, "handler is not called: {MOST_CALLS} of its calls have not returned");
            return;
        };
        let (before, event) = (self.last.remove(&id), id.clone());
        let threads = runtime.handle().clone();
        let call = runtime.spawn(async move {
            let _permit = permit;
            if let Some(before) = before {
                drop(tokio::time::timeout(PATIENCE, before).await);
            }
            let inner = threads.clone();
            let call = move || inner.block_on(async { tokio::time::timeout(most, begin()).await });
            match threads.spawn_blocking(call).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => tracing::warn!(%event, "handler has not returned in time and was stopped"),
                Err(error) => tracing::error!(%event, "handler has failed: {error}"),
            }
        });
        self.last.insert(id, call);
    }
}

impl Drop for HandlerSeat {
    /// Does not wait for calls that hang.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::sync::{Arc, Mutex};

    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::{HandlerSeat, MOST_CALLS};
    use crate::engine::{Announcement, Input, OptTicket, Told};
    use crate::handler::{Change, Decision, EndReason, EventHandler};
    use crate::mock_vtn::EventBuilder;
    use crate::openadr::message::{EiEvent, OptType};
    use crate::time::{Span, Timestamp};

    /// Longer than anything here takes.
    const LONG: Span = Span::MINUTE;

    /// Does what the name of the event says.
    struct Moody {
        /// Events named `blocks` block until something comes from here.
        gate: Mutex<Receiver<()>>,
        heard: Arc<Mutex<Vec<String>>>,
    }

    impl EventHandler for Moody {
        async fn on_event(&self, event: Arc<EiEvent>, _change: Change) -> Decision {
            match event.id().as_str() {
                "panics" => panic!("as it was told to"),
                "blocks" => drop(self.gate.lock().unwrap().recv()),
                "hangs" => std::future::pending().await,
                _ => {}
            }
            self.heard.lock().unwrap().push(format!("{} asked", event.id()));
            OptType::OptIn.into()
        }

        async fn on_start(&self, event: Arc<EiEvent>, _late_by: Span) {
            self.heard.lock().unwrap().push(format!("{} start", event.id()));
        }

        async fn on_end(&self, event: Arc<EiEvent>, _why: EndReason) {
            self.heard.lock().unwrap().push(format!("{} end", event.id()));
        }
    }

    struct Scene {
        seat: HandlerSeat,
        inputs: UnboundedReceiver<Input>,
        heard: Arc<Mutex<Vec<String>>>,
        open: std::sync::mpsc::Sender<()>,
    }

    fn event(id: &str) -> Arc<EiEvent> {
        Arc::new(EventBuilder::new(id, Timestamp::EPOCH, Span::HOUR).build().event)
    }

    impl Scene {
        fn new() -> Self {
            let (open, gate) = channel();
            let (sender, inputs) = unbounded_channel();
            let heard = Arc::new(Mutex::new(Vec::new()));
            let handler = Moody { gate: Mutex::new(gate), heard: heard.clone() };
            let seat = HandlerSeat::new(Arc::new(handler), sender).unwrap();
            Self { seat, inputs, heard, open }
        }

        fn offer(&mut self, id: &str) {
            self.seat.offer(OptTicket::for_test(id), event(id), Change::New, LONG);
        }

        fn announce(&mut self, id: &str, what: Announcement) {
            self.seat.announce(Told::for_test(id), event(id), what);
        }

        /// The event of the next decision, or `told` where the handler has returned from being told.
        fn next(&mut self) -> String {
            let input = self.inputs.blocking_recv().unwrap();
            if let Input::Decided { ticket, decision } = input {
                assert_eq!(decision, OptType::OptIn.into());
                return ticket.event().to_string();
            }
            assert!(matches!(input, Input::Told(_)), "{input:?}");
            "told".to_owned()
        }
    }

    #[test]
    fn a_panic_hurts_nobody_else() {
        let mut scene = Scene::new();
        scene.offer("panics");
        scene.offer("fine");
        assert_eq!(scene.next(), "fine");
        // The same event may be asked about again.
        scene.announce("panics", Announcement::End(EndReason::Cancelled));
        assert_eq!(scene.next(), "told");
    }

    #[test]
    fn a_handler_that_blocks_its_thread_blocks_nobody_else() {
        let mut scene = Scene::new();
        scene.offer("blocks");
        scene.offer("hangs");
        scene.offer("fine");
        assert_eq!(scene.next(), "fine");
        scene.open.send(()).unwrap();
        assert_eq!(scene.next(), "blocks");
    }

    #[test]
    fn calls_for_one_event_come_one_after_the_other() {
        let mut scene = Scene::new();
        scene.offer("blocks");
        scene.announce("blocks", Announcement::Start { late_by: Span::ZERO });
        scene.announce("blocks", Announcement::End(EndReason::Completed));
        scene.offer("fine");
        assert_eq!(scene.next(), "fine");
        assert_eq!(*scene.heard.lock().unwrap(), ["fine asked"]);
        scene.open.send(()).unwrap();
        assert_eq!([scene.next(), scene.next(), scene.next()], ["blocks", "told", "told"]);
        let heard = scene.heard.lock().unwrap().clone();
        assert_eq!(heard[1..], ["blocks asked", "blocks start", "blocks end"]);
    }

    #[test]
    fn calls_that_never_return_are_not_piled_up() {
        let mut scene = Scene::new();
        for _ in 0..MOST_CALLS {
            scene.offer("hangs");
        }
        scene.offer("one too many");
        // It was not called; the engine's deadline answers for it.
        assert_eq!(scene.seat.free.available_permits(), 0);
        drop(scene.seat);
        assert!(scene.heard.lock().unwrap().is_empty(), "and nothing waits for those that hang");
    }
}
