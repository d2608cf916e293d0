//! How mails leave: through a relay over SMTP, into a mailbox that developers look at, or not at all.

use std::collections::VecDeque;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, Utc};
use lettre::address::Envelope;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::transport::smtp;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::letters::Letter;
use crate::error::{Error, Result};
use crate::ids::DeliveryId;

/// How long the relay may take over one mail. A delivery's lease is longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Mails that the mailbox of a developer holds; older ones go first.
const MOST_KEPT: usize = 200;

/// Where mails are handed over, and from whom they are: a part of the process.
pub struct Post {
    way: Way,
    from: Mailbox,
    /// The address that clients use, without a slash at its end: all links begin with it.
    public_url: String,
}

enum Way {
    Off,
    Relay(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Mailbox(Mutex<VecDeque<Kept>>),
}

/// A mail in the mailbox of a developer.
#[derive(Clone)]
pub struct Kept {
    /// The delivery.
    pub id: DeliveryId,
    /// When it was handed over.
    pub at: DateTime<Utc>,
    /// To which address.
    pub to: String,
    /// What it says.
    pub letter: Letter,
    /// What it brings for the reader's calendar.
    pub invitation: Option<String>,
}

/// The relay's address: `smtps://`, or `smtp://` with STARTTLS, which is then required; without either only on loopback.
#[derive(Clone, Debug)]
pub struct Relay(SecretString);

impl FromStr for Relay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url: Url = text.parse().map_err(|_| "is not a URL".to_owned())?;
        if !matches!(url.scheme(), "smtp" | "smtps") || url.host_str().is_none() {
            return Err(
                "must be of the form smtps://user:password@relay.example or smtp://user:password@relay.example:587"
                    .to_owned(),
            );
        }
        Ok(Self(text.to_owned().into()))
    }
}

impl Relay {
    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
        let mut url: Url = self.0.expose_secret().parse().map_err(|_| "is not a URL".to_owned())?;
        let loopback = url
            .host_str()
            .is_some_and(|host| host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()));
        if url.scheme() == "smtp" && !loopback {
            url.set_query(Some("tls=required"));
        }
        let builder =
            AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str()).map_err(|error| error.to_string())?;
        Ok(builder.timeout(Some(PATIENCE)).build())
    }
}

/// A mail that is ready to go.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The delivery: the mail has one id over all attempts, so that a reader's program knows it again.
    pub id: DeliveryId,
    /// The reader's address.
    pub to: String,
    /// What it says.
    pub letter: Letter,
    /// What it brings for the reader's calendar: the method and the object.
    pub invitation: Option<(&'static str, String)>,
    /// Where the reader's program unsubscribes in one step (RFC 8058).
    pub unsubscribe: Option<String>,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Sent,
    /// It may be taken later.
    Later(String),
    /// It will never be taken.
    Never {
        /// Why, as a code.
        why: String,
        /// Whether the address itself was refused.
        bounced: bool,
    },
}

impl Post {
    /// No mails are sent.
    pub fn off(public_url: &str) -> Result<Self, String> {
        Ok(Self { way: Way::Off, from: mailbox("Knead <knead@localhost>")?, public_url: public_url.to_owned() })
    }

    /// Mails go to a relay.
    ///
    /// # Errors
    /// One sentence that says what to mend.
    pub fn relayed(relay: &Relay, from: &str, public_url: &str) -> Result<Self, String> {
        let way = Way::Relay(Box::new(relay.transport()?));
        Ok(Self { way, from: mailbox(from)?, public_url: public_url.to_owned() })
    }

    /// Mails are kept in memory, for developers to look at.
    pub fn kept(public_url: &str) -> Result<Self, String> {
        let way = Way::Mailbox(Mutex::default());
        Ok(Self { way, from: mailbox("Knead <knead@localhost>")?, public_url: public_url.to_owned() })
    }

    /// Whether mails are sent at all.
    pub const fn is_on(&self) -> bool {
        !matches!(self.way, Way::Off)
    }

