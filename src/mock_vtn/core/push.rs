//! Pushes to a VEN that has registered for it what others poll for.

use crate::openadr::message::{Payload, PayloadKind};
use crate::time::Timestamp;

use super::VtnCore;

impl VtnCore {
    /// The transport address that the VEN has registered; `None`: it polls.
    #[must_use]
    pub fn transport_address(&self) -> Option<&str> {
        self.transport_address.as_deref()
    }

    /// The next message for a VEN that is pushed to, once it has registered its reports (rule 405); one of
    /// [`VtnCore::push_answered`] and [`VtnCore::push_failed`] follows.
    pub fn next_push(&mut self, now: Timestamp) -> Option<Payload> {
        if self.transport_address.is_none() || !self.bootstrapped {
            return None;
        }
        self.queue_own_reports(now);
        if let Some(waiting) = self.queue.pop_front() {
            self.owed.sent(&waiting);
            self.hand_out(&waiting);
            return Some(waiting);
        }
        self.changed.then(|| self.picture(now, None).into())
    }

    /// When a report of our own is due that the VEN has asked for, and is to be pushed.
    #[must_use]
    pub fn push_due(&self) -> Option<Timestamp> {
        self.own_report_due().filter(|_| self.transport_address.is_some() && self.bootstrapped)
    }

    /// The VEN has taken a message; `answer` is what it says in the HTTP response.
    pub fn push_answered(&mut self, now: Timestamp, sent: &Payload, answer: Option<Payload>) {
        let kind = sent.kind();
        let Some(answer) = answer else {
            if kind != PayloadKind::DistributeEvent {
                self.violations.push(format!("{kind} was not answered"));
            }
            return;
        };
        let answered_by = answer.kind();
        if answer_to(kind) != Some(answered_by) {
            self.violations.push(format!("{kind} was answered by {answered_by}"));
        }
        self.received.push((now, answered_by));
        self.violations.extend(self.owed.came(&answer));
        if self.identify(&answer).is_err() {
            self.violations.push(format!("{answered_by} has another venID than ours"));
        } else {
            // What a polling VEN is told in return has no place here.
            self.served(now, answer);
        }
    }

    /// The VEN could not be reached, or could not take the message: it is pushed again.
    pub fn push_failed(&mut self, sent: Payload) {
        if let Payload::DistributeEvent(_) = sent {
            self.changed = true;
        } else {
            self.queue.push_front(sent);
        }
    }
}

/// What a VEN answers in the HTTP response (section 8 of the profile); `None`: nothing.
fn answer_to(kind: PayloadKind) -> Option<PayloadKind> {
    const FITTING: [(PayloadKind, PayloadKind); 5] = [
        (PayloadKind::CreateReport, PayloadKind::CreatedReport),
        (PayloadKind::CancelReport, PayloadKind::CanceledReport),
        (PayloadKind::RegisterReport, PayloadKind::RegisteredReport),
        (PayloadKind::UpdateReport, PayloadKind::UpdatedReport),
        (PayloadKind::CancelPartyRegistration, PayloadKind::CanceledPartyRegistration),
    ];
    let fitting = FITTING.iter().find(|(sent, _)| *sent == kind).map(|(_, answer)| *answer);
    (kind != PayloadKind::DistributeEvent).then(|| fitting.unwrap_or(PayloadKind::Response))
}
