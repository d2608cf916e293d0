//! What people want of messages.

use actix_web::web::Data;
use actix_web::{get, patch};
use chrono::NaiveTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::plan::Reader;
use super::reminders::{Hours, Quiet, reminders};
use super::store::{self, Settings};
use super::wording::Locale;
use super::{Channel, Class};
use crate::App;
use crate::accounts;
use crate::auth::{Anyone, As};
use crate::bookings::entries::entries;
use crate::bookings::lifecycle::Status;
use crate::db::uninterrupted;
use crate::error::{FieldError, Result};
use crate::events::Work;
use crate::http::{IfMatch, Json, Reply};
use crate::ids::AccountId;
use crate::values::{TimeOfDay, present};

/// The operations on what people want of messages.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_message_settings).service(update_message_settings);
}

/// So many reminders of one visit at the most.
const MOST_REMINDERS: usize = 4;

/// When no reminder is sent, by the clock where the person lives. It may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuietHours {
    /// When it begins.
    from: TimeOfDay,
    /// When it ends.
    until: TimeOfDay,
}

/// Whether a class of messages is wanted by a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Preference {
    /// The class: `transactional` or `reminder`.
    class: Class,
    /// The channel: `email`.
    channel: Channel,
    /// Whether it is wanted.
    enabled: bool,
}

/// What the caller wants of messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct MessageSettings {
    /// The language of messages.
    language: Locale,
    /// When no reminder is sent; null where there is no such time.
    quiet_hours: Option<QuietHours>,
    /// How many hours before a visit the caller is reminded.
    #[schema(max_items = 4, example = json!([24]))]
    reminder_hours: Vec<Hours>,
    /// Which classes are wanted. What concerns the safety of the account is always sent.
    preferences: Vec<Preference>,
}

/// What to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MessageSettingsPatch {
    language: Option<Locale>,
    /// Null: there is no such time.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<QuietHours>)]
    quiet_hours: Option<Option<QuietHours>>,
    #[schema(max_items = 4)]
    reminder_hours: Option<Vec<Hours>>,
    /// Classes that are left out stay as they are.
    #[schema(max_items = 10)]
    preferences: Option<Vec<Preference>>,
}

/// The classes that a person may do without.
const OPTIONAL: [Class; 2] = [Class::Transactional, Class::Reminder];

impl MessageSettings {
    fn new(settings: &Settings) -> Self {
        let quiet = |quiet: Quiet| QuietHours { from: TimeOfDay::of(quiet.from), until: TimeOfDay::of(quiet.until) };
        let preference =
            |class| Preference { class, channel: Channel::Email, enabled: !settings.without.contains(&class) };
        Self {
            language: settings.locale,
            quiet_hours: settings.quiet.map(quiet),
            reminder_hours: settings.reminder_hours.clone(),
            preferences: OPTIONAL.map(preference).to_vec(),
        }
    }
}

impl MessageSettingsPatch {
    fn apply(self, settings: &mut Settings) -> Result<()> {
        settings.locale = self.language.unwrap_or(settings.locale);
        if let Some(quiet) = self.quiet_hours {
            settings.quiet = quiet.map(|QuietHours { from, until }| Quiet { from: time(from), until: time(until) });
        }
        if let Some(mut hours) = self.reminder_hours {
            if hours.len() > MOST_REMINDERS {
                return Err(FieldError::new("/reminder_hours", "holds at most 4 entries.").into());
            }
            hours.sort_unstable_by(|one, other| other.cmp(one));
            hours.dedup();
            settings.reminder_hours = hours;
        }
        for (n, Preference { class, channel, enabled }) in self.preferences.into_iter().flatten().enumerate() {
            if !OPTIONAL.contains(&class) {
                return Err(
                    FieldError::new(format!("/preferences/{n}/class"), "must be transactional or reminder.").into()
                );
            }
            if channel != Channel::Email {
                return Err(FieldError::new(format!("/preferences/{n}/channel"), "must be email.").into());
            }
            settings.without.retain(|without| *without != class);
            if !enabled {
                settings.without.push(class);
            }
        }
        Ok(())
    }
}

fn time(time: TimeOfDay) -> NaiveTime {
    let seconds = u32::try_from(time.minutes() * 60).unwrap_or_default();
    NaiveTime::from_num_seconds_from_midnight_opt(seconds, 0).unwrap_or_default()
}

/// Show what messages are wanted
///
/// The language of messages, reminders, quiet hours, and what the caller does without.
#[utoipa::path(tag = "Messages", operation_id = "get_message_settings", security(("bearer" = ["client", "therapist", "admin"])),
    responses((status = 200, description = "What is wanted.", body = MessageSettings)))]
#[get("/v1/me/message-settings")]
async fn get_message_settings(app: Data<App>, me: As<Anyone>) -> Result<Reply> {
    let settings = store::settings(&*app.db, &[me.account()]).await?.remove(&me.account()).unwrap_or_default();
    Reply::ok(&MessageSettings::new(&settings))
}

/// Change what messages are wanted
///
/// Reminders of visits that are booked already follow. Messages that concern the safety of the account cannot be done without.
#[utoipa::path(tag = "Messages", operation_id = "update_message_settings", security(("bearer" = ["client", "therapist", "admin"])),
    params(("If-Match" = String, Header, description = "The ETag of the settings as they were read.")),
    request_body = MessageSettingsPatch, responses((status = 200, description = "What is wanted now.", body = MessageSettings)))]
#[patch("/v1/me/message-settings")]
async fn update_message_settings(
    app: Data<App>,
    me: As<Anyone>,
    if_match: IfMatch,
    Json(patch, _): Json<MessageSettingsPatch>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        work.lock(me.account().0).await?;
        let mut settings =
            store::settings(&mut **work, &[me.account()]).await?.remove(&me.account()).unwrap_or_default();
        if_match.check(&MessageSettings::new(&settings))?;
        patch.apply(&mut settings)?;
        store::save_settings(&mut work, me.account(), &settings).await?;
        plan_anew(&app, &mut work, me.account(), settings.clone()).await?;
        work.commit().await?;
        Reply::ok(&MessageSettings::new(&settings))
    })
    .await
}

/// Has the reminders of a person's visits ahead come as the person wants from now on.
async fn plan_anew(app: &App, work: &mut Work, account: AccountId, settings: Settings) -> Result<()> {
    let now = work.now();
    let time_zone = accounts::zone(&mut ***work, account).await?;
    let Settings { quiet, reminder_hours, without, .. } = settings;
    let reader = Reader { time_zone, quiet, reminder_hours, without };
    let ahead = entries(&app.db, account, now, now).await?;
    let confirmed = ahead.iter().filter(|visit| visit.status == Status::Confirmed);
    let planned: Vec<_> =
        confirmed.flat_map(|visit| reminders(visit.id, account, visit.start_at, &reader, now)).collect();
    store::forget_reminders(work, account).await?;
    store::remember(work, &planned).await
}
