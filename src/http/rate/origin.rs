//! Where a request comes from, as far as we know it for certain.

use std::fmt;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::error::{Error, Result};

/// The network that a request comes from: an IPv4 address, or the /64 of an IPv6 address, since a household or a server
/// is given a /64 at the least and picks among its addresses as it likes (RFC 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin(IpAddr);

/// What nobody's address is: a request that came by no network.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            v4 => Self(v4),
        }
    }
}

impl Origin {
    /// The network that it may be one of many of: the /48 of an IPv6 address, which one customer may have as a whole (RFC 6177).
    pub fn site(self) -> IpAddr {
        match self.0 {
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
            }
            v4 => v4,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(prefix) => write!(f, "{prefix}/64"),
        }
    }
}

impl FromRequest for Origin {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(request.extensions().get().copied().unwrap_or(Self(NOWHERE))))
    }
}

/// The proxies whose word on the caller's address is taken.
pub struct Proxies(Vec<IpAddr>);

impl Proxies {
    /// Proxies at these addresses. An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) is the same proxy.
    pub fn new(addresses: Vec<IpAddr>) -> Self {
        Self(addresses.into_iter().map(|address| address.to_canonical()).collect())
    }

    /// Whether a proxy is at this address, which is canonical.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// The origin of a request that `peer` sent with `headers`. `X-Forwarded-For` is walked from its right end, where the
    /// nearest proxy writes, for as long as a trusted proxy vouches for the next hop. A hop that cannot be read ends the
    /// walk, because what stands left of it is the caller's own claim.
    pub fn origin(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Origin {
        let hops: Vec<&[u8]> =
            headers.get_all("x-forwarded-for").flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).collect();
        let mut known = peer.map_or(NOWHERE, |peer| peer.ip().to_canonical());
        for hop in hops.into_iter().rev() {
            let Some(next) = Some(hop).filter(|_| self.0.contains(&known)).and_then(address) else { break };
            known = next;
        }
        known.into()
    }
}

/// The address of a hop: bare, in brackets, or with a port.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || hop.parse().ok().map(|address: SocketAddr| address.ip());
    hop.parse().ok().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

    fn origin(peer: &str, lines: &[&[u8]]) -> String {
        let proxies = Proxies::new(["10.0.0.1", "::ffff:10.0.0.2", "fd00::1"].map(|a| a.parse().unwrap()).to_vec());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED, HeaderValue::from_bytes(line).unwrap());
        }
        proxies.origin(Some(peer.parse().unwrap()), &headers).0.to_string()
    }

    #[test]
    fn an_origin_is_an_ipv4_address_or_the_64_of_an_ipv6_one() {
        for (peer, expected) in [
            ("203.0.113.7:1", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:1", "203.0.113.7"),
            ("[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::"),
            ("[2001:db8:1:2:ffff::9]:1", "2001:db8:1:2::"),
            ("[2001:db8:1:3::9]:1", "2001:db8:1:3::"),
        ] {
            assert_eq!(origin(peer, &[b"198.51.100.9"]), expected, "{peer}");
        }
    }

    #[test]
    fn a_forwarded_address_is_understood_with_or_without_its_port() {
        for (hop, expected) in [
            ("198.51.100.9", "198.51.100.9"),
            (" 198.51.100.9 ", "198.51.100.9"),
            ("198.51.100.9:567", "198.51.100.9"),
            ("::ffff:198.51.100.9", "198.51.100.9"),
            ("[::ffff:198.51.100.9]:567", "198.51.100.9"),
            ("2001:db8::1", "2001:db8::"),
            ("[2001:db8::1]", "2001:db8::"),
            ("[2001:db8::1]:567", "2001:db8::"),
        ] {
            for peer in ["10.0.0.1:1", "[::ffff:10.0.0.1]:1", "10.0.0.2:1", "[::ffff:10.0.0.2]:1", "[fd00::1]:1"] {
                assert_eq!(origin(peer, &[hop.as_bytes()]), expected, "{hop} from {peer}");
            }
        }
    }

    #[test]
    fn only_what_a_trusted_proxy_vouches_for_is_believed() {
        // What stands further left is the caller's own claim.
        assert_eq!(origin("10.0.0.1:1", &[b"192.0.2.1, 198.51.100.9"]), "198.51.100.9");
        assert_eq!(origin("10.0.0.1:1", &[b"192.0.2.1, 198.51.100.9, 10.0.0.2:80"]), "198.51.100.9");
        assert_eq!(origin("10.0.0.1:1", &[b"192.0.2.1", b"198.51.100.9", b"[fd00::1]:80, 10.0.0.2"]), "198.51.100.9");
        assert_eq!(origin("203.0.113.7:1", &[b"198.51.100.9, 10.0.0.2"]), "203.0.113.7");
        assert_eq!(origin("10.0.0.1:1", &[b"fd00::1, 10.0.0.2"]), "fd00::", "the furthest of the proxies");
        assert_eq!(origin("10.0.0.1:1", &[]), "10.0.0.1");
    }

    #[test]
    fn a_hop_that_cannot_be_read_ends_the_walk() {
        for odd in [
            "unknown",
            "_hidden",
            "",
            "-",
            "198.51.100.9:",
            "198.51.100.9:99999",
            "198.51.100",
            "[198.51.100.9]",
            "[2001:db8::1",
            "2001:db8::1]:5",
            "[2001:db8::1]5",
            "0xc6336409",
            "198.51.100.9:5:6",
            "\u{661}98.51.100.9",
        ] {
            let forwarded = format!("192.0.2.1, {odd}");
            assert_eq!(origin("10.0.0.1:1", &[forwarded.as_bytes()]), "10.0.0.1", "{odd}");
            let forwarded = format!("192.0.2.1, {odd}, 10.0.0.2");
            assert_eq!(origin("10.0.0.1:1", &[forwarded.as_bytes()]), "10.0.0.2", "{odd} before a proxy");
        }
        assert_eq!(origin("10.0.0.1:1", &[b"192.0.2.1, \xff\xfe"]), "10.0.0.1", "not even text");
    }
}
