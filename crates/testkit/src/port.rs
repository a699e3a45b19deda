//! Ports of the loopback that stay a test's own while nothing listens on them: before a program
//! starts, and between its end and its next start.
//!
//! A port that was found by binding and closing again is free: the system may give it to another
//! test, or to a connection as its own end.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port that is bound and not listened on. A server that binds it with `SO_REUSEADDR` can listen;
/// the system gives it to no other socket.
#[derive(Debug)]
pub struct ReservedPort {
    _socket: TcpSocket,
    address: SocketAddr,
}

impl ReservedPort {
    /// Any free port of `127.0.0.1`.
    ///
    /// # Panics
    /// If there is none.
    pub fn any() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option of every socket");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port on loopback");
        let address = socket.local_addr().expect("the address that was bound");
        Self { _socket: socket, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_reserved_port_can_be_listened_on_again_and_again() {
        let reserved = ReservedPort::any();
        for _ in 0..3 {
            assert!(TcpStream::connect(reserved.address()).is_err(), "nothing listens");
            let listener = TcpListener::bind(reserved.address()).unwrap();
            TcpStream::connect(reserved.address()).unwrap();
            drop(listener);
        }
    }

    #[test]
    fn no_port_is_reserved_twice() {
        let reserved: Vec<_> = (0..500).map(|_| ReservedPort::any()).collect();
        let mut ports: Vec<_> = reserved.iter().map(ReservedPort::port).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 500);
    }
}
