//! Gets calendars from addresses that strangers give us: over https, from public addresses, and no more than is asked for.
//!
//! Names are resolved here, every address found is checked, and the connection goes to what was checked: a name that means something
//! else a moment later gains nothing by it. Every redirect is checked anew. Proxies that the environment names are not used, since they
//! would resolve names for themselves.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{self, HeaderMap};
use reqwest::{Client, StatusCode, redirect};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout, timeout_at};

use super::parsing::Reader;
use super::{CalendarUrl, Fault};
use crate::ids::TherapistId;

/// How long an answer may take, redirects included, and what is small.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is large may take longer, as long as it comes at so many bytes a second.
const PACE: u64 = 1024 * 1024;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often an address may lead on to another.
const MOST_REDIRECTS: usize = 3;
/// The largest calendar, in bytes.
const LARGEST: u64 = 25 * 1024 * 1024;

/// What the server called the version that was read last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Its `ETag`.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
}

/// What a server answers.
#[derive(Debug)]
pub enum Answer {
    /// The same as the last time.
    Unchanged,
    /// It was read, whole.
    Read(Version),
}

/// Gets calendars.
#[derive(Clone, Default)]
pub struct Fetcher {
    /// Made when first used: a machine without root certificates can do all but this.
    client: Arc<OnceCell<Client>>,
    reach: Reach,
    /// Whose calendars this process reads just now.
    busy: Arc<Mutex<HashSet<TherapistId>>>,
}

/// The turn of a therapist, whose calendars are read one after the other: nobody's take the places of all others. It ends when dropped.
pub struct Turn {
    therapist: TherapistId,
    busy: Arc<Mutex<HashSet<TherapistId>>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.therapist);
    }
}

/// Why an address is not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// Its host is not public.
    Address,
    /// Its port is neither 443 nor from 1024 on.
    Port,
}

impl Barred {
    /// What whoever gave the address is told.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Address => "must lead to a public address.",
            Self::Port => "must use port 443, or one from 1024 on.",
        }
    }
}

/// What may be connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reach {
    /// Public addresses, by https.
    #[default]
    World,
    /// This machine too, where https means http.
    Loopback,
}

impl Reach {
    fn admits(self, address: IpAddr) -> bool {
        is_public(address) || (self == Self::Loopback && address.is_loopback())
    }
}

impl Fetcher {
    /// One that reaches public addresses alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// For tests: one that reaches servers on this machine too, without TLS.
    pub fn with_loopback() -> Self {
        Self { reach: Reach::Loopback, ..Self::default() }
    }

    /// The therapist's turn; none while another of their calendars is read.
    pub fn turn(&self, therapist: TherapistId) -> Option<Turn> {
        let is_free = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(therapist);
        is_free.then(|| Turn { therapist, busy: self.busy.clone() })
    }

    /// Whose turn it is.
    pub fn busy(&self) -> Vec<TherapistId> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// Whether `url` may be asked for, as far as can be told without resolving its host's name.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, url: &CalendarUrl) -> Result<(), Barred> {
        let may_lead_there = match url.host().trim_matches(['[', ']']).parse::<IpAddr>() {
            // No name is resolved for these: the connection would go straight to them.
            Ok(address) => self.reach.admits(address),
            Err(_) => may_be_public(url.host()),
        };
        // Below 1024 is what was never meant to serve calendars: mail, remote log-ins, name servers.
        match url.0.port() {
            None | Some(1024..) if may_lead_there => Ok(()),
            None | Some(1024..) => Err(Barred::Address),
            Some(_) => Err(Barred::Port),
        }
    }

    /// Gets `url`, where it is another version than `known`, and gives it to `reader` as it comes.
    ///
    /// # Errors
    /// Why there is nothing to read.
    pub async fn get(&self, url: &CalendarUrl, known: &Version, reader: &mut Reader) -> Result<Answer, Fault> {
        let begun = Instant::now();
        match timeout(PATIENCE, self.follow(url, known)).await.unwrap_or(Err(Fault::TooSlow))? {
            Some(response) => text(response, begun, reader).await,
            None => Ok(Answer::Unchanged),
        }
    }

    /// The answer that `url` leads to; none where nothing has changed.
    async fn follow(&self, url: &CalendarUrl, known: &Version) -> Result<Option<reqwest::Response>, Fault> {
        let mut url = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let response = self.ask(&url, known).await?;
            match response.status() {
                StatusCode::OK => return Ok(Some(response)),
                StatusCode::NOT_MODIFIED if *known != Version::default() => return Ok(None),
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => {
                    url = said(response.headers(), header::LOCATION)
                        .and_then(|to| url.join(&to))
                        .ok_or(Fault::BadRedirect)?;
                }
                _ => return Err(Fault::NotServed),
            }
        }
        Err(Fault::TooManyRedirects)
    }

    async fn ask(&self, url: &CalendarUrl, known: &Version) -> Result<reqwest::Response, Fault> {
        self.admits(url).map_err(|_| Fault::NotPublic)?;
        let client = self.client.get_or_try_init(|| async { client(self.reach) }).await;
        let client = client.map_err(|error| {
            tracing::warn!(%error, "no calendar can be read");
            Fault::Unreachable
        })?;
        let mut request = client.get(match self.reach {
            Reach::World => url.as_str().to_owned(),
            Reach::Loopback => url.as_str().replacen("https", "http", 1),
        });
        for (name, value) in [(header::IF_NONE_MATCH, &known.etag), (header::IF_MODIFIED_SINCE, &known.last_modified)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        request.send().await.map_err(|error| if is_refused(&error) { Fault::NotPublic } else { Fault::Unreachable })
    }
}

