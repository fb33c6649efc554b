//! Holds the logical answers that are owed to the VTN in requests of ours: those to polled messages, and a few others.
//!
//! They are posted in their order, before anything else (scenario 1 of Annex C: first answer, then poll again).

use std::collections::VecDeque;

use crate::openadr::message::Payload;

/// Answers that are owed, oldest first.
#[derive(Debug, Default)]
pub(super) struct Answers(VecDeque<Payload>);

impl Answers {
    pub(super) fn owe(&mut self, answer: impl Into<Payload>) {
        self.0.push_back(answer.into());
    }

    pub(super) fn first(&self) -> Option<&Payload> {
        self.0.front()
    }

    /// The first is delivered, or given up.
    pub(super) fn done(&mut self) -> Option<Payload> {
        self.0.pop_front()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
