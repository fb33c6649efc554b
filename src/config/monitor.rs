//! Reads `[[monitor]]` and `[push_monitor]`: monitors that are always there, and where they are pushed.

use std::net::SocketAddr;

use crate::hook::monitor::{MonitorOptions, MonitorSettings, StaticMonitor};

use super::http::{HttpSection, Scope};
use super::read::or;
use super::reader::Section;

/// Numbers above are given to monitors that are created while the VEN runs.
const LAST_STATIC: u32 = 999;

/// `[push_monitor]`: where monitors are pushed; one of the two is there at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PushMonitorSection {
    /// In the clear, on this machine only.
    pub(crate) tcp: Option<SocketAddr>,
    /// With the certificate of `[http]`.
    pub(crate) tls: Option<SocketAddr>,
}

/// The monitors that are always there.
pub(super) fn monitors(root: &Section<'_, '_>, http: Option<&HttpSection>) -> Vec<StaticMonitor> {
    let mut monitors: Vec<StaticMonitor> = Vec::new();
    for section in root.sections("monitor") {
        if section.has("owner") && (http.is_some() || !root.has("http")) {
            check_owner(&section, http);
        }
        let (place, _) = section.place();
        let Some((monitor, line)) = monitor(section) else { continue };
        if monitors.iter().any(|other| other.id == monitor.id) {
            root.reader.fault(
                line,
                &format!("{place}.id"),
                format!("{} stands twice; give each its own", monitor.id),
            );
        }
        monitors.push(monitor);
    }
    monitors
}

/// Somebody who may read monitors, or a fault.
fn check_owner(section: &Section<'_, '_>, http: Option<&HttpSection>) {
    let Some(owner) = section.text("owner") else { return };
    let mut tokens = http.into_iter().flat_map(|http| &http.tokens);
    let name = &owner.value;
    let what = match tokens.find(|token| token.name == *name) {
        Some(token) if token.scopes.contains(&Scope::Monitors) => return,
        Some(_) => {
            format!("the [[http.token]] \"{name}\" may not read monitors; add \"monitors\" to its scopes")
        }
        None => format!(
            "there is no [[http.token]] with name = \"{name}\"; add it with scopes = [\"monitors\"], `ven token new` makes one"
        ),
    };
    section.reader.fault(owner.line, &owner.key, what);
}

/// One monitor, and the line of its number.
fn monitor(section: Section<'_, '_>) -> Option<(StaticMonitor, Option<usize>)> {
    let advice = format!("is missing; give the monitor a number of your choice, from 1 to {LAST_STATIC}");
    let id = section.number("id");
    if !section.has("id") {
        section.fault("id", advice);
    }
    let id = id.and_then(|found| {
        let fits = (1..=LAST_STATIC).contains(&found.value);
        if !fits {
            let what = format!("expected 1 to {LAST_STATIC}, found {}", found.value);
            section.reader.fault(found.line, &found.key, what);
        }
        fits.then_some((found.value, found.line))
    });
    let owner = section.required("owner", "say who may read it: the name of an [[http.token]]");
    let text = |name| section.text(name).map(|found| found.value);
    let options = MonitorOptions {
        topics: section.texts("topics").into_iter().map(|found| found.value).collect(),
        format: text("format"),
        compression: text("compression"),
        batch_size: section.number("batch_size").map(|found| i64::from(found.value)),
        batch_duration: text("batch_duration"),
        ack: text("ack"),
        replay: or(section.boolean("replay"), false),
        description: text("description").unwrap_or_default(),
    };
    let settings = MonitorSettings::read(&options);
    for fault in settings.as_ref().err().into_iter().flatten() {
        let (name, what) = fault.split_once(": ").unwrap_or(("", fault));
        if section.has(name) {
            section.fault_at(name, what);
        } else {
            section.fault(name, what);
        }
    }
    section.end();
    let (id, line) = id?;
    Some((StaticMonitor { id, owner: owner?.value, settings: settings.ok()? }, line))
}

/// `None` where monitors are not pushed.
pub(super) fn push_monitor(root: &Section<'_, '_>, http: Option<&HttpSection>) -> Option<PushMonitorSection> {
    let section = root.section("push_monitor");
    if !root.has("push_monitor") && !section.has("tcp") && !section.has("tls") {
        return None;
    }
    let kind = "an address and a port like \"127.0.0.1:3200\"";
    let tcp = section.parse_text("tcp", kind, |text| text.parse().ok());
    let tcp = tcp.and_then(|found| {
        plain_address(found.value)
            .inspect_err(|what| section.reader.fault(found.line, &found.key, what.as_str()))
            .ok()
    });
    let kind = "an address and a port like \"0.0.0.0:3201\"";
    let tls = section.parse_text("tls", kind, |text| text.parse().ok()).map(|found| found.value);
    if !section.has("tcp") && !section.has("tls") {
        section.fault("tcp", "is missing; say where to push, as tcp = \"127.0.0.1:3200\", or tls");
    }
    if http.is_some() || !root.has("http") {
        let nobody =
            |http: &HttpSection| !http.tokens.iter().any(|one| one.scopes.contains(&Scope::Monitors));
        if http.is_none_or(nobody) {
            let what =
                "nobody may read monitors; add [http] with an [[http.token]] with scopes = [\"monitors\"]";
            section.reader.fault(section.place().1, "push_monitor", what);
        }
        if section.has("tls") && http.is_none_or(|http| http.tls.is_none()) {
            section.fault_at("tls", "takes the certificate of the local API; add cert and key to [http]");
        }
    }
    section.end();
    (tcp.is_some() || tls.is_some()).then_some(PushMonitorSection { tcp, tls })
}

/// Where monitors are pushed without TLS: tokens go over this connection, so it does not leave the machine.
///
/// # Errors
///
/// Where others can reach that address.
fn plain_address(listen: SocketAddr) -> Result<SocketAddr, String> {
    if listen.ip().is_loopback() {
        return Ok(listen);
    }
    let port = listen.port();
    Err(format!(
        "{listen} is not on the loopback, and tokens would cross the network in the clear: write 127.0.0.1:{port}, or use tls"
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn without_tls_nobody_outside_is_served() {
        for good in ["127.0.0.1:3200", "[::1]:3200", "127.8.8.8:1"] {
            assert_eq!(super::plain_address(good.parse().unwrap()), Ok(good.parse().unwrap()));
        }
        for open in ["0.0.0.0:3200", "[::]:3200", "192.0.2.1:3200"] {
            let why = super::plain_address(open.parse().unwrap()).unwrap_err();
            assert!(why.contains(open) && why.contains("127.0.0.1:3200"), "{why}");
        }
    }
}