fn client(reach: Reach) -> reqwest::Result<Client> {
    let asked = [
        (header::ACCEPT, "text/calendar, */*;q=0.1"),
        // Nothing compressed: a few bytes could stand for more than the memory holds.
        (header::ACCEPT_ENCODING, "identity"),
        (header::USER_AGENT, concat!("knead/", env!("CARGO_PKG_VERSION"))),
    ];
    Client::builder()
        .default_headers(
            asked.map(|(name, value)| (name, header::HeaderValue::from_static(value))).into_iter().collect(),
        )
        .dns_resolver(Arc::new(Checked(reach)))
        .https_only(reach == Reach::World)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
        // No connection is kept: each reading resolves and checks anew.
        .pool_max_idle_per_host(0)
        .build()
}

/// Reads an answer, as far as it is neither too large nor too slow. Nothing of it is kept here.
async fn text(mut response: reqwest::Response, begun: Instant, reader: &mut Reader) -> Result<Answer, Fault> {
    if said(response.headers(), header::CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"))
    {
        return Err(Fault::Compressed);
    }
    let version = Version {
        etag: said(response.headers(), header::ETAG),
        last_modified: said(response.headers(), header::LAST_MODIFIED),
    };
    let mut taken = 0;
    loop {
        let deadline = begun + PATIENCE + Duration::from_secs(taken / PACE);
        let part = timeout_at(deadline, response.chunk()).await.map_err(|_| Fault::TooSlow)?;
        let Some(part) = part.map_err(|_| Fault::Unreachable)? else { return Ok(Answer::Read(version)) };
        taken += u64::try_from(part.len()).unwrap_or(LARGEST);
        if taken > LARGEST {
            return Err(Fault::TooLarge);
        }
        reader.feed(&part)?;
    }
}

/// A header, where it is one that can be kept and sent back.
fn said(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= 2000).then(|| value.to_owned())
}

/// Resolves names to addresses that may be connected to.
struct Checked(Reach);

/// One of a name's addresses may not be connected to.
#[derive(Debug, thiserror::Error)]
#[error("not a public address")]
struct Refused;

fn is_refused(error: &reqwest::Error) -> bool {
    let first: &dyn std::error::Error = error;
    std::iter::successors(Some(first), |error| error.source()).any(|error| error.is::<Refused>())
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One address out of reach spoils them all: nobody with a calendar to show has such a name.
            if found.iter().all(|address| reach.admits(address.ip())) {
                Ok(Box::new(found.into_iter()) as Addrs)
            } else {
                Err(Refused.into())
            }
        })
    }
}

/// Names of this machine, of networks of one's own, and of nothing that is ever found; so is all that ends in them (RFC 6761, 6762, 7686,
/// 8375 and 9476, and `internal`, which ICANN keeps free). `example` is missing, since addresses in documents end in it.
const NOT_PUBLIC_NAMES: &[&str] = &["alt", "home.arpa", "internal", "invalid", "local", "localhost", "onion", "test"];

