//! The routes: which calls there are, who may make them, and who answers.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;

use crate::config::Scope;

use super::answer::Answer;
use super::call::{Call, segment};

/// An answer comes within this, unless the route says otherwise.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// In a scope of a plugin: that of the plugin whose name stands in the path.
pub(in crate::daemon) const OF_PATH: &str = "{plugin}";

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;
type Handler = Arc<dyn Fn(Call) -> Answering + Send + Sync>;

/// What stands in the places of a path, by name.
pub(super) type Parameters = Vec<(String, String)>;

/// A kind of call.
#[derive(Clone)]
pub(in crate::daemon) struct Route {
    pub(super) method: Method,
    /// As `/v1/monitors/{id}`.
    pub(super) path: String,
    /// Who may; `None`: anybody.
    pub(super) scope: Option<Scope>,
    /// What it does, for people.
    pub(super) about: String,
    /// Types of the body; none: there is no body.
    pub(super) takes: &'static [&'static str],
    /// Names in the query, with what they do.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// What it answers beyond what every route may, with what that means.
    pub(super) answers: &'static [(u16, &'static str)],
    /// The type of what it answers when all is well; empty: nothing.
    pub(super) gives: &'static str,
    /// Tokens may be shown as those of DSMR-reader too.
    pub(super) foreign_tokens: bool,
    pub(super) within: Duration,
    pub(super) handler: Handler,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Route {
    /// A call that is answered by this. It gives JSON with status 200 and takes no body, unless it says otherwise.
    pub(in crate::daemon) fn new<F>(
        method: Method,
        path: impl Into<String>,
        scope: Option<Scope>,
        about: impl Into<String>,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self {
            method,
            path: path.into(),
            scope,
            about: about.into(),
            takes: &[],
            query: &[],
            answers: &[(200, "as asked")],
            gives: "application/json",
            foreign_tokens: false,
            within: ANSWER_WITHIN,
            handler: Arc::new(move |call| Box::pin(handler(call))),
        }
    }

    /// It takes a body of one of these types.
    #[must_use]
    pub(in crate::daemon) const fn takes(mut self, types: &'static [&'static str]) -> Self {
        self.takes = types;
        self
    }

    /// It knows these names in the query.
    #[must_use]
    pub(in crate::daemon) const fn query(mut self, names: &'static [(&'static str, &'static str)]) -> Self {
        self.query = names;
        self
    }

    /// It answers with these statuses.
    #[must_use]
    pub(in crate::daemon) const fn answers(mut self, statuses: &'static [(u16, &'static str)]) -> Self {
        self.answers = statuses;
        self
    }

    /// It gives this type.
    #[must_use]
    pub(in crate::daemon) const fn gives(mut self, content_type: &'static str) -> Self {
        self.gives = content_type;
        self
    }

    /// Its answer begins within this.
    #[must_use]
    pub(in crate::daemon) const fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// It takes tokens as `X-AUTHKEY` and `Authorization: Token` too.
    #[must_use]
    pub(in crate::daemon) const fn with_foreign_tokens(mut self) -> Self {
        self.foreign_tokens = true;
        self
    }

    /// Who may, where this stands in the path.
    pub(super) fn scope(&self, parameters: &Parameters) -> Option<Scope> {
        let plugin =
            || parameters.iter().find(|(name, _)| name == "plugin").map(|(_, plugin)| plugin.clone());
        match &self.scope {
            Some(Scope::Plugin(name)) if name == OF_PATH => Some(Scope::Plugin(plugin().unwrap_or_default())),
            scope => scope.clone(),
        }
    }

    /// It changes something.
    pub(super) fn writes(&self) -> bool {
        self.method != Method::GET
    }

    /// What stands in the place of its parameters in this path; `None` where the path is another.
    fn parameters(&self, path: &str) -> Option<Parameters> {
        let (mut ours, mut theirs) = (self.path.split('/'), path.split('/'));
        let mut parameters = Vec::new();
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return Some(parameters),
                (Some(our), Some(their)) => {
                    match our.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                        Some(_) if their.is_empty() => return None,
                        Some(name) => parameters.push((name.to_owned(), segment(their)?)),
                        None if our == their => {}
                        None => return None,
                    }
                }
                (None, Some(_)) | (Some(_), None) => return None,
            }
        }
    }
}

/// Every route that there is.
#[derive(Clone, Debug, Default)]
pub(in crate::daemon) struct Routes(pub(super) Vec<Route>);

/// What is at a path.
pub(super) enum Found<'r> {
    Route(&'r Route, Parameters),
    /// Only these methods.
    Methods(Vec<&'r Method>),
    Nothing,
}

impl Routes {
    /// With some more. The first that fits a call answers it.
    #[must_use]
    pub(in crate::daemon) fn with(mut self, routes: impl IntoIterator<Item = Route>) -> Self {
        self.0.extend(routes);
        self
    }

    /// Who answers a call; `HEAD` is answered as `GET` is, and hyper leaves the body away.
    pub(super) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let at = |route: &Route| route.parameters(path);
        let mut here = self.0.iter().filter_map(|route| Some((route, at(route)?))).peekable();
        if here.peek().is_none() {
            return Found::Nothing;
        }
        let (fit, others): (Vec<_>, Vec<_>) = here.partition(|(route, _)| route.method == *method);
        match fit.into_iter().next() {
            Some((route, parameters)) => Found::Route(route, parameters),
            None => Found::Methods(others.into_iter().map(|(route, _)| &route.method).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::{Method, StatusCode};

    use super::{Answer, Found, Route, Routes};

    fn found(routes: &Routes, method: &Method, path: &str) -> String {
        match routes.find(method, path) {
            Found::Route(route, parameters) => format!("{} {parameters:?}", route.path),
            Found::Methods(methods) => format!("only {methods:?}"),
            Found::Nothing => "nothing".into(),
        }
    }

    #[test]
    fn a_call_goes_to_the_route_whose_path_and_method_it_has() {
        let route = |method, path: &str| {
            Route::new(method, path, None, "", |_| async { Answer::empty(StatusCode::OK) })
        };
        let routes = Routes::default().with([
            route(Method::GET, "/v1/hooks"),
            route(Method::GET, "/v1/hooks/{name}/sends"),
            route(Method::POST, "/v1/hooks/{name}/sends"),
        ]);
        for (method, path, expected) in [
            (Method::GET, "/v1/hooks", "/v1/hooks []"),
            (Method::HEAD, "/v1/hooks", "/v1/hooks []"),
            (Method::POST, "/v1/hooks/a%20b/sends", "/v1/hooks/{name}/sends [(\"name\", \"a b\")]"),
            (Method::DELETE, "/v1/hooks", "only [GET]"),
            (Method::PUT, "/v1/hooks/x/sends", "only [GET, POST]"),
            (Method::GET, "/v1/hooks/", "nothing"),
            (Method::GET, "/v1/hooks//sends", "nothing"),
            (Method::GET, "/v1/hooks/%/sends", "nothing"),
            (Method::GET, "*", "nothing"),
        ] {
            assert_eq!(found(&routes, &method, path), expected, "{method} {path}");
        }
    }
}
