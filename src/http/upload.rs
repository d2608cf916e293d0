//! Files sent as `multipart/form-data` (RFC 7578), read as they arrive.

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::stream::{LocalBoxStream, try_unfold};
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, FieldError, Result};

/// The longest text field, in bytes.
const TEXT_LIMIT: usize = 1024;
/// How long a caller may send nothing.
const IDLE: Duration = Duration::from_secs(10);
/// The least that a caller sends, in bytes a second: what comes more slowly uses up the time in which nothing may come.
const LEAST_RATE: u64 = 16 * 1024;

/// A form with one file in it. Nothing of it is read yet: the first thing that is refused is the wrong role.
pub struct Upload(Multipart);

impl FromRequest for Upload {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let headers = request.headers();
        let is_encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
        let is_form =
            request.mime_type().ok().flatten().is_some_and(|mime| mime.essence_str() == "multipart/form-data");
        ready(if !is_form || is_encoded {
            Err(Error::UnsupportedMediaType)
        } else {
            Ok(Self(Multipart::new(headers, payload.take())))
        })
    }
}

/// How large a file may be, and how long it may take to arrive.
#[derive(Clone, Copy, Debug)]
pub struct UploadLimits {
    /// Bytes of the file.
    pub bytes: u64,
    /// From the first byte of the form to the last.
    pub time: Duration,
}

/// A file on its way.
pub struct SentFile {
    /// The text fields that came before it.
    pub fields: BTreeMap<String, String>,
    /// The name that the caller has for it.
    pub name: Option<String>,
    /// What is in it. Ends with an error where more follows than the file, where it is too large, or too slow.
    pub chunks: LocalBoxStream<'static, Result<Bytes>>,
}

impl Upload {
    /// Reads as far as the part named `file`. Before it there may be text fields of the names in `known`, each once; after it
    /// there is nothing.
    pub async fn open(self, known: &[&str], limits: UploadLimits) -> Result<SentFile> {
        let pace = Pace { deadline: Instant::now() + limits.time, slack: IDLE };
        let mut form = Form { parts: self.0, pace, file: None, left: limits.bytes };
        let mut fields = BTreeMap::new();
        loop {
            let part = form.next_part().await?.ok_or_else(|| FieldError::new("/file", "is missing."))?;
            let name = name_of(&part);
            if name == "file" {
                let sent_name = part.content_disposition().and_then(|sent| {
                    let extended =
                        sent.get_filename_ext().map(|name| String::from_utf8_lossy(&name.value).into_owned());
                    extended.or_else(|| sent.get_filename().map(str::to_owned))
                });
                form.file = Some(part);
                return Ok(SentFile { fields, name: sent_name, chunks: form.into_chunks() });
            }
            if !known.contains(&name.as_str()) || fields.contains_key(&name) {
                return Err(surplus(&name));
            }
            let text = form.text(part, &name).await?;
            fields.insert(name, text);
        }
    }
}

/// How much time a caller has left.
struct Pace {
    /// When all must be here.
    deadline: Instant,
    /// How long nothing may come from now on. Waiting uses it up, and what comes makes it grow again, to no more than [`IDLE`].
    slack: Duration,
}

impl Pace {
    /// The next of what a caller sends; 408 where it takes too long.
    async fn next<T>(&mut self, sent: impl Future<Output = T>) -> Result<T> {
        let begun = Instant::now();
        let sent = timeout_at(self.deadline.min(begun + self.slack), sent).await.map_err(|_| Error::Timeout)?;
        self.slack = self.slack.saturating_sub(begun.elapsed());
        Ok(sent)
    }

    fn chunk(&mut self, bytes: usize) {
        self.slack = (self.slack + Duration::from_micros(bytes as u64 * 1_000_000 / LEAST_RATE)).min(IDLE);
    }
}

/// The state of a form that is being read.
struct Form {
    parts: Multipart,
    pace: Pace,
    file: Option<Field>,
    left: u64,
}

impl Form {
    async fn next_part(&mut self) -> Result<Option<Field>> {
        self.pace.next(self.parts.try_next()).await?.map_err(malformed)
    }

    async fn text(&mut self, mut part: Field, name: &str) -> Result<String> {
        let wrong = |detail: &str| FieldError::new(format!("/{name}"), detail);
        let mut text = Vec::new();
        while let Some(chunk) = self.pace.next(part.try_next()).await?.map_err(malformed)? {
            text.extend_from_slice(&chunk);
            if text.len() > TEXT_LIMIT {
                return Err(wrong("must be at most 1 kB long.").into());
            }
        }
        String::from_utf8(text).map_err(|_| wrong("must be UTF-8.").into())
    }

