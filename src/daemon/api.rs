//! Starts the local API: what it shows, what it takes, who may ask.

use std::net::SocketAddr;

use crate::config::Config;
use crate::engine::{EventRecord, Snapshot};
use crate::time::Span;

use super::bus::Bus;
use super::clock::Clock;
use super::http::{Route, Routes, Server, Setup, Traffic, own_routes, telegram_routes};
use super::inlets::Inlets;
use super::status::{Board, EventStatus, HookStatus, MeterStatus, RequestStatus, Status, keep};
use super::ven::StartError;

/// How the VEN stands before anything happens: as it was stored.
fn beginning(config: &Config, snapshot: &Snapshot) -> Status {
    let mut status = Status::default();
    (status.ven.name, status.ven.version) = (config.ven.name.clone(), env!("CARGO_PKG_VERSION").to_owned());
    (status.vtn.url, status.vtn.pushes) = (config.vtn.url.clone(), config.push.is_some());
    if let Some(registration) = &snapshot.registration {
        status.ven.id = Some(registration.ven_id.to_string());
        status.vtn.id = Some(registration.vtn_id.to_string());
        status.vtn.poll_seconds = registration.poll_freq.map(Span::seconds);
        status.registration.id = Some(registration.registration_id.to_string());
    }
    let events = snapshot.events.iter().filter(|(_, record)| !record.ended);
    status.events = events.map(|(id, record)| (id.to_string(), event(record))).collect();
    let meters = config.meters.iter().map(|meter| (meter.name.clone(), MeterStatus::default()));
    status.meters = meters.collect();
    let enabled = config.hooks.iter().filter(|hook| hook.enabled);
    status.hooks = enabled.map(|hook| (hook.name.clone(), HookStatus::default())).collect();
    for (id, request) in &snapshot.requests {
        let told = RequestStatus {
            specifier: request.specifier.to_string(),
            points: request.points.iter().map(ToString::to_string).collect(),
            step_seconds: request.granularity.seconds(),
            every_seconds: request.back.seconds(),
            last_delivered: None,
        };
        status.reports.requests.insert(id.to_string(), told);
    }
    status
}

fn event(record: &EventRecord) -> EventStatus {
    let mut status = EventStatus::new(&record.event, &record.timeline());
    (status.active, status.cancelled) = (record.started, record.stop.is_some());
    let decision = record.decision.as_ref().filter(|decision| decision.modification == status.modification);
    status.opt = decision.map(|decision| decision.opt.to_string());
    status.decided_by = decision.map(|decision| decision.by.to_string());
    status
}

/// Begins to keep the status, until `gone`.
pub(super) fn board(
    config: &Config,
    snapshot: &Snapshot,
    bus: &Bus,
    clock: Clock,
    gone: impl Future<Output = ()> + Send + 'static,
) -> Board {
    keep(beginning(config, snapshot), bus.clone(), clock, gone)
}

/// Serves the local API, if there is to be one, until `gone`, with `more` routes beside our own; where it listens.
///
/// # Errors
///
/// Where it cannot listen there.
pub(super) async fn serve(
    setup: Option<Setup>,
    board: &Board,
    inlets: &Inlets,
    more: Vec<Route>,
    clock: Clock,
    gone: impl Future<Output = ()> + Send + 'static,
) -> Result<Option<SocketAddr>, StartError> {
    let Some(setup) = setup else { return Ok(None) };
    let (traffic, listen) = (Traffic::default(), setup.listen);
    let routes = Routes::default().with(own_routes(board, &traffic)).with(telegram_routes(inlets));
    let routes = routes.with(more).described();
    let scheme = if setup.tls.is_some() { "https" } else { "http" };
    let unusable = |error: std::io::Error| StartError::System(format!("[http] listen {listen}: {error}"));
    let server = Server::bind(setup, routes, clock, traffic).await.map_err(unusable)?;
    let address = server.address().map_err(unusable)?;
    tracing::info!("the local API is at {scheme}://{address}");
    tokio::spawn(server.run(gone));
    Ok(Some(address))
}
