//! The macro that makes a section of a struct.

/// Declares a section: a struct whose fields are settings, with its defaults, its declaration and
/// its reading ([`Settings`](crate::settings::Settings)), each setting in one place.
///
/// A setting is `name: Type = "default", form, "help";`, and after the help text, with commas
/// between, what else there is to say: `variables(&["NAME"])`, `details("more for the
/// documentation")`, `needs_restart()`. The default is written as it would be in a file. What is
/// not read into a field of its own is declared with `key name: value type, "help";`. Fields that
/// are no settings stand first, in `given { … }`; such a struct has no `Default` but
/// `with_defaults`.
#[macro_export]
macro_rules! settings {
    (
        $(#[$attribute:meta])*
        $vis:vis struct $Struct:ident: $help:literal $(, one_of($one_of:expr))? {
            given { $($given:tt)* }
            $($settings:tt)*
        }
    ) => {
        $crate::settings! {
            @next
            { [$(#[$attribute])* $vis struct $Struct] [$help $(, $one_of)?] [$($given)*] }
            {}
            {}
            $($settings)*
        }
    };
    (
        $(#[$attribute:meta])*
        $vis:vis struct $Struct:ident: $help:literal $(, one_of($one_of:expr))? {
            $($settings:tt)*
        }
    ) => {
        $crate::settings! {
            @next
            { [$(#[$attribute])* $vis struct $Struct] [$help $(, $one_of)?] [] }
            {}
            {}
            $($settings)*
        }
    };
    (
        @next $head:tt { $($fields:tt)* } { $($all:tt)* }
        key $name:ident: $value_type:expr, $help:expr $(, $mark:ident($($argument:expr),*))*;
        $($rest:tt)*
    ) => {
        $crate::settings! {
            @next
            $head
            { $($fields)* }
            {
                $($all)*
                [$crate::settings::Setting::new(stringify!($name), $value_type, $help)
                    $(.$mark($($argument),*))*]
            }
            $($rest)*
        }
    };
    (
        @next $head:tt { $($fields:tt)* } { $($all:tt)* }
        $(#[$doc:meta])*
        $name:ident: $type:ty = $default:literal, $form:expr, $help:expr
            $(, $mark:ident($($argument:expr),*))*;
        $($rest:tt)*
    ) => {
        $crate::settings! {
            @next
            $head
            {
                $($fields)*
                {
                    [$(#[$doc])*] $name [$type] $default [$form]
                    [$crate::settings::Setting::new(stringify!($name), ($form).value_type(), $help)
                        .default($default)
                        $(.$mark($($argument),*))*]
                }
            }
            {
                $($all)*
                [$crate::settings::Setting::new(stringify!($name), ($form).value_type(), $help)
                    .default($default)
                    $(.$mark($($argument),*))*]
            }
            $($rest)*
        }
    };
    (
        @next
        {
            [$(#[$attribute:meta])* $vis:vis struct $Struct:ident]
            [$help:literal $(, $one_of:expr)?]
            [$($(#[$given_doc:meta])* $given:ident: $given_type:ty,)*]
        }
        { $({ [$(#[$doc:meta])*] $name:ident [$type:ty] $default:literal [$form:expr] [$own:expr] })* }
        { $([$setting:expr])* }
    ) => {
        $(#[$attribute])*
        $vis struct $Struct {
            $($(#[$given_doc])* pub $given: $given_type,)*
            $($(#[$doc])* pub $name: $type,)*
        }

        impl $Struct {
            /// Every setting at its default.
            $vis fn with_defaults($($given: $given_type),*) -> Self {
                Self {
                    $($given,)*
                    $($name: $crate::settings::Form::default_value(&$form, $default),)*
                }
            }
        }

        impl $crate::settings::Settings for $Struct {
            const SECTION: $crate::settings::Section =
                $crate::settings::Section::new($help, &[$($setting),*])$(.one_of($one_of))?;

            fn read(&mut self, reader: &mut impl $crate::settings::Reader) {
                $(
                    if let Some(value) = reader.read(&$own, &$form) {
                        self.$name = value;
                    }
                )*
            }

            fn differing(&self, other: &Self) -> Vec<&'static str> {
                let compared = [$((stringify!($name), self.$name == other.$name)),*];
                compared.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
            }
        }

        $crate::settings! { @default $Struct [$($given)*] }
    };
    (@default $Struct:ident []) => {
        impl Default for $Struct {
            fn default() -> Self {
                Self::with_defaults()
            }
        }
    };
    (@default $Struct:ident [$($given:ident)+]) => {};
}

#[cfg(test)]
mod tests {
    use crate::settings::{
        FLAG, Form, Reader, SIZE, Setting, Settings as _, ValueType, choice, count, duration,
        seconds,
    };

    settings! {
        #[derive(Debug, PartialEq)]
        struct Kettle: "A kettle" {
            given {
                label: &'static str,
            }

            /// In litres.
            volume: u32 = "2", count::<u32>().at_most(9), "How much fits in", needs_restart();
            key colour: ValueType::Text, "What it looks like", required();
            lid: bool = "true", FLAG, "Has it a lid?", variables(&["KETTLE_LID"]);
        }
    }

    /// Everything that is written, by its key.
    struct Written<'a>(&'a [(&'a str, &'a str)], Vec<String>);

    impl Reader for Written<'_> {
        fn read<F: Form>(&mut self, setting: &Setting, form: &F) -> Option<F::Value> {
            let (_, text) = self.0.iter().find(|(key, _)| *key == setting.name)?;
            form.parse(text).map_err(|expected| self.1.push(expected)).ok()
        }
    }

    #[test]
    fn a_section_is_its_declaration_its_defaults_and_its_reading() {
        let declared = Kettle::SECTION.settings.iter().map(|setting| {
            (setting.name, setting.description(), setting.required, setting.needs_restart)
        });
        let expected = [
            ("volume", "How much fits in. Default: 2".to_owned(), false, true),
            ("colour", "What it looks like".to_owned(), true, false),
            ("lid", "Has it a lid? Default: true".to_owned(), false, false),
        ];
        assert_eq!(declared.collect::<Vec<_>>(), expected);
        assert_eq!(Kettle::SECTION.find("lid").unwrap().variables, ["KETTLE_LID"]);

        let mut kettle = Kettle::with_defaults("blue");
        assert_eq!(kettle, Kettle { label: "blue", volume: 2, lid: true });
        let mut written = Written(&[("lid", "false"), ("volume", "10")], Vec::new());
        kettle.read(&mut written);
        assert_eq!(kettle, Kettle { label: "blue", volume: 2, lid: false }, "10 is too much");
        assert_eq!(written.1, ["a whole number from 1 to 9"]);
        assert_eq!(kettle.differing(&Kettle::with_defaults("blue")), ["lid"]);
    }

    #[test]
    fn forms() {
        let parsed = |outcome: Result<String, String>| outcome.unwrap_or_else(|expected| expected);
        let shown = |form: &dyn Fn(&str) -> Result<String, String>, text: &str| parsed(form(text));
        let day = |text: &str| duration("1s", "1d").parse(text).map(|it| format!("{it:?}"));
        assert_eq!(shown(&day, "1h"), "3600s");
        assert_eq!(shown(&day, "2d"), "from 1s to 1d");
        assert!(shown(&day, "5").contains("a number with its unit"));
        let off =
            |text: &str| duration("1s", "1d").or_off().parse(text).map(|it| format!("{it:?}"));
        assert_eq!(shown(&off, "off"), "None");
        assert_eq!(shown(&off, "1s"), "Some(1s)");
        assert!(shown(&off, "never").starts_with("`off`, or"));
        let timeout = |text: &str| seconds(60).parse(text).map(|it| format!("{it:?}"));
        assert_eq!(shown(&timeout, "2.5"), "2.5s");
        for bad in ["0", "-1", "61", "soon"] {
            assert_eq!(shown(&timeout, bad), "a number of seconds, more than 0 and at most 60");
        }
        let size = |text: &str| SIZE.at_least("1KiB", "why").parse(text).map(|it| it.to_string());
        assert_eq!(shown(&size, "2KiB"), "2048");
        assert_eq!(shown(&size, "1"), "1KiB at least: why");
        let words = choice(&["one", "two"], &[1, 2]);
        let word = |text: &str| words.parse(text).map(|it| it.to_string());
        assert_eq!(shown(&word, "two"), "2");
        assert_eq!(shown(&word, "TWO"), "one of `one`, `two`");
        assert_eq!(words.in_any_case().parse("TWO"), Ok(2));
        assert_eq!(words.optional().default_value("what comes"), None);
    }
}
