//! Reads the frame around what is encrypted.

use crate::metering::decoder::Why;

use super::counter::SystemTitle;

/// `general-glo-ciphering`, IEC 62056-5-3.
pub(super) const BEGIN: u8 = 0xDB;
/// Bytes of a system title; the nonce has room for no other.
pub(super) const TITLE: usize = 8;
/// Bytes of a tag: those of GCM, cut.
pub(super) const TAG: usize = 12;
/// Before the content: security byte and frame counter.
pub(super) const BEFORE: usize = 5;
/// Where the length stands.
const LENGTH: usize = 2 + TITLE;

/// How a frame is protected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::metering) struct Security(pub(in crate::metering) u8);

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Security({:02X})", self.0)
    }
}

impl Security {
    /// Encrypted and with a tag, suite 0.
    pub(in crate::metering) const BOTH: Self = Self(0x30);

    /// There is a tag.
    pub(in crate::metering) const fn has_tag(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// The content is encrypted.
    pub(in crate::metering) const fn is_encrypted(self) -> bool {
        self.0 & 0x20 != 0
    }

    /// Suites 0 and 1 encrypt alike, by AES-128; suite 2 has longer keys, and a compressed content is no meter's that speaks by itself.
    /// Which of the global keys it is (0x40) is said by the keys that the user gives.
    pub(super) const fn is_spoken(self) -> bool {
        self.0 & 0x0F <= 1 && self.0 & 0x80 == 0
    }
}

/// A frame of `general-glo-ciphering`, as it stands in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::metering) struct CipheredFrame<'a> {
    /// Who sends it: three letters of the maker, and a number.
    pub(in crate::metering) title: SystemTitle,
    pub(in crate::metering) security: Security,
    /// Rises with every frame of the same system title.
    pub(in crate::metering) counter: u32,
    /// Encrypted, where the security byte says so.
    pub(in crate::metering) content: &'a [u8],
    /// Where the security byte says that there is one.
    pub(in crate::metering) tag: Option<[u8; TAG]>,
    /// Bytes of the whole frame.
    pub(in crate::metering) length: usize,
}

impl<'a> CipheredFrame<'a> {
    /// Reads the frame at the beginning of these bytes; nothing as long as it is not all there.
    ///
    /// # Errors
    ///
    /// Where it is none, as far as it has come.
    pub(in crate::metering) fn parse(bytes: &'a [u8]) -> Result<Option<Self>, Why> {
        let wrong = |at, what: &str| Err(Why::Content { at, what: what.to_owned() });
        match bytes {
            [] => return Ok(None),
            [first, ..] if *first != BEGIN => return wrong(0, "no encrypted frame (DB) begins here"),
            [_, length, ..] if usize::from(*length) != TITLE => {
                return wrong(1, "the system title has not 8 bytes");
            }
            _ => {}
        }
        let Some((title, rest)) = bytes.get(2..).and_then(<[u8]>::split_first_chunk::<TITLE>) else {
            return Ok(None);
        };
        let (length, used) = match rest {
            [] | [0x81] | [0x82] | [0x82, _] => return Ok(None),
            [short @ ..=0x7F, ..] => (usize::from(*short), 1),
            [0x81, short, ..] => (usize::from(*short), 2),
            [0x82, high, low, ..] => (usize::from(u16::from_be_bytes([*high, *low])), 3),
            _ => return wrong(LENGTH, "the length is longer than two bytes"),
        };
        let Some(security) = rest.get(used) else { return Ok(None) };
        let security = Security(*security);
        if !security.is_spoken() {
            return wrong(
                LENGTH + used,
                &format!("security byte {:02X} is of a kind that meters do not use", security.0),
            );
        }
        let around = BEFORE + if security.has_tag() { TAG } else { 0 };
        if length < around {
            return wrong(LENGTH, &format!("a length of {length} has no room for a frame counter and a tag"));
        }
        let Some(inside) = rest.get(used..used + length) else { return Ok(None) };
        let Some((head, content)) = inside.split_first_chunk::<BEFORE>() else { return Ok(None) };
        let [_, counter @ ..] = *head;
        let (content, tag) = match content.split_last_chunk::<TAG>() {
            Some((content, tag)) if security.has_tag() => (content, Some(*tag)),
            _ => (content, None),
        };
        let length = LENGTH + used + length;
        let (title, counter) = (SystemTitle(*title), u32::from_be_bytes(counter));
        Ok(Some(Self { title, security, counter, content, tag, length }))
    }
}
