//! The page that shows the API's document. Its files come with the library that carries them; each is compressed once, when it is first asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::header::HeaderMap;
use actix_web::{HttpResponse, web};
use utoipa_swagger_ui::{Config, serve};

use crate::error::{Error, Result};
use crate::http::Served;

/// A file of the page.
#[derive(Clone)]
struct File {
    media_type: String,
    served: Served,
}

/// The files of the page, as far as they have been asked for. The library has a handful, and knows no others.
pub(super) struct Docs {
    config: Arc<Config<'static>>,
    files: Mutex<HashMap<String, File>>,
}

impl Docs {
    /// For the document at `/openapi.json`.
    pub fn new() -> Self {
        Self { config: Arc::new(Config::from("/openapi.json")), files: Mutex::default() }
    }

    /// The answer with the file of this name to a caller who sent `headers`.
    pub async fn answer(self: Arc<Self>, name: String, headers: &HeaderMap) -> Result<HttpResponse> {
        let known = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        let file = match known {
            Some(file) => file,
            // Compressing takes longer than a thread that reads requests may be kept.
            None => web::block(move || self.read(name)).await.map_err(|error| Error::Internal(error.to_string()))??,
        };
        let mut response = HttpResponse::Ok();
        response.content_type(file.media_type);
        Ok(file.served.answer(headers, &mut response))
    }

    fn read(&self, name: String) -> Result<File> {
        let found = serve(&name, self.config.clone()).map_err(|error| Error::Internal(error.to_string()))?;
        let found = found.ok_or(Error::NotFound)?;
        let file = File { media_type: found.content_type, served: Served::new(found.bytes.into_owned()) };
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(name, file.clone());
        Ok(file)
    }
}
