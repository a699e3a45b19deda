//! The people of the demo.

/// A person to sign in as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// What the provider calls them (`sub`).
    pub subject: &'static str,
    pub name: &'static str,
    pub email: &'static str,
    pub groups: &'static [&'static str],
}

/// All people of the demo.
pub const PEOPLE: [Person; 2] = [
    Person {
        subject: "alice",
        name: "Alice",
        email: "alice@example.com",
        groups: &["engineering", "admins"],
    },
    Person { subject: "bob", name: "Bob", email: "bob@example.com", groups: &["sales"] },
];

/// The person called `subject`.
pub fn find(subject: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.subject == subject)
}
