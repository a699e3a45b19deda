//! A child whose standard streams are the two ends of a TCP connection: it joins them with the test
//! that listens on a port of the loopback. So a test that starts it as a stdio server writes and
//! reads every byte itself. Written without a runtime; a server that answers by itself is
//! [`super::Fixture`].

use std::{
    io::{self, Read, Write, stdin, stdout},
    net::{Ipv4Addr, Shutdown, TcpStream},
    thread,
};

/// Carries bytes both ways until one of the ends closes; then the process ends.
pub fn join(port: u16) -> io::Result<()> {
    let mut there = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let mut back = there.try_clone()?;
    thread::spawn(move || {
        // Whichever end closes, the child ends.
        let _ = carry(&mut back, &mut stdout().lock());
        std::process::exit(0);
    });
    carry(&mut stdin().lock(), &mut there)?;
    there.shutdown(Shutdown::Write)
}

/// Not `std::io::copy`: that has the kernel move the bytes, which locks the pipe for as long as
/// none come, and its other end hangs.
fn carry(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = [0; 8192];
    // bounded: ends with what it reads from.
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => {
                to.write_all(&buffer[..read])?;
                to.flush()?;
            }
        }
    }
}
