//! What each fact says of how the VEN stands, beyond what notices say.

use serde_json::Value;

use crate::fact::Fact;
use crate::fact::topic::{own, vtn};

use super::{HookStatus, MOST_TOPICS, PluginStatus, Status};

/// For topics beyond those that are counted one by one.
const OTHERS: &str = "others";

impl Status {
    /// Something was told.
    pub(super) fn take(&mut self, fact: &Fact) {
        self.count(&fact.topic);
        let text = |name| fact.data.get(name).and_then(Value::as_str);
        let number = |name| fact.data.get(name).and_then(Value::as_u64);
        let why = text("reason").map(str::to_owned);
        let topic = fact.topic.as_str();
        if topic == vtn::POLLED.name {
            self.vtn.last_poll = Some(fact.time);
            self.reached();
        } else if let Some(hook) = text("hook").filter(|_| topic.starts_with("hook.")) {
            let hook = self.hooks.entry(hook.to_owned()).or_default();
            hook.waiting = number("waiting").unwrap_or(hook.waiting);
            if topic == own::HOOK_FAILING.name {
                (hook.failing, hook.why) = (true, why);
            } else if topic == own::HOOK_RECOVERED.name {
                *hook = HookStatus { failing: false, disabled: false, why: None, ..hook.clone() };
            } else if topic == own::HOOK_DISABLED.name {
                (hook.disabled, hook.why) = (true, why);
            } else if topic == own::HOOK_EXHAUSTED.name {
                hook.given_up += 1;
            } else if topic == own::HOOK_OVERFLOW.name {
                let cause = text("cause").unwrap_or(OTHERS).to_owned();
                *hook.dropped.entry(cause).or_default() += number("dropped").unwrap_or(0);
            }
        } else if let Some(plugin) = text("plugin").filter(|_| topic.starts_with("plugin.")) {
            let plugin = self.plugins.entry(plugin.to_owned()).or_default();
            plugin.take(topic, text("kind"), why);
            plugin.since = Some(fact.time);
        } else if topic == own::CONFIG_RELOADED.name {
            self.reloaded(fact);
        }
    }

    /// What is configured no more fails no more; what is configured otherwise begins anew.
    fn reloaded(&mut self, fact: &Fact) {
        let keys = |list| fact.data.get(list).and_then(Value::as_array).into_iter().flatten();
        for key in keys("removed").filter_map(Value::as_str) {
            match key.split_once('.') {
                Some(("hook", hook)) => drop(self.hooks.remove(hook)),
                Some(("plugin", plugin)) => drop(self.plugins.remove(plugin)),
                _ => {}
            }
        }
        for key in keys("added").chain(keys("changed")).filter_map(Value::as_str) {
            if let Some(hook) = key.strip_prefix("hook.") {
                let HookStatus { given_up, dropped, .. } = self.hooks.remove(hook).unwrap_or_default();
                self.hooks.insert(hook.to_owned(), HookStatus { given_up, dropped, ..HookStatus::default() });
            }
        }
    }

    /// Topics of plugins are theirs to invent, so not every one is counted for itself.
    fn count(&mut self, topic: &str) {
        let facts = &mut self.bus.facts;
        let known = facts.contains_key(topic) || facts.len() < MOST_TOPICS;
        let topic = if known { topic } else { OTHERS };
        *facts.entry(topic.to_owned()).or_default() += 1;
    }
}

impl PluginStatus {
    fn take(&mut self, topic: &str, kind: Option<&str>, why: Option<String>) {
        self.failed = topic == own::PLUGIN_FAILED.name;
        self.running = topic == own::PLUGIN_STARTED.name;
        self.starts += u64::from(self.running);
        self.kind = kind.map(str::to_owned).or_else(|| self.kind.take());
        self.last_error = why.clone().or_else(|| self.last_error.take());
        self.why = why;
    }
}
