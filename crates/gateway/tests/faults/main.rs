//! Faults at the real program, started as an administrator would. It is killed, or what it keeps
//! its records in is ([`kills`]); there is no room for what it would write ([`full`]); many ask for
//! the same at once ([`refreshes`]). A [`fixture`] is a gateway under load: [`program`] is the
//! process and what is around it, [`client`] uses it, [`history`] is what clients were told, and
//! [`checker`] says what must not be in it. What faults do to parts of the application state is
//! tested with those parts; `docs/attacks.md` names all of it.
//!
//! `PORTUNUS_KILLS` says how often each harm is done, `PORTUNUS_SEED` makes chance repeat itself.
//! Figures are kept with the bounds that they must keep ([`portunus_testkit::figures`]), which a
//! busy machine cannot break.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it stands")]

mod chance;
mod checker;
mod client;
mod fixture;
mod full;
mod history;
mod kills;
mod program;
mod refreshes;
