//! Says to which addresses a hook may speak.
//!
//! A name in a URL may lead anywhere, today or tomorrow: it is the address that is judged, after the name is resolved, and the
//! connection goes to that very address. What is never spoken to has no honest use as an endpoint, or hands out credentials of the
//! machine (the metadata services of clouds). The own machine and network are spoken to only where the configuration says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where metadata is served outside of the link-local networks (AWS, GCP, Alibaba, Oracle).
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xFD00, 0x0EC2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xFD20, 0x00CE, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// What kind of address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Public,
    Loopback,
    /// Of the own network.
    Private,
    LinkLocal,
    Metadata,
    Multicast,
    /// No address of a machine.
    Reserved,
}

/// Why an address is not spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Forbidden {
    #[error("{0} is an address of {1}, which no hook may speak to")]
    Always(IpAddr, &'static str),
    #[error("{0} is an address of {1}; allow_private = true permits that")]
    UnlessAllowed(IpAddr, &'static str),
}

/// Whether this address may be spoken to.
///
/// # Errors
///
/// Says why not.
pub(super) fn check(address: IpAddr, allow_private: bool) -> Result<(), Forbidden> {
    match kind(address) {
        Kind::Public => Ok(()),
        Kind::Loopback | Kind::Private if allow_private => Ok(()),
        Kind::Loopback => Err(Forbidden::UnlessAllowed(address, "this machine")),
        Kind::Private => Err(Forbidden::UnlessAllowed(address, "a private network")),
        Kind::LinkLocal => Err(Forbidden::Always(address, "the local link")),
        Kind::Metadata => Err(Forbidden::Always(address, "a metadata service")),
        Kind::Multicast => Err(Forbidden::Always(address, "many machines")),
        Kind::Reserved => Err(Forbidden::Always(address, "no machine")),
    }
}

fn kind(address: IpAddr) -> Kind {
    if METADATA.contains(&address) {
        return Kind::Metadata;
    }
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

/// By the registry of special-purpose addresses (RFC 6890).
fn kind_v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        [0, ..] | [240..=255, ..] | [192, 0, 0, _] => Kind::Reserved,
        [127, ..] => Kind::Loopback,
        [169, 254, ..] => Kind::LinkLocal,
        [224..=239, ..] => Kind::Multicast,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => {
            Kind::Private
        }
        _ => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    if address.is_loopback() {
        return Kind::Loopback;
    }
    let segments = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        kind(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
    };
    match segments {
        // What carries an address of version 4 is judged by that: mapped (RFC 4291), translated (RFC 2765, RFC 6052), 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0xFFFF, high, low]
        | [0, 0, 0, 0, 0xFFFF, 0, high, low]
        | [0x64, 0xFF9B, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        // The unspecified address, compatible ones (RFC 4291), Teredo (RFC 4380).
        [0, ..] | [0x2001, 0, ..] => Kind::Reserved,
        // A translator of the own network (RFC 8215).
        [0x64, 0xFF9B, 1, ..] => Kind::Private,
        [0xFE80..=0xFEBF, ..] => Kind::LinkLocal,
        // Unique local (RFC 4193), and site-local before it.
        [0xFC00..=0xFDFF, ..] | [0xFEC0..=0xFEFF, ..] => Kind::Private,
        [0xFF00..=0xFFFF, ..] => Kind::Multicast,
        _ => Kind::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &[&str] = &[
        "8.8.8.8",
        "1.1.1.1",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ];
    const OWN: &[&str] = &[
        "127.0.0.1",
        "127.255.255.255",
        "::1",
        "10.0.0.1",
        "172.16.0.0",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "198.18.0.1",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        "64:ff9b:1::1",
        "::ffff:127.0.0.1",
        "::ffff:192.168.0.1",
        "64:ff9b::7f00:1",
        "2002:a00:1::",
        "2002:7f00:1::1",
        "::ffff:0:10.0.0.1",
    ];
    const NEVER: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "169.254.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "192.0.0.192",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::127.0.0.1",
        "::7f00:1",
        "fe80::1",
        "febf::1",
        "ff02::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "::ffff:0.0.0.0",
        "::ffff:100.100.100.200",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "::ffff:0:169.254.169.254",
        "2001:0:1::1",
    ];

    #[test]
    fn public_addresses_may_be_spoken_to() {
        for text in PUBLIC {
            assert_eq!(check(text.parse().unwrap(), false), Ok(()), "{text}");
        }
    }

    #[test]
    fn the_own_machine_and_network_may_be_spoken_to_where_that_is_allowed() {
        for text in OWN {
            let address = text.parse().unwrap();
            assert_eq!(check(address, true), Ok(()), "{text}");
            let error = check(address, false).unwrap_err();
            assert!(matches!(error, Forbidden::UnlessAllowed(..)), "{text}: {error}");
            assert!(error.to_string().contains("allow_private"), "{error}");
        }
    }

    #[test]
    fn some_addresses_are_never_spoken_to() {
        for text in NEVER {
            for allow_private in [false, true] {
                let error = check(text.parse().unwrap(), allow_private).unwrap_err();
                assert!(matches!(error, Forbidden::Always(..)), "{text}: {error}");
            }
        }
    }
}
