//! Remembers what was last told of each subject, so that only changes are told.

use std::collections::BTreeMap;

/// A topic, and a subject of it.
pub(crate) type About = (String, Option<String>);

/// So many subjects are remembered; of one that is forgotten, the next fact is told though it may be as the one before.
const REMEMBERED: usize = 1_000;

/// The digest of what was told last, by what it was about.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastTold {
    digests: BTreeMap<About, (Vec<u8>, u64)>,
    /// The same, by when it was told.
    order: BTreeMap<u64, About>,
    count: u64,
}

impl LastTold {
    /// Whether that is what was told last.
    pub(crate) fn is(&self, about: &About, digest: &[u8]) -> bool {
        self.digests.get(about).is_some_and(|(told, _)| told == digest)
    }

    /// It was told; what was told longest ago is forgotten where there are too many.
    pub(crate) fn note(&mut self, about: About, digest: Vec<u8>) {
        self.count += 1;
        if let Some((_, before)) = self.digests.insert(about.clone(), (digest, self.count)) {
            self.order.remove(&before);
        }
        self.order.insert(self.count, about);
        while self.order.len() > REMEMBERED {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.digests.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{About, LastTold, REMEMBERED};

    fn about(subject: usize) -> About {
        ("x.plugin.state".to_owned(), Some(subject.to_string()))
    }

    #[test]
    fn what_was_told_last_is_known_of_each_subject_and_of_no_other() {
        let mut told = LastTold::default();
        assert!(!told.is(&about(1), b"a"));
        told.note(about(1), b"a".to_vec());
        told.note(about(2), b"b".to_vec());
        assert!(told.is(&about(1), b"a") && told.is(&about(2), b"b"));
        assert!(!told.is(&about(1), b"b") && !told.is(&(about(1).0, None), b"a"));
        told.note(about(1), b"c".to_vec());
        assert!(told.is(&about(1), b"c") && !told.is(&about(1), b"a"));
    }

    #[test]
    fn a_flood_of_subjects_makes_it_forget_those_told_longest_ago_and_grow_no_further() {
        let mut told = LastTold::default();
        for subject in 0..3 * REMEMBERED {
            told.note(about(subject), vec![0]);
            // One that is told again and again is not forgotten.
            told.note(about(0), vec![1]);
        }
        assert_eq!((told.digests.len(), told.order.len()), (REMEMBERED, REMEMBERED));
        assert!(told.is(&about(0), &[1]));
        assert!(told.is(&about(2 * REMEMBERED + 1), &[0]));
        assert!(!told.is(&about(2 * REMEMBERED), &[0]));
    }
}
