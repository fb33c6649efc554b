//! Holds the keys of a meter, as its operator gives them out.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes of a key of AES-128.
const LENGTH: usize = 16;
/// Digits of a key as it is written.
const DIGITS: usize = 2 * LENGTH;

/// The keys of a meter. They are never shown, and wiped from memory when they are no longer needed.
#[derive(Clone)]
pub(crate) struct Keys {
    encryption: Zeroizing<[u8; LENGTH]>,
    authentication: Option<Zeroizing<[u8; LENGTH]>>,
}

/// Why text is no key. It never holds the text itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadKey {
    #[error("the {key} has {found} hexadecimal digits, and needs 32")]
    Length { key: &'static str, found: usize },
    #[error("character {at} of the {key} is {character:?}, which is no hexadecimal digit")]
    Digit { key: &'static str, at: usize, character: char },
    #[error(
        "the encryption key has 64 digits, which are two keys, and there is an authentication key besides"
    )]
    ThreeKeys,
}

impl Keys {
    /// Both keys, or the encryption key alone where the operator gives out no more.
    #[cfg(test)]
    pub(crate) fn new(encryption: [u8; LENGTH], authentication: Option<[u8; LENGTH]>) -> Self {
        Self { encryption: Zeroizing::new(encryption), authentication: authentication.map(Zeroizing::new) }
    }

    /// Reads keys as users type them: 32 hexadecimal digits, with or without spaces, colons and dashes between them and `0x` before.
    ///
    /// Operators write both keys in one line, too: 64 digits are the encryption key and then the authentication key. An empty
    /// authentication key is none.
    ///
    /// # Errors
    ///
    /// Where it is none; the message says what is wrong, and not what the key is.
    pub(crate) fn parse(encryption: &str, authentication: Option<&str>) -> Result<Self, BadKey> {
        let authentication = authentication.filter(|text| !text.trim().is_empty());
        let bytes = octets("encryption key", encryption)?;
        if let Some((first, second)) = bytes.split_at_checked(LENGTH).filter(|(_, more)| more.len() == LENGTH)
        {
            if authentication.is_some() {
                return Err(BadKey::ThreeKeys);
            }
            return Ok(Self {
                encryption: key("encryption key", first)?,
                authentication: Some(key("authentication key", second)?),
            });
        }
        let authentication = match authentication {
            Some(text) => Some(key("authentication key", &octets("authentication key", text)?)?),
            None => None,
        };
        Ok(Self { encryption: key("encryption key", &bytes)?, authentication })
    }

    /// With this authentication key, where the operator gives out none because everybody has it.
    pub(in crate::metering) fn or_authenticated_by(mut self, authentication: [u8; LENGTH]) -> Self {
        self.authentication.get_or_insert_with(|| Zeroizing::new(authentication));
        self
    }

    /// The user's key of the meter: GUEK, EK, GPK60.
    pub(super) fn encryption(&self) -> &[u8; LENGTH] {
        &self.encryption
    }

    /// GAK, AK, GPK61.
    pub(super) fn authentication(&self) -> Option<&[u8; LENGTH]> {
        self.authentication.as_deref()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.authentication.is_some() { "Keys(two, hidden)" } else { "Keys(one, hidden)" })
    }
}

/// The bytes that hexadecimal digits write, half a byte at the end included, so that their number can be told.
fn octets(key: &'static str, text: &str) -> Result<Zeroizing<Vec<u8>>, BadKey> {
    let trimmed = text.trim_start();
    let digits = trimmed.strip_prefix("0x").or_else(|| trimmed.strip_prefix("0X")).unwrap_or(trimmed);
    let before = text.chars().count() - digits.chars().count();
    // With room for all of it, so that no copy stays behind when it grows.
    let mut octets = Zeroizing::new(Vec::with_capacity(digits.len()));
    let mut found = 0;
    for (at, character) in digits.chars().enumerate() {
        if character.is_whitespace() || matches!(character, ':' | '-') {
            continue;
        }
        let digit = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digit = digit.ok_or(BadKey::Digit { key, at: before + at + 1, character })?;
        match octets.last_mut() {
            Some(last) if found % 2 == 1 => *last = *last << 4 | digit,
            _ => octets.push(digit),
        }
        found += 1;
    }
    if found == DIGITS || found == 2 * DIGITS { Ok(octets) } else { Err(BadKey::Length { key, found }) }
}

fn key(key: &'static str, octets: &[u8]) -> Result<Zeroizing<[u8; LENGTH]>, BadKey> {
    let exact = <[u8; LENGTH]>::try_from(octets);
    exact.map(Zeroizing::new).map_err(|_| BadKey::Length { key, found: 2 * octets.len() })
}
