//! Conversations with the mock VTN, in virtual time and without codec.

mod certification;
mod checks;
mod event_rules;
mod events;
mod faults;
mod fuzz;
mod hostile;
mod notices;
mod opts;
mod pair;
mod polling;
mod precedence;
mod push;
mod quirks;
mod registration;
mod report_rules;
mod report_state;
mod reports;
mod year;
