//! Figures of fault tests: what each test did, what it measured, and the bound that each
//! measurement keeps. A figure outside its bound fails its test. Where the variable
//! `PORTUNUS_FIGURES` names a file, a line of JSON is added to it, from which
//! `tests/faults/table.py` makes the table of `./test faults`; it fails when a row of the fault
//! list lacks one of the bounded figures that it needs.
//!
//! Durations are bounded by a [`Limit`], which a busy machine cannot break: a [`control`], work
//! that has nothing to do with the gateway and is done in the same test, says how busy the machine
//! is.

use std::{
    fmt::{self, Debug, Display},
    fs::OpenOptions,
    io::Write as _,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// One measurement may be so many times what the median may be: a moment in which the machine did
/// something else is no finding.
const OUTLIER: u32 = 4;

/// What one test measured for its row of the fault list.
pub struct Figures {
    row: &'static str,
    store: String,
    done: String,
    measured: Vec<Figure>,
}

struct Figure {
    name: String,
    value: String,
    /// The bound, and whether the value keeps it; `None` for what only says how much was tried.
    bound: Option<(String, bool)>,
}

/// How long [`control`] takes at most on an idle machine, a slow one too.
const IDLE_CONTROL: Duration = Duration::from_millis(60);

/// How long a fixed piece of work takes just now: a process is started, counts, and ends. To be
/// measured around what is to be bounded.
///
/// # Panics
/// If there is no shell.
pub fn control() -> Duration {
    let began = Instant::now();
    let done = Command::new("sh")
        .arg("-c")
        .arg("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
        .status();
    assert!(done.expect("there is a shell").success());
    began.elapsed()
}

/// How long something may take: a bound for an idle machine, times how much slower than that this
/// machine is just now.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    bound: Duration,
    factor: f64,
}

impl Limit {
    /// `controls` are durations of [`control`], of which the median says how busy the machine is. A
    /// machine is never taken for faster than the idle one.
    pub fn of(bound: Duration, controls: &[Duration]) -> Self {
        let factor = median(controls)
            .map_or(1.0, |median| median.as_secs_f64() / IDLE_CONTROL.as_secs_f64());
        Self { bound, factor: factor.max(1.0) }
    }

    /// The same with controls that are measured now, for what ended just now.
    pub fn now(bound: Duration) -> Self {
        Self::of(bound, &[control(), control(), control()])
    }

    pub fn duration(&self) -> Duration {
        self.bound.mul_f64(self.factor)
    }
}

impl Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2?} × {:.2}", self.bound, self.factor)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a figure and its bound are written where they are told"
)]
impl Figures {
    /// `row` is the fault's, as `F1`; `store` what the records were in; `done` what was done to it.
    pub fn of(row: &'static str, store: &str, done: &str) -> Self {
        Self { row, store: store.to_owned(), done: done.to_owned(), measured: Vec::new() }
    }

    /// Adds what says how much was tried, or under which circumstances. Nothing is asserted about
    /// it.
    #[must_use]
    pub fn and(self, name: &str, value: impl Display) -> Self {
        self.add(name, value.to_string(), None)
    }

    /// Adds a figure that must be exactly this.
    #[must_use]
    pub fn exactly<T: PartialEq + Display>(self, name: &str, value: T, expected: T) -> Self {
        let holds = value == expected;
        self.add(name, value.to_string(), Some((format!("= {expected}"), holds)))
    }

    /// Adds a figure that must be no larger than `bound`.
    #[must_use]
    pub fn at_most<T: PartialOrd + Display>(self, name: &str, value: T, bound: T) -> Self {
        let holds = value <= bound;
        self.add(name, value.to_string(), Some((format!("≤ {bound}"), holds)))
    }

    /// Adds a figure that must be no smaller than `bound`.
    #[must_use]
    pub fn at_least<T: PartialOrd + Display>(self, name: &str, value: T, bound: T) -> Self {
        let holds = value >= bound;
        self.add(name, value.to_string(), Some((format!("≥ {bound}"), holds)))
    }

