//! Sends what is due: looks once more whether it still holds, writes it, hands it over, and writes down what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use metrics::counter;
use tokio::task::JoinSet;

use super::compose::{About, Reader, letter};
use super::invitations::object;
use super::keys::Digests;
use super::post::{Mail, Outcome, Post};
use super::reminders::Hours;
use super::store::{self, Claimed, Settled, Target};
use super::suppressions::{Returned, SuppressionReason, suppress};
use super::table::{self, Invitation, Needs};
use super::webhooks::{self, Room};
use super::{Class, State, retry};
use crate::bookings::entries::{Entry, entry};
use crate::bookings::outline::outline;
use crate::error::{Error, Result};
use crate::ids::{AccountId, BookingId, EndpointId, MailedCodeId};
use crate::values::{Zone, name};
use crate::{App, accounts};

/// How often it is looked for what is due.
const EVERY: Duration = Duration::from_millis(500);

/// How long it waits after it failed.
const REST: Duration = Duration::from_secs(5);

/// Mails that one process sends at once.
const MAILS: usize = 32;

/// Webhooks that one process sends at once to endpoints that are known to work.
const WEBHOOKS: usize = 64;

/// Webhooks that one process sends at once to endpoints of which that is not known: they may all hang, and keep no other waiting.
const DOUBTFUL: usize = 64;

/// Webhooks to one endpoint at once.
const TO_ONE: i64 = 16;

/// How long a message is one sender's. The relay and the endpoints get half of it at most.
const LEASE: TimeDelta = TimeDelta::seconds(60);

/// What is sent in places of its own, so that neither waits for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lot {
    Mails,
    Webhooks,
    Doubtful,
}

impl Lot {
    const ALL: [Self; 3] = [Self::Mails, Self::Webhooks, Self::Doubtful];

    const fn places(self) -> usize {
        match self {
            Self::Mails => MAILS,
            Self::Webhooks => WEBHOOKS,
            Self::Doubtful => DOUBTFUL,
        }
    }

    /// Claims so much of what is due.
    async fn claim(self, app: &App, room: usize) -> Result<Vec<Claimed>> {
        let (now, room) = (app.clock.now(), i64::try_from(room).unwrap_or(0));
        if self == Self::Mails {
            let is_on = app.part::<Post>()?.is_on();
            return if is_on { store::claim_mails(&app.db, LEASE, now, room).await } else { Ok(Vec::new()) };
        }
        let mut due = store::due_endpoints(&app.db, now).await?;
        due.retain(|due| due.works == (self == Self::Webhooks));
        // Whoever has least under way comes first, so that nobody takes all places.
        due.sort_by_key(|due| due.under_way);
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<EndpointId> = due.iter().map(|due| due.endpoint).collect();
        let rooms = webhooks::may_try(&*app.db, &ids, now).await?;
        let open = due.iter().filter_map(|due| {
            let most = match rooms.get(&due.endpoint)? {
                Room::Any => TO_ONE,
                Room::AtOnce(most) => i64::try_from(*most).unwrap_or(0),
            };
            Some((due.endpoint, most - due.under_way)).filter(|(_, free)| *free > 0)
        });
        store::claim_webhooks(&app.db, LEASE, now, &open.collect::<Vec<_>>(), room).await
    }
}

/// Sends what is due until `stop` ends it, after what is under way.
pub async fn run(app: Arc<App>, stop: impl Future<Output = ()>) {
    let stop = stop.shared();
    tokio::join!(
        keep_sending(&app, Lot::Mails, stop.clone()),
        keep_sending(&app, Lot::Webhooks, stop.clone()),
        keep_sending(&app, Lot::Doubtful, stop),
    );
}

