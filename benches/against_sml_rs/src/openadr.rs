//! What the room of meters uses of the messages.

#[path = "../../../src/openadr/message/mod.rs"]
pub mod message;
