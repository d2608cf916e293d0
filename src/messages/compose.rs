//! The words of a message: what it tells, as things stand when it is sent.

use std::collections::HashMap;

use chrono::NaiveDate;
use fluent_bundle::FluentArgs;
use serde_json::Value;

use super::letters::{Block, Letter};
use super::post::Post;
use super::table::{Needs, Row};
use super::wording::{Locale, Words};
use crate::accounts::Contact;
use crate::bookings::outline::Outline;
use crate::error::Result;
use crate::ids::{AccountId, BookingId};
use crate::values::{Span, Zone};

/// What a message is about.
pub struct About<'a> {
    /// Which message it is.
    pub row: &'static Row,
    /// What of the event it tells.
    pub valid: &'a Value,
    /// The visit, where it is about one.
    pub visit: Option<(BookingId, &'a Outline)>,
    /// The code that only the reader is to have.
    pub code: Option<&'a str>,
}

/// Who reads a message.
pub struct Reader<'a> {
    /// Their account.
    pub account: AccountId,
    /// How they are reached.
    pub contact: &'a Contact,
    /// The language that they read.
    pub locale: Locale,
}

/// Writes a message. Street, door, notes, health, and the address and phone of the other side are never in it, because mails lie about.
pub fn letter(
    about: &About<'_>,
    reader: &Reader<'_>,
    people: &HashMap<AccountId, Contact>,
    post: &Post,
    unsubscribe: Option<&str>,
) -> Result<Letter> {
    let words = Words::of(reader.locale);
    let mut args = FluentArgs::new();
    let mut facts = Vec::new();
    args.set("side", "client");
    if let Some((_, visit)) = about.visit {
        let is_therapist = visit.client != reader.account;
        let other = if is_therapist { visit.client } else { visit.therapist.into() };
        let other = people.get(&other).map_or("", Contact::first_name).to_owned();
        args.set("side", if is_therapist { "therapist" } else { "client" });
        // Whoever has it no more is told of the time that they had.
        let told = about.valid.get("start_at").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let table = match told.filter(|_| about.row.needs == Needs::Gone) {
            Some(start) => Span { start, end: start + (visit.table.end - visit.table.start) },
            None => visit.table,
        };
        args.set("date", words.date(visit.time_zone.wall(table.start).date())?);
        facts.extend(times(words, "when", table, visit.time_zone, reader.contact.time_zone)?);
        if let (Needs::Proposed, Some((_, start))) = (about.row.needs, visit.proposed) {
            let proposed = Span { start, end: start + (visit.table.end - visit.table.start) };
            facts.extend(times(words, "proposed", proposed, visit.time_zone, reader.contact.time_zone)?);
        }
        // Not what is booked: the names of some services tell of health.
        if about.row.needs != Needs::Gone {
            facts.push((words.word("with")?, other.clone()));
            facts.push((words.word("where")?, visit.locality.clone()));
        }
        args.set("other", other);
    }
    if let Some(kind) = about.valid.get("type").and_then(Value::as_str) {
        facts.push((words.word("credential")?, kind.to_owned()));
    }
    if let Some(until) =
        about.valid.get("expires_on").and_then(Value::as_str).and_then(|text| text.parse::<NaiveDate>().ok())
    {
        facts.push((words.word("expires")?, words.date(until)?));
    }
    args.set("code", about.code.unwrap_or_default());

    let mut blocks = Vec::new();
    // A code may go to somebody who did not ask for it, and is not to be greeted in the words of whoever did.
    if about.row.needs != Needs::Code {
        let mut hello = FluentArgs::new();
        hello.set("name", reader.contact.display_name.as_str());
        blocks.push(Block::Text(words.say("hello", None, &hello)?));
    }
    blocks.push(Block::Text(words.say(about.row.message, Some("lead"), &args)?));
    if !facts.is_empty() {
        blocks.push(Block::Facts(facts));
    }
    blocks.extend(onward(words, about, post)?);
    let mut footer =
        vec![(words.word("footer")?, None), (words.word("footer_settings")?, Some(post.link("/settings/messages")))];
    if let Some(unsubscribe) = unsubscribe {
        footer.push((words.word("unsubscribe")?, Some(unsubscribe.to_owned())));
    }
    Ok(Letter { locale: reader.locale, subject: words.say(about.row.message, Some("subject"), &args)?, blocks, footer })
}

/// From when until when, by the clock at the place, and by the reader's own where it shows another time.
fn times(words: Words, name: &str, span: Span, at: Zone, home: Zone) -> Result<Vec<(String, String)>> {
    let there = format!("{} ({})", words.span(at, span)?, at.name());
    let mut lines = vec![(words.word(name)?, there)];
    // An account that never named a zone has UTC.
    if home != Zone::UTC && home.wall(span.start) != at.wall(span.start) {
        lines.push((words.word("at_home")?, format!("{} ({})", words.span(home, span)?, home.name())));
    }
    Ok(lines)
}

/// What the reader does next: a code to be typed, or a page of the app to be opened.
fn onward(words: Words, about: &About<'_>, post: &Post) -> Result<Option<Block>> {
    let button =
        |name: &str, path: String| Ok::<_, crate::error::Error>(Block::Button(words.word(name)?, post.link(&path)));
    Ok(Some(match (about.code, about.visit, about.row.message) {
        (Some(code), _, "reset_password") => button("choose_password", format!("/reset-password#{code}"))?,
        (Some(code), _, "email_changed") => button("undo", format!("/undo-email#{code}"))?,
        (Some(code), ..) => Block::Code(words.word("code")?, code.to_owned()),
        // Whoever cannot sign in is shown nothing to open.
        (None, _, "account_suspended") => return Ok(None),
        (None, Some((booking, _)), _) => button("open_visit", format!("/bookings/{booking}"))?,
        (None, None, _) => button("open_app", "/".to_owned())?,
    }))
}
