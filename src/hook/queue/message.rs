//! Makes a message of items, and names it.

use ring::digest::{Context, SHA256};

use super::item::Item;

/// What goes out at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Of the only item; of a batch a UUID of version 8 (RFC 9562) that follows from its members.
    pub(crate) id: String,
    /// In the order in which they stand in it.
    pub(crate) items: Vec<Item>,
}

impl Message {
    pub(super) fn of(items: Vec<Item>) -> Self {
        let id = match items.as_slice() {
            [only] => only.id.clone(),
            several => id_of(several),
        };
        Self { id, items }
    }
}

/// The same for the same items in the same order, and for no others.
fn id_of(items: &[Item]) -> String {
    let mut digest = Context::new(&SHA256);
    for item in items {
        digest.update(item.id.as_bytes());
        digest.update(b"\n");
    }
    let digest = digest.finish();
    let (mut high, mut low) = (0_u64, 0_u64);
    for (at, octet) in digest.as_ref().iter().take(16).enumerate() {
        let half = if at < 8 { &mut high } else { &mut low };
        *half = *half << 8 | u64::from(*octet);
    }
    // Version 8 and the variant of RFC 9562, section 5.8.
    let high = high & !0xF000 | 0x8000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xFFFF,
        high & 0xFFFF,
        low >> 48,
        low & 0xFFFF_FFFF_FFFF
    )
}
