//! The programs and the library as a whole, from outside: in one binary, so that tests which wait do so together.

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod cli;
mod doctor;
mod facts;
mod handlers;
mod hooks_cli;
mod http_api;
mod interop;
mod journal;
mod kills;
mod meter;
mod meter_cli;
mod monitors;
mod opt_cli;
mod push;
mod push_credentials;
mod report_sources;
mod reports_cli;
mod store_full;
mod tls_backends;
mod tls_matrix;
mod vtn_faults;
mod vtn_http;
mod xml_cli;
mod xml_hostile;
mod xml_verify;
