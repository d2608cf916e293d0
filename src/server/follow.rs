//! Tells a connection what becomes of the requests that came over it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_http::{ConnectionType, HttpMessage, Request, Response};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, map_config};
use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::web::Bytes;

use super::connection::Line;
use super::framing::Body;
use crate::http::BrokenBody;

/// `app`, each of whose requests is told to its connection, and each of whose answers.
pub(super) fn followed<F, S>(
    app: F,
) -> impl ServiceFactory<Request, Config = (), Response = Response<Followed>, Error = HttpResponse, InitError = ()>
where
    F: IntoServiceFactory<S, Request>,
    S: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    <S::Service as Service<Request>>::Future: 'static,
{
    let app = map_config(app, |()| AppConfig::default());
    let app = apply_fn_factory(app, |mut request: Request, app: &S::Service| {
        let line = request.conn_data::<Rc<Line>>().cloned();
        if let Some(line) = &line {
            let body = Body::of(&mut request);
            if line.begin(body) {
                request.extensions_mut().insert(BrokenBody);
            }
        }
        let answer = app.call(request);
        async move {
            let mut response: Response<BoxBody> = match answer.await {
                Ok(response) => response.into(),
                Err(error) => error.error_response().into(),
            };
            // What is left of a body that nobody reads is not waited for.
            if line.as_ref().is_some_and(|line| !line.is_in()) {
                response.head_mut().set_connection_type(ConnectionType::Close);
            }
            Ok(response.map_body(|_, body| Followed { body, next: Bytes::new(), line }))
        }
    });
    app.map_err(|error: actix_web::Error| error.error_response())
}

/// The most that the server library gets of an answer at once, in bytes. It copies what it gets.
const PIECE: usize = 32 * 1024;

/// An answer that is given in pieces, and tells its connection when the server library has all of it.
pub(super) struct Followed {
    body: BoxBody,
    /// What the body gave, and was not given on.
    next: Bytes,
    line: Option<Rc<Line>>,
}

impl MessageBody for Followed {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, <BoxBody as MessageBody>::Error>>> {
        let this = self.get_mut();
        while this.next.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_next(context)) {
                Some(Ok(next)) => this.next = next,
                end => return Poll::Ready(end),
            }
        }
        Poll::Ready(Some(Ok(this.next.split_to(this.next.len().min(PIECE)))))
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.answer();
        }
    }
}
