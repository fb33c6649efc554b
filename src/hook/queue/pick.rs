//! Says which message is next.

use std::collections::BTreeSet;

use crate::fact::Class;
use crate::hook::settings::Batching;
use crate::time::Span;

use super::room::{Entry, Room, Turn};

/// What is next, as far as the items themselves say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// These, which are a message.
    Message(Vec<Turn>),
    /// These, once it is written down that they are a message.
    Batch(Vec<Turn>),
    /// Something at that moment.
    At(Span),
    /// There is nothing.
    Nothing,
}

/// What is next: in strict order the first, whenever it can be sent; otherwise the first that can be sent.
pub(super) fn pick(room: &Room, batching: Batching, strict: bool, now: Span) -> Pick {
    let mut soonest: Option<Span> = None;
    let (mut batches, mut gathering) = (BTreeSet::new(), Vec::new());
    for (turn, entry) in room.iter() {
        let (turns, at, whole) = match entry.item.batch {
            Some(batch) => {
                if !batches.insert(batch) {
                    continue;
                }
                let turns = members(room, batch);
                let at = turns.iter().filter_map(|turn| room.get(*turn)).map(|entry| entry.not_before).max();
                (turns, at.unwrap_or(now), true)
            }
            None if batching.max_items <= 1 => (vec![turn], entry.not_before, true),
            None => {
                if gathering.contains(&entry.item.class) {
                    continue;
                }
                let (turns, at) = gather(room, turn, batching.max_items, strict, now);
                // Those that come later may still go with one that waits for others, not with one that waits for its time.
                if entry.not_before <= now {
                    gathering.push(entry.item.class);
                }
                (turns, at, false)
            }
        };
        if at <= now {
            return if whole { Pick::Message(turns) } else { Pick::Batch(turns) };
        }
        soonest = Some(soonest.map_or(at, |soonest| soonest.min(at)));
        if strict {
            break;
        }
    }
    soonest.map_or(Pick::Nothing, Pick::At)
}

/// All of one batch.
pub(super) fn members(room: &Room, batch: u64) -> Vec<Turn> {
    room.iter().filter(|(_, entry)| entry.item.batch == Some(batch)).map(|(turn, _)| turn).collect()
}

/// Which items would go with this one, and when.
fn gather(room: &Room, first: Turn, most: usize, strict: bool, now: Span) -> (Vec<Turn>, Span) {
    let Some(head) = room.get(first) else { return (Vec::new(), now) };
    if head.not_before > now {
        return (vec![first], head.not_before);
    }
    let fits = |entry: &Entry, class: Class| {
        entry.item.batch.is_none() && entry.item.class == class && entry.not_before <= now
    };
    let (mut turns, mut cut) = (Vec::new(), false);
    for (turn, entry) in room.iter().skip_while(|(turn, _)| *turn < first) {
        if fits(entry, head.item.class) {
            turns.push(turn);
        } else if strict {
            // What comes later must not overtake this one: there is nothing to wait for.
            cut = true;
        }
        if cut || turns.len() >= most {
            return (turns, now);
        }
    }
    (turns, head.gather_until)
}
