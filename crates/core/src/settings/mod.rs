//! How settings are declared: once, in the section whose struct the rest of the program uses. A
//! declaration ([`Setting`]) says the key, the type, the default, the help text, the variables and
//! whether a change takes a restart; a [`Form`] says how text becomes a value. Files are read, and
//! mistakes told with their lines, by the gateway's `config`.

mod declare;
mod forms;
mod macros;
pub mod quantity;

pub use self::{
    declare::{Form, Reader, Section, Setting, Settings, ValueType},
    forms::{
        Choice, Count, Custom, DurationForm, DurationOrOff, FLAG, Flag, OptionalChoice,
        OptionalDuration, SIZE, Seconds, Size, choice, count, custom, duration, seconds,
    },
};
