//! What people, and other people's programs, are told outside of the service.

pub mod retry;
pub mod webhooks;

use utoipa_actix_web::service_config::ServiceConfig;

/// The operations on messages.
pub fn routes(config: &mut ServiceConfig) {
    webhooks::routes(config);
}
