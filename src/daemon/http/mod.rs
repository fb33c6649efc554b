//! Answers programs and people on this machine, or those who have a token: health, status, metrics, telegrams, and what others add.
//!
//! ```text
//! connection -> (64 in all, 16 from one address) -> TLS -> header -> Host -> route -> token -> Origin -> type, body -> handler
//! ```
//!
//! **How to add routes:** make [`Route`]s, each with a handler from [`call::Call`] to [`answer::Answer`], and put them into the [`Routes`] before the
//! server starts. Whoever is called has been admitted: the handler does not look at tokens, only at [`call::Call::who`] where it makes a
//! difference. An answer that goes on is a [`answer::Stream`]: spawn a task that sends pieces into it until that fails.
//!
//! A router of our own, and none of a framework: each route has to say who may call it and what it answers, for the guard and for the
//! description of the API, and finding one is forty lines.

pub(in crate::daemon) mod answer;
pub(in crate::daemon) mod call;
mod guard;
mod metrics;
mod openapi;
mod own;
mod patient;
mod route;
mod server;
mod telegrams;
#[cfg(test)]
mod tests;
pub(in crate::daemon) mod token;

pub(in crate::daemon) use own::routes as own_routes;
pub(in crate::daemon) use route::{OF_PATH, Route, Routes};
pub(in crate::daemon) use server::{Server, Setup, Traffic};
pub(in crate::daemon) use telegrams::routes as telegram_routes;
pub(in crate::daemon) use token::{SHORTEST, Token, Tokens, hash};
pub(crate) use token::{new_token, written};
