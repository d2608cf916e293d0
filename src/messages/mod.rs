//! What people, and other people's programs, are told outside of the service.

pub mod retry;
