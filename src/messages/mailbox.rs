//! The mailbox of developers: what `knead dev` would have mailed, to be looked at in a browser. Elsewhere it is not there.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Path, ServiceConfig, resource};
use serde_json::json;
use uuid::Uuid;

use super::letters::escaped;
use super::post::{Kept, Post};
use crate::App;
use crate::error::{Error, Result};

/// The mailbox, newest mail first: as a page, as JSON for programs, and each mail as its reader would see it. It is no part of the API.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/dev/mailbox").get(list))
        .service(resource("/dev/mailbox.json").get(as_json))
        .service(resource("/dev/mailbox/{id}").get(show))
        .service(resource("/dev/mailbox/{id}/text").get(show_text));
}

fn mails(app: &App) -> Result<Vec<Kept>> {
    app.part::<Post>()?.mailbox().ok_or(Error::NotFound)
}

fn mail(app: &App, id: Uuid) -> Result<Kept> {
    mails(app)?.into_iter().find(|mail| mail.id.0 == id).ok_or(Error::NotFound)
}

fn answer(media_type: &'static str, body: String) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).content_type(media_type).body(body)
}

async fn list(app: Data<App>) -> Result<HttpResponse> {
    let rows = mails(&app)?.into_iter().map(|Kept { id, at, to, letter, .. }| {
        let (to, subject) = (escaped(&to), escaped(&letter.subject));
        format!(
            "<li><a href=\"/dev/mailbox/{id}\">{subject}</a> <a href=\"/dev/mailbox/{id}/text\">text</a><br><small>{to}, {}</small></li>\n",
            at.format("%H:%M:%S")
        )
    });
    let rows: String = rows.collect();
    let rows = if rows.is_empty() { "<li>No mail was sent since the service began.</li>\n".to_owned() } else { rows };
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"refresh\" content=\"5\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Mailbox</title>\n</head>\n\
         <body style=\"margin:0 auto;padding:24px;max-width:720px;font:16px/1.5 system-ui,sans-serif\">\n<h1>Mailbox</h1>\n<ul>\n{rows}</ul>\n</body>\n</html>\n"
    );
    Ok(answer("text/html; charset=utf-8", page))
}

async fn as_json(app: Data<App>) -> Result<HttpResponse> {
    let mails = mails(&app)?.into_iter().map(|Kept { id, at, to, letter, invitation }| {
        json!({ "id": id, "at": at, "to": to, "subject": letter.subject, "text": letter.text(), "invitation": invitation })
    });
    Ok(answer("application/json", json!({ "data": mails.collect::<Vec<_>>() }).to_string()))
}

async fn show(app: Data<App>, id: Path<Uuid>) -> Result<HttpResponse> {
    Ok(answer("text/html; charset=utf-8", mail(&app, *id)?.letter.html()))
}

async fn show_text(app: Data<App>, id: Path<Uuid>) -> Result<HttpResponse> {
    Ok(answer("text/plain; charset=utf-8", mail(&app, *id)?.letter.text()))
}