    /// Adds durations: their median must be within `limit`, and none may be further outside than
    /// [`OUTLIER`] allows. There must be one.
    #[must_use]
    pub fn within(self, name: &str, durations: &[Duration], limit: Limit) -> Self {
        let (Some(median), Some(longest)) = (median(durations), durations.iter().max()) else {
            return self.add(
                name,
                "nothing was measured".to_owned(),
                Some((format!("≤ {limit}"), false)),
            );
        };
        let holds = median <= limit.duration() && *longest <= limit.duration() * OUTLIER;
        let value = match durations {
            [only] => format!("{only:.2?}"),
            _ => format!("{median:.2?} (median), {longest:.2?} (longest)"),
        };
        self.add(name, value, Some((format!("≤ {limit}"), holds)))
    }

    fn add(mut self, name: &str, value: String, bound: Option<(String, bool)>) -> Self {
        self.measured.push(Figure { name: name.to_owned(), value, bound });
        self
    }

    /// Writes them down.
    ///
    /// # Panics
    /// If one is outside its bound, none has a bound, or the file cannot be written.
    #[expect(clippy::print_stderr, reason = "the figures of this run")]
    pub fn report(self) {
        let line = self.line();
        eprintln!("figures: {line}");
        if let Some(file) = std::env::var_os("PORTUNUS_FIGURES") {
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(file)
                .expect("the file of figures can be opened");
            // One write: several test programs may add to it.
            file.write_all(format!("{line}\n").as_bytes())
                .expect("a line of figures can be written");
        }
        let broken = self.broken();
        assert!(broken.is_empty(), "{}, {}: {}", self.row, self.done, broken.join("; "));
    }

    fn line(&self) -> Value {
        let figure = |figure: &Figure| {
            let (bound, holds) = figure.bound.as_ref().map(|(bound, holds)| (bound, holds)).unzip();
            json!({"name": figure.name, "value": figure.value, "bound": bound, "holds": holds})
        };
        let figures: Vec<_> = self.measured.iter().map(figure).collect();
        json!({"row": self.row, "store": self.store, "done": self.done, "figures": figures})
    }

    fn broken(&self) -> Vec<String> {
        if self.measured.iter().all(|figure| figure.bound.is_none()) {
            return vec!["no figure has a bound".to_owned()];
        }
        let broken = |figure: &Figure| match &figure.bound {
            Some((bound, false)) => {
                Some(format!("{}: {} is not {bound}", figure.name, figure.value))
            }
            _ => None,
        };
        self.measured.iter().filter_map(broken).collect()
    }
}

/// The one in the middle.
pub fn median<T: Ord + Copy>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_figure_outside_its_bound_is_named() {
        let idle = || Limit::of(seconds(2), &[IDLE_CONTROL]);
        let figures =
            |add: &dyn Fn(Figures) -> Figures| add(Figures::of("F1", "-", "a test")).broken();
        let kept: [&dyn Fn(Figures) -> Figures; 5] = [
            &|it| it.exactly("lost", 0, 0).and("kills", 500),
            &|it| it.at_most("bytes", 30, 30),
            &|it| it.at_least("calls", 30, 30),
            &|it| it.within("ready", &[seconds(2)], idle()),
            // One moment of a busy machine; the median is what counts.
            &|it| it.within("ready", &[seconds(1), seconds(2), seconds(8)], idle()),
        ];
        for add in kept {
            assert_eq!(figures(add), [""; 0]);
        }
        let broken: [&dyn Fn(Figures) -> Figures; 7] = [
            &|it| it.exactly("lost", 1, 0),
            &|it| it.at_most("bytes", 31, 30),
            &|it| it.at_least("calls", 29, 30),
            &|it| it.within("ready", &[seconds(3)], idle()),
            &|it| it.within("ready", &[seconds(1), seconds(2), seconds(9)], idle()),
            &|it| it.within("ready", &[], idle()),
            &|it| it.and("kills", 500),
        ];
        for add in broken {
            assert_eq!(figures(add).len(), 1);
        }
    }

    #[test]
    fn a_limit_grows_with_what_the_control_took_and_never_shrinks() {
        let limit = |controls: &[Duration]| Limit::of(seconds(2), controls).duration();
        assert_eq!(limit(&[IDLE_CONTROL * 3, IDLE_CONTROL * 3, seconds(60)]), seconds(6));
        assert_eq!(limit(&[Duration::from_millis(1)]), seconds(2));
        assert_eq!(limit(&[]), seconds(2));
    }
}
