//! Parts for a program that carries messages between transports without reading them, as
//! `portunus connect` does: lines of bounded length, events of a stream, what a request is about,
//! and the headers of tools' parameters. They are described where they live.

pub use crate::{
    header_params::{BadAnnotation, HeaderParam, encode, headers, of_tool},
    upstream::{Decoder, Line, Lines, ServerEvent, named},
};
