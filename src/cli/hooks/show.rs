//! `ven hooks list --configured` and `ven hooks show`: what the configuration says.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::super::reports::table;
use super::lost;
use crate::config::Config;
use crate::daemon::control::{HooksRequest, Request, Response, ask};
use crate::hook::settings::{HookSettings, QueueLimits, Target, TcpTarget, WhenFull};

pub(super) fn list(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let mut rows = vec![["HOOK", "TYPE", "ENABLED", "TOPICS", "TO"].map(str::to_owned).to_vec()];
    for hook in &config.hooks {
        let enabled = if hook.enabled && config.bus.hooks { "yes" } else { "no" };
        rows.push(vec![
            hook.name.clone(),
            hook.target.word().to_owned(),
            enabled.to_owned(),
            hook.topics.to_string(),
            goal(&hook.target),
        ]);
    }
    Ok(write!(std::io::stdout(), "{}", table(0, &rows))?)
}

pub(super) fn show(path: &Path, name: &str) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let hook = configured(&config, name)?;
    let place = match (config.hook_files.get(name), config.lines.get(&format!("hook.{name}"))) {
        (Some(file), _) => file.display().to_string(),
        (None, Some(line)) => format!("{}:{line}", path.display()),
        (None, None) => path.display().to_string(),
    };
    let mut rows = vec![vec!["stands in".to_owned(), place]];
    let standing = standing(&config, name);
    rows.extend(lines(hook).into_iter().chain(standing).map(|(key, value)| vec![key.to_owned(), value]));
    Ok(write!(std::io::stdout(), "{}", table(0, &rows))?)
}

/// How it stands, where a VEN runs with it.
fn standing(config: &Config, name: &str) -> Vec<(&'static str, String)> {
    let answer = ask(&config.ven.state, &Request::Hooks(HooksRequest::Look));
    let Ok(Response::Hooks { hooks }) = answer else { return Vec::new() };
    let Some(hook) = hooks.into_iter().find(|hook| hook.name == name) else { return Vec::new() };
    let mut lines = vec![("state", hook.state.clone()), ("waiting", hook.waiting.to_string())];
    lines.extend(hook.oldest.clone().map(|oldest| ("waiting since", oldest)));
    lines.extend([("sent", hook.sent.to_string()), ("lost", lost(&hook))]);
    lines.extend(hook.next.map(|next| ("tried again", next)));
    lines.extend(hook.fault.map(|fault| ("last fault", fault)));
    lines
}

/// The hook of this name, whether it is enabled or not.
pub(super) fn configured<'c>(config: &'c Config, name: &str) -> anyhow::Result<&'c HookSettings> {
    let hook = config.hooks.iter().find(|hook| hook.name == name);
    hook.with_context(|| {
        let names: Vec<&str> = config.hooks.iter().map(|hook| hook.name.as_str()).collect();
        format!("no hook is called \"{name}\"; there are: {}", names.join(", "))
    })
}

fn lines(hook: &HookSettings) -> Vec<(&'static str, String)> {
    let schedule =
        |waits: &[crate::time::Span]| waits.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let words = match (&hook.words.template, hook.words.form.is_empty(), &hook.words.serializer) {
        (Some(template), _, _) => format!("a template of {} octets", template.len()),
        (None, false, _) => "a form".to_owned(),
        (None, true, None) => "CloudEvents".to_owned(),
        (None, true, Some(serializer)) => format!("{serializer:?}"),
    };
    let mut lines = vec![
        ("type", hook.target.word().to_owned()),
        ("to", goal(&hook.target)),
        ("enabled", hook.enabled.to_string()),
        ("topics", hook.topics.to_string()),
        ("filter", hook.filter.clone().unwrap_or_default()),
        ("words", words),
        ("durable", if hook.durable_always { "always" } else { "auto" }.to_owned()),
        ("order", if hook.strict_order { "strict" } else { "relaxed" }.to_owned()),
        ("timeout", hook.timeout.to_string()),
        ("queue", limits(&hook.queue)),
        ("meter_queue", limits(&hook.meter_queue)),
        ("batch", format!("{} at most, {} to wait", hook.batch.max_items, hook.batch.max_wait)),
        ("min_interval", hook.min_interval.to_string()),
        ("on_change", hook.on_change.to_string()),
        ("retry", schedule(&hook.retry.schedule)),
        ("retry of meters", schedule(&hook.retry.meter_schedule)),
        ("poison_attempts", hook.retry.poison_attempts.to_string()),
    ];
    if let Target::Http(target) = &hook.target {
        let header = |(name, value): &(String, String)| ("header", format!("{name}: {value}"));
        lines.push(("method", target.method.clone()));
        lines.extend(target.headers.iter().map(header));
        lines.push(("signed with", target.secrets.join(", ")));
    }
    lines
}

fn limits(limits: &QueueLimits) -> String {
    let gives_way = match limits.when_full {
        WhenFull::DropOldest => "the oldest gives way",
        WhenFull::DropNewest => "the newest gives way",
    };
    format!("{} items, {} octets, {}; {gives_way}", limits.max_items, limits.max_bytes, limits.max_age)
}

/// Where it goes, for people.
pub(super) fn goal(target: &Target) -> String {
    match target {
        Target::Http(target) => target.url.clone(),
        Target::Mqtt(target) => format!("{} {}", target.url, target.base),
        Target::File(target) => target.path.display().to_string(),
        Target::Tcp(TcpTarget::Listen(address)) => format!("whoever connects to {address}"),
        Target::Tcp(TcpTarget::Connect(address)) => address.clone(),
        Target::Serial(target) => target.port.display().to_string(),
        Target::Exec(target) => target.command.join(" "),
        Target::PvOutput(target) => format!("{} system {}", target.url, target.system_id),
    }
}
