//! Answers what people ask of hooks.

use std::collections::BTreeMap;

use super::message::{HookLine, HooksRequest, Response};
use crate::daemon::outbox::{Order, OrderFault, Outbox, View};

pub(super) async fn answer(request: HooksRequest, outbox: &Outbox) -> Response {
    let done = match request {
        HooksRequest::Look => return Response::Hooks { hooks: lines(outbox).await },
        HooksRequest::Pause { hook } => outbox.order(&hook, Order::Pause),
        HooksRequest::Resume { hook } => outbox.order(&hook, Order::Resume),
        HooksRequest::Send { hook, again } => send(outbox, &hook, again),
    };
    match done {
        Ok(()) => Response::Ordered,
        Err(fault) => Response::Error { why: fault.to_string() },
    }
}

fn send(outbox: &Outbox, hook: &str, again: Vec<u64>) -> Result<(), OrderFault> {
    if !again.is_empty() {
        outbox.order(hook, Order::Resend(again))?;
    }
    outbox.order(hook, Order::SendNow)
}

/// How each hook stands.
pub(crate) async fn lines(outbox: &Outbox) -> Vec<HookLine> {
    outbox.seen().await.into_iter().map(|(name, view)| line(name, view)).collect()
}

fn line(name: String, view: View) -> HookLine {
    let standing = view.standing;
    let state = match standing {
        _ if standing.disabled => "disabled",
        _ if standing.paused => "paused",
        _ if standing.failures > 0 => "failing",
        _ => "running",
    };
    let dropped: BTreeMap<String, u64> =
        view.losses.by_reason().into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect();
    HookLine {
        name,
        state: state.into(),
        waiting: view.control.items + view.meter.items,
        oldest: view.oldest.map(|at| at.to_string()),
        sent: view.sent,
        lost: dropped.values().sum(),
        dropped,
        next: standing.next_at.map(|at| at.to_string()),
        fault: view.last_fault,
    }
}
