//! Hooks that are made, changed and removed from afar: what is right stands in a file of its own, as `ven hooks add` writes it, and is
//! taken at once; what cannot be taken leaves everything as it was.

use std::path::Path;
use std::sync::Arc;

use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::sync::Mutex;

use crate::config::Scope;
use crate::hook::settings::Serializers;

use super::hook_files::{HookFileFault, OwnFile, Whence};
use super::http::Route;
use super::http::answer::Answer;
use super::http::call::Call;
use super::reload::{Reload, ReloadError};

const PATH: &str = "/v1/hooks/{name}";
const TOML: &str = "application/toml";
const MALFORMED: (u16, &str) = (400, "everything that is wrong, and where");
const UNKNOWN: (u16, &str) = (404, "no hook of this name has a file of its own");
const ELSEWHERE: (u16, &str) =
    (409, "it stands in the main configuration, or the configuration as a whole cannot be taken");
const STOPPING: (u16, &str) = (503, "the VEN is stopping");

/// What the routes stand on.
#[derive(Clone)]
struct Desk {
    config: Arc<Path>,
    brought: Serializers,
    reload: Reload,
    /// One after the other: what is put back where it cannot be taken is what was there.
    turn: Arc<Mutex<()>>,
}

/// What was in the file of a hook before it was changed; `None`: there was none.
type Before = Option<String>;

/// The routes of the files of hooks.
pub(super) fn routes(reload: &Reload, config: &Path, brought: Serializers) -> Vec<Route> {
    let desk = Desk { config: config.into(), brought, reload: reload.clone(), turn: Arc::default() };
    vec![
        route(&desk, Method::GET, "What stands in the file of a hook", Desk::read).gives(TOML).answers(&[
            (200, "as it was written"),
            MALFORMED,
            UNKNOWN,
            ELSEWHERE,
        ]),
        route(&desk, Method::PUT, "Makes a hook, or changes it, and takes it at once", Desk::put)
            .takes(&[TOML])
            .answers(&[
                (200, "it is changed"),
                (201, "it is there"),
                MALFORMED,
                (403, "a hook of this kind is made on the machine of the VEN only"),
                ELSEWHERE,
                STOPPING,
            ]),
        route(&desk, Method::DELETE, "Removes a hook, and what waits for it", Desk::remove)
            .gives("")
            .answers(&[(204, "it is no more"), MALFORMED, UNKNOWN, ELSEWHERE, STOPPING]),
    ]
}

fn route<F>(
    desk: &Desk,
    method: Method,
    about: &str,
    handler: impl Fn(Desk, Call) -> F + Send + Sync + 'static,
) -> Route
where
    F: Future<Output = Result<Answer, Answer>> + Send + 'static,
{
    let desk = desk.clone();
    Route::new(method, PATH, Some(Scope::Admin), about, move |call| {
        let answered = handler(desk.clone(), call);
        async move { answered.await.unwrap_or_else(|refused| refused) }
    })
}

impl Desk {
    fn own(&self, call: &Call) -> Result<OwnFile, HookFileFault> {
        OwnFile::of(&self.config, call.parameter("name"))
    }

    async fn read(self, call: Call) -> Result<Answer, Answer> {
        let text = beside(move || Ok(self.own(&call)?.there()?.text()?)).await?;
        Ok(Answer::text(TOML, text))
    }

    async fn put(self, call: Call) -> Result<Answer, Answer> {
        let _turn = self.turn.lock().await;
        let desk = self.clone();
        let written = beside(move || {
            let text = std::str::from_utf8(&call.body)
                .map_err(|error| Answer::problem(StatusCode::BAD_REQUEST, format!("the body: {error}")))?;
            let own = desk.own(&call)?;
            let before = own.exists().then(|| own.text()).transpose()?;
            let warnings = own.check(text, Whence::Afar, &desk.brought)?;
            own.write(text, before.is_some())?;
            Ok((own, before, warnings))
        });
        let (own, before, warnings) = written.await?;
        let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
        let told = json!({ "file": own.place, "warnings": warnings });
        self.take(own, before).await?;
        Ok(Answer::json(status, &told))
    }

    async fn remove(self, call: Call) -> Result<Answer, Answer> {
        let _turn = self.turn.lock().await;
        let desk = self.clone();
        let removed = beside(move || {
            let own = desk.own(&call)?.there()?;
            let before = own.text()?;
            own.remove()?;
            Ok((own, before))
        });
        let (own, before) = removed.await?;
        self.take(own, Some(before)).await?;
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    /// Has the configuration taken as it is now, or else what was before.
    async fn take(&self, own: OwnFile, before: Before) -> Result<(), Answer> {
        let Err(error) = self.reload.take(None).await else { return Ok(()) };
        let status = match &error {
            ReloadError::Config(_) => StatusCode::CONFLICT,
            ReloadError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        };
        let put_back = move || match before {
            Some(text) => own.write(&text, true),
            None => own.remove(),
        };
        beside(move || Ok(put_back()?)).await?;
        Err(Answer::problem(status, format!("nothing is changed: {error}")))
    }
}

/// Files may be slow, and nobody else shall wait for them.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Answer> + Send + 'static,
) -> Result<T, Answer> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panicked| {
        Err(Answer::problem(StatusCode::INTERNAL_SERVER_ERROR, panicked.to_string()))
    })
}

impl From<HookFileFault> for Answer {
    fn from(fault: HookFileFault) -> Self {
        let status = match &fault {
            HookFileFault::Name(_) | HookFileFault::Wrong(_) => StatusCode::BAD_REQUEST,
            HookFileFault::NotFromAfar(_) => StatusCode::FORBIDDEN,
            HookFileFault::There(_) | HookFileFault::Elsewhere { .. } => StatusCode::CONFLICT,
            HookFileFault::Unknown { .. } => StatusCode::NOT_FOUND,
            HookFileFault::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::problem(status, fault.to_string())
    }
}
