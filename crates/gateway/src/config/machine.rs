//! What the configuration asks of the machine that it is read on. Which settings depend on it is
//! said in [`super::sandbox`].

use portunus_mcp::{
    child,
    sandbox::{Landlock, RunAs},
};

/// What the configuration asks of the machine that it is read on, so that tests need no particular
/// one.
pub trait Machine {
    /// The user of `user[:group]`; or what is wrong with it.
    fn user(&self, text: &str) -> Result<RunAs, String>;
    /// May this process start children as other users?
    fn may_change_user(&self) -> bool;
    fn is_root(&self) -> bool;
    fn landlock(&self) -> Landlock;
}

/// The machine that the program runs on.
#[derive(Clone, Copy, Debug)]
pub struct ThisMachine;

impl Machine for ThisMachine {
    fn user(&self, text: &str) -> Result<RunAs, String> {
        child::user(text)
    }

    fn may_change_user(&self) -> bool {
        child::may_change_user()
    }

    fn is_root(&self) -> bool {
        child::is_root()
    }

    fn landlock(&self) -> Landlock {
        child::landlock()
    }
}
