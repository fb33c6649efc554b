//! `ven monitors tail`: reads a monitor as it is pushed, and prints it.

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::{Config, SecretSource, TokenProof, TokenSection, setting};
use crate::daemon::clock::Clock;
use crate::daemon::control::{MonitorsRequest, Request, Response, ask};
use crate::daemon::monitor::client::{ConnectionRequest, End, Place, Way, connect, read};
use crate::daemon::transport::tls::{Roots, nameless};
use crate::hook::monitor::MonitorOptions;

use super::super::outcome::Fault;
use super::{Shape, deleted, made, reader};

pub(super) const EXAMPLES: &str = "\
Examples:
  ven monitors tail -t 'event.*,vtn.disconnected'
  ven monitors tail -m 1000 | jq .topic
  ven monitors tail -a ven.example.net:3201 --ca ca.pem -m 260 pump --token-file pump.token";

/// Where a token can be given that is not to stand in the list of processes.
const TOKEN: &str = "VEN_TOKEN";
/// The ports of the published protocol.
const PLAIN_PORT: u16 = 3200;
const TLS_PORT: u16 = 3201;

#[derive(Debug, Args)]
pub(super) struct TailArguments {
    /// The name of the token; without it, the only one that may read monitors.
    #[arg(value_name = "NAME")]
    user: Option<String>,
    /// The token. Others on this machine can see it here: --token-file, the variable `VEN_TOKEN` or the configuration keep it to yourself.
    #[arg(value_name = "TOKEN")]
    password: Option<String>,
    /// The file with the token.
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    token_file: Option<PathBuf>,
    /// What is told: topics and patterns, as event.*,opt.decided; without it, everything.
    #[arg(short, long, value_delimiter = ',', value_name = "TOPIC")]
    topics: Vec<String>,
    /// HOST[:PORT], as ven.example.net or 127.0.0.1:3200; without it, where the VEN of the configuration pushes monitors.
    #[arg(short, long)]
    address: Option<String>,
    /// Whom to trust with TLS: certificates as PEM; without it, what the system trusts.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Without TLS, even to another machine: whoever is between sees the token.
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    shape: Shape,
    /// A monitor that is there, which stays at the end.
    #[arg(short, long, value_name = "ID", conflicts_with_all = ["topics", "format", "compression", "batch_size", "batch_duration", "keep"])]
    monitor: Option<u32>,
    /// Leave the monitor that is made for this, so that it can be read on by --monitor.
    #[arg(long)]
    keep: bool,
}

/// Where to connect, again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Goal {
    At(Place),
    /// Wherever the VEN with this state folder pushes monitors then.
    OfVen {
        state: PathBuf,
        tls: bool,
    },
}

pub(super) fn tail(path: &Path, arguments: &TailArguments) -> Result<(), Fault> {
    let place = arguments.address.as_deref().map(address).transpose()?;
    let elsewhere = place.as_ref().is_some_and(|(host, _)| !is_here(host));
    let config = if elsewhere { None } else { loaded(path, arguments)? };
    if elsewhere && arguments.monitor.is_none() {
        return Err(Fault::usage(
            "on another machine no monitor can be made from here; make one there with `ven monitors create`, and name it by --monitor",
        ));
    }
    let (user, password) = credentials(config.as_ref(), arguments)?;
    let (goal, way) = goal(config.as_ref(), place, arguments)?;
    super::super::log("info");
    let runtime = super::super::runtime()?;
    let own = match (arguments.monitor, &config) {
        (None, Some(config)) => Some(make(config, &user, arguments)?),
        (None, None) | (Some(_), _) => None,
    };
    let monitor = arguments.monitor.or(own).unwrap_or_default();
    let request = ConnectionRequest { user, password, monitor };
    let told = runtime.block_on(follow(&request, &goal, &way));
    // Nobody may be reading what is still to be printed.
    runtime.shutdown_background();
    match (own, &config) {
        (Some(id), Some(config)) if !arguments.keep => {
            let left = |Fault { why, .. }: Fault| {
                Fault::failed(format!(
                    "monitor {id} is left behind: {why:#}; `ven monitors delete {id}` ends it"
                ))
            };
            let ended = deleted(config, id).map_err(left);
            told.and(ended)
        }
        (Some(id), _) => {
            tracing::info!("monitor {id} stays; `ven monitors tail -m {id}` reads on");
            told
        }
        (None, _) => told,
    }
}

/// The configuration, where something has to be known from it.
fn loaded(path: &Path, arguments: &TailArguments) -> Result<Option<Config>, Fault> {
    let TailArguments { user, monitor, address, .. } = arguments;
    let named = user.is_some() && monitor.is_some() && address.is_some() && token(arguments)?.is_some();
    if named { Ok(None) } else { Ok(Some(Config::load(path)?)) }
}

