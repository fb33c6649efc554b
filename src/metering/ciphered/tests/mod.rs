//! Frames of our own and of the samples, with right keys, wrong ones and none.

mod fuzz;
mod keys;
mod open;
mod samples;

use super::open::Opened;
use super::{CipheredFrame, CounterGuard, Keys, Opener, Security, SystemTitle, seal};
use crate::metering::decoder::Why;

const ENCRYPTION: [u8; 16] = *b"0123456789ABCDEF";
const AUTHENTICATION: [u8; 16] = *b"authenticate me!";
const TITLE: SystemTitle = SystemTitle(*b"ABC\0\x01\x02\x03\x04");
const PLAIN: &[u8] = b"/what a meter says, in more than one block of the cipher\r\n!";

fn keys(authentication: Option<[u8; 16]>) -> Keys {
    Keys::new(ENCRYPTION, authentication)
}

fn opener(authentication: Option<[u8; 16]>, unauthenticated: bool) -> Opener {
    Opener::new(Some(keys(authentication)), unauthenticated, CounterGuard::default())
}

/// A frame of [`PLAIN`].
fn sealed(authentication: Option<[u8; 16]>, security: u8, counter: u32) -> Vec<u8> {
    seal(PLAIN, &keys(authentication), TITLE, Security(security), counter).unwrap()
}

fn open(opener: &mut Opener, bytes: &[u8]) -> Result<Opened, Why> {
    let frame = CipheredFrame::parse(bytes)?.ok_or(Why::Cut)?;
    assert_eq!(frame.length, bytes.len());
    opener.open(&frame, &|plain| plain.starts_with(b"/what"))
}