/// Whether a host's name may have a public address, as far as the name itself tells.
fn may_be_public(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    // The limits of the domain name system (RFC 1035, section 2.3.4).
    let can_exist = name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()));
    // A single label would be looked for within our own network.
    let is_whole = name.contains('.');
    let is_inside = NOT_PUBLIC_NAMES
        .iter()
        .any(|inside| name.strip_suffix(inside).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    can_exist && is_whole && !is_inside
}

/// Ranges of IPv4 that are not the public Internet (IANA's registry of special purposes), and one that a cloud uses within.
const NOT_PUBLIC_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// All of IPv6 that is given out to the public. What embeds an IPv4 address lies outside, or is taken out below.
const PUBLIC_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Ranges within that are not the public Internet: of protocols (Teredo among them), for documentation, and 6to4.
const NOT_PUBLIC_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether anyone may have this address, and nobody has it on a network of their own.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let within = |(range, bits): &(Ipv4Addr, u32)| (address.to_bits() ^ range.to_bits()) >> (32 - bits) == 0;
            !NOT_PUBLIC_V4.iter().any(within)
        }
        IpAddr::V6(address) => {
            let within = |(range, bits): &(Ipv6Addr, u32)| (address.to_bits() ^ range.to_bits()) >> (128 - bits) == 0;
            within(&PUBLIC_V6) && !NOT_PUBLIC_V6.iter().any(within)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendars::parsing::Owner;
    use crate::values::Zone;

    #[test]
    fn only_public_addresses_are_reached() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860::8888",
            "2400:cb00::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for closed in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(closed.parse().unwrap()), "{closed}");
        }
    }

    #[test]
    fn no_spelling_of_an_address_gets_around_the_rule() {
        let fetcher = Fetcher::new();
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://169.254.169.254/latest/",
            "https://①②⑦.⓪.⓪.①/",
            "https://10.0.0.1:8443/",
        ] {
            assert!(fetcher.admits(&url.parse().unwrap()).is_err(), "{url}");
        }
        assert_eq!(fetcher.admits(&"https://8.8.8.8/".parse().unwrap()), Ok(()));
    }

    #[test]
    fn names_that_cannot_be_public_are_told_without_a_look_up() {
        let fetcher = Fetcher::new();
        let long = |label: &str| format!("https://{label}.calendar.example/");
        for url in [
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://intranet/",
            "https://com./",
            "https://printer.local/",
            "https://nas.home.arpa/",
            "https://metadata.google.internal/",
            "https://a.onion/",
            "https://a.test/",
            "https://a..example/",
            "https://.example/",
            "https://calendar.example:0/",
            &long(&"a".repeat(64)),
            &long(&vec!["a".repeat(60); 4].join(".")),
        ] {
            assert!(fetcher.admits(&url.parse().unwrap()).is_err(), "{url}");
        }
        for url in [
            "https://calendar.example/",
            "https://calendar.example.:8443/",
            "https://mylocalhost.example/",
            "https://notlocal.example/",
            "https://localhost.example/",
            "https://a_b.calendar.example/",
            "https://münchen.example/",
            &long(&"a".repeat(63)),
        ] {
            assert_eq!(fetcher.admits(&url.parse().unwrap()), Ok(()), "{url}");
        }
    }

    #[test]
    fn ports_of_other_services_are_not_reached() {
        let admits = |port: u32| {
            let url = format!("https://calendar.example:{port}/").parse();
            url.map_or(None, |url| Some(Fetcher::with_loopback().admits(&url)))
        };
        for port in [443, 1024, 8443, 65_535] {
            assert_eq!(admits(port), Some(Ok(())), "{port}");
        }
        for port in [0, 1, 22, 25, 53, 80, 444, 465, 993, 1023] {
            assert_eq!(admits(port), Some(Err(Barred::Port)), "{port}");
        }
        assert_eq!(admits(65_536), None);
    }

    #[tokio::test]
    async fn a_name_is_only_as_good_as_its_addresses() {
        let localhost = |reach| Checked(reach).resolve("localhost".parse().unwrap());
        assert!(localhost(Reach::World).await.err().unwrap().is::<Refused>());
        assert!(localhost(Reach::Loopback).await.is_ok());
        let owner = Owner { zone: Zone::UTC, email: String::new(), has_busy_days: true };
        let mut reader = Reader::new(owner, chrono::DateTime::UNIX_EPOCH);
        let answer = Fetcher::new().get(&"https://127.0.0.1/".parse().unwrap(), &Version::default(), &mut reader).await;
        assert!(matches!(answer, Err(Fault::NotPublic)), "{answer:?}");
    }
}
