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
