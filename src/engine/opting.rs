//! Speaks `EiOpt`: opts about events and opt schedules go to the VTN, one after the other, until it has answered them.

use crate::notice::Notice;
use crate::openadr::message::{Payload, PayloadKind, RequestId, ResponseCode, VenId};
use crate::time::Timestamp;

use super::exchange::What;
use super::replies::unlawful;
use super::snapshot::Standing;
use super::{Engine, Turn};

impl Engine {
    /// What the VTN has to be told by `EiOpt`.
    pub(super) fn opt_owed(&self, now: Timestamp, ven_id: &VenId) -> Option<(What, Payload)> {
        let about_event = self.events.create_opt(ven_id, now);
        about_event
            .map(|create| (What::CreateOpt(create.request_id.clone()), create.into()))
            .or_else(|| self.availability.next_message(ven_id, now))
    }

    /// The VTN has answered an opt, or its cancellation.
    pub(super) fn opt_answered(
        &mut self,
        turn: &mut Turn,
        what: &What,
        reply: Option<Payload>,
    ) -> Result<(), String> {
        match (what, reply) {
            (What::CreateOpt(request_id), Some(Payload::CreatedOpt(reply)))
                if reply.response.code.is_success() =>
            {
                if self.events.opt_settled(turn, request_id, Standing::Held).is_none() {
                    self.availability.created(turn, request_id);
                }
            }
            // What it does not know it does not hold either, and that is what was wanted.
            (What::CancelOpt(request_id), Some(Payload::CanceledOpt(reply)))
                if reply.response.code.is_success() || reply.response.code == ResponseCode::INVALID_ID =>
            {
                self.availability.cancelled(turn, request_id);
            }
            (What::CreateOpt(_), Some(Payload::CreatedOpt(reply))) => {
                self.denied(turn, what.clone(), &reply.response);
            }
            (What::CancelOpt(_), Some(Payload::CanceledOpt(reply))) => {
                self.denied(turn, what.clone(), &reply.response);
            }
            (_, Some(Payload::Response(reply))) => self.denied(turn, what.clone(), &reply.response),
            (what, reply) => return Err(unlawful(what, reply.as_ref())),
        }
        Ok(())
    }

    /// The VTN will never take an opt. It goes on to count here: it is what its owner wants.
    pub(super) fn opt_refused(&mut self, turn: &mut Turn, request_id: &RequestId, why: &str) -> bool {
        let about = match self.events.opt_settled(turn, request_id, Standing::Unspoken) {
            Some(event) => Some(("event", event.to_string())),
            None => self.availability.told(turn, request_id).map(|id| ("schedule", id.to_string())),
        };
        tell_refusal(turn, PayloadKind::CreateOpt, about, why);
        true
    }

    /// The VTN will never cancel a schedule; here it holds no more.
    pub(super) fn cancel_refused(&mut self, turn: &mut Turn, request_id: &RequestId, why: &str) -> bool {
        let about = self.availability.let_go(turn, request_id).map(|id| ("schedule", id.to_string()));
        tell_refusal(turn, PayloadKind::CancelOpt, about, why);
        true
    }
}

/// `about`: what kind of thing the message was about, and its id.
fn tell_refusal(turn: &mut Turn, message: PayloadKind, about: Option<(&str, String)>, why: &str) {
    let (why, about) = match about {
        Some((kind, id)) => (format!("{kind} {id}: {why}"), vec![id]),
        None => (why.to_owned(), Vec::new()),
    };
    turn.notify(Notice::MessageRefused { message, about, why });
}
