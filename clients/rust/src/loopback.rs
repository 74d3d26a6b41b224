//! Addresses of this machine.

use std::net::IpAddr;

/// Whether a target, host:port, is an address of this machine.
pub(crate) fn is_loopback(target: &str) -> bool {
    if target.contains(['/', '@', ',', '#', '?']) {
        return false; // it names more than one host
    }
    let host = match target.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => target,
    };
    let host = host
        .trim_matches(['[', ']'])
        .trim_end_matches('.')
        .to_ascii_lowercase();
    if host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    host.parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_addresses_of_this_machine() {
        for target in [
            "localhost:1",
            "127.0.0.1:50051",
            "[::1]:1",
            "LOCALHOST",
            "127.8.0.1",
        ] {
            assert!(is_loopback(target), "{target}");
        }
        for target in [
            "localhost.example.org:1",
            "10.0.0.1:1",
            "[2001:db8::1]:1",
            "rig:1",
            "server.example/x.localhost",
            "localhost:1@server.example:1",
        ] {
            assert!(!is_loopback(target), "{target}");
        }
    }
}
