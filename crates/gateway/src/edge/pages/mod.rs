//! The pages people see. One struct and one template (in `templates/`) each; [`respond`] makes an
//! answer of any of them, with the headers that keep it safe. Text that others chose is made fit to
//! show in [`text`]; endpoints live in `edge::oauth`.

pub mod assets;
pub mod connect;
pub mod consent;
pub mod demo_people;
pub mod error;
pub mod front_page;
pub mod not_admitted;
pub mod not_told;
pub mod page;
pub mod signin;
pub mod text;
pub mod when;

pub use connect::ConnectHelp;
pub use consent::{ConsentPage, ContinuePage, Destination, Origin, ScopeLine};
pub use demo_people::{DemoPeoplePage, DemoPerson};
pub use error::{BackLink, ErrorPage};
pub use front_page::{FrontPage, FrontPageGrant, FrontPageKey, FrontPageServer, FrontPageUser};
pub use not_admitted::NotAdmittedPage;
pub use not_told::NotToldPage;
pub use page::{Frame, Page, respond};
pub use signin::{ProviderChoice, SignInPage, SignedInPage, SignedOutPage};
pub use text::{Label, Sentence, UrlText};

#[cfg(test)]
mod tests;
