//! Extractors that answer bad input with problem details and a pointer to the field.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use aws_lc_rs::digest;
use futures_util::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::compress::plain_tag;
use super::reply::{body_of, digest_of, state_of, tag_of};
use super::wire::unreadable_body;
use super::wording::{field_error, other_type, parameter_error};
use crate::error::{Error, FieldError, Result};
use crate::values::Strict;

/// The largest JSON body, in bytes.
const BODY_LIMIT: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The SHA-256 of a request's body: two requests with one are the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of these bytes.
    pub fn of(body: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, body).as_ref());
        Self(bytes)
    }

    /// The fingerprint of the same body sent to what `id` names: a key that comes back for another one is not the same request.
    pub fn about(self, id: impl std::fmt::Display) -> Self {
        Self::of(&[id.to_string().as_bytes(), &self.0].concat())
    }
}

/// A JSON body that parsed into `T`, with the fingerprint of its bytes.
pub struct Json<T>(pub T, pub Fingerprint);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (is_json, body) = bytes_of(request, payload);
        Box::pin(async move {
            if !is_json {
                return Err(Error::UnsupportedMediaType);
            }
            let body = body.await?;
            Ok(Self(parse(&body)?, Fingerprint::of(&body)))
        })
    }
}

/// A JSON body as it came, to be read once its signature was found to be good.
pub struct Unread(Bytes);

impl FromRequest for Unread {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (is_json, body) = bytes_of(request, payload);
        Box::pin(async move { if is_json { body.await.map(Self) } else { Err(Error::UnsupportedMediaType) } })
    }
}

impl Unread {
    /// What was signed.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What it says.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        parse(&self.0)
    }
}

/// A JSON body that may be left out, where there may be nothing to say.
pub struct OrDefault<T>(pub T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for OrDefault<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (is_json, body) = bytes_of(request, payload);
        Box::pin(async move {
            match body.await? {
                body if body.is_empty() => Ok(Self(T::default())),
                _ if !is_json => Err(Error::UnsupportedMediaType),
                body => parse(&body).map(Self),
            }
        })
    }
}

/// There is nothing to say: `{}`, or no body at all.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Whether the body is said to be plain JSON, and the body, once it has arrived.
fn bytes_of(request: &HttpRequest, payload: &mut Payload) -> (bool, impl Future<Output = Result<Bytes>> + use<>) {
    let headers = request.headers();
    let is_encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let is_json = request.mime_type().ok().flatten().is_some_and(|mime| mime.essence_str() == "application/json");
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let payload = payload.take();
    let body = async move {
        if declared.is_some_and(|length: u64| length > BODY_LIMIT as u64) {
            return Err(Error::TooLarge);
        }
        tokio::time::timeout(BODY_TIMEOUT, read(payload)).await.map_err(|_| Error::Timeout)?
    };
    (is_json && !is_encoded, body)
}

async fn read(mut payload: Payload) -> Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| unreadable_body())?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Error::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The JSON in a text field of a form; pointers lead into the field.
pub fn json_field<T: DeserializeOwned>(name: &str, text: &str) -> Result<T> {
    parse(text.as_bytes()).map_err(|error| match error {
        Error::Invalid(errors) => Error::Invalid(
            errors
                .into_iter()
                .map(|error| FieldError { pointer: format!("/{name}{}", error.pointer), ..error })
                .collect(),
        ),
        Error::Malformed(_) => FieldError::new(format!("/{name}"), "is not JSON.").into(),
        error => error,
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(Strict(&mut deserializer)).map_err(|error| {
        let parser = error.inner();
        if parser.is_data() {
            Error::from(field_error(error.path(), &parser.to_string()))
        } else if serde_json::from_slice::<IgnoredAny>(body).is_ok() {
            // The parser takes a value of another kind than a name for no value at all.
            Error::from(other_type(error.path()))
        } else {
            Error::Malformed(format!(
                "The body is not JSON, as line {} shows at column {}.",
                parser.line(),
                parser.column()
            ))
        }
    })?;
    deserializer.end().map_err(|_| Error::Malformed("The body goes on after its JSON value.".to_owned()))?;
    Ok(value)
}

/// Query parameters that parsed into `T`.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let query = request.query_string();
        let deserializer = serde_urlencoded::Deserializer::new(form_pairs(query));
        let parsed = serde_path_to_error::deserialize(deserializer).map(Self);
        ready(parsed.map_err(|error| parameter_error(error.path(), &error.inner().to_string()).into()))
    }
}

fn form_pairs(query: &str) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(query.as_bytes())
}

/// Segments of the path that parsed into `T`. An id that cannot exist is an absent resource.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Path<T> {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parsed = actix_web::web::Path::<T>::extract(request).into_inner();
        ready(parsed.map(|path| Self(path.into_inner())).map_err(|_| Error::NotFound))
    }
}

/// The `If-Match` header (RFC 9110, section 13.1.1): the state that the caller read before a change.
pub struct IfMatch(Option<String>);

impl FromRequest for IfMatch {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // Several lines are one list (RFC 9110, section 5.3). Bytes that are no text are part of a tag that nobody was given.
        let lines = request.headers().get_all(header::IF_MATCH);
        let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        ready(Ok(Self((!lines.is_empty()).then(|| lines.join(",")))))
    }
}

impl IfMatch {
    /// Whether the caller says which state they know: for operations that can do without.
    pub fn is_sent(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the caller knows `current`, the state that is about to change, read under its lock.
    pub fn check(&self, current: &impl Serialize) -> Result<()> {
        let tag = tag_of(&body_of(current)?, None);
        self.find(|candidate| candidate == tag)
    }

    /// The same where there may be nothing yet: then whoever says to know a state is mistaken, and nobody need say anything.
    pub fn check_if_any(&self, current: Option<&impl Serialize>) -> Result<()> {
        match current {
            Some(current) => self.check(current),
            None if self.is_sent() => Err(Error::PreconditionFailed),
            None => Ok(()),
        }
    }

    /// The same as [`check`](Self::check) where a change depends on `state` alone of what is shown, as [`Reply::in_state`](super::Reply::in_state) said.
    pub fn check_state(&self, state: &impl Serialize) -> Result<()> {
        let state = digest_of(&body_of(state)?);
        self.find(|candidate| state_of(candidate) == Some(&state))
    }

    fn find(&self, is_current: impl Fn(&str) -> bool) -> Result<()> {
        let known = self.0.as_deref().ok_or(Error::PreconditionRequired)?;
        let matches =
            known.split(',').map(str::trim).any(|candidate| candidate == "*" || is_current(&plain_tag(candidate)));
        if matches { Ok(()) } else { Err(Error::PreconditionFailed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors are looked at")]
    struct Body {
        list: Vec<u8>,
    }

    fn pointer_of(body: &str) -> String {
        match parse::<Body>(body.as_bytes()) {
            Err(Error::Invalid(errors)) => errors[0].pointer.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_field_is_pointed_to() {
        assert_eq!(pointer_of(r#"{"list": [1, "x"]}"#), "/list/1");
        assert_eq!(pointer_of(r#"{"list": [], "a/b": 1}"#), "/a~1b");
        assert_eq!(pointer_of("{}"), "/list");
        assert_eq!(pointer_of("[[1]]"), "");
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for body in ["", "{", "{\"list\": []} x", "\u{0}"] {
            assert!(matches!(parse::<Body>(body.as_bytes()), Err(Error::Malformed(_))), "{body:?}");
        }
    }
}
