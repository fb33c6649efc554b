//! Describes the API to programs, from the routes that there are: `OpenAPI` 3.1.

use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::route::{Route, Routes};

/// What any route may answer, with what that means.
const ANY: &[(u16, &str)] = &[
    (400, "the request cannot be understood"),
    (401, "nobody says who asks, or with a wrong token"),
    (415, "there is a body of another type, or one where none is taken"),
    (421, "it was meant for another host"),
    (504, "there was no answer in time"),
];
const OF_SCOPED: &[(u16, &str)] = &[(403, "whoever asks may not")];
const OF_BODIES: &[(u16, &str)] = &[
    (403, "whoever asks may not, or a page of another site asks"),
    (408, "the body does not come"),
    (413, "the body is too large"),
];

impl Routes {
    /// With a route that describes all of these and itself.
    #[must_use]
    pub(in crate::daemon) fn described(self) -> Self {
        let route = |text: String| {
            Route::new(Method::GET, "/openapi.json", None, "This description", move |_| {
                std::future::ready(Answer::text("application/json", text.clone()))
            })
        };
        let document = description(&self.clone().with([route(String::new())]));
        self.with([route(format!("{document}\n"))])
    }
}

/// The description of these routes.
pub(super) fn description(routes: &Routes) -> Value {
    let mut paths = Map::new();
    for route in &routes.0 {
        let path = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    let token = json!({"type": "http", "scheme": "bearer", "description": "a token of [[http.token]]"});
    let foreign = json!({"type": "apiKey", "in": "header", "name": "X-AUTHKEY"});
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "OpenADR VEN",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The local API of a VEN: how it stands, what happens, telegrams of meters.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": token, "authkey": foreign},
            "schemas": {"problem": problem()},
        },
    })
}

/// What is wrong, as RFC 9457 has it.
fn problem() -> Value {
    json!({
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
        "required": ["title", "status", "detail"],
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "summary": route.about,
        "operationId": operation_id(route),
        "parameters": parameters(route),
        "responses": responses(route),
        "security": security(route),
    });
    if let Some(scope) = &route.scope {
        operation["x-scope"] = json!(scope.to_string());
    }
    if !route.takes.is_empty() {
        let content: Map<_, _> = route.takes.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect();
        operation["requestBody"] = json!({"content": content});
    }
    operation
}

/// As `get_v1_monitors_id`.
fn operation_id(route: &Route) -> String {
    let words =
        route.path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<_> = words.collect();
    format!("{}_{}", route.method.as_str().to_ascii_lowercase(), words.join("_"))
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let text = json!({"type": "string"});
    let in_path = in_path.map(|name| json!({"name": name, "in": "path", "required": true, "schema": text}));
    let query = route.query.iter().map(|(name, about)| {
        json!({"name": name, "in": "query", "required": false, "description": about, "schema": text})
    });
    in_path.chain(query).collect()
}

fn responses(route: &Route) -> Map<String, Value> {
    let mut responses = Map::new();
    let problem = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/problem"}}});
    let more = [(true, ANY), (route.scope.is_some(), OF_SCOPED), (route.writes(), OF_BODIES)];
    for (status, about) in more.iter().filter(|(wanted, _)| *wanted).flat_map(|(_, statuses)| *statuses) {
        responses.insert(status.to_string(), json!({"description": about, "content": problem}));
    }
    for (status, about) in route.answers {
        let mut response = json!({"description": about});
        if *status < 300 && *status != StatusCode::NO_CONTENT.as_u16() && !route.gives.is_empty() {
            response["content"] = json!({route.gives: {}});
        }
        responses.insert(status.to_string(), response);
    }
    responses
}

/// Any one of these will do; `{}`: nothing is needed.
fn security(route: &Route) -> Vec<Value> {
    match (&route.scope, route.foreign_tokens) {
        (None, _) => vec![json!({})],
        (Some(_), false) => vec![json!({"token": []})],
        (Some(_), true) => vec![json!({"token": []}), json!({"authkey": []})],
    }
}
