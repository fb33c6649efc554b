//! Keys as users type them.

use super::super::Keys;
use super::super::keys::BadKey;

const ONE: &str = "000102030405060708090A0B0C0D0E0F";

fn bytes(keys: &Keys) -> ([u8; 16], Option<[u8; 16]>) {
    (*keys.encryption(), keys.authentication().copied())
}

#[test]
fn keys_are_read_as_users_type_them() {
    let first: [u8; 16] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let second: [u8; 16] = std::array::from_fn(|at| 0xF0 + u8::try_from(at).unwrap());
    let other = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
    for text in [
        ONE.to_owned(),
        ONE.to_ascii_lowercase(),
        "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f".into(),
        " 00010203-04050607 08090A0B-0C0D0E0F \n".into(),
        format!("0x{ONE}"),
    ] {
        assert_eq!(bytes(&Keys::parse(&text, None).unwrap()), (first, None), "{text}");
        assert_eq!(bytes(&Keys::parse(&text, Some(" ")).unwrap()), (first, None), "{text}");
        assert_eq!(bytes(&Keys::parse(&text, Some(other)).unwrap()), (first, Some(second)), "{text}");
        let both = format!("{text} {other}");
        assert_eq!(bytes(&Keys::parse(&both, None).unwrap()), (first, Some(second)), "{text}");
    }
}

#[test]
fn what_is_no_key_is_said_without_saying_the_key() {
    fn parse(encryption: &str, authentication: Option<&str>) -> BadKey {
        Keys::parse(encryption, authentication).unwrap_err()
    }
    let (key, other) = ("encryption key", "authentication key");
    assert_eq!(parse("", None), BadKey::Length { key, found: 0 });
    assert_eq!(parse(&ONE[1..], None), BadKey::Length { key, found: 31 });
    assert_eq!(parse(&format!("{ONE}00"), None), BadKey::Length { key, found: 34 });
    assert_eq!(parse(&ONE.replace('3', "O"), None), BadKey::Digit { key, at: 8, character: 'O' });
    assert_eq!(
        parse(&format!("0x{}", ONE.replace('3', "é")), None),
        BadKey::Digit { key, at: 10, character: 'é' }
    );
    assert_eq!(parse(ONE, Some("00")), BadKey::Length { key: other, found: 2 });
    assert_eq!(parse(ONE, Some(&format!("{ONE}{ONE}"))), BadKey::Length { key: other, found: 64 });
    assert_eq!(parse(&format!("{ONE}{ONE}"), Some(ONE)), BadKey::ThreeKeys);
    assert_eq!(parse("12", None).to_string(), "the encryption key has 2 hexadecimal digits, and needs 32");
}

#[test]
fn keys_are_never_shown() {
    let keys = Keys::parse(ONE, Some(ONE)).unwrap();
    let opener = super::super::Opener::new(Some(keys.clone()), false, super::super::CounterGuard::default());
    for shown in [format!("{keys:?}"), format!("{keys:#?}"), format!("{opener:?}")] {
        let digits = shown.to_ascii_lowercase();
        assert!(
            !digits.contains("0a0b") && !digits.contains("10, 11") && shown.contains("hidden"),
            "{shown}"
        );
    }
}
