//! An OpenADR 2.0b VEN: the client end of utility demand response.

mod engine;
pub mod handler;
pub mod mock_vtn;
pub mod notice;
mod openadr;
#[cfg(test)]
mod test_support;
pub mod time;

pub use openadr::message;
