//! The routes of plugins: how they are, and the paths that they serve themselves.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::json;

use crate::config::Scope;

use super::http::answer::Answer;
use super::http::call::Call;
use super::http::{OF_PATH, Route};
use super::plugin::{NotServed, Plugins, State};
use crate::plugin::Request;

/// What plugins take.
const BODIES: &[&str] = &["application/json", "text/plain"];
const ANSWERS: &[(u16, &str)] = &[
    (200, "what the plugin says; it may have another status"),
    (400, "the body is no text"),
    (404, "there is no such plugin, or it serves no such path"),
    (502, "its answer is none"),
    (504, "it does not answer in time"),
];

/// The routes of plugins.
pub(super) fn routes(plugins: &Plugins) -> Vec<Route> {
    let states = plugins.clone();
    let list = Route::new(Method::GET, "/v1/plugins", Some(Scope::Read), "How the plugins are", move |_| {
        let lines = states.states().into_iter().map(|(name, state)| {
            let (state, why) = match state {
                State::Starting => ("starting", None),
                State::Running(_) => ("running", None),
                State::Stopped(why) => ("stopped", Some(why)),
            };
            json!({ "name": name, "state": state, "why": why })
        });
        std::future::ready(Answer::json(StatusCode::OK, &json!({ "plugins": lines.collect::<Vec<_>>() })))
    });
    let mut routes = vec![list];
    routes.push(restart(plugins));
    routes.extend(
        [Method::GET, Method::POST, Method::PUT, Method::DELETE].map(|method| path(plugins, &method)),
    );
    routes
}

/// Who may use a plugin may start it again too.
fn restart(plugins: &Plugins) -> Route {
    let plugins = plugins.clone();
    let scope = Some(Scope::Plugin(OF_PATH.to_owned()));
    let about = "Ends a plugin where it runs, and starts it again";
    let route = Route::new(Method::POST, "/v1/plugins/{plugin}/restart", scope, about, move |call: Call| {
        std::future::ready(match plugins.restart(call.parameter("plugin")) {
            Ok(()) => Answer::empty(StatusCode::NO_CONTENT),
            Err(fault) => Answer::problem(status_of(&fault), fault.to_string()),
        })
    });
    route.gives("").answers(&[(204, "it is started again"), (404, "there is no such plugin")])
}

/// Whatever a plugin serves with this method: which plugins there are may change, and so may the paths of programs, which their hellos
/// say.
fn path(plugins: &Plugins, method: &Method) -> Route {
    let (plugins, asked) = (plugins.clone(), method.clone());
    let handler = move |call: Call| {
        let (plugins, asked) = (plugins.clone(), asked.clone());
        async move {
            let plugin = call.parameter("plugin").to_owned();
            let Ok(body) = String::from_utf8(call.body.to_vec()) else {
                return Answer::problem(StatusCode::BAD_REQUEST, "the body is no text");
            };
            let asks = Request {
                method: asked.to_string(),
                path: call.parameter("path").to_owned(),
                query: call.query_text,
                body,
            };
            match plugins.call(&plugin, asks).await {
                Ok(served) => {
                    let status = StatusCode::from_u16(served.status).unwrap_or(StatusCode::OK);
                    let kind = HeaderValue::from_str(&served.content_type);
                    let kind = kind.unwrap_or(HeaderValue::from_static("text/plain"));
                    Answer::whole(status, served.body).with(CONTENT_TYPE, kind)
                }
                Err(fault) => Answer::problem(status_of(&fault), fault.to_string()),
            }
        }
    };
    let scope = Some(Scope::Plugin(OF_PATH.to_owned()));
    let about = "What a plugin serves there";
    let route = Route::new(method.clone(), "/plugins/{plugin}/{path}", scope, about, handler);
    let route = route.gives("text/plain").answers(ANSWERS);
    if *method == Method::POST || *method == Method::PUT { route.takes(BODIES) } else { route }
}

const fn status_of(fault: &NotServed) -> StatusCode {
    match fault {
        NotServed::NoPlugin(_) | NotServed::NoRoute { .. } => StatusCode::NOT_FOUND,
        NotServed::Late(_) => StatusCode::GATEWAY_TIMEOUT,
        NotServed::Failed(_) => StatusCode::BAD_GATEWAY,
    }
}
