//! What is written down of a hook's deliveries, and told of the hook itself.

use serde_json::Value;

use crate::daemon::store::{DeliveryStatus, Tried, Update};
use crate::fact::topic::own::{HOOK_DISABLED, HOOK_EXHAUSTED, HOOK_FAILING, HOOK_OVERFLOW, HOOK_RECOVERED};
use crate::fact::{Class, Draft, Member, Topic};
use crate::hook::queue::{Change, Fate, Item};
use crate::time::Span;

use super::HookTask;

/// A store that has failed is tried again after this.
const RETRY_AFTER: Span = Span::from_seconds(5);

impl HookTask {
    /// Takes down what is to be written, and tells what others should know.
    pub(super) fn note(&mut self, changes: Vec<Change>, tried: Option<&Tried>) {
        for change in changes {
            match change {
                Change::Item(item, fate) => {
                    let status = DeliveryStatus::from_fate(fate);
                    let fact =
                        if status == DeliveryStatus::Waiting { None } else { self.facts.remove(&item.seq) };
                    if fate == Fate::Dead {
                        let of_fact = [
                            ("status", status.as_str().into()),
                            ("fact_id", item.id.clone().into()),
                            ("fact_seq", item.seq.into()),
                            ("fact_topic", fact.map(|fact| fact.topic.clone()).into()),
                            ("attempts", item.attempts.into()),
                        ];
                        self.publish(&HOOK_EXHAUSTED, of_fact.into_iter().chain(fault(tried)));
                    }
                    self.put_down(item, status, tried.cloned());
                }
                Change::Standing(standing) => self.unwritten_standing = Some(standing),
                Change::Failing => {
                    self.publish(&HOOK_FAILING, fault(tried).into_iter().chain([self.waiting()]));
                }
                Change::Recovered => self.publish(&HOOK_RECOVERED, [self.waiting()]),
                Change::Disabled => self.publish(&HOOK_DISABLED, fault(tried)),
                Change::Overflow(count) => {
                    self.publish(&HOOK_OVERFLOW, [("dropped", count.into()), self.waiting()]);
                }
            }
        }
    }

    pub(super) fn put_down(&mut self, item: Item, status: DeliveryStatus, tried: Option<Tried>) {
        let update = Update { item, status, tried };
        if update.item.class == Class::Control {
            self.unwritten.insert(update.item.seq, update);
        } else if let Some(durable) = &mut self.durable {
            durable.note(update, self.clock.now().since_start);
        }
    }

    /// Tells something of the hook itself.
    fn publish(&self, topic: &Topic, members: impl IntoIterator<Item = Member>) {
        let subject = Some(self.parts.name.clone());
        let members = [("hook", Value::from(self.parts.name.clone()))].into_iter().chain(members);
        self.bus.publish(Draft::new(topic, subject, self.clock.now().wall, members));
    }

    fn waiting(&self) -> Member {
        let waiting = self.queue.load(Class::Control).items + self.queue.load(Class::Meter).items;
        ("waiting", waiting.into())
    }

    /// Writes down what there is; what the store does not take stays for later.
    pub(super) async fn write(&mut self) {
        let now = self.clock.now();
        if let Some(durable) = &mut self.durable {
            durable.write(now, false).await;
        }
        let nothing = self.unwritten.is_empty() && self.unwritten_standing.is_none();
        if nothing || self.write_again_at.is_some_and(|at| now.since_start < at) {
            return;
        }
        let updates: Vec<Update> = self.unwritten.values().cloned().collect();
        let (hook, standing) = (self.parts.name.clone(), self.unwritten_standing);
        let written = self.store.facts(move |mut log| log.update(&hook, &updates, standing, now.wall)).await;
        self.write_again_at = written.is_err().then(|| now.since_start + RETRY_AFTER);
        match written {
            Ok(()) => {
                self.unwritten.clear();
                self.unwritten_standing = None;
            }
            Err(error) => tracing::debug!(hook = self.parts.name, "deliveries are not written down: {error}"),
        }
    }
}

/// What went wrong.
fn fault(tried: Option<&Tried>) -> [Member; 2] {
    let (code, why) = tried.map_or((None, None), |tried| (tried.code, Some(tried.why.as_str())));
    [("code", code.into()), ("reason", why.into())]
}
