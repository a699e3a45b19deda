//! What a session holds, and what one user may have of them.
