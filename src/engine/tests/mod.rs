//! Conversations with the mock VTN, in virtual time and without codec.

mod certification;
mod checks;
mod events;
mod faults;
mod pair;
mod polling;
mod registration;
mod report_rules;
mod reports;