async fn keep_sending(app: &Arc<App>, lot: Lot, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let mut under_way = JoinSet::new();
    loop {
        let outcome = tokio::select! {
            () = &mut stop => break,
            outcome = begin(app, lot, &mut under_way) => outcome,
        };
        let pause = match outcome {
            Ok(begun) if begun > 0 => Duration::ZERO,
            Ok(_) => EVERY,
            Err(error) => {
                tracing::error!(%error, ?lot, "no messages were sent");
                REST
            }
        };
        // There may be more at once, as far as there is room. To claim for each place that gets free would cost a statement for each message.
        let room = async {
            tokio::time::sleep(pause).await;
            while under_way.len() > lot.places() / 2 && under_way.join_next().await.is_some() {}
        };
        tokio::select! {
            () = &mut stop => break,
            () = room => {}
        }
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
}

/// Sends all that is due now, and what becomes due by it, one batch after the other.
pub async fn drain(app: &Arc<App>) -> Result<()> {
    let mut under_way = JoinSet::new();
    loop {
        let mut begun = 0;
        for lot in Lot::ALL {
            begun += begin(app, lot, &mut under_way).await?;
            while under_way.join_next().await.is_some() {}
        }
        if begun == 0 {
            return Ok(());
        }
    }
}

/// Begins to send as much as there is room for; how much that was.
async fn begin(app: &Arc<App>, lot: Lot, under_way: &mut JoinSet<()>) -> Result<usize> {
    let claimed = lot.claim(app, lot.places().saturating_sub(under_way.len())).await?;
    let begun = claimed.len();
    for one in claimed {
        let app = app.clone();
        under_way.spawn(async move {
            if let Err(error) = deliver(&app, &one).await {
                tracing::error!(%error, delivery = %one.id, "a message was not sent");
                let settled = later(&one, "internal".to_owned(), None, Some(Duration::ZERO), app.clock.now());
                // Where that fails too, the lease ends, and somebody tries again.
                if let Err(error) = settle(&app, &one, &settled).await {
                    tracing::error!(%error, delivery = %one.id, "nor was that written down");
                }
            }
        });
    }
    Ok(begun)
}

/// Makes one attempt, and writes down what became of it.
async fn deliver(app: &App, claimed: &Claimed) -> Result<()> {
    match claimed.target {
        Target::Person(account) => mail(app, claimed, account).await,
        Target::Program(endpoint) => webhook(app, claimed, endpoint).await,
    }
}

/// Writes down how an attempt ended; whether that was still ours to say.
async fn settle(app: &App, claimed: &Claimed, settled: &Settled) -> Result<bool> {
    let channel = if matches!(claimed.target, Target::Person(_)) { "email" } else { "webhook" };
    let stood = store::settle(&app.db, claimed, settled, app.clock.now()).await?;
    if stood {
        counter!("messages_total", "channel" => channel, "state" => name(&settled.state)).increment(1);
    }
    Ok(stood)
}

async fn webhook(app: &App, claimed: &Claimed, endpoint: EndpointId) -> Result<()> {
    let now = app.clock.now();
    if claimed.expires_at <= now {
        settle(app, claimed, &Settled::without_attempt(State::Expired, None, now)).await?;
        return Ok(());
    }
    let body = claimed.valid.to_string();
    let outcome = webhooks::send(app, endpoint, claimed.id.0, now, body.as_bytes()).await?;
    let now = app.clock.now();
    let took = |ms: i32| Some(Duration::from_millis(u64::from(ms.unsigned_abs())));
    let settled = match outcome {
        webhooks::Outcome::Sent { status, ms } => {
            Settled { state: State::Sent, due_at: now, error: None, status: Some(status), took: took(ms) }
        }
        webhooks::Outcome::Retry { after, why, status, ms } => {
            Settled { status, ..later(claimed, why, after, took(ms), now) }
        }
        webhooks::Outcome::Final { why, status, ms } => {
            Settled { state: State::Failed, due_at: now, error: Some(why), status, took: took(ms) }
        }
        webhooks::Outcome::Disabled => Settled::without_attempt(State::Failed, Some("endpoint_disabled"), now),
    };
    settle(app, claimed, &settled).await?;
    Ok(())
}

/// What is to be done about a message.
enum Prepared {
    Send(Box<Mail>, Option<(BookingId, &'static str, u32)>),
    /// It ends here, for this reason.
    End(State, Option<&'static str>),
}

async fn mail(app: &App, claimed: &Claimed, reader: AccountId) -> Result<()> {
    let (mail, invitation) = match prepare(app, claimed, reader).await? {
        Prepared::Send(mail, invitation) => (mail, invitation),
        Prepared::End(state, why) => {
            settle(app, claimed, &Settled::without_attempt(state, why, app.clock.now())).await?;
            return Ok(());
        }
    };
    // Before it goes, because it may arrive although nobody says so: then its reader is to be told, too, that the visit is gone.
    if let Some((booking, "REQUEST", sequence)) = invitation {
        store::invited(&app.db, booking, reader, ("REQUEST", sequence), app.clock.now()).await?;
    }
    let begun = Instant::now();
    let outcome = app.part::<Post>()?.send(&mail, app.clock.now()).await?;
    let (took, now) = (Some(begun.elapsed()), app.clock.now());
    let settled = match outcome {
        Outcome::Sent => Settled { state: State::Sent, due_at: now, error: None, status: None, took },
        Outcome::Never { why, bounced } => {
            if bounced {
                let digest = app.part::<Digests>()?.of_address(&app.db, &app.cipher, &mail.to).await?;
                let (code, delivery) = (Some(why.clone()), Some(claimed.id));
                let mut work = app.begin(None).await?;
                suppress(&mut work, [Returned { digest, reason: SuppressionReason::Bounced, code, delivery }]).await?;
                work.commit().await?;
            }
            Settled { state: State::Failed, due_at: now, error: Some(why), status: None, took }
        }
        Outcome::Later(why) => later(claimed, why, None, took, now),
    };
    let stood = settle(app, claimed, &settled).await?;
    if let (true, State::Sent, Some((booking, method @ "CANCEL", sequence))) = (stood, settled.state, invitation) {
        store::invited(&app.db, booking, reader, (method, sequence), now).await?;
    }
    Ok(())
}

/// When a message is tried again that was not taken; given up where that would be too late.
fn later(
    claimed: &Claimed,
    why: String,
    asked: Option<Duration>,
    took: Option<Duration>,
    now: DateTime<Utc>,
) -> Settled {
    let attempt = claimed.attempts.unsigned_abs().saturating_add(1);
    // The random half of the id, another part of it for each attempt.
    let [.., a, b, c, d] = claimed.id.0.as_u64_pair().1.rotate_left(attempt.wrapping_mul(8)).to_be_bytes();
    let wait = retry::wait(attempt, u32::from_be_bytes([a, b, c, d]), asked);
    let due_at = wait.and_then(|wait| TimeDelta::from_std(wait).ok()).map(|wait| now + wait);
    let (state, due_at) = match due_at {
        Some(due_at) if due_at < claimed.expires_at => (State::Pending, due_at),
        Some(_) => (State::Expired, now),
        None => (State::Failed, now),
    };
    Settled { state, due_at, error: Some(why), status: None, took }
}

/// Looks at a message once more, as late as can be, and writes it as things stand now.
async fn prepare(app: &App, claimed: &Claimed, reader: AccountId) -> Result<Prepared> {
    let now = app.clock.now();
    let end = |state| Ok(Prepared::End(state, None));
    // A version of the program that planned it may have known other messages.
    let Some(row) = table::row(&claimed.event_kind, &claimed.message) else { return end(State::Withdrawn) };
    if claimed.expires_at <= now {
        return end(State::Expired);
    }
    let visit = match claimed.booking {
        Some(booking) => outline(&app.db, booking, now).await?.map(|visit| (booking, visit)),
        None => None,
    };
    if !row.still_holds(visit.as_ref().map(|(_, visit)| visit), reader, &claimed.valid) {
        return end(State::Withdrawn);
    }
    let code = match (row.needs, claimed.valid.get("code").and_then(|id| id.as_str()?.parse().ok())) {
        (Needs::Code, Some(id)) => accounts::mailed_code(&app.db, &app.cipher, MailedCodeId(id), now).await?,
        _ => None,
    };
    if row.needs == Needs::Code && code.is_none() {
        return end(State::Withdrawn);
    }
    let parties = visit.iter().flat_map(|(_, visit)| [visit.client, visit.therapist.into()]);
    let ids: Vec<AccountId> = parties.chain([reader]).collect();
    let people = accounts::contacts(&*app.db, &ids).await?;
    let Some(contact) = people.get(&reader) else { return end(State::Withdrawn) };
    // Nobody has shown that the address is theirs: what it is told of others may reach a stranger.
    if row.needs != Needs::Code && !contact.is_verified {
        return Ok(Prepared::End(State::Suppressed, Some("unverified_address")));
    }
    let to = code.as_ref().map_or(&contact.email, |code| &code.address).clone();
    let digests = app.part::<Digests>()?;
    if store::is_suppressed(&app.db, &digests.of_address(&app.db, &app.cipher, &to).await?).await? {
        return Ok(Prepared::End(State::Suppressed, Some("suppressed_address")));
    }
    let settings = store::settings(&*app.db, &[reader]).await?.remove(&reader).unwrap_or_default();
    // Whoever has said so since it was planned is heard.
    if settings.without.contains(&row.class) {
        return end(State::Suppressed);
    }
    if row.class == Class::Reminder {
        let zone = visit.as_ref().map(|(_, visit)| visit.time_zone).filter(|_| contact.time_zone == Zone::UTC);
        let wall = zone.unwrap_or(contact.time_zone).wall(now).time();
        let hours = claimed.valid.get("hours").cloned().and_then(|hours| serde_json::from_value(hours).ok());
        let is_wanted = hours.is_some_and(|hours: Hours| settings.reminder_hours.contains(&hours));
        if !is_wanted || settings.quiet.is_some_and(|quiet| quiet.holds(wall)) {
            return end(State::Suppressed);
        }
    }
    let post = app.part::<Post>()?;
    let unsubscribe = match row.class {
        Class::Reminder => {
            let token = digests.token(&app.db, &app.cipher, reader).await?;
            Some(post.link(&format!("/unsubscribe/{token}")))
        }
        _ => None,
    };
    let about = About {
        row,
        valid: &claimed.valid,
        visit: visit.as_ref().map(|(booking, visit)| (*booking, visit)),
        code: code.as_ref().map(|code| code.code.as_str()),
    };
    let addressee = Reader { account: reader, contact, locale: settings.locale };
    let letter = letter(&about, &addressee, &people, post, unsubscribe.as_deref())?;
    let invitation = match claimed.booking {
        Some(booking) => invitation(app, row.invitation, booking, reader, now).await?,
        None => None,
    };
    let written = invitation.as_ref().and_then(|(method, entry)| {
        let object = object(row.invitation, entry, &post.from(), &to)?;
        Some((*method, object))
    });
    let remembered = invitation.map(|(method, entry)| (entry.id, method, entry.sequence()));
    Ok(Prepared::Send(Box::new(Mail { id: claimed.id, to, letter, invitation: written, unsubscribe }), remembered))
}

/// The visit as the reader's calendar is to have it; none where it is to have nothing. Only who was invited is told that a visit is gone.
async fn invitation(
    app: &App,
    invitation: Invitation,
    booking: BookingId,
    account: AccountId,
    now: DateTime<Utc>,
) -> Result<Option<(&'static str, Entry)>> {
    let method = match invitation {
        Invitation::None => return Ok(None),
        Invitation::Request => "REQUEST",
        Invitation::Cancel if store::is_invited(&app.db, booking, account).await? => "CANCEL",
        Invitation::Cancel => return Ok(None),
    };
    let entry = entry(&app.db, account, booking, now).await?;
    Ok(Some((method, entry.ok_or_else(|| Error::Internal("a visit is gone".to_owned()))?)))
}
