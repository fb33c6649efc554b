//! Lets another handler take the place of one while questions are under way: each is answered by the one that was asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::handler::{ActiveInterval, Change, Decision, EndReason, EventHandler, Timeline};
use crate::openadr::message::EiEvent;
use crate::time::Span;

use super::handler_seat::DynHandler;

/// Asks the handler that is there now.
pub(crate) struct ExchangeHandler {
    current: Mutex<Seated>,
}

#[derive(Clone)]
struct Seated {
    handler: Arc<dyn DynHandler>,
    /// Dropped with the last question to it.
    _asked: mpsc::Sender<()>,
}

/// Resolves when nobody asks the former handler any more.
pub(crate) struct Former {
    asked: mpsc::Receiver<()>,
}

impl ExchangeHandler {
    pub(crate) fn new(handler: Arc<dyn DynHandler>) -> (Self, Former) {
        let (seated, former) = Seated::new(handler);
        (Self { current: Mutex::new(seated) }, former)
    }

    /// From now on this one is asked. What is returned speaks of it, when it is a former one itself.
    pub(crate) fn exchange(&self, handler: Arc<dyn DynHandler>) -> Former {
        let (seated, former) = Seated::new(handler);
        *self.current() = seated;
        former
    }

    fn current(&self) -> MutexGuard<'_, Seated> {
        // Nothing is done under this lock that could leave it half done.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seated(&self) -> Seated {
        self.current().clone()
    }
}

impl Seated {
    fn new(handler: Arc<dyn DynHandler>) -> (Self, Former) {
        let (sender, asked) = mpsc::channel(1);
        (Self { handler, _asked: sender }, Former { asked })
    }
}

impl Former {
    /// Waits until it is one, and every question to it has ended.
    pub(crate) async fn left(mut self) {
        // Nothing is ever sent: it ends with the last sender.
        self.asked.recv().await;
    }
}

impl EventHandler for ExchangeHandler {
    async fn on_event(&self, event: Arc<EiEvent>, change: Change) -> Decision {
        let seated = self.seated();
        seated.handler.on_event(event, change).await
    }

    async fn on_near(&self, event: Arc<EiEvent>, timeline: Timeline) {
        let seated = self.seated();
        seated.handler.on_near(event, timeline).await;
    }

    async fn on_start(&self, event: Arc<EiEvent>, late_by: Span) {
        let seated = self.seated();
        seated.handler.on_start(event, late_by).await;
    }

    async fn on_interval(&self, event: Arc<EiEvent>, interval: ActiveInterval) {
        let seated = self.seated();
        seated.handler.on_interval(event, interval).await;
    }

    async fn on_end(&self, event: Arc<EiEvent>, why: EndReason) {
        let seated = self.seated();
        seated.handler.on_end(event, why).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Mutex, mpsc};

    use super::ExchangeHandler;
    use crate::handler::{Change, Decision, EventHandler};
    use crate::mock_vtn::EventBuilder;
    use crate::openadr::message::EiEvent;
    use crate::openadr::message::OptType;
    use crate::time::{Span, Timestamp};

    /// Says when it is asked, and answers when it may.
    struct Slow {
        asked: mpsc::UnboundedSender<()>,
        may: Mutex<mpsc::UnboundedReceiver<OptType>>,
    }

    impl EventHandler for Slow {
        async fn on_event(&self, _event: Arc<EiEvent>, _change: Change) -> Decision {
            self.asked.send(()).unwrap();
            self.may.lock().await.recv().await.unwrap().into()
        }
    }

    /// Answers at once.
    struct Quick;

    impl EventHandler for Quick {
        async fn on_event(&self, _event: Arc<EiEvent>, _change: Change) -> Decision {
            OptType::OptIn.into()
        }
    }

    #[tokio::test]
    async fn a_question_under_way_is_answered_by_whom_it_was_asked_and_then_he_may_go() {
        let (told, mut asked) = mpsc::unbounded_channel();
        let (allow, may) = mpsc::unbounded_channel();
        let (handler, slow) = ExchangeHandler::new(Arc::new(Slow { asked: told, may: Mutex::new(may) }));
        let handler = Arc::new(handler);
        let event = Arc::new(EventBuilder::new("e", Timestamp::EPOCH, Span::HOUR).build().event);
        let question = |event: Arc<EiEvent>| {
            let handler = handler.clone();
            tokio::spawn(async move { handler.on_event(event, Change::New).await })
        };
        let first = question(event.clone());
        asked.recv().await.unwrap();
        let _quick = handler.exchange(Arc::new(Quick));
        assert_eq!(
            question(event).await.unwrap(),
            OptType::OptIn.into(),
            "who asks now is answered by the new one"
        );
        let mut gone = tokio::spawn(slow.left());
        tokio::task::yield_now().await;
        assert!(!gone.is_finished(), "the old one is still asked");
        allow.send(OptType::OptOut).unwrap();
        assert_eq!(first.await.unwrap(), OptType::OptOut.into());
        (&mut gone).await.unwrap();
    }
}
