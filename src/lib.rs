//! An OpenADR 2.0b VEN: the client end of utility demand response.

pub mod openadr;
pub mod time;
