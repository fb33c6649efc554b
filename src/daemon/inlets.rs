//! Where telegrams go that others have read: who posts them to the local API, and plugins, give them to a meter, which judges them as
//! it judges what comes from a line.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// A meter's task answers within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A telegram that was given to a meter, and whom to tell whether it was good.
#[derive(Debug)]
pub(super) struct Posted {
    pub(super) bytes: Vec<u8>,
    pub(super) answer: oneshot::Sender<Result<(), String>>,
}

/// The meters that take telegrams, by their names; clones have the same ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Inlets(Arc<BTreeMap<String, mpsc::Sender<Posted>>>);

/// Why a telegram does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("no meter takes telegrams; one does with [[meter]] source = \"api\"")]
    NoMeter,
    #[error("no meter called \"{name}\" takes telegrams; expected one of {known}")]
    Unknown { name: String, known: String },
    #[error("several meters take telegrams; say which: one of {0}")]
    Unsaid(String),
    #[error("the telegram is empty")]
    Empty,
    #[error("the meter has too much to do; try again")]
    Busy,
    /// As the meter says it.
    #[error("{0}")]
    Refused(String),
}

impl FromIterator<(String, mpsc::Sender<Posted>)> for Inlets {
    fn from_iter<I: IntoIterator<Item = (String, mpsc::Sender<Posted>)>>(meters: I) -> Self {
        Self(Arc::new(meters.into_iter().collect()))
    }
}

impl Inlets {
    /// Gives a telegram to a meter; without a name, to the only one. Returns once the meter has found it good.
    ///
    /// # Errors
    ///
    /// Where it has not, and why.
    pub(super) async fn give(&self, meter: Option<&str>, telegram: Vec<u8>) -> Result<(), NotTaken> {
        match tokio::time::timeout(ANSWER_WITHIN, self.offer(meter, telegram)?).await {
            Ok(Ok(judged)) => judged.map_err(NotTaken::Refused),
            Ok(Err(_)) | Err(_) => Err(NotTaken::Busy),
        }
    }

    /// The same, without waiting for what the meter says, which comes where this says.
    ///
    /// # Errors
    ///
    /// Where it cannot be given to it.
    pub(super) fn offer(
        &self,
        meter: Option<&str>,
        telegram: Vec<u8>,
    ) -> Result<oneshot::Receiver<Result<(), String>>, NotTaken> {
        let inlet = self.inlet(meter)?;
        if telegram.is_empty() {
            return Err(NotTaken::Empty);
        }
        let (answer, judged) = oneshot::channel();
        inlet.try_send(Posted { bytes: telegram, answer }).map_err(|_| NotTaken::Busy)?;
        Ok(judged)
    }

    fn inlet(&self, name: Option<&str>) -> Result<&mpsc::Sender<Posted>, NotTaken> {
        let known = || self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let mut meters = self.0.values();
        match (name, meters.next(), meters.next()) {
            (_, None, _) => Err(NotTaken::NoMeter),
            (Some(name), ..) => {
                self.0.get(name).ok_or_else(|| NotTaken::Unknown { name: name.to_owned(), known: known() })
            }
            (None, Some(only), None) => Ok(only),
            (None, Some(_), Some(_)) => Err(NotTaken::Unsaid(known())),
        }
    }
}
