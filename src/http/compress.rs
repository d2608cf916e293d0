//! Answers that are sent compressed (RFC 9110, 8.4) where the caller takes them so.

use std::io::Write;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes};
use actix_web::{HttpResponse, HttpResponseBuilder};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::wire::is_api;

/// Answers of so many bytes and more are compressed.
const LONG: u64 = 1024;

/// Answers of so many bytes and more are compressed off the threads that read requests.
const LONGER: u64 = 32 * 1024;

/// What a tag ends with where it is one of a compressed answer: its bytes are others (RFC 9110, 8.8.3.3).
const MARK: &str = "+gzip\"";

/// The middleware that compresses what the API answers at length. Sessions are left out: what is answered there repeats what
/// was sent beside what is secret, and a length would tell of both.
pub async fn compress(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let is_meant = is_api(&request) && !request.match_info().as_str().starts_with("/v1/auth/");
    let is_taken = is_meant && takes_gzip(request.headers());
    let mut response = next.call(request).await?.map_into_boxed_body();
    if !is_meant || !(is_text(response.headers()) || response.status() == 304) {
        return Ok(response);
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let size = match response.response().body().size() {
        BodySize::Sized(size) if size >= LONG && is_taken => size,
        _ => return Ok(response),
    };
    let (request, response) = response.into_parts();
    let (mut response, body) = response.into_parts();
    let plain = match body.try_into_bytes() {
        Ok(plain) => plain,
        Err(body) => return Ok(ServiceResponse::new(request, response.set_body(body))),
    };
    let copy = plain.clone();
    let packed = if size < LONGER { packed(&plain) } else { web::block(move || packed(&plain)).await.ok().flatten() };
    let Some(packed) = packed else { return Ok(ServiceResponse::new(request, response.set_body(BoxBody::new(copy)))) };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()?.strip_suffix('"').map(str::to_owned));
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(&format!("{tag}{MARK}")).ok()) {
        headers.insert(header::ETAG, tag);
    }
    Ok(ServiceResponse::new(request, response.set_body(BoxBody::new(packed))))
}

/// The tag of the same answer as it is not compressed: what a caller knows is the same however it was sent.
pub(super) fn plain_tag(tag: &str) -> String {
    tag.strip_suffix(MARK).map_or_else(|| tag.to_owned(), |tag| format!("{tag}\""))
}

/// What is served as it is again and again, compressed once. Gzip is enough: every browser takes it, and the little that Brotli would save of a page
/// that is loaded once is not worth a library.
#[derive(Clone)]
pub struct Served {
    plain: Bytes,
    packed: Option<Bytes>,
}

impl Served {
    /// `plain`, and the same compressed, where that is worth it: pictures are as large as before.
    pub fn new(plain: impl Into<Bytes>) -> Self {
        let plain = plain.into();
        Self { packed: packed(&plain).filter(|packed| packed.len() * 10 < plain.len() * 9), plain }
    }

    /// The answer to a caller who sent `headers`.
    pub fn answer(self, headers: &HeaderMap, response: &mut HttpResponseBuilder) -> HttpResponse {
        response.insert_header((header::VARY, "accept-encoding"));
        match self.packed.filter(|_| takes_gzip(headers)) {
            Some(packed) => response.insert_header((header::CONTENT_ENCODING, "gzip")).body(packed),
            None => response.body(self.plain),
        }
    }
}

/// `plain` with gzip (RFC 1952), quickly rather than best.
fn packed(plain: &Bytes) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    encoder.write_all(plain).ok()?;
    Some(encoder.finish().ok()?.into())
}

/// Whether an answer is text, and not compressed yet.
fn is_text(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    let is_text = media.starts_with("text/") || media == "application/json" || media.ends_with("+json");
    is_text && !headers.contains_key(header::CONTENT_ENCODING)
}

/// Whether the caller takes gzip: it names it, or takes anything, and not with a weight of nought (RFC 9110, 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let (mut named, mut any) = (None, None);
    let values = headers.get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
    for coding in values.flat_map(|value| value.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let is_taken = weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0));
        match name.as_str() {
            "gzip" | "x-gzip" => named = Some(is_taken),
            "*" => any = Some(is_taken),
            _ => {}
        }
    }
    named.or(any).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_asked_for() {
        for (value, expected) in [
            ("gzip", true),
            ("GZIP;q=0.5", true),
            ("br, gzip;q=1.0, *;q=0", true),
            ("*", true),
            ("x-gzip", true),
            ("", false),
            ("br", false),
            ("identity", false),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip;q=x", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(takes_gzip(&headers), expected, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_tag_is_plain_again() {
        assert_eq!(plain_tag("\"a.b+gzip\""), "\"a.b\"");
        assert_eq!(plain_tag("\"a.b\""), "\"a.b\"");
    }
}
