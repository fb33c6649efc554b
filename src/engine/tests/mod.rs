//! Conversations with the mock VTN, in virtual time and without codec.

mod certification;
mod checks;
mod events;
mod faults;
mod fuzz;
mod hostile;
mod pair;
mod polling;
mod quirks;
mod registration;
mod reports;
