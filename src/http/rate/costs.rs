//! What an operation costs, in units of a look-up.

use actix_web::http::Method;

/// Reading what lies ready.
const LOOK_UP: u32 = 1;
/// A page for staff, from tables that grow with the service.
const LIST: u32 = 5;
/// A change.
const COMMAND: u32 = 5;
/// What computes diaries, makes an account, or sends a large answer.
const SEARCH: u32 = 10;
/// A file that is inspected and rewritten.
const UPLOAD: u32 = 20;
/// What takes as long as there are rows.
const HEAVY: u32 = 50;

/// The operations that cost another sum than [`cost`] says of all others.
const COSTS: [(&str, &str, u32); 41] = [
    ("GET", "/openapi.json", SEARCH),
    ("GET", "/v1/slots", SEARCH),
    ("POST", "/v1/slots/check", SEARCH),
    ("GET", "/v1/me/changes", LIST),
    ("GET", "/v1/me/export", HEAVY),
    ("GET", "/v1/therapists", SEARCH),
    ("GET", "/v1/therapists/me/readiness", SEARCH),
    ("GET", "/v1/admin/therapists/{id}/readiness", SEARCH),
    ("GET", "/v1/therapists/me/availability", SEARCH),
    ("GET", "/v1/therapists/me/bookings-outside-hours", SEARCH),
    ("GET", "/v1/therapists/me/day", LIST),
    ("POST", "/v1/therapists/me/schedule/copies", SEARCH),
    ("POST", "/v1/therapists/me/calendars", SEARCH),
    ("POST", "/v1/therapists/me/calendars/{id}/refresh", SEARCH),
    ("GET", "/v1/calendar-feeds/{token}", SEARCH),
    ("POST", "/v1/bookings/{id}/reschedule", SEARCH),
    ("GET", "/v1/webhook-endpoints/{id}/deliveries", LIST),
    ("POST", "/v1/webhook-endpoints/{id}/test", SEARCH),
    ("POST", "/v1/webhook-endpoints/{id}/recover", HEAVY),
    ("POST", "/v1/mail-events", SEARCH),
    ("GET", "/v1/me/recipients/{id}/suitability", SEARCH),
    ("POST", "/v1/me/recipients/{id}/screenings", SEARCH),
    ("POST", "/v1/admin/care-rule-sets/{id}/preview", SEARCH),
    ("POST", "/v1/auth/register", SEARCH),
    ("POST", "/v1/auth/password/forgot", SEARCH),
    ("POST", "/v1/auth/password/reset", SEARCH),
    ("POST", "/v1/auth/password/change", SEARCH),
    ("POST", "/v1/therapists/me/credentials/{id}/documents", UPLOAD),
    ("POST", "/v1/therapists/me/credential-submissions", UPLOAD),
    ("GET", "/v1/therapists/me/credentials/{id}/documents/{document_id}", SEARCH),
    ("GET", "/v1/admin/credentials/{id}/documents/{document_id}", SEARCH),
    ("POST", "/v1/care-invitations/{token}/screenings", SEARCH),
    ("GET", "/v1/care-invitations/{token}/visits", SEARCH),
    ("POST", "/v1/me/recipients/{id}/clearances/{clearance_id}/documents", UPLOAD),
    ("GET", "/v1/me/recipients/{id}/clearances/{clearance_id}/documents/{document_id}", SEARCH),
    ("GET", "/v1/admin/clearances/{id}/documents/{document_id}", SEARCH),
    ("GET", "/v1/admin/audit/verify", HEAVY),
    ("GET", "/v1/admin/bookings/{id}/candidates", SEARCH),
    ("POST", "/v1/admin/roster-imports", HEAVY),
    ("POST", "/v1/admin/roster-imports/{id}/apply", HEAVY),
    ("POST", "/v1/admin/roster-imports/{id}/roll-back", HEAVY),
];

/// What a request costs with `method` on the path whose pattern is `route`; `None` is a path that nothing answers.
pub fn cost(method: &Method, route: Option<&str>) -> u32 {
    let Some(route) = route else { return LOOK_UP };
    let listed = COSTS.iter().find(|(of, path, _)| *of == method.as_str() && *path == route);
    match listed {
        Some((_, _, cost)) => *cost,
        None if method != Method::GET => COMMAND,
        // Not one thing by its id, which is a look-up.
        None if route.starts_with("/v1/admin/") && !route.ends_with('}') => LIST,
        None => LOOK_UP,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_an_operation_that_there_is() {
        let document = crate::openapi::document(crate::doors::routes);
        for (method, path, _) in COSTS {
            let known = document["paths"][path][method.to_lowercase()].is_object();
            assert!(known || path == "/openapi.json", "{method} {path}");
        }
    }

    #[test]
    fn a_search_costs_more_than_a_look_up_and_a_command_too() {
        assert_eq!(cost(&Method::GET, Some("/v1/me")), LOOK_UP);
        assert_eq!(cost(&Method::GET, None), LOOK_UP);
        assert_eq!(cost(&Method::DELETE, None), LOOK_UP);
        assert_eq!(cost(&Method::POST, Some("/v1/bookings")), COMMAND);
        assert_eq!(cost(&Method::GET, Some("/v1/slots")), SEARCH);
        assert_eq!(cost(&Method::GET, Some("/v1/admin/tasks")), LIST);
        assert_eq!(cost(&Method::GET, Some("/v1/admin/tasks/{id}")), LOOK_UP);
        assert_eq!(cost(&Method::GET, Some("/v1/admin/audit/verify")), HEAVY);
    }

    #[test]
    fn every_operation_fits_into_every_burst() {
        let smallest = super::super::POLICIES.map(|rate| rate.burst).into_iter().min();
        assert!(COSTS.iter().map(|(_, _, cost)| Some(*cost)).all(|cost| cost <= smallest));
    }
}
