//! Sends a person to the sign-in: says the address on standard error, and opens a browser with the
//! programs that systems have for it.

use std::{
    io::{self, Write as _},
    process::{Command, Stdio},
    sync::Arc,
};

use url::Url;

/// Where a person is to go.
pub struct SignInAddress<'a> {
    /// The authorization request. It is for the eyes of this person alone.
    pub url: &'a Url,
    /// An address on this machine that leads there, once: what is typed to open a browser can be
    /// seen by other users of the machine.
    pub local: &'a str,
    /// The person may paste the address at which the browser ends.
    pub may_paste: bool,
}

/// Sends a person there.
pub type Opener = Arc<dyn Fn(&SignInAddress<'_>) + Send + Sync>;

/// The one for people; `opens`: with a browser.
pub fn for_people(opens: bool) -> Opener {
    Arc::new(move |address: &SignInAddress<'_>| {
        let first = if opens && open(address.local) {
            "A browser opens for you to sign in. If none does, open"
        } else {
            "To sign in, open"
        };
        let last = if address.may_paste {
            "If that browser is on another machine: paste the address at which it ends here.\n"
        } else {
            ""
        };
        let _ = write!(io::stderr(), "{first}:\n{}\n{last}", address.url);
    })
}

#[cfg(target_os = "macos")]
const OPENERS: [&str; 1] = ["open"];
#[cfg(not(target_os = "macos"))]
const OPENERS: [&str; 2] = ["xdg-open", "wslview"];

/// `false`: no program for it could be started.
fn open(url: &str) -> bool {
    OPENERS.iter().any(|program| {
        let started = Command::new(program)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = started else { return false };
        // Some stay as long as the browser does.
        std::thread::spawn(move || child.wait());
        true
    })
}
