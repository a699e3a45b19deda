//! The threats, by where they strike.
