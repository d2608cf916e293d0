//! The HTTP server: the routes, and what surrounds each of them.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, Redirect};
use actix_web::{HttpResponse, HttpServer};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use socket2::SockRef;
use tokio::net::TcpStream;
use tracing_actix_web::{RootSpanBuilder, TracingLogger};
use utoipa_actix_web::AppExt;
use utoipa_swagger_ui::{Config as SwaggerConfig, SwaggerUi};

use crate::App;
use crate::auth::identify;
use crate::error::{Error, request_id};
use crate::http::{admit_accepted, refuse_unknown, route, wire};
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

/// Descriptors that are kept back for the database, files and whatever else is no connection of a caller.
const KEPT_BACK: usize = 224;

/// The most connections of callers: what the process may have open, less what is kept back. Past it, callers wait to be accepted.
fn most_connections() -> usize {
    // The soft limit as Linux tells it; where it cannot be read, the least that systems are set up with.
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let open = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = open.and_then(|limits| limits.split_whitespace().next()?.parse().ok()).unwrap_or(1_024_usize);
    soft.saturating_sub(KEPT_BACK).clamp(64, 20_000)
}

/// How long a peer may acknowledge nothing of what it was sent, because it reads nothing or is gone (TCP_USER_TIMEOUT, RFC 5482).
const UNREAD: Duration = Duration::from_secs(20);

/// Lets the kernel end a connection whose peer takes nothing: its answer would lie in memory for ever. A connection works without the
/// option too, so that a system that does not know it is no reason to refuse the peer.
fn end_with_deaf_peers(socket: &SockRef<'_>) {
    #[cfg(target_os = "linux")]
    if let Err(error) = socket.set_tcp_user_timeout(Some(UNREAD)) {
        tracing::debug!(%error, "TCP_USER_TIMEOUT is not set");
    }
    #[cfg(not(target_os = "linux"))]
    let _unknown = (socket, UNREAD);
}

/// The service on `listener`, with `workers` threads. Signals are the caller's to heed.
pub fn server(app: Arc<App>, listener: TcpListener, workers: usize) -> std::io::Result<Server> {
    let document = openapi::document(doors::routes);
    let text = web::Bytes::from(format!("{document:#}\n"));
    let document = Data::new(document);
    let app = Data::from(app);
    let server = HttpServer::new(move || {
        let text = text.clone();
        actix_web::App::new()
            .into_utoipa_app()
            .app_data(app.clone())
            .app_data(document.clone())
            .configure(doors::routes)
            .into_app()
            .service(
                web::resource("/openapi.json")
                    .get(move || {
                        let text = text.clone();
                        async move {
                            let cache = (header::CACHE_CONTROL, "public, max-age=60");
                            HttpResponse::Ok().insert_header(cache).content_type("application/json").body(text)
                        }
                    })
                    .default_service(web::to(|| async {
                        Err::<HttpResponse, _>(Error::MethodNotAllowed("GET, HEAD".to_owned()))
                    })),
            )
            .service(Redirect::new("/docs", "/docs/"))
            .service(SwaggerUi::new("/docs/{_:.*}").config(SwaggerConfig::from("/openapi.json")))
            .default_service(web::to(refuse_unknown))
            // The last one is the outermost.
            .wrap(from_fn(admit_accepted))
            .wrap(from_fn(identify))
            .wrap(TracingLogger::<Spans>::new())
            .wrap(from_fn(wire))
    });
    let server = server
        .workers(workers)
        .client_request_timeout(Duration::from_secs(5))
        .keep_alive(Duration::from_secs(30))
        .shutdown_timeout(20)
        .client_disconnect_timeout(Duration::from_secs(5))
        .max_connections(most_connections().div_ceil(workers.max(1)))
        .on_connect(|connection, _| {
            if let Some(stream) = connection.downcast_ref::<TcpStream>() {
                end_with_deaf_peers(&SockRef::from(stream));
            }
        })
        .disable_signals()
        .listen(listener)?
        .run();
    Ok(server)
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn peers_that_take_nothing_are_ended_by_the_kernel() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = SockRef::from(&peer);
        end_with_deaf_peers(&socket);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNREAD));
    }
}