/// The host and the port of `HOST[:PORT]`.
fn address(text: &str) -> Result<(String, Option<u16>), Fault> {
    let wrong = || {
        Fault::usage(format!("--address: expected HOST[:PORT], as 127.0.0.1:3200 or [::1], found \"{text}\""))
    };
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match (bracketed, text.split_once(':')) {
        (Some((host, rest)), _) if host.parse::<IpAddr>().is_ok() => (host, rest),
        (Some(_), _) => return Err(wrong()),
        (None, Some((host, _))) if !text[host.len() + 1..].contains(':') => text.split_at(host.len()),
        // An address of IPv6 as it is.
        (None, Some(_)) if text.parse::<IpAddr>().is_ok() => (text, ""),
        (None, Some(_)) => return Err(wrong()),
        (None, None) => (text, ""),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => Some(port.parse().map_err(|_| wrong())?),
        None if port.is_empty() => None,
        None => return Err(wrong()),
    };
    if host.is_empty() || host.contains('/') { Err(wrong()) } else { Ok((host.to_owned(), port)) }
}

/// This machine, whatever a name server says (RFC 6761, 6.3).
fn is_here(host: &str) -> bool {
    let host_is = |address: IpAddr| address.to_canonical().is_loopback();
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(host_is)
}

/// The token as it was given.
fn token(arguments: &TailArguments) -> Result<Option<String>, Fault> {
    if let Some(password) = &arguments.password {
        return Ok(Some(password.clone()));
    }
    let Some(file) = &arguments.token_file else { return Ok(setting(TOKEN)) };
    let text = SecretSource::File(file.clone()).text();
    text.map(|text| Some(text.to_string())).map_err(Fault::usage)
}

/// The name and the token.
fn credentials(config: Option<&Config>, arguments: &TailArguments) -> Result<(String, String), Fault> {
    let given = token(arguments)?;
    let Some(config) = config else {
        let Some(user) = arguments.user.clone() else {
            return Err(Fault::usage("say by which NAME of a token the monitor is read there"));
        };
        let missing = || {
            Fault::usage(format!("the token of {user} is missing; give it by --token-file, or in ${TOKEN}"))
        };
        return Ok((user.clone(), given.ok_or_else(missing)?));
    };
    let owner =
        config.monitors.iter().find(|one| Some(one.id) == arguments.monitor).map(|one| one.owner.as_str());
    let Some(section) = reader(config, arguments.user.as_deref().or(owner))? else {
        return Err(Fault::usage(
            "monitors are pushed to those only who have a token; add an [[http.token]] with scopes = [\"monitors\"]",
        ));
    };
    let password = given.map_or_else(|| configured(section), Ok)?;
    Ok((section.name.clone(), password))
}

/// The token where the configuration says where it is.
fn configured(section: &TokenSection) -> Result<String, Fault> {
    let name = &section.name;
    match &section.proof {
        TokenProof::Hash(_) => Err(Fault::usage(format!(
            "of the token of {name} the configuration has the hash only; give it by --token-file, or in ${TOKEN}"
        ))),
        TokenProof::Secret(source) => {
            let text = source.text().map_err(|why| Fault::usage(format!("the token of {name}: {why}")))?;
            Ok(text.to_string())
        }
    }
}

/// Where to connect, and how.
fn goal(
    config: Option<&Config>,
    place: Option<(String, Option<u16>)>,
    arguments: &TailArguments,
) -> Result<(Goal, Way), Fault> {
    let (goal, plain) = match (place, config) {
        (Some((host, port)), _) => {
            let here = is_here(&host) && arguments.ca.is_none() && port != Some(TLS_PORT);
            let plain = arguments.insecure || here;
            let port = port.unwrap_or(if plain { PLAIN_PORT } else { TLS_PORT });
            (Goal::At(Place { host, port }), plain)
        }
        (None, Some(config)) => {
            let state = config.ven.state.clone();
            let (tcp, tls) = pushed(&state)?;
            let plain = arguments.insecure || (tcp.is_some() && arguments.ca.is_none());
            if (if plain { tcp } else { tls }).is_none() {
                let way = if plain { "tcp = \"127.0.0.1:3200\"" } else { "tls = \"0.0.0.0:3201\"" };
                return Err(Fault::usage(format!(
                    "this VEN pushes no monitors so; add [push_monitor] {way}"
                )));
            }
            (Goal::OfVen { state, tls: !plain }, plain)
        }
        (None, None) => return Err(Fault::usage("say where the monitor is pushed, by --address")),
    };
    let way = match (plain, arguments.insecure) {
        (true, true) => Way::PlainAnywhere,
        (true, false) => Way::Plain,
        (false, _) => {
            Way::Tls(nameless(&roots(arguments)?).map_err(|error| Fault::usage(format!("TLS: {error}")))?)
        }
    };
    Ok((goal, way))
}

