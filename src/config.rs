//! Configuration, from the command line and the environment.

use std::net::{IpAddr, SocketAddr};

use clap::{Args, ValueEnum};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::audit::Keys;
use crate::auth::{StaffSecondFactor, Tokens, generate_signing_key};
use crate::bookings::bounds::Bounds;
use crate::cipher::{Cipher, generate_data_key};
use crate::error::Result;
use crate::messages::{MailEvents, Post, Relay};
use crate::storage::Storage;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines, one JSON object a line.
    Json,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// Where the database is.
#[derive(Args, Clone, Debug)]
pub struct Database {
    /// The PostgreSQL database, as a URL.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: SecretString,
}

/// The keys that seal what is kept.
#[derive(Args, Clone, Debug)]
pub struct DataKeys {
    /// Seal what is kept of health and doors: keys of 32 bytes, base64, separated by commas; the first one seals, each of them opens.
    #[arg(long, env = "KNEAD_DATA_KEYS", hide_env_values = true)]
    pub data_keys: SecretString,
}

impl DataKeys {
    /// What the keys make.
    ///
    /// # Errors
    /// One sentence that says what to mend.
    pub fn cipher(&self) -> Result<Cipher, String> {
        Cipher::new(&self.data_keys)
            .map_err(|why| format!("KNEAD_DATA_KEYS: {why}; `knead config init` makes a good one"))
    }
}

/// The keys that sign the audit and verify it.
#[derive(Args, Clone, Debug)]
pub struct AuditKey {
    /// Signs the audit's heads: an Ed25519 key in PKCS#8, base64, of its own, which the database must not hold. Public keys of
    /// before follow, separated by commas. To verify, public keys are enough.
    #[arg(long = "audit-key", env = "KNEAD_AUDIT_KEY", hide_env_values = true)]
    pub audit_key: SecretString,
}

impl AuditKey {
    /// What the keys make, for verifying alone.
    ///
    /// # Errors
    /// One sentence that says what to mend.
    pub fn verifying(&self) -> Result<Keys, String> {
        Keys::new(&self.audit_key).map_err(|why| format!("KNEAD_AUDIT_KEY: {why}"))
    }
}

/// How mails leave the service.
#[derive(Args, Clone, Debug)]
pub struct MailConfig {
    /// The relay that mails are handed to: `smtps://user:password@relay.example`, or `smtp://..:587`, which then requires STARTTLS.
    #[arg(long, env = "KNEAD_SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<Relay>,
    /// From whom mails are: `Knead <knead@mail.example>`.
    #[arg(long, env = "KNEAD_MAIL_FROM")]
    pub mail_from: Option<String>,
    /// Whether mails are sent; `off` has to be said, because nobody would hear of anything outside of the app.
    #[arg(long, env = "KNEAD_MAIL", value_enum, default_value = "on")]
    pub mail: Switch,
    /// Takes reports of bounces and complaints that are signed by it: a secret as Standard Webhooks has them, `whsec_` and base64, or several, separated by
    /// commas. No reports are taken unless said.
    #[arg(long, env = "KNEAD_MAIL_EVENTS_SECRET", hide_env_values = true)]
    pub mail_events_secret: Option<SecretString>,
    /// Keeps mails for developers to look at, instead.
    #[arg(skip)]
    pub mailbox: bool,
}

impl MailConfig {
    /// Mails are kept for developers to look at.
    pub const MAILBOX: Self =
        Self { smtp_url: None, mail_from: None, mail: Switch::On, mail_events_secret: None, mailbox: true };

    /// Who may report what came back of mails.
    ///
    /// # Errors
    /// One sentence that says what to mend.
    fn events(&self) -> Result<MailEvents, String> {
        let events = self.mail_events_secret.as_ref().map(MailEvents::new).transpose();
        events.map(Option::unwrap_or_default).map_err(|why| format!("KNEAD_MAIL_EVENTS_SECRET {why}"))
    }

    /// The way that mails take.
    ///
    /// # Errors
    /// One sentence that says what to mend.
    fn post(&self, public_url: &str) -> Result<Post, String> {
        match (self.mailbox, self.mail, &self.smtp_url, &self.mail_from) {
            (true, ..) => Post::kept(public_url),
            (false, Switch::Off, ..) => Post::off(public_url),
            (false, Switch::On, None, _) => {
                Err("KNEAD_SMTP_URL must name a relay for mails; KNEAD_MAIL=off says that none are sent".to_owned())
            }
            (false, Switch::On, Some(_), None) => Err("KNEAD_MAIL_FROM must say from whom mails are".to_owned()),
            (false, Switch::On, Some(relay), Some(from)) => {
                Post::relayed(relay, from, public_url).map_err(|why| format!("KNEAD_SMTP_URL, KNEAD_MAIL_FROM: {why}"))
            }
        }
    }
}

