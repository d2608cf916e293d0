//! Answers, written once: as bytes that can be tagged, compared and kept.

use actix_web::body::BoxBody;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytestring::ByteString;
use serde::Serialize;

use super::compress::plain_tag;
use crate::error::{Answer, Error, Result};

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Where what it shows is found.
    pub location: Option<String>,
    /// Its body.
    pub body: ByteString,
    /// What tells the state of what is shown from any other, where that is less than all that is shown.
    pub state: Option<String>,
    /// The resource that is tagged, where the body tells more.
    resource: Option<String>,
    /// Its tag, where that is known.
    tag: Option<String>,
    /// Given before, under the same idempotency key.
    pub(super) replayed: bool,
    cache: &'static str,
    media_type: &'static str,
}

impl Reply {
    fn new(status: StatusCode, location: Option<String>, body: impl Into<ByteString>) -> Self {
        Self {
            status,
            location,
            body: body.into(),
            state: None,
            resource: None,
            tag: None,
            replayed: false,
            cache: "no-store",
            media_type: "application/json",
        }
    }

    /// 200 with `view`, which is personal and not to be stored by caches.
    pub fn ok(view: &impl Serialize) -> Result<Self> {
        Ok(Self::new(StatusCode::OK, None, body_of(view)?))
    }

    /// The same answer for all who ask, as [`Reply::ok`] gives it.
    pub fn written(self) -> Written {
        Written { tag: self.tag(), body: self.body }
    }

    /// 200 with a text of another type than JSON.
    pub fn text(body: String, media_type: &'static str) -> Self {
        Self::new(StatusCode::OK, None, body).typed(media_type)
    }

    /// 201 with `view`, found at `location` from now on.
    pub fn created(location: String, view: &impl Serialize) -> Result<Self> {
        Ok(Self::new(StatusCode::CREATED, Some(location), body_of(view)?))
    }

    /// 202 with `view`: what was asked for is under way.
    pub fn accepted(view: &impl Serialize) -> Result<Self> {
        Ok(Self::new(StatusCode::ACCEPTED, None, body_of(view)?))
    }

    /// 202 with nothing more to say.
    pub fn under_way() -> Self {
        Self::new(StatusCode::ACCEPTED, None, "")
    }

    /// 204.
    pub fn none() -> Self {
        Self::new(StatusCode::NO_CONTENT, None, "")
    }

    /// The answer that was kept under an idempotency key.
    pub fn replay(status: StatusCode, location: Option<String>, body: String, state: Option<String>) -> Self {
        Self { replayed: true, state, ..Self::new(status, location, body) }
    }

    /// Says that a change depends on `state` alone of all that is shown: see [`tag_of`].
    pub fn in_state(self, state: &impl Serialize) -> Result<Self> {
        Ok(Self { state: Some(digest_of(&body_of(state)?)), ..self })
    }

    /// Says that the answer tells more than the resource that it is about, and bears the tag of that resource as it is shown on its own.
    pub fn tagged_as(self, resource: &impl Serialize) -> Result<Self> {
        Ok(Self { resource: Some(body_of(resource)?), ..self })
    }

    /// Says that the body is of another type than plain JSON.
    pub fn typed(self, media_type: &'static str) -> Self {
        Self { media_type, ..self }
    }

    /// Lets anyone's cache keep the answer for a minute: it says the same to everyone.
    pub fn public(self) -> Self {
        Self { cache: "public, max-age=60", ..self }
    }
}

pub(super) fn body_of(view: &impl Serialize) -> Result<String> {
    serde_json::to_string(view).map_err(|error| Error::Internal(error.to_string()))
}

pub(super) fn digest_of(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])
}

/// A strong entity tag: the answer's own digest, so that it changes exactly when the answer does.
///
/// Some answers show more than what a change of theirs is about: a booking shows names and ratings, which others change. A
/// strong tag must differ with any of it (RFC 9110, 8.8.1), and a weak one never meets `If-Match` (13.1.1). So the tag has two
/// halves, the digest of the state and that of the answer. `If-None-Match` compares all of it: no 304 hides a difference.
/// `If-Match` on a step of a booking, which is a resource of its own with no other validator, compares the state.
pub(super) fn tag_of(body: &str, state: Option<&str>) -> String {
    let digest = digest_of(body);
    state.map_or_else(|| format!("\"{digest}\""), |state| format!("\"{state}.{digest}\""))
}

/// The state that a tag names; none for a weak one.
pub(super) fn state_of(tag: &str) -> Option<&str> {
    tag.strip_prefix('"')?.strip_suffix('"')?.split_once('.').map(|(state, _)| state)
}

impl Answer for Reply {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn respond(&self) -> HttpResponse {
        self.response(None)
    }
}

impl Responder for Reply {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        self.response(known.filter(|_| request.method() == Method::GET))
    }
}

/// An answer that is given again and again: its bytes are shared, and its tag is known.
#[derive(Clone, Debug)]
pub struct Written {
    body: ByteString,
    tag: String,
}

impl Written {
    /// How many bytes it takes up.
    pub fn size(&self) -> usize {
        self.body.len() + self.tag.len()
    }
}

impl From<Written> for Reply {
    fn from(Written { body, tag }: Written) -> Self {
        Self { tag: Some(tag), ..Self::new(StatusCode::OK, None, body) }
    }
}

impl Reply {
    fn tag(&self) -> String {
        let tagged: &str = self.resource.as_ref().map_or(&self.body, String::as_str);
        self.tag.clone().unwrap_or_else(|| tag_of(tagged, self.state.as_deref()))
    }

    /// The answer to whoever knows these tags of it.
    fn response(&self, known: Option<&str>) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status);
        response.insert_header((header::CACHE_CONTROL, self.cache));
        if let Some(location) = &self.location {
            response.insert_header((header::LOCATION, location.as_str()));
        }
        if self.replayed {
            response.insert_header(("Idempotent-Replay", "true"));
        }
        if self.body.is_empty() {
            return response.finish();
        }
        let tag = self.tag();
        // A tag of the compressed answer is as good, and is what 304 repeats.
        let matching = known.and_then(|known| {
            let mut known = known.split(',').map(|known| known.trim().trim_start_matches("W/"));
            known.find(|known| *known == "*" || plain_tag(known) == tag)
        });
        if let Some(matching) = matching {
            let tag = if matching == "*" { &tag } else { matching };
            return response.insert_header((header::ETAG, tag)).status(StatusCode::NOT_MODIFIED).finish();
        }
        response.insert_header((header::ETAG, tag));
        response.content_type(self.media_type).body(self.body.clone())
    }
}