fn roots(arguments: &TailArguments) -> Result<Roots, Fault> {
    let Some(file) = &arguments.ca else { return Ok(Roots::System) };
    let pem =
        std::fs::read(file).map_err(|error| Fault::usage(format!("--ca {}: {error}", file.display())))?;
    Ok(Roots::Pem(pem))
}

/// Where the VEN that runs pushes monitors: without TLS, and with it.
fn pushed(state: &Path) -> Result<(Option<String>, Option<String>), Fault> {
    let answer = ask(state, &Request::Monitors(MonitorsRequest::Where))?;
    let Response::Pushed { tcp, tls } = answer else { return Err(Fault::answered(answer)) };
    Ok((tcp, tls))
}

/// A monitor for us alone. What was not confirmed is told again, so nothing is lost while we connect anew.
fn make(config: &Config, owner: &str, arguments: &TailArguments) -> Result<u32, Fault> {
    let all = ["**".to_owned()];
    let topics = if arguments.topics.is_empty() { &all[..] } else { &arguments.topics };
    let options = MonitorOptions {
        ack: Some("explicit".to_owned()),
        description: "ven monitors tail".to_owned(),
        ..arguments.shape.options(topics)
    };
    let made = made(config, owner.to_owned(), options)?;
    let id = made["id"].as_u64().and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| Fault::failed("the VEN has not said which monitor it has made"))
}

/// Until somebody stops us, or it makes no sense to go on.
async fn follow(request: &ConnectionRequest, goal: &Goal, way: &Way) -> Result<(), Fault> {
    let connecting = async || connect(&goal.place().await?, way).await;
    let end = tokio::select! {
        stopped = super::super::told_to_stop() => return Ok(stopped?),
        end = read(request, connecting, print, Clock::start()) => end,
    };
    Err(match end {
        End::Untold(error) => error.into(),
        End::Forbidden | End::BadRequest | End::TooLong(_) => Fault::failed(end.to_string()),
    })
}

/// Whoever is slow to read it holds up nothing else.
async fn print(text: String) -> io::Result<()> {
    let printed = tokio::task::spawn_blocking(move || {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    });
    printed.await.map_err(io::Error::other)?
}

impl Goal {
    async fn place(&self) -> io::Result<Place> {
        let (state, tls) = match self {
            Self::At(place) => return Ok(place.clone()),
            Self::OfVen { state, tls } => (state.clone(), *tls),
        };
        let pushed = tokio::task::spawn_blocking(move || pushed(&state)).await.map_err(io::Error::other)?;
        let (plain, secured) = pushed.map_err(|Fault { why, .. }| io::Error::other(format!("{why:#}")))?;
        let address = if tls { secured } else { plain };
        let address = address.and_then(|address| address.parse().ok());
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the VEN does not push monitors any more");
        Ok(place_of(address.ok_or_else(gone)?))
    }
}

/// Where a VEN on this machine is that listens there.
fn place_of(address: std::net::SocketAddr) -> Place {
    let everywhere = address.ip().is_unspecified();
    let host = if everywhere { "localhost".to_owned() } else { address.ip().to_string() };
    Place { host, port: address.port() }
}

#[cfg(test)]
mod tests {
    use super::{Place, address, is_here, place_of};

    #[test]
    fn addresses_are_read_with_and_without_a_port() {
        for (text, host, port) in [
            ("ven.example.net", "ven.example.net", None),
            ("ven.example.net:3201", "ven.example.net", Some(3201)),
            ("127.0.0.1:1", "127.0.0.1", Some(1)),
            ("[::1]:3200", "::1", Some(3200)),
            ("[::1]", "::1", None),
            ("2001:db8::1", "2001:db8::1", None),
        ] {
            assert_eq!(address(text).unwrap(), (host.to_owned(), port), "{text}");
        }
        for text in ["", ":3200", "a:b", "a:70000", "[a]:1", "[::1]3200", "a:1:2", "http://a", "[::1"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn this_machine_is_known_without_asking_a_name_server() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert!(is_here(host), "{host}");
        }
        for host in ["localhost.example.net", "192.0.2.1", "::", "127.0.0.1.example.net"] {
            assert!(!is_here(host), "{host}");
        }
    }

    #[test]
    fn one_that_listens_everywhere_is_spoken_to_by_a_name_that_a_certificate_can_have() {
        let place = |text: &str| place_of(text.parse().unwrap());
        assert_eq!(place("0.0.0.0:3201"), Place { host: "localhost".into(), port: 3201 });
        assert_eq!(place("[::]:1"), Place { host: "localhost".into(), port: 1 });
        assert_eq!(place("192.0.2.7:3201"), Place { host: "192.0.2.7".into(), port: 3201 });
    }
}
