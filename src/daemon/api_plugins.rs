//! The routes of plugins: how they are, and the paths that they serve themselves.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::json;

use crate::config::Scope;

use super::http::Route;
use super::http::answer::Answer;
use super::http::call::Call;
use super::plugin::{NotServed, Plugins, State};
use crate::plugin::Request;

/// What plugins take.
const BODIES: &[&str] = &["application/json", "text/plain"];
const ANSWERS: &[(u16, &str)] = &[
    (200, "what the plugin says; it may have another status"),
    (400, "the body is no text"),
    (404, "the plugin serves no such path"),
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
    for name in plugins.names() {
        routes.push(restart(plugins, &name));
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            routes.push(path(plugins, &name, &method));
        }
    }
    routes
}

/// Who may use a plugin may start it again too.
fn restart(plugins: &Plugins, name: &str) -> Route {
    let (all, plugin) = (plugins.clone(), name.to_owned());
    let (path, scope) = (format!("/v1/plugins/{name}/restart"), Some(Scope::Plugin(name.to_owned())));
    let about = format!("Ends plugin {name} where it runs, and starts it again");
    let route = Route::new(Method::POST, path, scope, about, move |_| {
        std::future::ready(match all.restart(&plugin) {
            Ok(()) => Answer::empty(StatusCode::NO_CONTENT),
            Err(fault) => Answer::problem(status_of(&fault), fault.to_string()),
        })
    });
    route.gives("").answers(&[(204, "it is started again"), (404, "it is not there any more")])
}

/// Whatever a plugin serves with this method: which paths that are, the plugin says; a program may say otherwise after a restart.
fn path(plugins: &Plugins, name: &str, method: &Method) -> Route {
    let (plugins, plugin, asked) = (plugins.clone(), name.to_owned(), method.clone());
    let handler = move |call: Call| {
        let (plugins, plugin, asked) = (plugins.clone(), plugin.clone(), asked.clone());
        async move {
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
    let scope = Some(Scope::Plugin(name.to_owned()));
    let about = format!("What plugin {name} serves there");
    let route = Route::new(method.clone(), format!("/plugins/{name}/{{path}}"), scope, about, handler);
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
