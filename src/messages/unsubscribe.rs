//! The page that a link in a reminder leads to. Looking at it changes nothing, because scanners of mails open links (RFC 8058, 3.1).

use actix_web::web::Data;
use actix_web::{get, post};
use fluent_bundle::FluentArgs;
use utoipa_actix_web::service_config::ServiceConfig;

use super::Class;
use super::keys::Digests;
use super::letters::escaped;
use super::store;
use super::wording::Words;
use crate::App;
use crate::db::uninterrupted;
use crate::error::{Error, Result};
use crate::events::{Event, Party};
use crate::http::{Path, Reply};
use crate::ids::AccountId;

/// The pages for whoever wants no more reminders.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(show_unsubscribe).service(unsubscribe);
}

/// Show the page to unsubscribe
///
/// Asks whether no more reminders are wanted. It changes nothing.
#[utoipa::path(tag = "Messages", operation_id = "show_unsubscribe", params(("token" = String, Path, description = "From the link in a reminder.")),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")))]
#[get("/unsubscribe/{token}")]
async fn show_unsubscribe(app: Data<App>, Path(token): Path<String>) -> Result<Reply> {
    let account = owner(&app, &token).await?;
    page(&app, account, true).await
}

/// Unsubscribe from reminders
///
/// Sends no more reminders of visits to the account by e-mail. The account's settings take it back. Doing it twice changes nothing more.
#[utoipa::path(tag = "Messages", operation_id = "unsubscribe", params(("token" = String, Path, description = "From the link in a reminder.")),
    responses((status = 200, description = "No more reminders are sent.", body = String, content_type = "text/html")))]
#[post("/unsubscribe/{token}")]
async fn unsubscribe(app: Data<App>, Path(token): Path<String>) -> Result<Reply> {
    uninterrupted(async move {
        let account = owner(&app, &token).await?;
        // Whoever has the link acts for the account, and is not signed in.
        let mut work = app.begin(None).await?;
        work.lock(account.0).await?;
        let mut settings = store::settings(&mut **work, &[account]).await?.remove(&account).unwrap_or_default();
        if !settings.without.contains(&Class::Reminder) {
            settings.without.push(Class::Reminder);
            store::save_settings(&mut work, account, &settings).await?;
            let event = Event { party: Some(Party::System), ..Event::new("account.unsubscribed", "account", account) };
            work.announce(event).await?;
        }
        work.commit().await?;
        page(&app, account, false).await
    })
    .await
}

async fn owner(app: &App, token: &str) -> Result<AccountId> {
    let account = app.part::<Digests>()?.account(&app.db, &app.cipher, token).await?;
    account.ok_or(Error::NotFound)
}

/// The page in the account's language; with a button where it `asks`.
async fn page(app: &App, account: AccountId, asks: bool) -> Result<Reply> {
    let settings = store::settings(&*app.db, &[account]).await?.remove(&account).unwrap_or_default();
    let words = Words::of(settings.locale);
    let say = |id| words.say(id, None, &FluentArgs::new()).map(|text| escaped(&text));
    let form = if asks {
        format!(
            "<form method=\"post\"><button style=\"font:inherit;padding:12px 20px\">{}</button></form>",
            say("unsubscribe_button")?
        )
    } else {
        String::new()
    };
    let page = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n</head>\n\
         <body style=\"margin:0 auto;padding:24px;max-width:560px;font:16px/1.5 system-ui,sans-serif\">\n\
         <h1 style=\"font-size:20px\">{title}</h1>\n<p>{}</p>\n{form}\n</body>\n</html>\n",
        words.locale().tag(),
        say(if asks { "unsubscribe_ask" } else { "unsubscribe_done" })?,
        title = say("unsubscribe_title")?,
    );
    Ok(Reply::text(page, "text/html; charset=utf-8"))
}
