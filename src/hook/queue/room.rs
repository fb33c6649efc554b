//! Holds what waits, in its order and within its bounds.

use std::collections::{BTreeMap, BTreeSet};

use crate::fact::Class;
use crate::hook::settings::{QueueLimits, WhenFull};
use crate::time::Span;

use super::item::{Item, Why};

/// An item's place in the queue; that of the item's `seq`, or of the older item that it has superseded.
pub(super) type Turn = u64;

/// An item with what is known of it since the program started.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) item: Item,
    /// When it was [`Item::since`], on the clock that cannot be set; before the start it is negative.
    pub(super) born: Span,
    /// Before then it is not tried.
    pub(super) not_before: Span,
    /// Until then it waits for others to go with it.
    pub(super) gather_until: Span,
}

/// What waits of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

/// Everything that waits.
#[derive(Clone, Debug)]
pub(super) struct Room {
    entries: BTreeMap<Turn, Entry>,
    /// When each will be too old.
    ends: BTreeSet<(Span, Turn)>,
    control: (QueueLimits, Load),
    meter: (QueueLimits, Load),
    /// What is being sent; it can neither grow too old nor give way.
    in_flight: BTreeSet<Turn>,
}

impl Room {
    pub(super) fn new(control: QueueLimits, meter: QueueLimits) -> Self {
        Self {
            entries: BTreeMap::new(),
            ends: BTreeSet::new(),
            control: (control, Load::default()),
            meter: (meter, Load::default()),
            in_flight: BTreeSet::new(),
        }
    }

    pub(super) fn load(&self, class: Class) -> Load {
        self.of(class).1
    }

    /// What has waited longest.
    pub(super) fn waits_longest(&self) -> Option<&Item> {
        let classes = [Class::Control, Class::Meter].into_iter().filter(|class| self.load(*class).items > 0);
        let first = |class: Class| {
            let entries = self.ends.iter().filter_map(|(_, turn)| self.entries.get(turn));
            entries.into_iter().find(|entry| entry.item.class == class)
        };
        classes.filter_map(first).min_by_key(|entry| entry.born).map(|entry| &entry.item)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// In the order in which they are to go.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Turn, &Entry)> {
        self.entries.iter().map(|(turn, entry)| (*turn, entry))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut()
    }

    pub(super) fn get(&self, turn: Turn) -> Option<&Entry> {
        self.entries.get(&turn)
    }

    pub(super) fn get_mut(&mut self, turn: Turn) -> Option<&mut Entry> {
        self.entries.get_mut(&turn)
    }

    /// Puts an entry at its place, where there is room for it; gives back what has to go, which may be the entry itself.
    ///
    /// This is the one place that decides what a full queue loses.
    pub(super) fn admit(&mut self, turn: Turn, entry: Entry) -> Vec<(Entry, Why)> {
        let (limits, _) = *self.of(entry.item.class);
        if entry.item.weight > limits.max_bytes {
            return vec![(entry, Why::TooLarge)];
        }
        let mut gone = Vec::new();
        while !self.has_room_for(&entry.item) {
            let oldest = match limits.when_full {
                WhenFull::DropOldest => self.oldest(entry.item.class),
                WhenFull::DropNewest => None,
            };
            let Some(oldest) = oldest.and_then(|turn| self.remove(turn)) else {
                gone.push((entry, Why::Full));
                return gone;
            };
            gone.push((oldest, Why::Full));
        }
        let load = &mut self.of_mut(entry.item.class).1;
        load.items += 1;
        load.bytes += entry.item.weight;
        self.ends.insert((self.end(&entry), turn));
        self.entries.insert(turn, entry);
        gone
    }

    pub(super) fn remove(&mut self, turn: Turn) -> Option<Entry> {
        let entry = self.entries.remove(&turn)?;
        self.ends.remove(&(self.end(&entry), turn));
        let load = &mut self.of_mut(entry.item.class).1;
        load.items -= 1;
        load.bytes -= entry.item.weight;
        Some(entry)
    }

    /// Takes out what is too old.
    pub(super) fn expire(&mut self, now: Span) -> Vec<Entry> {
        let old: Vec<Turn> =
            self.resting_ends().take_while(|(end, _)| *end <= now).map(|(_, turn)| turn).collect();
        old.into_iter().filter_map(|turn| self.remove(turn)).collect()
    }

    /// When the next will be too old.
    pub(super) fn next_end(&self) -> Option<Span> {
        self.resting_ends().next().map(|(end, _)| end)
    }

    fn resting_ends(&self) -> impl Iterator<Item = (Span, Turn)> {
        self.ends.iter().copied().filter(|(_, turn)| !self.is_in_flight(*turn))
    }

    /// When an entry will be too old.
    fn end(&self, entry: &Entry) -> Span {
        entry.born + self.of(entry.item.class).0.max_age
    }

    pub(super) fn take_off(&mut self, turns: &[Turn]) {
        self.in_flight = turns.iter().copied().collect();
    }

    /// What was in flight; it rests again.
    pub(super) fn land(&mut self) -> Vec<Turn> {
        std::mem::take(&mut self.in_flight).into_iter().collect()
    }

    pub(super) fn is_in_flight(&self, turn: Turn) -> bool {
        self.in_flight.contains(&turn)
    }

    pub(super) fn something_is_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    fn has_room_for(&self, item: &Item) -> bool {
        let (limits, load) = self.of(item.class);
        load.items < limits.max_items && load.bytes + item.weight <= limits.max_bytes
    }

    fn oldest(&self, class: Class) -> Option<Turn> {
        let gives_way =
            |(turn, entry): &(Turn, &Entry)| entry.item.class == class && !self.is_in_flight(*turn);
        self.iter().find(gives_way).map(|(turn, _)| turn)
    }

    fn of(&self, class: Class) -> &(QueueLimits, Load) {
        match class {
            Class::Control => &self.control,
            Class::Meter => &self.meter,
        }
    }

    fn of_mut(&mut self, class: Class) -> &mut (QueueLimits, Load) {
        match class {
            Class::Control => &mut self.control,
            Class::Meter => &mut self.meter,
        }
    }
}
