//! Members of an item in a list of `config.yaml`, read leniently: what is wrong with them is told
//! where they are checked.

use super::{
    document::Item,
    inputs::{Written, written},
};

/// A truth value.
pub(super) fn flag(item: &Item<'_>, name: &str) -> Option<bool> {
    item.find(name)?.scalar()?.trim().parse().ok()
}

/// The texts of a list, each with its place.
pub(super) fn texts(item: &Item<'_>, name: &str) -> Vec<Written> {
    let items = item.find(name).map(|list| list.items()).unwrap_or_default();
    items.into_iter().filter_map(|item| written(Some(item))).collect()
}
