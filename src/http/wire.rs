//! What happens to every request and every answer, whatever the operation.

use std::panic::AssertUnwindSafe;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ResourceDef, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use futures_util::FutureExt;
use utoipa::openapi::OpenApi;

use crate::App;
use crate::error::Error;
use crate::ids::uuid_at;

tokio::task_local! {
    static REQUEST_ID: String;
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the request being answered; empty outside of one.
pub fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// The outermost middleware: gives the request its id, answers HEAD as GET, refuses callers that accept no
/// JSON, turns every failure, a panic too, into problem details, and counts the answer.
pub async fn wire(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let id = match request.headers().get(&X_REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_plain(id)) {
        Some(id) => id.to_owned(),
        None => {
            request.app_data::<web::Data<App>>().map(|app| uuid_at(app.clock.now()).to_string()).unwrap_or_default()
        }
    };
    let method = request.method().clone();
    // The connection remembers that it was HEAD and sends no body.
    if method == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    let acceptable = !request.path().starts_with("/v1") || accepts_json(request.headers());
    let bare = request.request().clone();
    REQUEST_ID
        .scope(id.clone(), async move {
            let outcome = if acceptable {
                AssertUnwindSafe(next.call(request)).catch_unwind().await
            } else {
                drop(request);
                Ok(Err(Error::NotAcceptable.into()))
            };
            let mut response = match outcome {
                Ok(Ok(response)) => response.map_into_boxed_body(),
                Ok(Err(error)) => ServiceResponse::new(bare, error.error_response()),
                Err(_) => ServiceResponse::new(bare, Error::Internal("panic".to_owned()).error_response()),
            };
            if let Ok(value) = HeaderValue::from_str(&id) {
                response.headers_mut().insert(X_REQUEST_ID, value);
            }
            response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            let route = response.request().match_pattern().unwrap_or_else(|| "none".to_owned());
            metrics::counter!("http_requests_total", "method" => method.to_string(), "route" => route,
                              "status" => response.status().as_u16().to_string())
            .increment(1);
            Ok(response)
        })
        .await
}

/// An id from outside goes into our logs, so it may hold nothing but plain characters.
fn is_plain(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or(range).trim())
        .peekable();
    ranges.peek().is_none() || ranges.any(|range| matches!(range, "*/*" | "application/*" | "application/json"))
}

/// Answers what no operation matched: 405 with `Allow` where the document knows the path, else 404.
pub async fn refuse_unknown(request: HttpRequest, document: web::Data<OpenApi>) -> HttpResponse {
    let known = document
        .paths
        .paths
        .iter()
        .filter(|(path, _)| ResourceDef::new(path.as_str()).is_match(request.path()))
        // Of `/therapists/me` and `/therapists/{id}` the literal one is meant.
        .min_by_key(|(path, _)| path.matches('{').count());
    let error = match known {
        Some((_, item)) => {
            let methods = [
                ("GET, HEAD", item.get.is_some()),
                ("POST", item.post.is_some()),
                ("PUT", item.put.is_some()),
                ("PATCH", item.patch.is_some()),
                ("DELETE", item.delete.is_some()),
            ];
            let allowed: Vec<&str> = methods.into_iter().filter(|(_, known)| *known).map(|(name, _)| name).collect();
            Error::MethodNotAllowed(allowed.join(", "))
        }
        None => Error::NotFound,
    };
    error.error_response()
}
