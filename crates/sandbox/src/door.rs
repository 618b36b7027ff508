//! The one way out of a sandbox's network: a listener on its loopback interface whose connections the caller answers.
//!
//! References: `unix(7)` (`SCM_RIGHTS`), `network_namespaces(7)`. A socket stays in the network that it was made in: init makes a
//! listener inside and hands it to the caller through a Unix socket of the file system. So a step reaches whatever the
//! caller says on that port, and nothing else; at [`crate::plan::Level::TraceOnly`] there is no network of its own, and no door.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::sys;

/// The port of the listener, on 127.0.0.1 inside.
pub const PORT: u16 = 3128;

/// The caller's end, before the sandbox runs.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// Makes the Unix socket at `path`, which must not exist and must be short (107 bytes). It is for
    /// [`crate::plan::Host::door`], and removed with the door.
    pub fn new(path: &Path) -> io::Result<Door> {
        Ok(Door { listener: UnixListener::bind(path)?, path: path.to_owned() })
    }

    /// Waits for a sandbox to hand out its listener; `None` after [`Door::close`]. A sandbox that is opened again at a weaker
    /// level hands out another.
    pub fn wait(&self) -> io::Result<Option<TcpListener>> {
        let (stream, _) = self.listener.accept()?;
        match sys::receive_descriptor(stream.as_fd()) {
            Ok(listener) => Ok(Some(TcpListener::from(listener))),
            Err(error) if error.raw_os_error() == Some(libc::EBADMSG) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends the waiting of whoever waits at the door at this path.
    pub fn close(path: &Path) {
        // Nobody waits any more if it cannot be reached.
        UnixStream::connect(path).map(drop).ok();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

/// Inside: hands a new listener to the caller. The stream was connected while the outer identity could reach the socket.
pub(crate) fn hand_out(stream: &UnixStream) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", PORT))?;
    sys::send_descriptor(stream.as_fd(), listener.as_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_hands_out_what_came_and_can_be_closed() {
        let path = std::env::temp_dir().join(format!("door-test-{}", std::process::id()));
        let door = Door::new(&path).expect("a socket");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let stream = UnixStream::connect(&path).expect("it listens");
        sys::send_descriptor(stream.as_fd(), listener.as_fd()).expect("it is sent");
        let received = door.wait().expect("it is received").expect("a listener");
        assert_eq!(received.local_addr().expect("an address"), address);
        Door::close(&path);
        assert!(door.wait().expect("it is closed").is_none());
        drop(door);
        assert!(!path.exists());
        Door::close(&path);
    }
}
