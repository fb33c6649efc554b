//! Builds events in a line or two.

use crate::openadr::message::{
    ActivePeriod, Duration, EiEvent, EiTarget, EventBaseline, EventDescriptor, EventId, EventSignal,
    EventStatus, Float, Interval, MarketContext, OadrEvent, PayloadBase, ResponseRequired, SignalId,
    SignalName, SignalType, StreamPayload, Unit,
};
use crate::time::{Span, Timestamp};

/// Makes an event; without more it is a SIMPLE event of level 1.
#[derive(Clone, Debug)]
pub struct EventBuilder {
    event: OadrEvent,
    steps: Vec<(Span, Float)>,
}

impl EventBuilder {
    /// An event of that id that starts then and lasts so long; no length at all: until cancelled (rule 47).
    #[must_use]
    pub fn new(id: &str, start: Timestamp, lasts: Span) -> Self {
        let descriptor = EventDescriptor {
            event_id: EventId::from(id),
            modification_number: 0,
            modification_date_time: None,
            modification_reason: None,
            priority: None,
            market_context: MarketContext::from("http://markets.example.org/dr"),
            created_date_time: start,
            status: EventStatus::Far,
            test_event: None,
            vtn_comment: None,
        };
        let active_period = ActivePeriod {
            start,
            duration: Duration::from_span(lasts),
            start_after: None,
            notification: Some(Duration::ZERO),
            ramp_up: None,
            recovery: None,
        };
        let signal = EventSignal {
            intervals: Vec::new(),
            target: None,
            name: SignalName::Simple,
            signal_type: SignalType::Level,
            signal_id: SignalId::from("signal-1"),
            unit: None,
            current_value: Some(Float::from(0)),
        };
        let target = EiTarget::default();
        let event = EiEvent { descriptor, active_period, signals: vec![signal], baseline: None, target };
        let event = OadrEvent { event, response_required: ResponseRequired::Always };
        Self { event, steps: vec![(lasts, Float::from(1))] }
    }

    /// The same level all the time.
    #[must_use]
    pub fn level(self, level: i64) -> Self {
        let lasts = self.event.event.active_period.duration.nominal();
        self.steps([(lasts, level)])
    }

    /// A value for each step.
    #[must_use]
    pub fn steps<V: Into<Float>>(mut self, steps: impl IntoIterator<Item = (Span, V)>) -> Self {
        self.steps = steps.into_iter().map(|(lasts, value)| (lasts, value.into())).collect();
        self
    }

    /// Another signal than SIMPLE.
    #[must_use]
    pub fn signal(mut self, name: SignalName, signal_type: SignalType, unit: Option<Unit>) -> Self {
        let signal = &mut self.event.event.signals[0];
        (signal.name, signal.signal_type, signal.unit) = (name, signal_type, unit);
        self
    }

    /// The start is moved by a random time of at most this (rule 30).
    #[must_use]
    pub fn start_after(mut self, most: Span) -> Self {
        self.event.event.active_period.start_after = Some(Duration::from_span(most));
        self
    }

    /// In that programme.
    #[must_use]
    pub fn market_context(mut self, uri: &str) -> Self {
        self.event.event.descriptor.market_context = MarketContext::from(uri);
        self
    }

    /// 1 is the most important, 0 the least (rule 3).
    #[must_use]
    pub const fn priority(mut self, priority: u32) -> Self {
        self.event.event.descriptor.priority = Some(priority);
        self
    }

    /// For those only.
    #[must_use]
    pub fn target(mut self, target: EiTarget) -> Self {
        self.event.event.target = target;
        self
    }

    /// A test, where the text is not `false` (rule 6).
    #[must_use]
    pub fn test(mut self, text: &str) -> Self {
        self.event.event.descriptor.test_event = Some(text.to_owned());
        self
    }

    /// The load moves to and from the level in so long a time: outside the event, or within it where they are negative (rule 31).
    #[must_use]
    pub const fn ramps(mut self, up: Span, recovery: Span) -> Self {
        self.event.event.active_period.ramp_up = Some(Duration::from_span(up));
        self.event.event.active_period.recovery = Some(Duration::from_span(recovery));
        self
    }

    /// How long before the start the VEN should know (rule 105).
    #[must_use]
    pub const fn notification(mut self, before: Span) -> Self {
        self.event.event.active_period.notification = Some(Duration::from_span(before));
        self
    }

    /// In that version.
    #[must_use]
    pub const fn modification(mut self, number: u32) -> Self {
        self.event.event.descriptor.modification_number = number;
        self
    }

    /// With that status.
    #[must_use]
    pub const fn status(mut self, status: EventStatus) -> Self {
        self.event.event.descriptor.status = status;
        self
    }

    /// One more signal beside the first, with the same value all the time.
    #[must_use]
    pub fn and_signal(
        mut self,
        name: SignalName,
        signal_type: SignalType,
        unit: Option<Unit>,
        value: i64,
    ) -> Self {
        let period = self.event.event.active_period;
        let signal_id = SignalId::new(format!("signal-{}", self.event.event.signals.len() + 1));
        let intervals = vec![interval(period.duration.nominal(), Float::from(value), 0)];
        let (target, current_value) = (None, None);
        self.event.event.signals.push(EventSignal {
            intervals,
            target,
            name,
            signal_type,
            signal_id,
            unit,
            current_value,
        });
        self
    }

    /// What the load would be without the event (rule 108).
    #[must_use]
    pub fn baseline(mut self, value: i64) -> Self {
        let period = self.event.event.active_period;
        self.event.event.baseline = Some(EventBaseline {
            start: period.start,
            duration: period.duration,
            intervals: vec![interval(period.duration.nominal(), Float::from(value), 0)],
            baseline_id: "baseline-1".to_owned(),
            resource_ids: Vec::new(),
            baseline_name: "what it would be".to_owned(),
            unit: None,
        });
        self
    }

    /// No answer is wanted (rule 12).
    #[must_use]
    pub const fn never_answered(mut self) -> Self {
        self.event.response_required = ResponseRequired::Never;
        self
    }

    /// The event.
    #[must_use]
    pub fn build(mut self) -> OadrEvent {
        let intervals = self.steps.iter().zip(0..);
        self.event.event.signals[0].intervals =
            intervals.map(|((lasts, value), uid)| interval(*lasts, *value, uid)).collect();
        self.event
    }
}

fn interval(lasts: Span, value: Float, uid: u32) -> Interval {
    Interval {
        start: None,
        duration: Some(Duration::from_span(lasts)),
        uid: Some(uid.to_string()),
        payloads: vec![StreamPayload::Signal(PayloadBase::Float(value))],
    }
}

impl From<EventBuilder> for OadrEvent {
    fn from(builder: EventBuilder) -> Self {
        builder.build()
    }
}
