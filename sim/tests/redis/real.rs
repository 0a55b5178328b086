use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use doorbuster_sim::hosts::redis::Reply;
use doorbuster_sim::hosts::redis::resp::{ReplyDecoder, encode_request};

/// Where Debian puts the server.
const SERVER: &str = "/usr/bin/redis-server";

/// Attempts to reach a server that was just started, a fiftieth of a second apart.
const ATTEMPTS_MAX: u32 = 500;

/// A real server of its own on a free port of the loopback interface; it ends with this value.
pub struct RealRedis {
    process: Child,
    stream: TcpStream,
    decoder: ReplyDecoder,
    _directory: tempfile::TempDir,
}

impl RealRedis {
    /// Starts a server, if there is one on this machine; else says which test does without.
    pub fn start(test: &str) -> Option<RealRedis> {
        if !Path::new(SERVER).exists() {
            eprintln!("SKIPPED {test}: there is no {SERVER} here");
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        #[allow(clippy::zombie_processes, reason = "the value that is given back waits for it when it goes")]
        let mut process = Command::new(SERVER)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        for _ in 0..ATTEMPTS_MAX {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                stream.set_nodelay(true).expect("a socket option");
                stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket option");
                let decoder = ReplyDecoder::default();
                return Some(RealRedis { process, stream, decoder, _directory: directory });
            }
            #[allow(clippy::disallowed_methods, reason = "a real process gets ready in real time")]
            std::thread::sleep(Duration::from_millis(20));
        }
        process.kill().and_then(|()| process.wait()).expect("the server can be ended");
        panic!("the server was started and cannot be reached");
    }

    /// Sends a command and waits for its answer.
    pub fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Reply {
        self.send(&encode_request(words));
        self.answer()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes bytes");
    }

    /// Waits for the next answer.
    pub fn answer(&mut self) -> Reply {
        let mut bytes = [0; 65536];
        loop {
            if let Some(reply) = self.decoder.decode().expect("the server speaks its protocol") {
                return reply;
            }
            let read = self.stream.read(&mut bytes).expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            self.decoder.push(&bytes[..read]);
        }
    }
}

impl Drop for RealRedis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
