//! Answers what people ask of hooks.

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
    let mut lines = Vec::new();
    for name in outbox.names() {
        lines.push(match outbox.look(&name).await {
            Ok(view) => line(name, &view),
            Err(_) => {
                HookLine { name, state: "busy".into(), waiting: 0, sent: 0, lost: 0, next: None, fault: None }
            }
        });
    }
    lines
}

fn line(name: String, view: &View) -> HookLine {
    let standing = view.standing;
    let state = match standing {
        _ if standing.disabled => "disabled",
        _ if standing.paused => "paused",
        _ if standing.failures > 0 => "failing",
        _ => "running",
    };
    let losses = view.losses;
    HookLine {
        name,
        state: state.into(),
        waiting: view.control.items + view.meter.items,
        sent: view.sent,
        lost: losses.dead
            + losses.unsaid
            + losses.expired
            + losses.full
            + losses.too_large
            + losses.superseded,
        next: standing.next_at.map(|at| at.to_string()),
        fault: view.last_fault.clone(),
    }
}
