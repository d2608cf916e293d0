//! Mails that came back, as relays report them by mail: delivery status notifications (RFC 3464) in multipart/report (RFC 6522).

use std::str::FromStr;

use serde::Serialize;
use utoipa::ToSchema;

use super::keys::Digests;
use super::suppressions::{Returned, SuppressionReason, suppress};
use crate::cipher::Cipher;
use crate::error::Result;
use crate::events::Workshop;
use crate::ids::DeliveryId;
use crate::values::{EmailAddress, from_text};

/// The most addresses that one report is believed about. A mail of ours has one.
const MOST: usize = 100;

/// An enhanced status code of a mail (RFC 3463).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = r"^[245]\.[0-9]{1,3}\.[0-9]{1,3}$", example = "5.1.1")]
pub struct MailStatus(String);

impl MailStatus {
    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the mail failed for good.
    pub fn is_permanent(&self) -> bool {
        self.0.starts_with("5.")
    }
}

impl FromStr for MailStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let parts: Vec<&str> = text.split('.').collect();
        match parts.as_slice() {
            ["2" | "4" | "5", subject, detail] if is_number(subject) && is_number(detail) => Ok(Self(text.to_owned())),
            _ => Err("is not a status of a mail, such as 5.1.1".to_owned()),
        }
    }
}

from_text!(MailStatus);

/// What a delivery status notification says that bears on whom to write to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    /// Addresses at which a mail failed for good, and how.
    failed: Vec<(EmailAddress, MailStatus)>,
    /// The mail that failed, where the report brings its headers and it is one of ours.
    delivery: Option<DeliveryId>,
}

/// Reads a mail that reports a bounce, and sends nothing more to the addresses that failed for good. What it did, in a sentence without the
/// addresses, because relays log it; none where the mail is no delivery status notification.
pub async fn bounce(shop: &Workshop, cipher: &Cipher, mail: &[u8]) -> Result<Option<String>> {
    let Some(Report { failed, delivery }) = read(&String::from_utf8_lossy(mail)) else { return Ok(None) };
    if failed.is_empty() {
        return Ok(Some("Nothing is suppressed: no address failed for good.".to_owned()));
    }
    let digests = Digests::default();
    let mut returned = Vec::new();
    for (address, status) in failed {
        let digest = digests.of_address(&shop.db, cipher, address.as_str()).await?;
        let (reason, code) = (SuppressionReason::Bounced, Some(status.0));
        returned.push(Returned { digest, reason, code, delivery });
    }
    let mut work = shop.begin(None).await?;
    let added = suppress(&mut work, returned).await?;
    work.commit().await?;
    Ok(Some(match added {
        0 => "Nothing changes: what failed for good is suppressed already.".to_owned(),
        1 => "One address is suppressed.".to_owned(),
        more => format!("{more} addresses are suppressed."),
    }))
}

/// The delivery that a `Message-ID` of ours names.
pub(super) fn delivery_of(message_id: &str) -> Option<DeliveryId> {
    let name = message_id.trim().trim_start_matches('<').split('@').next()?;
    name.parse().ok().map(DeliveryId)
}

/// Reads a report; none where it is no delivery status notification.
fn read(mail: &str) -> Option<Report> {
    let mail = mail.replace("\r\n", "\n");
    let (head, body) = split(&mail);
    let kind = field(head, "Content-Type").filter(|kind| is(kind, &["multipart/report"]))?;
    let parts = parts(body, &parameter(&kind, "boundary")?);
    let part = |kinds: &[&str]| {
        let mut parts = parts.iter().map(|part| split(part));
        parts.find(|(head, _)| field(head, "Content-Type").is_some_and(|kind| is(&kind, kinds)))
    };
    let (_, status) = part(&["message/delivery-status", "message/global-delivery-status"])?;
    let original = part(&["message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"]);
    let delivery = original.and_then(|(_, mail)| delivery_of(&field(split(mail).0, "Message-ID")?));
    let mut groups = status.split("\n\n").filter(|group| field(group, "Final-Recipient").is_some()).peekable();
    groups.peek()?;
    let failed = groups
        .filter_map(failure)
        .flat_map(|(addresses, status)| addresses.into_iter().map(move |address| (address, status.clone())));
    Some(Report { failed: failed.take(MOST).collect(), delivery })
}

/// The addresses that a group of fields says failed for good, and how: the one that the mail came to in the end, and the one that it was sent to,
/// which is another where it was passed on.
fn failure(group: &str) -> Option<(Vec<EmailAddress>, MailStatus)> {
    let first_word = |name| field(group, name)?.split([' ', '\t', '(']).next().map(str::to_owned);
    first_word("Action").filter(|action| action.eq_ignore_ascii_case("failed"))?;
    let status: MailStatus = first_word("Status")?.parse().ok()?;
    let addresses =
        ["Final-Recipient", "Original-Recipient"].into_iter().filter_map(|name| address(&field(group, name)?));
    let mut addresses: Vec<EmailAddress> = addresses.collect();
    addresses.dedup();
    status.is_permanent().then_some((addresses, status))
}

/// An address with its type before it: `rfc822; mia@example.org`.
fn address(value: &str) -> Option<EmailAddress> {
    let (kind, address) = value.split_once(';')?;
    let is_mail = ["rfc822", "utf-8"].iter().any(|known| kind.trim().eq_ignore_ascii_case(known));
    let address = address.trim().trim_start_matches('<').trim_end_matches('>');
    address.parse().ok().filter(|_| is_mail)
}

/// The head and the body of a mail or of a part.
fn split(text: &str) -> (&str, &str) {
    match text.strip_prefix('\n') {
        Some(body) => ("", body),
        None => text.split_once("\n\n").unwrap_or((text, "")),
    }
}

/// The value of a field, in one line; names are the same in any case.
fn field(head: &str, name: &str) -> Option<String> {
    let mut lines = head
        .lines()
        .skip_while(|line| line.split_once(':').is_none_or(|(field, _)| !field.trim_end().eq_ignore_ascii_case(name)));
    let mut value = lines.next()?.split_once(':')?.1.trim().to_owned();
    for more in lines.take_while(|line| line.starts_with([' ', '\t'])) {
        value.push(' ');
        value.push_str(more.trim());
    }
    Some(value)
}

/// Whether the value of a `Content-Type` is one of these.
fn is(kind: &str, of: &[&str]) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    of.iter().any(|known| kind.eq_ignore_ascii_case(known))
}

/// A parameter of a `Content-Type`. The boundary, the one that is read, holds no semicolon.
fn parameter(kind: &str, name: &str) -> Option<String> {
    let mut parameters = kind.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let (_, value) = parameters.find(|(known, _)| known.trim().eq_ignore_ascii_case(name))?;
    Some(value.trim().trim_matches('"').to_owned()).filter(|value| !value.is_empty())
}

/// The parts between the boundaries; the last one may have been cut off.
fn parts<'a>(body: &'a str, boundary: &str) -> Vec<&'a str> {
    let (mut parts, mut begun, mut at) = (Vec::new(), None, 0);
    for row in body.split_inclusive('\n') {
        let rest = row.trim_end().strip_prefix("--").and_then(|rest| rest.strip_prefix(boundary));
        if matches!(rest, Some("" | "--")) {
            parts.extend(begun.map(|from: usize| &body[from..at]));
            begun = (rest == Some("")).then_some(at + row.len());
        }
        at += row.len();
    }
    parts.extend(begun.map(|from| &body[from..]));
    parts
}

#[cfg(test)]
mod tests;
