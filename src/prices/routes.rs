use utoipa_actix_web::service_config::ServiceConfig;

use super::{admin, public_policies, services};

/// The operations on prices.
pub fn routes(config: &mut ServiceConfig) {
    services::routes(config);
    public_policies::routes(config);
    admin::routes(config);
}