/// What a good configuration makes.
pub struct Checked {
    /// Access tokens.
    pub tokens: Tokens,
    /// What is kept sealed.
    pub cipher: Cipher,
    /// What signs the audit.
    pub audit_keys: Keys,
    /// Files.
    pub storage: Storage,
    /// Mails.
    pub post: Post,
    /// What comes back of them.
    pub mail_events: MailEvents,
}

/// Everything that `serve` needs.
#[derive(Args, Clone, Debug)]
pub struct Config {
    #[command(flatten)]
    pub database: Database,
    /// Signs access tokens: an Ed25519 key in PKCS#8, base64. `knead config init` makes one.
    #[arg(long, env = "KNEAD_SIGNING_KEY", hide_env_values = true)]
    pub signing_key: SecretString,
    #[command(flatten)]
    pub data_keys: DataKeys,
    #[command(flatten)]
    pub audit_key: AuditKey,
    /// Where to listen.
    #[arg(long, env = "KNEAD_ADDR", default_value = "127.0.0.1:8080")]
    pub addr: SocketAddr,
    /// The address that clients use, without a slash at its end; names the issuer of tokens.
    #[arg(long, env = "KNEAD_PUBLIC_URL", default_value = "http://127.0.0.1:8080")]
    pub public_url: String,
    /// Where to serve metrics for Prometheus; nowhere unless said.
    #[arg(long, env = "KNEAD_METRICS_ADDR")]
    pub metrics_addr: Option<SocketAddr>,
    /// Connections to the database, besides three of the worker's own: half of them for searches and jobs, and the others shared out among the threads
    /// that serve, two to each at the least.
    #[arg(long, env = "KNEAD_POOL_SIZE", default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=500))]
    pub pool_size: u32,
    /// Proxies whose X-Forwarded-For is believed, separated by commas.
    #[arg(long, env = "KNEAD_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpAddr>,
    /// Limits on the requests of one caller; `off` is for benchmarks on loopback.
    #[arg(long, env = "KNEAD_RATE_LIMIT", value_enum, default_value = "on")]
    pub rate_limit: Switch,
    /// Where files are kept: a folder, which is made where it is missing, or `s3://bucket/prefix` with the usual AWS_* variables.
    #[arg(long, env = "KNEAD_STORAGE", default_value = "./knead-files")]
    pub storage: String,
    /// An OSRM server that knows the profiles car, bicycle and foot, as an http or https URL; travel is estimated where there is none.
    #[arg(long, env = "KNEAD_OSRM_URL", hide_env_values = true, value_parser = http_url)]
    pub osrm_url: Option<Url>,
    /// Whether staff need a second factor. Where they do, whoever has none can do no more than add one.
    #[arg(long, env = "KNEAD_STAFF_SECOND_FACTOR", value_enum, default_value = "required")]
    pub staff_second_factor: StaffSecondFactor,
    /// For how many years after an account was erased the words stay that somebody may have to answer for: session notes, and what was reported of visits.
    #[arg(long, env = "KNEAD_RETENTION_YEARS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub retention_years: u32,
    #[command(flatten)]
    pub mail: MailConfig,
    #[command(flatten)]
    pub bounds: Bounds,
    /// Whether calendars and webhooks may be on this machine: in `knead dev` alone.
    #[arg(skip)]
    pub reaches_loopback: bool,
    /// How log lines are written.
    #[arg(long, env = "KNEAD_LOG_FORMAT", value_enum, default_value = "json")]
    pub log_format: LogFormat,
}

/// An address that can be asked over HTTP.
fn http_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|_| "is not a URL".to_owned())?;
    let plain = matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
    if plain { Ok(url) } else { Err("must be an http or https URL without a query".to_owned()) }
}

