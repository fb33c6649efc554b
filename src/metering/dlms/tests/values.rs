//! Values as A-XDR writes them, and what is none.

use super::super::axdr::{Data, Reader};
use super::*;

fn read(bytes: &[u8]) -> Result<Data<'_>, Why> {
    Reader::new(bytes).value()
}

#[test]
fn numbers_are_exact() {
    for (bytes, value) in [
        ("0301", "1"),
        ("0300", "0"),
        ("05FFFFFFFE", "-2"),
        ("06FFFFFFFE", "4294967294"),
        ("0FFE", "-2"),
        ("11FE", "254"),
        ("10FFFE", "-2"),
        ("12FFFE", "65534"),
        ("14FFFFFFFFFFFFFFFE", "-2"),
        ("15FFFFFFFFFFFFFFFE", "18446744073709551614"),
        ("1743661A00", "230.1016"),
        ("17436619 9A", "230.1"),
        ("18406CC33333333333", "230.1"),
    ] {
        assert_eq!(read(&hex(bytes)), Ok(Data::Number(dec(value))), "{bytes}");
    }
    for not_a_number in ["177FC00000", "177F800000", "187FEFFFFFFFFFFFFF"] {
        assert_eq!(read(&hex(not_a_number)), Ok(Data::Null));
    }
}

#[test]
fn other_values_are_what_they_are() {
    assert_eq!(read(&hex("00")), Ok(Data::Null));
    assert_eq!(read(&hex("161B")), Ok(Data::Enum(27)));
    assert_eq!(read(&hex("0903 010203")), Ok(Data::Octets(&[1, 2, 3])));
    assert_eq!(read(&hex("098103 010203")), Ok(Data::Octets(&[1, 2, 3])));
    assert_eq!(read(&hex("09820003 010203")), Ok(Data::Octets(&[1, 2, 3])));
    assert_eq!(read(b"\x0A\x02ab"), Ok(Data::Text(b"ab")));
    assert_eq!(read(b"\x0C\x02\xC3\xA4"), Ok(Data::Text("ä".as_bytes())));
    assert_eq!(read(&hex("0409 FF80")), Ok(Data::Octets(&[0xFF, 0x80])), "nine bits are two octets");
    assert_eq!(read(&hex("1A 0102030405")), Ok(Data::Octets(&[1, 2, 3, 4, 5])));
    assert_eq!(read(&hex("1B 01020304")), Ok(Data::Octets(&[1, 2, 3, 4])));
    let list = Data::List(vec![Data::Null, Data::List(vec![Data::Enum(1)])]);
    assert_eq!(read(&hex("0202 00 0101 1601")), Ok(list));
}

#[test]
fn lengths_that_lie_are_refused_where_they_stand() {
    for (bytes, at, what) in [
        ("", 0, "1 bytes must follow"),
        ("0600", 1, "4 bytes must follow, there are 1"),
        ("0905 0102", 2, "5 bytes must follow"),
        ("0982FFFF 01", 4, "65535 bytes must follow"),
        ("09830000FF", 1, "a length is cut, or too long"),
        ("0203 0000", 2, "3 values must follow in 2 bytes"),
        ("0182FFFF 00", 4, "65535 values must follow"),
        ("0202 0013", 3, "13 is no type of a value"),
        ("04FF00", 1, "a length is cut, or too long"),
    ] {
        let octets = hex(bytes);
        let found = read(&octets);
        let fits = matches!(&found, Err(Why::Content { at: place, what: said }) if *place == at && said.contains(what));
        assert!(fits, "{bytes}: {found:?}");
    }
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    let nested = |depth: usize| [hex("0101").repeat(depth), vec![0]].concat();
    assert!(read(&nested(8)).is_ok());
    assert!(matches!(read(&nested(9)), Err(Why::Content { what, .. }) if what.contains("nested")));
    assert!(read(&nested(4000)).is_err());
    let nulls = |count: u16| [vec![0x01, 0x82], count.to_be_bytes().to_vec(), vec![0; count.into()]].concat();
    assert!(read(&nulls(1023)).is_ok());
    assert!(matches!(read(&nulls(1024)), Err(Why::Content { what, .. }) if what.contains("more than 1024")));
}
