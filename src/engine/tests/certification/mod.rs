//! The subjects of the certification that have a VEN under test, each by its number, in pull mode and in push mode.
//!
//! Letters: N registration, E event, P opt, R report, G general, and `a_` before the events that profile 2.0a had already.
//! `tests/conformance.rs` reads the names: a subject without a test here needs a reason there.

/// Makes of one conversation the subject in pull mode and the subject in push mode.
macro_rules! subject {
    ($(#[$doc:meta])* fn $pull:ident, $push:ident($mode:ident) $body:block) => {
        $(#[$doc])*
        #[test]
        fn $pull() {
            let $mode = $crate::engine::tests::pair::Mode::Pull;
            $body
        }

        $(#[$doc])*
        #[test]
        fn $push() {
            let $mode = $crate::engine::tests::pair::Mode::Push;
            $body
        }
    };
}

mod event;
mod event_a;
mod execution_a;
mod general;
mod opt;
mod registration;
mod report;
