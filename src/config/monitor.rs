//! Where monitors are pushed.

use std::net::SocketAddr;

/// Where monitors are pushed without TLS: tokens go over this connection, so it does not leave the machine.
///
/// # Errors
///
/// Where others can reach that address.
pub(crate) fn plain_address(listen: SocketAddr) -> Result<SocketAddr, String> {
    if listen.ip().is_loopback() {
        return Ok(listen);
    }
    let port = listen.port();
    Err(format!(
        "{listen} is not on the loopback, and tokens would cross the network in the clear: write 127.0.0.1:{port}, or use tls"
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn without_tls_nobody_outside_is_served() {
        for good in ["127.0.0.1:3200", "[::1]:3200", "127.8.8.8:1"] {
            assert_eq!(super::plain_address(good.parse().unwrap()), Ok(good.parse().unwrap()));
        }
        for open in ["0.0.0.0:3200", "[::]:3200", "192.0.2.1:3200"] {
            let why = super::plain_address(open.parse().unwrap()).unwrap_err();
            assert!(why.contains(open) && why.contains("127.0.0.1:3200"), "{why}");
        }
    }
}
