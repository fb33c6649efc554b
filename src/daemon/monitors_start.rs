//! Starts the monitors, and pushes them: where they are asked for, and by whom.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_rustls::TlsAcceptor;

use crate::config::{Config, PushMonitorSection, Scope};

use super::bus::Bus;
use super::clock::Clock;
use super::http::token::{Failures, Who};
use super::http::{Setup, Tokens};
use super::monitor::{Door, Monitors, Patience, PushMonitors};
use super::store::StoreHandle;
use super::transport::Listener;
use super::ven::StartError;

/// Lets those in who have a token of the local API with the scope `monitors`.
struct TokenDoor {
    tokens: Tokens,
    failures: Mutex<Failures>,
    clock: Clock,
}

impl Door for TokenDoor {
    fn owner(&self, token: &str) -> Option<String> {
        match self.tokens.owner(token)? {
            Who::Known { name, scopes } if scopes.contains(&Scope::Monitors) => Some(name),
            Who::Known { .. } | Who::Local | Who::Unknown => None,
        }
    }

    fn failed(&self, peer: IpAddr) -> Duration {
        let now = self.clock.now().since_start;
        // Nothing is done under this lock that could leave it half done.
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.count(peer.to_canonical(), now).to_std()
    }
}

/// Opens the monitors, and pushes them until `gone` where that is configured.
///
/// # Errors
///
/// Where the store fails, or one of the addresses cannot be listened at.
pub(super) async fn start_monitors<F: Future<Output = ()> + Send + 'static>(
    config: &Config,
    api: Option<&Setup>,
    (bus, store, clock): (&Bus, &StoreHandle, Clock),
    gone: impl Fn() -> F,
) -> Result<Monitors, StartError> {
    let monitors = Monitors::open(bus.clone(), store.clone(), clock, config.monitors.clone()).await?;
    if let (Some(section), Some(api)) = (config.push_monitor, api) {
        push_monitors(section, api, &monitors, clock, gone).await?;
    }
    Ok(monitors)
}

/// Takes the sessions of monitors until `gone`, with the tokens and the certificate of the local API.
///
/// # Errors
///
/// Where one of the addresses cannot be listened at.
async fn push_monitors<F: Future<Output = ()> + Send + 'static>(
    section: PushMonitorSection,
    api: &Setup,
    monitors: &Monitors,
    clock: Clock,
    gone: impl Fn() -> F,
) -> Result<(), StartError> {
    // Who guesses at one address waits at the other too.
    let door = Arc::new(TokenDoor { tokens: api.tokens.clone(), failures: Mutex::default(), clock });
    let tls = section.tls.zip(api.tls.clone());
    let places = [
        ("tcp", section.tcp.map(|listen| (listen, None))),
        ("tls", tls.map(|(listen, tls)| (listen, Some(TlsAcceptor::from(tls))))),
    ];
    for (name, place) in places {
        let Some((listen, tls)) = place else { continue };
        let (listener, address) = listen_at(name, listen).await?;
        tracing::info!("monitors are pushed at {name}://{address}");
        monitors.push_at(address, tls.is_some());
        let (monitors, door) = (monitors.clone(), door.clone());
        let push = PushMonitors { monitors, door, patience: Patience::default(), tls };
        tokio::spawn(push.run(listener, gone()));
    }
    Ok(())
}

async fn listen_at(name: &str, listen: SocketAddr) -> Result<(Listener, SocketAddr), StartError> {
    let unusable =
        |error: std::io::Error| StartError::System(format!("[push_monitor] {name} {listen}: {error}"));
    let listener = Listener::bind(listen).await.map_err(unusable)?;
    let address = listener.address().map_err(unusable)?;
    Ok((listener, address))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::TokenDoor;
    use crate::config::Scope;
    use crate::daemon::clock::Clock;
    use crate::daemon::http::{Token, Tokens, hash};
    use crate::daemon::monitor::Door as _;

    fn door() -> TokenDoor {
        let token = |name: &str, scopes| Token { name: name.into(), hash: hash(name), scopes };
        let tokens =
            vec![token("pump", vec![Scope::Read, Scope::Monitors]), token("meter", vec![Scope::Meter])];
        TokenDoor { tokens: Tokens::new(tokens), failures: Mutex::default(), clock: Clock::start() }
    }

    #[test]
    fn monitors_are_for_those_whose_token_says_so() {
        let door = door();
        assert_eq!(door.owner("pump").as_deref(), Some("pump"));
        assert_eq!((door.owner("meter"), door.owner("nobody"), door.owner("")), (None, None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn who_guesses_too_often_waits_by_whichever_name_of_its_address() {
        let door = door();
        let (one, mapped) = ("192.0.2.1".parse().unwrap(), "::ffff:192.0.2.1".parse().unwrap());
        let waits: Vec<_> = (0..5).map(|_| door.failed(one)).collect();
        assert_eq!(waits, [Duration::ZERO; 5]);
        assert_eq!(door.failed(mapped), Duration::from_secs(1));
        assert_eq!(door.failed("192.0.2.2".parse().unwrap()), Duration::ZERO);
    }
}
