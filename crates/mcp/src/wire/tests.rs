//! The wire, row by row.
