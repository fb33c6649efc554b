//! Decrypts frames, and says what is wrong with those that cannot be.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::consts::U12;
use aes_gcm::{AesGcm, Nonce, Tag};
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};

use crate::metering::decoder::Why;

use super::counter::CounterGuard;
use super::frame::{CipheredFrame, Security, TAG};
use super::keys::Keys;

/// GCM with the tag of IEC 62056-5-3.
pub(super) type Gcm = AesGcm<Aes128, U12, U12>;
/// The counter of GCM's first block of content: 1 is that of the tag.
const FIRST_BLOCK: u32 = 2;

/// Opens the frames of a line, and remembers what must be remembered of those before.
#[derive(Debug, Default)]
pub(crate) struct Opener {
    keys: Option<Keys>,
    /// What nothing proves to be the meter's is taken, if it looks as what meters say.
    unauthenticated: bool,
    guard: CounterGuard,
    /// The keys have opened a frame.
    fitted: bool,
}

/// What was in a frame.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::metering) struct Opened {
    pub(in crate::metering) plain: Vec<u8>,
    /// Its tag fits: it is what the meter sent, and nobody changed it.
    pub(in crate::metering) authenticated: bool,
}

impl Opener {
    /// `unauthenticated`: frames without a tag, or with one that needs an authentication key that nobody gave out, are taken if what is
    /// in them looks right. `guard`: the counters as they were at the end of the last run.
    pub(crate) fn new(keys: Option<Keys>, unauthenticated: bool, guard: CounterGuard) -> Self {
        Self { keys, unauthenticated, guard, fitted: false }
    }

    /// The counters that have been accepted, to be kept for the next run.
    pub(crate) const fn counters(&self) -> &CounterGuard {
        &self.guard
    }

    /// What is not in a frame at all may be taken: as with frames without a tag, only where no key could prove what the meter sends.
    pub(in crate::metering) fn takes_plain(&self) -> bool {
        let authentication = self.keys.as_ref().map(|keys| keys.authentication().is_some());
        authentication.is_none_or(|has_key| self.unauthenticated && !has_key)
    }

    /// Opens a frame.
    ///
    /// | frame | authentication key | taken |
    /// |---|---|---|
    /// | has a tag | known | if the tag fits, over the security byte and the key |
    /// | has a tag | none | if the tag fits over no additional data; else as one without a tag |
    /// | has none | known | never: whoever takes the tag away could change the rest |
    /// | has none | none | if it `looks_right` and the user allows it |
    ///
    /// # Errors
    ///
    /// [`Why::KeyMissing`], [`Why::WrongKey`] as long as no frame has fitted, [`Why::Tag`] after that, [`Why::Replayed`], and
    /// [`Why::Content`] where something else must be configured.
    pub(in crate::metering) fn open(
        &mut self,
        frame: &CipheredFrame<'_>,
        looks_right: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Opened, Why> {
        let keys = self.keys.as_ref().ok_or(Why::KeyMissing)?;
        let refused = || if self.fitted { Why::Tag } else { Why::WrongKey };
        let opened = match (frame.tag, keys.authentication()) {
            (Some(tag), Some(_)) => verified(frame, keys, tag).ok_or_else(refused)?,
            (None, Some(_)) => {
                return Err(content("it has no tag, and with an authentication key it must have one"));
            }
            (tag, None) => match tag.and_then(|tag| verified(frame, keys, tag)) {
                Some(plain) => plain,
                None => {
                    let plain =
                        unverified(frame, keys).filter(|plain| looks_right(plain)).ok_or_else(refused)?;
                    if !self.unauthenticated {
                        return Err(content(match tag {
                            Some(_) => "it can be read, but not checked without the authentication key",
                            None => "it can be read, but has no tag: anybody could have changed it",
                        }));
                    }
                    self.guard.accept(frame.title, frame.counter)?;
                    self.fitted = true;
                    return Ok(Opened { plain, authenticated: false });
                }
            },
        };
        self.fitted = true;
        self.guard.accept(frame.title, frame.counter)?;
        Ok(Opened { plain: opened, authenticated: true })
    }
}

/// Of the security byte.
fn content(what: &str) -> Why {
    Why::Content { at: 0, what: what.to_owned() }
}

/// System title and frame counter.
pub(super) fn nonce(title: [u8; 8], counter: u32) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&title);
    nonce[8..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

/// The security byte and the authentication key; where there is none, nothing, as some meters have it.
pub(super) fn additional(security: Security, keys: &Keys) -> Vec<u8> {
    let with = |key: &[u8; 16]| std::iter::once(security.0).chain(*key).collect();
    keys.authentication().map(with).unwrap_or_default()
}

/// The content, if the tag fits.
fn verified(frame: &CipheredFrame<'_>, keys: &Keys, tag: [u8; TAG]) -> Option<Vec<u8>> {
    let nonce = Nonce::from(nonce(frame.title.0, frame.counter));
    let mut additional = additional(frame.security, keys);
    let mut plain = frame.content.to_vec();
    let gcm = Gcm::new(keys.encryption().into());
    if frame.security.is_encrypted() {
        gcm.decrypt_inout_detached(&nonce, &additional, plain.as_mut_slice().into(), &Tag::from(tag)).ok()?;
    } else {
        // What is only authenticated is all additional data.
        additional.extend_from_slice(frame.content);
        gcm.decrypt_inout_detached(&nonce, &additional, (&mut [][..]).into(), &Tag::from(tag)).ok()?;
    }
    Some(plain)
}

/// The content, whoever it is from.
fn unverified(frame: &CipheredFrame<'_>, keys: &Keys) -> Option<Vec<u8>> {
    let mut plain = frame.content.to_vec();
    if frame.security.is_encrypted() {
        let mut block = [0; 16];
        block[..12].copy_from_slice(&nonce(frame.title.0, frame.counter));
        block[12..].copy_from_slice(&FIRST_BLOCK.to_be_bytes());
        let mut stream = ctr::Ctr32BE::<Aes128>::new(keys.encryption().into(), &block.into());
        stream.try_apply_keystream(&mut plain).ok()?;
    }
    Some(plain)
}