impl Config {
    /// What the configuration makes, once all of it was found to be in order.
    ///
    /// # Errors
    /// One sentence that says what to mend.
    pub fn check(&self) -> Result<Checked, String> {
        if self.rate_limit == Switch::Off && !self.addr.ip().is_loopback() {
            return Err("KNEAD_RATE_LIMIT=off is for loopback alone; KNEAD_ADDR can be reached from outside".to_owned());
        }
        if !self.public_url.starts_with("http://") && !self.public_url.starts_with("https://") {
            return Err("KNEAD_PUBLIC_URL must begin with https:// or http://".to_owned());
        }
        crate::db::pool(self.database.database_url.expose_secret(), 1)
            .map_err(|_| "DATABASE_URL is not a PostgreSQL URL".to_owned())?;
        let tokens = Tokens::new(&self.public_url, &self.signing_key)
            .map_err(|why| format!("KNEAD_SIGNING_KEY: {why}; `knead config init` makes a good one"))?;
        let audit_keys = Keys::for_signing(&self.audit_key.audit_key)
            .map_err(|why| format!("KNEAD_AUDIT_KEY: {why}; `knead config init` makes a good one"))?;
        if self.audit_key.audit_key.expose_secret().split(',').next() == Some(self.signing_key.expose_secret()) {
            return Err("KNEAD_AUDIT_KEY must be another key than KNEAD_SIGNING_KEY".to_owned());
        }
        tempfile::tempfile().map_err(|why| format!("TMPDIR: uploads cannot be written there: {why}"))?;
        let post = self.mail.post(&self.public_url)?;
        Ok(Checked {
            tokens,
            cipher: self.data_keys.cipher()?,
            audit_keys,
            storage: Storage::open(&self.storage)?,
            post,
            mail_events: self.mail.events()?,
        })
    }
}

/// The lines that `serve` needs besides `DATABASE_URL`, with fresh secrets.
pub fn init() -> Result<String> {
    Ok(format!(
        "KNEAD_SIGNING_KEY={}\nKNEAD_DATA_KEYS={}\nKNEAD_AUDIT_KEY={}\nKNEAD_ADDR=127.0.0.1:8080\nKNEAD_PUBLIC_URL=http://127.0.0.1:8080\nKNEAD_MAIL=off\n",
        generate_signing_key()?,
        generate_data_key()?,
        generate_signing_key()?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sends_no_mails_says_so_and_a_relay_without_tls_is_for_loopback() {
        let config = |url: Option<&str>, from: Option<&str>, mail| MailConfig {
            smtp_url: url.map(|url| url.parse().expect("a relay")),
            mail_from: from.map(str::to_owned),
            mail,
            mail_events_secret: None,
            mailbox: false,
        };
        let post = |config: MailConfig| config.post("https://knead.example").map(|post| post.is_on());
        let (relay, from) = (Some("smtps://me:secret@relay.example"), Some("Knead <knead@mail.example>"));
        assert_eq!(post(config(relay, from, Switch::On)), Ok(true));
        assert_eq!(post(config(Some("smtp://127.0.0.1:2525"), from, Switch::On)), Ok(true));
        assert_eq!(post(config(None, None, Switch::Off)), Ok(false));
        assert!(post(config(None, None, Switch::On)).unwrap_err().contains("KNEAD_MAIL=off"));
        assert!(post(config(relay, None, Switch::On)).unwrap_err().contains("KNEAD_MAIL_FROM"));
        assert!(post(config(relay, Some("knead"), Switch::On)).is_err());
        for bad in ["", "relay.example", "http://relay.example", "smtp://"] {
            assert!(bad.parse::<Relay>().is_err(), "{bad}");
        }
    }

    #[test]
    fn reports_of_mails_are_signed_by_secrets_that_are_long_enough() {
        let events = |secret: Option<&str>| {
            let mail_events_secret = secret.map(|secret| secret.to_owned().into());
            MailConfig { mail_events_secret, ..MailConfig::MAILBOX }.events().map(drop)
        };
        let good = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        assert_eq!(events(None), Ok(()));
        assert_eq!(events(Some(good)), Ok(()));
        assert_eq!(events(Some(&format!("{good}, {good}"))), Ok(()));
        for bad in ["", "secret", "whsec_", "whsec_AAEC", &format!("{good},")] {
            assert!(events(Some(bad)).unwrap_err().starts_with("KNEAD_MAIL_EVENTS_SECRET"), "{bad}");
        }
    }

    #[test]
    fn a_routing_service_is_asked_over_http() {
        for good in ["http://127.0.0.1:5000", "https://roads.example/osrm/"] {
            assert!(http_url(good).is_ok(), "{good}");
        }
        for bad in ["", "roads.example", "ftp://roads.example", "file:///etc/passwd", "https://roads.example/?key=1"] {
            assert!(http_url(bad).is_err(), "{bad}");
        }
    }
}
