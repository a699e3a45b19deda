//! Tests of the configuration, one file for each part of what the old systems promise.
