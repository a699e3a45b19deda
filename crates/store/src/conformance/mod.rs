//! The one suite every store has to pass.
