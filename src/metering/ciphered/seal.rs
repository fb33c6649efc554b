//! Writes encrypted frames, as a meter does.

use aes_gcm::Nonce;
use aes_gcm::aead::{AeadInOut as _, KeyInit as _};

use super::counter::SystemTitle;
use super::frame::{BEFORE, BEGIN, Security, TAG, TITLE};
use super::keys::Keys;
use super::open::{Gcm, additional, nonce};

/// A frame around what a meter says; nothing where that is longer than a frame can be.
///
/// The ciphertext of GCM is the same with a tag and without, so one way of encrypting serves both.
pub(in crate::metering) fn seal(
    plain: &[u8],
    keys: &Keys,
    title: SystemTitle,
    security: Security,
    counter: u32,
) -> Option<Vec<u8>> {
    let length = BEFORE + plain.len() + if security.has_tag() { TAG } else { 0 };
    let length = u16::try_from(length).ok()?;
    let mut frame = vec![BEGIN, u8::try_from(TITLE).ok()?];
    frame.extend(title.0);
    match u8::try_from(length) {
        Ok(short @ ..=0x7F) => frame.push(short),
        Ok(short) => frame.extend([0x81, short]),
        Err(_) => frame.extend([&[0x82][..], &length.to_be_bytes()].concat()),
    }
    frame.push(security.0);
    frame.extend(counter.to_be_bytes());
    let content = frame.len();
    frame.extend(plain);
    let mut additional = additional(security, keys);
    let encrypted: &mut [u8] = if security.is_encrypted() {
        &mut frame[content..]
    } else {
        additional.extend_from_slice(plain);
        &mut []
    };
    let nonce = Nonce::from(nonce(title.0, counter));
    let gcm = Gcm::new(keys.encryption().into());
    let tag = gcm.encrypt_inout_detached(&nonce, &additional, encrypted.into()).ok()?;
    if security.has_tag() {
        frame.extend(tag);
    }
    Some(frame)
}