    fn into_chunks(self) -> LocalBoxStream<'static, Result<Bytes>> {
        try_unfold(self, async |mut form| Ok(form.chunk().await?.map(|chunk| (chunk, form)))).boxed_local()
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        if let Some(chunk) = self.pace.next(file.try_next()).await?.map_err(malformed)? {
            self.pace.chunk(chunk.len());
            match self.left.checked_sub(chunk.len() as u64) {
                Some(left) => self.left = left,
                None => return Err(self.refuse_rest().await),
            }
            return Ok(Some(chunk));
        }
        self.file = None;
        match self.next_part().await? {
            Some(part) => Err(surplus(&name_of(&part))),
            None => Ok(None),
        }
    }

    /// A caller that is still sending would not see the answer: a little of what is too much is read and thrown away.
    async fn refuse_rest(&mut self) -> Error {
        let mut patience = 16 * 1024 * 1024_usize;
        while let Some(file) = &mut self.file
            && let Ok(Ok(Some(chunk))) = self.pace.next(file.try_next()).await
            && let Some(rest) = patience.checked_sub(chunk.len())
        {
            patience = rest;
        }
        Error::TooLarge
    }
}

fn name_of(part: &Field) -> String {
    part.name().unwrap_or_default().to_owned()
}

fn surplus(name: &str) -> Error {
    let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    FieldError::new(pointer, "is not a part of this form, comes twice, or comes after the file.").into()
}

/// What is wrong with a form, in our own words.
fn malformed(error: MultipartError) -> Error {
    let sentence = match error {
        MultipartError::ContentTypeMissing | MultipartError::ContentTypeParse | MultipartError::BoundaryMissing => {
            "The Content-Type of a form must name its boundary: multipart/form-data; boundary=..."
        }
        MultipartError::ContentDispositionMissing | MultipartError::ContentDispositionNameMissing => {
            "Each part of the form needs a header of its own: Content-Disposition: form-data; name=\"...\"."
        }
        MultipartError::Nested => "A part of the form must not be a form itself.",
        MultipartError::Incomplete => "The form ends too early: its last boundary is missing.",
        MultipartError::Parse(_) => "The headers of a part of the form could not be read.",
        MultipartError::Payload(_) => "The body broke off, or could not be read.",
        _ => "The form could not be read.",
    };
    Error::Malformed(sentence.to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    async fn opened(parts: &[(&str, &[u8])]) -> Result<(BTreeMap<String, String>, Vec<u8>)> {
        let mut body = Vec::new();
        for (name, content) in parts {
            let head = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.extend([head.as_bytes(), content, b"\r\n"].concat());
        }
        body.extend(b"--x--\r\n");
        let request = TestRequest::post().insert_header((header::CONTENT_TYPE, "multipart/form-data; boundary=x"));
        let (request, mut payload) = request.set_payload(body).to_http_parts();
        let upload = Upload::from_request(&request, &mut payload).into_inner()?;
        let limits = UploadLimits { bytes: 5000, time: Duration::from_secs(5) };
        let file = upload.open(&["source", "source_date"], limits).await?;
        let chunks: Vec<Bytes> = file.chunks.try_collect().await?;
        Ok((file.fields, chunks.concat()))
    }

    #[actix_web::test]
    async fn text_fields_come_before_the_file() {
        let (fields, file) = opened(&[("source_date", b"2026-11-30"), ("source", b"us-tx-tdlr"), ("file", &[7; 5000])])
            .await
            .expect("a form");
        assert_eq!(fields["source"], "us-tx-tdlr");
        assert_eq!(fields["source_date"], "2026-11-30");
        assert_eq!(file, [7; 5000]);
        for (parts, pointer) in [
            (vec![("source", b"x".as_slice())], "/file"),
            (vec![("source", b"x"), ("source", b"y"), ("file", b"z")], "/source"),
            (vec![("file", b"z"), ("source", b"x")], "/source"),
            (vec![("other", b"x"), ("file", b"z")], "/other"),
            (vec![("source", &[b'x'; 1025]), ("file", b"z")], "/source"),
            (vec![("source", &[0xFF]), ("file", b"z")], "/source"),
        ] {
            let Err(Error::Invalid(errors)) = opened(&parts).await else { panic!("{pointer}") };
            assert_eq!(errors[0].pointer, pointer);
        }
        assert!(matches!(opened(&[("file", &[7; 5001])]).await, Err(Error::TooLarge)));
    }
}
