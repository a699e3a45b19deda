//! Every page with hostile text in every field, and the headers around it.
