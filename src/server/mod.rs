//! The HTTP server: the routes, and what surrounds each of them.

mod connection;
mod docs;
mod follow;
mod framing;
mod limits;
mod peers;
mod queries;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol};
use actix_service::{ServiceFactoryExt, fn_service};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, Redirect};
use actix_web::{HttpRequest, HttpResponse, HttpServer, guard};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::Value;
use tokio::net::TcpStream;
use tracing_actix_web::{RootSpanBuilder, TracingLogger};
use utoipa_actix_web::AppExt;

use self::connection::{Connection, Problems};
use self::docs::Docs;
use self::follow::followed;
use self::limits::most_connections;
pub use self::limits::{LEAST_RATE, Limits};
use self::peers::Peers;
use self::queries::refuse_unread;
use crate::App;
use crate::auth::identify;
use crate::error::{Error, request_id};
use crate::http::RateLimits;
use crate::http::{Served, admit_accepted, compress, problem_alone, refuse_unknown, route, wire};
use crate::messages::mailbox;
use crate::{doors, openapi};

/// A span for each request that holds nothing about a person: the route and not the path, and no query.
struct Spans;

impl RootSpanBuilder for Spans {
    fn on_request_start(request: &ServiceRequest) -> tracing::Span {
        let route = route(request).unwrap_or_default();
        tracing::info_span!("request", method = %request.method(), route, request_id = request_id(), status = tracing::field::Empty)
    }

    fn on_request_end<B: MessageBody>(span: tracing::Span, outcome: &Result<ServiceResponse<B>, actix_web::Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("status", status.as_u16());
        tracing::info!(parent: &span, "answered");
    }
}

/// The service on `listener`, with `workers` threads. Signals are the caller's to heed.
pub fn server(app: Arc<App>, listener: TcpListener, workers: usize) -> std::io::Result<Server> {
    limited_server(app, listener, workers, Limits::default())
}

/// The service on `listener`, whose connections have other limits than a service has.
pub fn limited_server(app: Arc<App>, listener: TcpListener, workers: usize, limits: Limits) -> std::io::Result<Server> {
    let document = openapi::document(doors::routes);
    let document_text = Served::new(format!("{document:#}\n"));
    let document = Data::new(document);
    let docs = Arc::new(Docs::new());
    let peers = Arc::new(Peers::new(&limits));
    let builder = Server::build();
    let told_to_stop = builder.graceful_shutdown_signal();
    let builder = builder
        .workers(workers)
        .shutdown_timeout(20)
        .max_concurrent_connections(most_connections().div_ceil(workers.max(1)))
        .disable_signals();
    let server = builder.listen("knead", listener, move || {
        // Each thread that serves begins with this.
        app.db.take_seat();
        let service = operations(Data::from(app.clone()), document.clone(), document_text.clone(), docs.clone());
        let told_to_stop = told_to_stop.clone();
        // The connection has every clock.
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let told_to_stop = told_to_stop.clone();
                async move { told_to_stop.notified().await }
            })
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(Duration::ZERO)
            .on_connect_ext(|connection: &Connection, data| {
                data.insert(connection.line());
            })
            .finish(followed(service));
        let (peers, app) = (peers.clone(), app.clone());
        let problems: Problems = {
            let app = app.clone();
            Rc::new(move |error| problem_alone(&app, error))
        };
        fn_service(move |socket: TcpStream| {
            let (peers, app, problems) = (peers.clone(), app.clone(), problems.clone());
            async move {
                let peer = socket.peer_addr()?;
                let is_gate = app.part::<RateLimits>().is_ok_and(|limits| limits.is_gate(peer.ip()));
                let place = Peers::admit(&peers, peer.ip(), is_gate);
                // All that its address may have is being answered: whoever hangs up at once says so without a word.
                let place = place.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused))?;
                Ok::<_, DispatchError>((Connection::new(socket, place, limits, problems), Protocol::Http1, Some(peer)))
            }
        })
        .and_then(http)
    })?;
    Ok(server.run())
}

/// Every operation, and what surrounds each of them.
fn operations(
    app: Data<App>,
    document: Data<Value>,
    text: Served,
    docs: Arc<Docs>,
) -> actix_web::App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    actix_web::App::new()
        .into_utoipa_app()
        .app_data(app)
        .app_data(document)
        .configure(doors::routes)
        .into_app()
        .service(
            web::resource("/openapi.json")
                .get(move |request: HttpRequest| {
                    let text = text.clone();
                    async move {
                        let mut response = HttpResponse::Ok();
                        response.insert_header((header::CACHE_CONTROL, "public, max-age=60"));
                        text.answer(request.headers(), response.content_type("application/json"))
                    }
                })
                .default_service(web::to(|| async {
                    Err::<HttpResponse, _>(Error::MethodNotAllowed("GET, HEAD".to_owned()))
                })),
        )
        .configure(mailbox::routes)
        .service(Redirect::new("/docs", "/docs/"))
        .service(web::resource("/docs/{file:.*}").guard(guard::Get()).to(
            move |request: HttpRequest, file: web::Path<String>| {
                let docs = docs.clone();
                async move { docs.answer(file.into_inner(), request.headers()).await }
            },
        ))
        .default_service(web::to(refuse_unknown))
        // The last one is the outermost.
        .wrap(from_fn(refuse_unread))
        .wrap(from_fn(compress))
        .wrap(from_fn(admit_accepted))
        .wrap(from_fn(identify))
        .wrap(TracingLogger::<Spans>::new())
        .wrap(from_fn(wire))
}

/// Installs the recorder of metrics, once for the process.
pub fn record_metrics() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    PrometheusBuilder::new().install_recorder()
}

/// `GET /metrics` for Prometheus, on a listener of its own that need not face the world.
pub fn metrics_server(handle: PrometheusHandle, addr: SocketAddr) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        let handle = handle.clone();
        actix_web::App::new().route(
            "/metrics",
            web::get().to(move || {
                let text = handle.render();
                async move { text }
            }),
        )
    });
    Ok(server.workers(1).disable_signals().bind(addr)?.run())
}
