//! Tells people what happens, as long as they ask.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Readers;
use super::message::{FactsRequest, Response};
use crate::daemon::monitor::{Found, of_gap};
use crate::fact::{Fact, Topics};

/// Whoever asks is answered within this, though nothing happens: sooner than he gives up.
const WAIT: Duration = Duration::from_secs(10);
/// Facts in one answer.
const MOST: usize = 200;

/// One of the things that a person is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Told {
    Fact(Fact),
    /// Facts are missing here.
    Gap(Map<String, Value>),
}

/// What has happened behind the cursor, or happens soon.
pub(super) async fn answer(request: FactsRequest, readers: &Readers) -> Response {
    let reader = readers.monitors().and_then(|monitors| {
        let topics = Topics::parse(request.topics.iter().map(String::as_str));
        Ok(monitors.reader(topics.map_err(|fault| fault.to_string())?, request.after))
    });
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(why) => return Response::Error { why },
    };
    if request.after.is_none() {
        return Response::Facts { told: Vec::new(), cursor: reader.place() };
    }
    let Ok(_waits) = readers.waiting.try_acquire() else {
        return Response::Error { why: "too many wait already for what happens".to_owned() };
    };
    match reader.page(MOST, WAIT).await {
        Ok(found) => {
            let told = found.into_iter().map(Told::from).collect();
            Response::Facts { told, cursor: reader.place() }
        }
        Err(error) => Response::Error { why: error.to_string() },
    }
}

impl From<Found> for Told {
    fn from(found: Found) -> Self {
        match found {
            Found::Fact(fact) => Self::Fact((*fact).clone()),
            Found::Gap(gap) => Self::Gap(of_gap(gap)),
        }
    }
}
