//! Calls to other people's servers, at addresses that strangers give us: over https, and to public addresses alone.
//!
//! Names are resolved here, every address found is checked, and the connection goes to what was checked: a name that means something
//! else a moment later gains nothing by it. No redirect is followed here; whoever follows one asks anew, and is checked anew. Proxies that
//! the environment names are not used, since they would resolve names for themselves.

mod addresses;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Body, Client, Method, Response, Url, redirect};
use tokio::sync::OnceCell;

use addresses::{is_public, may_be_public};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Calls other people's servers.
#[derive(Clone, Default)]
pub struct Outbound {
    /// Made when first used: a machine without root certificates can do all but this.
    client: Arc<OnceCell<Client>>,
    reach: Reach,
}

/// Why an address is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// Its host is not public.
    Address,
    /// Its port is neither 443 nor from 1024 on.
    Port,
    /// It is not asked by https.
    Scheme,
}

impl Barred {
    /// What whoever gave the address is told.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Address => "must lead to a public address.",
            Self::Port => "must use port 443, or one from 1024 on.",
            Self::Scheme => "must be an https address.",
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The address is barred, or its name stands for one that is.
    NotPublic,
    /// Its host is not known, or nothing answers there, or not with a certificate that can be trusted.
    Unreachable,
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
        is_public(address) || self.is_at_home(address)
    }

    fn is_at_home(self, address: IpAddr) -> bool {
        self == Self::Loopback && address.is_loopback()
    }
}

impl Outbound {
    /// One that reaches public addresses alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// For tests and for `knead dev`: one that reaches servers on this machine too, without TLS.
    pub fn with_loopback() -> Self {
        Self { reach: Reach::Loopback, ..Self::default() }
    }

    /// Whether `url` may be asked, as far as can be told without resolving its host's name.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, url: &Url) -> Result<(), Barred> {
        let address = literal(url);
        let may_lead_there = match address {
            // No name is resolved for these: the connection would go straight to them.
            Some(address) => self.reach.admits(address),
            None => may_be_public(url.host_str().unwrap_or_default()),
        };
        if !may_lead_there {
            return Err(Barred::Address);
        }
        let is_at_home = address.is_some_and(|address| self.reach.is_at_home(address));
        match (url.scheme(), url.port()) {
            // Below 1024 is what was never meant to be called by strangers: mail, remote log-ins, name servers.
            (_, Some(..1024)) => Err(Barred::Port),
            ("https", _) => Ok(()),
            ("http", _) if is_at_home => Ok(()),
            _ => Err(Barred::Scheme),
        }
    }

    /// Asks `url`, and gives the head of whatever it answers, a redirect too. The caller bounds the time, and reads of the body what it needs.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: impl Into<Body>,
    ) -> Result<Response, Missed> {
        self.admits(url).map_err(|_| Missed::NotPublic)?;
        let client = self.client.get_or_try_init(|| async { client(self.reach) }).await;
        let client = client.map_err(|error| {
            tracing::warn!(%error, "no other server can be called");
            Missed::Unreachable
        })?;
        let mut url = url.clone();
        if literal(&url).is_some_and(|address| self.reach.is_at_home(address)) {
            url.set_scheme("http").map_err(|()| Missed::Unreachable)?;
        }
        let request = client.request(method, url).headers(headers).body(body);
        request.send().await.map_err(|error| if is_refused(&error) { Missed::NotPublic } else { Missed::Unreachable })
    }
}

/// The address that is the host itself, where it is no name.
fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

