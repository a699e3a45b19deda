//! How many requests one address may make (threat 25): [`limiter`] counts, and [`layer`] answers
//! what is too much.

pub mod layer;
pub mod limiter;
