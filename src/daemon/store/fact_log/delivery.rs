//! Knows what can become of a fact that a hook is to tell.

use std::sync::Arc;

use crate::fact::Fact;
use crate::hook::queue::{Fate, Item};
use crate::time::{Span, Timestamp};

/// What has become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryStatus {
    /// It is to be told.
    Waiting,
    /// It is there.
    Sent,
    /// There are no words for it: the template or the filter fails.
    Error,
    /// The receiver does not take it.
    Dead,
    /// It was too old.
    Expired,
    /// The queue was full.
    Dropped,
    /// The hook's filter left it out.
    Filtered,
}

impl DeliveryStatus {
    pub(crate) const ALL: [Self; 7] =
        [Self::Waiting, Self::Sent, Self::Error, Self::Dead, Self::Expired, Self::Dropped, Self::Filtered];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Error => "error",
            Self::Dead => "dead",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
            Self::Filtered => "filtered",
        }
    }

    /// What became of an item.
    pub(crate) const fn from_fate(fate: Fate) -> Self {
        match fate {
            Fate::Waiting => Self::Waiting,
            Fate::Sent | Fate::Unchanged => Self::Sent,
            Fate::Dead => Self::Dead,
            Fate::Unsaid => Self::Error,
            Fate::Expired => Self::Expired,
            Fate::Dropped(_) => Self::Dropped,
        }
    }

    /// The status of this word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// One fact for one hook.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Delivery {
    pub(crate) hook: String,
    pub(crate) fact: Arc<Fact>,
    pub(crate) status: DeliveryStatus,
    /// As its queue knows it.
    pub(crate) item: Item,
    pub(crate) code: Option<u16>,
    pub(crate) why: Option<String>,
    /// [`Tried::sent`] and [`Tried::settings`] of the last try.
    pub(crate) sent: Option<String>,
    pub(crate) settings: Option<String>,
    pub(crate) updated: Timestamp,
}

impl Delivery {
    /// For programs.
    pub(crate) fn view(&self) -> serde_json::Value {
        let Self { hook, fact, status, item, code, why, sent, settings, updated } = self;
        serde_json::json!({
            "number": fact.seq,
            "hook": hook,
            "status": status.as_str(),
            "tries": item.attempts,
            "next": item.next_at,
            "code": code,
            "why": why,
            "sent_hash": sent,
            "settings_hash": settings,
            "updated": updated,
            "fact": &**fact,
        })
    }
}

/// A delivery after something has been done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) item: Item,
    pub(crate) status: DeliveryStatus,
    pub(crate) tried: Option<Tried>,
}

/// One try to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    /// The id of the message.
    pub(crate) message: String,
    pub(crate) at: Timestamp,
    pub(crate) took: Span,
    pub(crate) code: Option<u16>,
    /// Empty: it is there.
    pub(crate) why: String,
    /// The beginning of what was answered.
    pub(crate) answer: String,
    /// A hash of the words, as they were rendered, and of where they went; `None`: nothing was sent.
    pub(crate) sent: Option<String>,
    /// A hash of the hook's settings.
    pub(crate) settings: String,
}

/// Which deliveries are looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) hook: Option<String>,
    pub(crate) status: Option<DeliveryStatus>,
    /// Changed since then.
    pub(crate) since: Option<Timestamp>,
    /// Behind this place.
    pub(crate) after: u64,
    pub(crate) most: usize,
    /// The newest first.
    pub(crate) newest_first: bool,
}