fn client(reach: Reach) -> reqwest::Result<Client> {
    let asked = [
        // Nothing compressed: a few bytes could stand for more than the memory holds.
        (header::ACCEPT_ENCODING, "identity"),
        (header::USER_AGENT, concat!("knead/", env!("CARGO_PKG_VERSION"))),
    ];
    Client::builder()
        .default_headers(asked.map(|(name, value)| (name, HeaderValue::from_static(value))).into_iter().collect())
        .dns_resolver(Arc::new(Checked(reach)))
        .https_only(reach == Reach::World)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
        // No connection is kept: each call resolves and checks anew.
        .pool_max_idle_per_host(0)
        .build()
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
            // One address out of reach spoils them all: nobody who is meant to be called has such a name.
            if found.iter().all(|address| reach.admits(address.ip())) {
                Ok(Box::new(found.into_iter()) as Addrs)
            } else {
                Err(Refused.into())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_an_address_gets_around_the_rule() {
        let outbound = Outbound::new();
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
            assert!(outbound.admits(&url.parse().unwrap()).is_err(), "{url}");
        }
        assert_eq!(outbound.admits(&"https://8.8.8.8/".parse().unwrap()), Ok(()));
    }

    #[test]
    fn names_that_cannot_be_public_are_told_without_a_look_up() {
        let outbound = Outbound::new();
        let long = |label: &str| format!("https://{label}.partner.example/");
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
            "https://partner.example:0/",
            &long(&"a".repeat(64)),
            &long(&vec!["a".repeat(60); 4].join(".")),
        ] {
            assert!(outbound.admits(&url.parse().unwrap()).is_err(), "{url}");
        }
        for url in [
            "https://partner.example/",
            "https://partner.example.:8443/",
            "https://mylocalhost.example/",
            "https://notlocal.example/",
            "https://localhost.example/",
            "https://a_b.partner.example/",
            "https://münchen.example/",
            &long(&"a".repeat(63)),
        ] {
            assert_eq!(outbound.admits(&url.parse().unwrap()), Ok(()), "{url}");
        }
    }

    #[test]
    fn ports_of_other_services_are_not_reached() {
        let admits = |port: u32| {
            let url = format!("https://partner.example:{port}/").parse();
            url.ok().map(|url| Outbound::with_loopback().admits(&url))
        };
        for port in [443, 1024, 8443, 65_535] {
            assert_eq!(admits(port), Some(Ok(())), "{port}");
        }
        for port in [0, 1, 22, 25, 53, 80, 444, 465, 993, 1023] {
            assert_eq!(admits(port), Some(Err(Barred::Port)), "{port}");
        }
        assert_eq!(admits(65_536), None);
    }

    #[test]
    fn only_this_machine_is_asked_without_tls_and_only_where_that_is_wanted() {
        let (world, home) = (Outbound::new(), Outbound::with_loopback());
        for (url, from_the_world, from_home) in [
            ("http://partner.example/", Err(Barred::Scheme), Err(Barred::Scheme)),
            ("http://8.8.8.8/", Err(Barred::Scheme), Err(Barred::Scheme)),
            ("http://127.0.0.1:8080/", Err(Barred::Address), Ok(())),
            ("https://[::1]:8080/", Err(Barred::Address), Ok(())),
            ("http://10.0.0.1:8080/", Err(Barred::Address), Err(Barred::Address)),
            ("ftp://partner.example/", Err(Barred::Scheme), Err(Barred::Scheme)),
        ] {
            let url = url.parse().unwrap();
            assert_eq!((world.admits(&url), home.admits(&url)), (from_the_world, from_home), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_is_only_as_good_as_its_addresses() {
        let localhost = |reach| Checked(reach).resolve("localhost".parse().unwrap());
        assert!(localhost(Reach::World).await.err().unwrap().is::<Refused>());
        assert!(localhost(Reach::Loopback).await.is_ok());
        let url = "https://127.0.0.1/".parse().unwrap();
        let answer = Outbound::new().ask(Method::GET, &url, HeaderMap::new(), "").await;
        assert_eq!(answer.err(), Some(Missed::NotPublic));
    }

    #[tokio::test]
    async fn a_name_that_turns_inward_after_the_check_is_refused_as_it_connects() {
        // The client looks a name up when it connects, and through the same check: there is no second look-up that could find another address.
        let inward = client(Reach::World).unwrap().get("https://localhost:8443/").send().await.unwrap_err();
        assert!(is_refused(&inward), "{inward:?}");
    }
}
