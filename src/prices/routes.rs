use utoipa_actix_web::service_config::ServiceConfig;

use super::{admin, services};

/// The operations on prices.
pub fn routes(config: &mut ServiceConfig) {
    services::routes(config);
    admin::routes(config);
}