    /// A link, from its path.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.trim_end_matches('/'))
    }

    /// The address that mails are from.
    pub fn from(&self) -> String {
        self.from.email.to_string()
    }

    /// The mails in the mailbox of a developer, newest first; none where there is no such mailbox.
    pub fn mailbox(&self) -> Option<Vec<Kept>> {
        let Way::Mailbox(kept) = &self.way else { return None };
        Some(kept.lock().map(|kept| kept.iter().rev().cloned().collect()).unwrap_or_default())
    }

    /// Hands a mail over.
    pub async fn send(&self, mail: &Mail, now: DateTime<Utc>) -> Result<Outcome> {
        match &self.way {
            Way::Off => Ok(Outcome::Later("mail_off".to_owned())),
            Way::Mailbox(kept) => {
                let invitation = mail.invitation.as_ref().map(|(_, object)| object.clone());
                let one = Kept { id: mail.id, at: now, to: mail.to.clone(), letter: mail.letter.clone(), invitation };
                if let Ok(mut kept) = kept.lock() {
                    while kept.len() >= MOST_KEPT {
                        kept.pop_front();
                    }
                    kept.push_back(one);
                }
                Ok(Outcome::Sent)
            }
            Way::Relay(relay) => {
                let Ok(to) = mail.to.parse() else {
                    return Ok(Outcome::Never { why: "not_an_address".to_owned(), bounced: true });
                };
                let message = self.message(mail, to, now)?;
                // The library bounds the connecting alone.
                let answer = tokio::time::timeout(PATIENCE, relay.send(message)).await;
                Ok(answer.map_or_else(|_| Outcome::Later("timeout".to_owned()), outcome))
            }
        }
    }

    fn message(&self, mail: &Mail, to: lettre::Address, now: DateTime<Utc>) -> Result<Message> {
        let failed = |why: String| Error::Internal(format!("a mail could not be written: {why}"));
        let host = self.public_url.parse::<Url>().ok().and_then(|url| url.host_str().map(str::to_owned));
        let mut builder: MessageBuilder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(&mail.letter.subject)
            .date(std::time::SystemTime::from(now))
            .message_id(Some(format!("<{}@{}>", mail.id, host.as_deref().unwrap_or("knead.invalid"))))
            // No mail program answers it by itself (RFC 3834).
            .header(AutoSubmitted("auto-generated".to_owned()));
        if let Some(unsubscribe) = &mail.unsubscribe {
            builder = builder
                .header(ListUnsubscribe(format!("<{unsubscribe}>")))
                .header(ListUnsubscribePost("List-Unsubscribe=One-Click".to_owned()));
        }
        builder = builder.envelope(
            Envelope::new(Some(self.from.email.clone()), vec![to]).map_err(|error| failed(error.to_string()))?,
        );
        let mut readings = MultiPart::alternative()
            .singlepart(SinglePart::plain(mail.letter.text()))
            .singlepart(SinglePart::html(mail.letter.html()));
        let Some((method, object)) = &mail.invitation else {
            return builder.multipart(readings).map_err(|error| failed(error.to_string()));
        };
        let kind = |text: &str| ContentType::parse(text).map_err(|error| failed(error.to_string()));
        // Mail programs look for it in the body, and others for the file (RFC 6047, 2.4).
        let calendar = kind(&format!("text/calendar; charset=utf-8; method={method}"))?;
        readings = readings.singlepart(SinglePart::builder().header(calendar).body(object.clone()));
        let file = Attachment::new("invite.ics".to_owned())
            .body(object.clone(), kind("application/ics; name=\"invite.ics\"")?);
        builder
            .multipart(MultiPart::mixed().multipart(readings).singlepart(file))
            .map_err(|error| failed(error.to_string()))
    }
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|_| format!("{text} is not of the form Name <name@host.example>"))
}

/// What the relay's answer means. An address is held to be bad only where the relay says so by an enhanced code (RFC 3463, 3.2 and 3.3), because a relay
/// that does not like us answers 550 as well.
fn outcome(answer: Result<smtp::response::Response, smtp::Error>) -> Outcome {
    let error = match answer {
        Ok(_) => return Outcome::Sent,
        Err(error) => error,
    };
    let Some(code) = error.status().map(u16::from) else {
        let why = if error.is_timeout() {
            "timeout"
        } else if error.is_tls() {
            "tls"
        } else {
            "unreachable"
        };
        return Outcome::Later(why.to_owned());
    };
    let why = format!("smtp_{code}");
    match code {
        // The relay does not know us: that is for its operator to mend, and nothing is lost meanwhile.
        530 | 534 | 535 | 538 => Outcome::Later(why),
        500.. => Outcome::Never { why, bounced: is_of_the_address(&error.to_string()) },
        _ => Outcome::Later(why),
    }
}

/// Whether a relay's words say that there is no such mailbox.
fn is_of_the_address(words: &str) -> bool {
    words
        .split([' ', '(', ')', ':'])
        .any(|word| matches!(word, "5.1.1" | "5.1.2" | "5.1.3" | "5.1.6" | "5.1.10" | "5.2.1"))
}

macro_rules! headers {
    ($($name:ident = $text:literal),+) => {$(
        #[derive(Clone)]
        struct $name(String);

        impl Header for $name {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($text)
            }

            fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Ok(Self(text.to_owned()))
            }

            fn display(&self) -> HeaderValue {
                HeaderValue::new(Self::name(), self.0.clone())
            }
        }
    )+};
}

headers! {
    AutoSubmitted = "Auto-Submitted",
    ListUnsubscribe = "List-Unsubscribe",
    ListUnsubscribePost = "List-Unsubscribe-Post"
}
