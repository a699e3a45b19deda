//! The stdio transport: one message on a line, answers on standard output, nothing else there.

use std::io;

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};

use super::DemoMcp;

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 1024 * 1024;

/// Serves until the input ends.
pub async fn serve(
    server: &DemoMcp,
    mut input: impl AsyncBufRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut input).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') && read as u64 == MAX_LINE {
            skip_line(&mut input).await?;
            line.truncate(1);
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if let Some(answer) = server.handle(&line) {
            let mut text = answer.to_string();
            text.push('\n');
            output.write_all(text.as_bytes()).await?;
            output.flush().await?;
        }
    }
}

/// Throws away the rest of a line that is too long; what is left of it is not JSON, and gets that
/// answer.
async fn skip_line(input: &mut (impl AsyncBufRead + Unpin)) -> io::Result<()> {
    loop {
        let buffered = input.fill_buf().await?;
        if buffered.is_empty() {
            return Ok(());
        }
        let end = buffered.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffered.len(), |at| at + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}
