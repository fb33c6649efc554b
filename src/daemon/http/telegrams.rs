//! Takes telegrams of meters that others have read, as DSMR-reader takes them.

use hyper::{Method, StatusCode};
use serde_json::json;

use crate::config::Scope;
use crate::daemon::inlets::{Inlets, NotTaken};

use super::answer::Answer;
use super::call::{Call, form};
use super::route::Route;

/// Types of a telegram as it is, and within a form.
const TYPES: &[&str] = &["application/octet-stream", "text/plain", FORM];
const FORM: &str = "application/x-www-form-urlencoded";
const ANSWERS: &[(u16, &str)] = &[
    (201, "it was good, and counts as a reading"),
    (400, "it was not; detail says why"),
    (404, "no meter of this name takes telegrams"),
    (503, "the meter has too much to do; try again"),
];

/// Routes that take telegrams: ours, and the one of DSMR-reader.
pub(in crate::daemon) fn routes(inlets: &Inlets) -> Vec<Route> {
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
    inlets.give(call.query("meter"), telegram(call)?).await?;
    Ok(Answer::json(StatusCode::CREATED, &json!({"accepted": true})))
}

impl From<NotTaken> for Answer {
    fn from(why: NotTaken) -> Self {
        let status = match why {
            NotTaken::NoMeter | NotTaken::Unknown { .. } => StatusCode::NOT_FOUND,
            NotTaken::Unsaid(_) | NotTaken::Empty | NotTaken::Refused(_) => StatusCode::BAD_REQUEST,
            NotTaken::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::problem(status, why.to_string())
    }
}

/// The octets of the telegram, from a form or as they are.
fn telegram(call: &Call) -> Result<Vec<u8>, Answer> {
    let bad = |why: &str| Answer::problem(StatusCode::BAD_REQUEST, why);
    if call.content_type() == FORM {
        let pairs = form(&call.body).ok_or_else(|| bad("the form cannot be read"))?;
        let telegram = pairs.into_iter().find(|(name, _)| name == b"telegram");
        telegram.map(|(_, bytes)| bytes).ok_or_else(|| bad("there is no telegram= in the form"))
    } else {
        Ok(call.body.to_vec())
    }
}
