//! One try: the words, the way, and what came of it.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use ring::rand::SecureRandom as _;

use crate::daemon::entropy;
use crate::daemon::sink::Message;
use crate::daemon::store::Tried;
use crate::fact::Fact;
use crate::hook::outcome::{Outcome, Try};
use crate::hook::queue::{self, Item};
use crate::hook::render::Around;
use crate::time::Timestamp;

use super::HookTask;

impl HookTask {
    /// Tries to deliver, and takes down what came of it.
    pub(super) async fn send(&mut self, message: queue::Message) {
        let queue::Message { id, items } = message;
        let started = self.clock.now();
        let (tried, sent) = self.try_once(&id, &items, started.wall).await;
        let ended = self.clock.now();
        if matches!(tried.outcome, Outcome::Sent | Outcome::Unchanged) {
            self.view.sent += u64::try_from(items.len()).unwrap_or(0);
        } else {
            self.view.last_fault = Some(tried.why.clone());
        }
        if tried.outcome == Outcome::Unsaid {
            self.bus.complain(|| format!("hook {}: {}", self.parts.name, tried.why));
        }
        let taken = Tried {
            message: id,
            at: started.wall,
            took: ended.since_start - started.since_start,
            code: tried.code,
            why: tried.why.clone(),
            answer: tried.answer.clone(),
            sent,
            settings: self.parts.hashes.settings().to_owned(),
        };
        let changes = self.queue.answered(&tried, ended, roll());
        self.note(changes, Some(&taken));
    }

    /// Puts items into words and has them carried; what came of it, and the hash of what was sent, where anything was.
    async fn try_once(&mut self, id: &str, items: &[Item], at: Timestamp) -> (Try, Option<String>) {
        let facts: Vec<Arc<Fact>> =
            items.iter().filter_map(|item| self.facts.get(&item.seq).cloned()).collect();
        let names = self.names.borrow().clone();
        let references: Vec<&Fact> = facts.iter().map(AsRef::as_ref).collect();
        let words = match self.parts.renderer.render(&references, Around { ven: &names, now: at }) {
            Ok(words) => words,
            Err(fault) => return (unsent(Outcome::Unsaid, fault.to_string()), None),
        };
        let alone = if let [fact] = facts.as_slice() { Some(fact) } else { None };
        let news = alone.filter(|_| self.parts.on_change).map(|fact| {
            let about = (fact.topic.clone(), fact.subject.clone());
            (about, digest(&SHA256, &words.body).as_ref().to_vec())
        });
        if news.as_ref().is_some_and(|(about, digest)| self.told.is(about, digest)) {
            return (unsent(Outcome::Unchanged, "the same as before".to_owned()), None);
        }
        let sent = self.parts.hashes.sent(&words.content_type, &words.body);
        let (body, content_type) = (words.body, words.content_type);
        let tried = self.deliver(&Message { id: id.to_owned(), facts, body, content_type, at }).await;
        if let Some((about, digest)) = news.filter(|_| tried.outcome == Outcome::Sent) {
            self.told.note(about, digest);
        }
        // A sink too may find that it cannot be said.
        let was_sent = !matches!(tried.outcome, Outcome::Unsaid | Outcome::Unchanged);
        (tried, was_sent.then_some(sent))
    }

    async fn deliver(&mut self, message: &Message) -> Try {
        let limit = self.parts.timeout;
        let delivered = tokio::time::timeout(limit.to_std(), self.parts.sink.deliver(message)).await;
        delivered.unwrap_or_else(|_| Try::unreachable(format!("no answer within {limit}")))
    }
}

/// A try that comes to an end before anything is sent.
fn unsent(outcome: Outcome, why: String) -> Try {
    Try { outcome, code: None, why, answer: String::new() }
}

/// Any number; without chance all hooks would be tried again at the same moment, which is no harm.
fn roll() -> u64 {
    let mut bytes = [0; 8];
    entropy::dice().fill(&mut bytes).ok();
    u64::from_le_bytes(bytes)
}
