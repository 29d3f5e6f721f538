//! What is explored. Each function runs one scene under many schedules and panics if one of them goes wrong.

pub mod budget;
pub mod inbox;
pub mod recent;
pub mod token;
