//! What happens to every request and every answer, whatever the operation.

use std::panic::AssertUnwindSafe;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::time::timeout;

use crate::App;
use crate::db::{PATIENCE, late};
use crate::error::{Error, REQUEST_ID};
use crate::ids::uuid_at;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost middleware: gives the request its id, answers HEAD as GET, turns every failure, a panic too, into problem
/// details, and counts the answer.
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
    let route = request.resource_map().match_pattern(request.match_info().as_str());
    request.extensions_mut().insert(Route(route.clone()));
    let route = route.unwrap_or_else(|| "none".to_owned());
    let method = request.method().clone();
    // The connection remembers that it was HEAD and sends no body.
    if method == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    REQUEST_ID
        .scope(id.clone(), async move {
            let is_read = matches!(method, Method::GET | Method::HEAD);
            let answer = AssertUnwindSafe(next.call(request)).catch_unwind();
            // A change bounds its own wait once its body has arrived.
            let answer = if is_read { timeout(PATIENCE, answer).await } else { Ok(answer.await) };
            let mut response = match answer.unwrap_or_else(|_| Ok(Err(late().into()))) {
                Ok(Ok(mut response)) => {
                    finish(response.response_mut(), &id, method, route);
                    return Ok(response.map_into_boxed_body());
                }
                Ok(Err(error)) => error.error_response(),
                Err(_) => Error::Internal("panic".to_owned()).error_response(),
            };
            // The request is gone, and with it what an answer is made of: the answer goes out as an error.
            finish(&mut response, &id, method, route);
            Err(InternalError::from_response("answered", response).into())
        })
        .await
}

/// Marks a request whose body is known to be broken before anyone reads it.
pub struct BrokenBody;

/// The innermost middleware: refuses bodies that are known to be broken, and callers that do not accept what the operation
/// answers with.
pub async fn admit_accepted(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if request.extensions().contains::<BrokenBody>() {
        return Ok(request.into_response(unreadable_body().error_response()));
    }
    if is_api(&request) && !answers(&request).iter().any(|media| accepts(request.headers(), media)) {
        return Ok(request.into_response(Error::NotAcceptable.error_response()));
    }
    next.call(request).await.map(ServiceResponse::map_into_boxed_body)
}

/// What a page of ours may do that a person looks at: it has styles of its own, and a form that is sent back to us.
const PAGE: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What an answer may load: nothing, because answers are data.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// What the page of the docs may load: its own files, and what it asks the API. Its style sheets set styles in place, and its
/// pictures are written into them.
const DOCS: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; \
                    connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// A body that breaks off or is not what its headers say.
pub(super) fn unreadable_body() -> Error {
    Error::Malformed("The body could not be read.".to_owned())
}

/// A problem as the whole answer to what never became a request, with all that other answers carry.
pub fn problem_alone(app: &App, error: &Error) -> web::Bytes {
    let id = uuid_at(app.clock.now()).to_string();
    let mut response = REQUEST_ID.sync_scope(id.clone(), || error.error_response());
    // Counted among the methods that are not known.
    finish(&mut response, &id, Method::OPTIONS, "none".to_owned());
    let status = response.status();
    let mut answer =
        format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or("Error")).into_bytes();
    for (name, value) in response.headers() {
        answer.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let body = response.into_body().try_into_bytes().unwrap_or_default();
    let date = app.clock.now().format("%a, %d %b %Y %H:%M:%S GMT");
    answer.extend(format!("content-length: {}\r\nconnection: close\r\ndate: {date}\r\n\r\n", body.len()).into_bytes());
    answer.extend(body);
    answer.into()
}

/// What every answer carries, and its count.
fn finish<B>(response: &mut HttpResponse<B>, id: &str, method: Method, route: String) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, value);
    }
    let policy = if route.starts_with("/docs") {
        DOCS
    } else if route.starts_with("/unsubscribe/") || route.starts_with("/dev/mailbox") {
        PAGE
    } else {
        NOTHING
    };
    // A file that someone sent has a stricter one.
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let status = response.status().as_u16().to_string();
    // Methods can be made up without end, and each would be a series of its own.
    let method = match method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE => method.to_string(),
        _ => "other".to_owned(),
    };
    metrics::counter!("http_requests_total", "method" => method, "route" => route, "status" => status).increment(1);
}

/// Whether a request is for the API proper: not a probe, the docs or nothing at all. It asks for the path as the
/// router reads it, since one path can be written in many ways.
pub fn is_api(request: &ServiceRequest) -> bool {
    request.match_info().as_str().starts_with("/v1/")
}

/// The pattern of the path that was asked for, found once for each request. The router built its patterns when it started:
/// making one for a request would leak its names.
struct Route(Option<String>);

/// The pattern of the path that was asked for, if any operation has it, by whatever method.
pub fn route(request: &impl HttpMessage) -> Option<String> {
    request.extensions().get::<Route>().and_then(|route| route.0.clone())
}

/// An id from outside goes into our logs, so it may hold nothing but plain characters.
fn is_plain(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Whether the caller asks for `media`, a type and subtype, by its name.
pub fn names(headers: &HeaderMap, media: &str) -> bool {
    ranges(headers).any(|range| range == media)
}

/// Whether the caller takes `media`, a type and subtype.
fn accepts(headers: &HeaderMap, media: &str) -> bool {
    let mut ranges = ranges(headers).peekable();
    let all_of = |kind: &str| media.split('/').next() == Some(kind);
    ranges.peek().is_none()
        || ranges.any(|range| range == "*/*" || range == media || range.strip_suffix("/*").is_some_and(all_of))
}

/// The media ranges that the caller accepts.
fn ranges(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or(range).trim().to_ascii_lowercase())
        .filter(|range| !range.is_empty())
}

/// The media types that the document lists for a success of this operation; JSON where it lists none.
fn answers(request: &ServiceRequest) -> Vec<String> {
    let document = request.app_data::<web::Data<Value>>();
    let operation = document.zip(route(request)).map(|(document, route)| {
        let method = request.method().as_str().to_ascii_lowercase();
        document["paths"][&route][&method]["responses"].clone()
    });
    let responses = operation.as_ref().and_then(Value::as_object).into_iter().flatten();
    let successes = responses.filter(|(status, _)| status.starts_with('2'));
    let listed: Vec<String> = successes
        .filter_map(|(_, response)| response["content"].as_object())
        .flat_map(|media| media.keys().cloned())
        .collect();
    if listed.is_empty() { vec!["application/json".to_owned()] } else { listed }
}

/// Answers what no operation matched: 405 with `Allow` where the document knows the path, else 404.
pub async fn refuse_unknown(request: HttpRequest, document: web::Data<Value>) -> HttpResponse {
    let error = match route(&request).and_then(|route| document["paths"][route].as_object()) {
        Some(operations) => {
            let methods =
                [("get", "GET, HEAD"), ("post", "POST"), ("put", "PUT"), ("patch", "PATCH"), ("delete", "DELETE")];
            let allowed = methods.into_iter().filter(|(method, _)| operations.contains_key(*method));
            Error::MethodNotAllowed(allowed.map(|(_, name)| name).collect::<Vec<_>>().join(", "))
        }
        None => Error::NotFound,
    };
    error.error_response()
}
