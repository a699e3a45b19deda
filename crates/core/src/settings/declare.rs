//! What a setting is declared with, and what a section of them can do. How text becomes a value is
//! next door, in [`super::forms`]; the macro that makes a section of a struct in [`super::macros`].

/// The type that a value has in a file.
#[derive(Clone, Copy, Debug)]
pub enum ValueType {
    Text,
    /// Text that is never printed.
    Secret,
    /// A secret that may refer to a person. It is left as it was written: its reader expands it.
    Personal,
    /// `true` or `false`.
    Flag,
    /// A number of seconds.
    Seconds,
    /// A whole number.
    Count,
    /// A number with a unit of time.
    Duration,
    /// The same, or `off`.
    DurationOrOff,
    /// A number of bytes, or a number with a unit.
    Size,
    /// A number of times in a time.
    Rate,
    /// The same, or `unlimited`.
    RateOrUnlimited,
    /// A number of bytes in a time.
    SizeRate,
    Choice(&'static [&'static str]),
    /// One of these words, or a section.
    WordOr(&'static [&'static str], &'static Section),
    List(&'static ValueType),
    /// A text, a number, `true` or `false`, or a list of these.
    Values,
    /// Keys that the writer of the file makes up.
    Map(&'static ValueType),
    Section(&'static Section),
}

/// A group of keys.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    pub help: &'static str,
    pub settings: &'static [Setting],
    /// Exactly one of these keys must be there.
    pub one_of: &'static [&'static str],
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub name: &'static str,
    pub value: ValueType,
    /// What it is for, for editors and for the documentation. `{default}` stands for the default;
    /// without it, the default comes last.
    pub help: &'static str,
    /// What the documentation says beside that, in Markdown.
    pub details: &'static str,
    /// As it would be written.
    pub default: Option<&'static str>,
    pub required: bool,
    /// Variables that set the same, and win over the file.
    pub variables: &'static [&'static str],
    /// A gateway that runs does not take a change over.
    pub needs_restart: bool,
}

/// How text becomes a value.
pub trait Form {
    type Value;

    /// The value; or what to write instead.
    fn parse(&self, text: &str) -> Result<Self::Value, String>;

    /// What is so without being written.
    #[expect(
        clippy::expect_used,
        reason = "a default that does not fit its own form fails every test that makes its section"
    )]
    fn default_value(&self, text: &str) -> Self::Value {
        self.parse(text).expect("a default that fits")
    }
}

/// A struct that is a section: its fields are the settings, `Default` their defaults.
pub trait Settings {
    const SECTION: Section;

    /// Takes over what is written.
    fn read(&mut self, reader: &mut impl Reader);

    /// Names of the settings that differ, in the order in which they are declared.
    fn differing(&self, other: &Self) -> Vec<&'static str>;
}

/// Finds what is written for a setting, and reports what is wrong with it.
pub trait Reader {
    /// The value; `None` if nothing is written, or nothing good.
    fn read<F: Form>(&mut self, setting: &Setting, form: &F) -> Option<F::Value>;
}

impl Section {
    pub const fn new(help: &'static str, settings: &'static [Setting]) -> Self {
        Self { help, settings, one_of: &[] }
    }

    /// Exactly one of these keys must be there.
    #[must_use]
    pub const fn one_of(mut self, names: &'static [&'static str]) -> Self {
        self.one_of = names;
        self
    }

    pub fn find(&self, name: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// The setting at a path such as `store.sqlite.path`.
    pub fn find_path(&self, path: &str) -> Option<&'static Setting> {
        match path.split_once('.') {
            None => self.find(path),
            Some((name, rest)) => match self.find(name)?.value {
                ValueType::Section(inner) => inner.find_path(rest),
                _ => None,
            },
        }
    }
}

impl Setting {
    pub const fn new(name: &'static str, value: ValueType, help: &'static str) -> Self {
        Self {
            name,
            value,
            help,
            details: "",
            default: None,
            required: false,
            variables: &[],
            needs_restart: false,
        }
    }

    #[must_use]
    pub const fn details(mut self, text: &'static str) -> Self {
        self.details = text;
        self
    }

    #[must_use]
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = Some(text);
        self
    }

    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    #[must_use]
    pub const fn variables(mut self, names: &'static [&'static str]) -> Self {
        self.variables = names;
        self
    }

    #[must_use]
    pub const fn needs_restart(mut self) -> Self {
        self.needs_restart = true;
        self
    }

    /// What it is for, and its default.
    pub fn description(&self) -> String {
        match self.default {
            Some(default) if self.help.contains("{default}") => {
                self.help.replace("{default}", default)
            }
            Some(default) if self.help.is_empty() => format!("Default: {default}"),
            Some(default) if self.help.ends_with('?') => {
                format!("{} Default: {default}", self.help)
            }
            Some(default) => format!("{}. Default: {default}", self.help),
            None => self.help.to_owned(),
        }
    }
}
