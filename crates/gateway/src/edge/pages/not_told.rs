//! The page for a no that must not be told to the application, because its address would open
//! something (threat 59).

use askama::Template;

use super::{
    assets,
    page::{Frame, Page},
    text::Label,
};

#[derive(Clone, Debug, Template)]
#[template(path = "not_told.html")]
pub struct NotToldPage {
    pub frame: Frame,
    pub client_name: Label,
}

impl Page for NotToldPage {
    const MAY_BE_POPUP: bool = true;
}
