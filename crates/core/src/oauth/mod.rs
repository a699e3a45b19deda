//! The OAuth rules, one file each.
