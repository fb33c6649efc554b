//! Takes telegrams of meters that others have read, as DSMR-reader takes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::config::Scope;

use super::answer::Answer;
use super::call::{Call, form};
use super::route::Route;

/// A meter's task answers within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Types of a telegram as it is, and within a form.
const TYPES: &[&str] = &["application/octet-stream", "text/plain", FORM];
const FORM: &str = "application/x-www-form-urlencoded";
const ANSWERS: &[(u16, &str)] = &[
    (201, "it was good, and counts as a reading"),
    (400, "it was not; detail says why"),
    (404, "no meter of this name takes telegrams"),
    (503, "the meter has too much to do; try again"),
];

/// A telegram that was posted, and whom to tell whether it was good.
#[derive(Debug)]
pub(in crate::daemon) struct Posted {
    pub(in crate::daemon) bytes: Vec<u8>,
    pub(in crate::daemon) answer: oneshot::Sender<Result<(), String>>,
}

/// Where telegrams go, by the names of the meters.
pub(in crate::daemon) type Inlets = BTreeMap<String, mpsc::Sender<Posted>>;

/// Routes that take telegrams: ours, and the one of DSMR-reader.
pub(in crate::daemon) fn routes(inlets: Inlets) -> Vec<Route> {
    let inlets = Arc::new(inlets);
    let route = |path: &str| {
        let inlets = inlets.clone();
        let handler = move |call: Call| {
            let inlets = inlets.clone();
            async move { take(&call, &inlets).await.unwrap_or_else(|refused| refused) }
        };
        Route::new(Method::POST, path, Some(Scope::Meter), "Gives a telegram of a meter", handler)
            .takes(TYPES)
            .query(&[("meter", "which one, where several take telegrams")])
            .answers(ANSWERS)
            .with_foreign_tokens()
    };
    vec![route("/v1/meter/telegrams"), route("/api/v1/datalogger/dsmrreading")]
}

async fn take(call: &Call, inlets: &Inlets) -> Result<Answer, Answer> {
    let inlet = inlet(inlets, call.query("meter"))?;
    let bytes = telegram(call)?;
    let (answer, outcome) = oneshot::channel();
    let busy =
        |()| Answer::problem(StatusCode::SERVICE_UNAVAILABLE, "the meter has too much to do; try again");
    inlet.try_send(Posted { bytes, answer }).map_err(|_| busy(()))?;
    match tokio::time::timeout(ANSWER_WITHIN, outcome).await {
        Ok(Ok(Ok(()))) => Ok(Answer::json(StatusCode::CREATED, &json!({"accepted": true}))),
        Ok(Ok(Err(why))) => Err(Answer::problem(StatusCode::BAD_REQUEST, why)),
        Ok(Err(_)) | Err(_) => Err(busy(())),
    }
}

/// The meter that is meant.
fn inlet<'i>(inlets: &'i Inlets, name: Option<&str>) -> Result<&'i mpsc::Sender<Posted>, Answer> {
    let names = || inlets.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    match (name, inlets.len()) {
        (_, 0) => {
            let why = "no meter takes telegrams; one does with [[meter]] source = \"api\"";
            Err(Answer::problem(StatusCode::NOT_FOUND, why))
        }
        (Some(name), _) => inlets.get(name).ok_or_else(|| {
            let why = format!("no meter of this name takes telegrams; expected ?meter= one of {}", names());
            Answer::problem(StatusCode::NOT_FOUND, why)
        }),
        (None, 1) => inlets.values().next().ok_or_else(|| Answer::empty(StatusCode::NOT_FOUND)),
        (None, _) => {
            let why = format!("several meters take telegrams; say which: ?meter= one of {}", names());
            Err(Answer::problem(StatusCode::BAD_REQUEST, why))
        }
    }
}

/// The octets of the telegram, from a form or as they are.
fn telegram(call: &Call) -> Result<Vec<u8>, Answer> {
    let bad = |why: &str| Answer::problem(StatusCode::BAD_REQUEST, why);
    let bytes = if call.content_type() == FORM {
        let pairs = form(&call.body).ok_or_else(|| bad("the form cannot be read"))?;
        let telegram = pairs.into_iter().find(|(name, _)| name == b"telegram");
        telegram.map(|(_, bytes)| bytes).ok_or_else(|| bad("there is no telegram= in the form"))?
    } else {
        call.body.to_vec()
    };
    if bytes.is_empty() { Err(bad("the telegram is empty")) } else { Ok(bytes) }
}
