//! What waits, and what becomes of it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::fact::{Class, Fact};
use crate::time::Timestamp;

/// A fact that is to be told, as its hook's queue and the log of deliveries know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The fact's place in the log.
    pub(crate) seq: u64,
    /// The fact's id.
    pub(crate) id: String,
    pub(crate) class: Class,
    /// The same for facts of one topic and subject, of which the newest may replace the others.
    pub(crate) about: u64,
    /// Bytes that it takes.
    pub(crate) weight: usize,
    /// Since when it waits: when it happened, or when somebody asked to have it sent again.
    pub(crate) since: Timestamp,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// How often it was refused for what it is.
    pub(crate) refusals: u32,
    /// When it is tried again, if it was tried.
    pub(crate) next_at: Option<Timestamp>,
    /// Those of one number go out as one message, always the same.
    pub(crate) batch: Option<u64>,
}

impl Item {
    /// A fact that nobody has tried to tell yet.
    pub(crate) fn new(fact: &Fact) -> Self {
        let mut about = DefaultHasher::new();
        (&fact.topic, &fact.subject).hash(&mut about);
        Self {
            seq: fact.seq,
            id: fact.id.clone(),
            class: fact.class(),
            about: about.finish(),
            weight: fact.weight(),
            since: fact.time,
            attempts: 0,
            refusals: 0,
            next_at: None,
            batch: None,
        }
    }
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It waits for its (next) try.
    Waiting,
    /// It is there.
    Sent,
    /// It says nothing new, and was left out.
    Unchanged,
    /// It is refused for good.
    Dead,
    /// It cannot be put into words.
    Unsaid,
    /// It is too old.
    Expired,
    /// There was no room for it.
    Dropped(Why),
}

/// Why there was no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The queue is full.
    Full,
    /// It alone is larger than the queue.
    TooLarge,
    /// A newer one of the same topic and subject took its place.
    Superseded,
}

/// What has to be written down; in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// An item is as it is given here.
    Item(Item, Fate),
    /// The hook stands as it is given here.
    Standing(Standing),
    /// Nothing gets through any more; told once.
    Failing,
    /// It gets through again; told once.
    Recovered,
    /// The endpoint wants nothing any more; told once.
    Disabled,
    /// So many items found no room or grew too old since this was told last; at most once a minute.
    Overflow(u64),
}

/// How a hook stands, to be kept over a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Tries in a row that failed by the endpoint's fault.
    pub(crate) failures: u32,
    /// Before then nothing is sent.
    pub(crate) next_at: Option<Timestamp>,
    /// The endpoint wants nothing any more (410), until somebody resumes it.
    pub(crate) disabled: bool,
    /// Somebody has paused it.
    pub(crate) paused: bool,
}
