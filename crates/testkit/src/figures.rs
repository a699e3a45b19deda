//! Figures of fault tests. Each test says what it did and what came of it; where the variable `PORTUNUS_FIGURES` names a file, a line of
//! JSON is added to it, from which `tests/faults/table.py` makes the table of `./test faults`.

use std::{fmt::Display, fs::OpenOptions, io::Write as _, time::Duration};

use serde_json::json;

/// What one test has to tell about its row of the fault list.
pub struct Figures {
    row: &'static str,
    store: String,
    done: String,
    measured: Vec<(String, String)>,
}

impl Figures {
    /// `row` is the fault's, as `F1`; `store` what the records were in; `done` what was done to it.
    pub fn of(row: &'static str, store: &str, done: &str) -> Self {
        Self { row, store: store.to_owned(), done: done.to_owned(), measured: Vec::new() }
    }

    /// Adds a figure. They are shown in this order.
    #[must_use]
    pub fn and(mut self, name: &str, value: impl Display) -> Self {
        self.measured.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds the median and the longest of some durations.
    #[must_use]
    pub fn and_spread(self, name: &str, durations: &[Duration]) -> Self {
        let mut sorted = durations.to_vec();
        sorted.sort_unstable();
        let Some(longest) = sorted.last() else { return self };
        if sorted.len() == 1 {
            return self.and(name, format!("{longest:.2?}"));
        }
        let median = sorted[sorted.len() / 2];
        self.and(name, format!("{median:.2?} (median), {longest:.2?} (longest)"))
    }

    /// Writes them down.
    ///
    /// # Panics
    /// If the file cannot be written.
    #[expect(clippy::print_stderr, reason = "the figures of this run")]
    pub fn report(self) {
        let line = json!({"row": self.row, "store": self.store, "done": self.done, "figures": self.measured});
        eprintln!("figures: {line}");
        let Some(file) = std::env::var_os("PORTUNUS_FIGURES") else { return };
        let mut file = OpenOptions::new().create(true).append(true).open(file).expect("the file of figures can be opened");
        // One write: several test programs may add to it.
        file.write_all(format!("{line}\n").as_bytes()).expect("a line of figures can be written");
    }
}
