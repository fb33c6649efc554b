//! The programs and the library as a whole, from outside: in one binary, so that tests which wait do so together.

#[path = "../support/mod.rs"]
mod support;

mod black_holes;
mod certificates;
mod cli;
mod doctor;
mod facts;
mod handlers;
mod hook_examples;
mod hooks_api;
mod hooks_cli;
mod http_api;
mod interop;
mod journal;
mod kills;
mod kills_told;
mod meter;
mod meter_cli;
mod monitors;
mod monitors_cli;
mod opt_cli;
mod plugins;
mod push;
mod push_credentials;
mod reload;
mod report_sources;
mod reports_cli;
mod secrecy;
mod shutdown;
mod store_full;
mod tls_backends;
mod tls_matrix;
mod unset_clock;
mod vtn_faults;
mod vtn_http;
mod xml_cli;
mod xml_hostile;
mod xml_verify;
