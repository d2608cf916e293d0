//! Operations that read no query refuse one: a parameter that is silently ignored does harm where it was meant as `dry_run=true`.

use actix_web::ResponseError;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, web::Data};
use serde_json::Value;

use crate::auth::{ApiClient, Principal};
use crate::error::{Error, FieldError};
use crate::http::{is_api, route};

/// The middleware that answers 422 where a query is sent to an operation that reads none. Operations with a query of their own refuse
/// what they do not know by themselves. The probes and the keys are left alone, because software of others calls them.
pub(super) async fn refuse_unread(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    match unread(&request) {
        Some(parameter) => {
            let detail = "is not known here: this operation takes no query parameters.";
            let error = FieldError { code: "unknown".into(), ..FieldError::new(pointer(&parameter), detail) };
            Ok(request.into_response(Error::from(error).error_response()))
        }
        None => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
    }
}

/// The first parameter that nobody would read. Whoever may not call the operation is told that instead, by the operation itself.
fn unread(request: &ServiceRequest) -> Option<String> {
    let (parameter, _) = form_urlencoded::parse(request.query_string().as_bytes()).next()?;
    let document = request.app_data::<Data<Value>>().filter(|_| is_api(request))?;
    let operation = &document["paths"][route(request)?][request.method().as_str().to_ascii_lowercase()];
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let reads_query = parameters.iter().any(|parameter| parameter["in"] == "query");
    (operation.is_object() && !reads_query && admits(operation, request)).then(|| parameter.into_owned())
}

/// Whether the operation is for the caller.
fn admits(operation: &Value, request: &ServiceRequest) -> bool {
    let schemes = operation["security"].as_array().map(Vec::as_slice).unwrap_or_default();
    let caller = request.extensions().get::<Principal>().copied();
    let client = request.extensions().get::<ApiClient>().copied();
    let is_any = |of: &Value, is_meant: &dyn Fn(&str) -> bool| {
        of.as_array().is_some_and(|all| all.iter().filter_map(Value::as_str).any(is_meant))
    };
    let is_meant = |scheme: &Value| {
        let is_public = scheme.as_object().is_some_and(serde_json::Map::is_empty);
        match (client, caller) {
            (Some(client), _) => is_any(&scheme["api_key"], &|scope| client.is_meant(scope)),
            (None, Some(caller)) => is_public || is_any(&scheme["bearer"], &|who| caller.is_meant(who)),
            (None, None) => is_public,
        }
    };
    schemes.is_empty() || schemes.iter().any(is_meant)
}

/// The parameter as a JSON Pointer (RFC 6901).
fn pointer(parameter: &str) -> String {
    format!("/{}", parameter.replace('~', "~0").replace('/', "~1"))
}
