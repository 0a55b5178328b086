use std::cell::RefCell;

use doorbuster_sim::hosts::redis::resp::{ReplyDecoder, encode_request};
use doorbuster_sim::hosts::redis::{Crash, Mounted, RedisHost, Reply, SyncPolicy, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::client::{at, identity};

async fn ask(stream: &mut DuplexStream, words: &[&str]) -> Reply {
    stream.write_all(&encode_request(words)).await.expect("the server reads");
    let mut decoder = ReplyDecoder::default();
    let mut bytes = [0; 256];
    loop {
        let count = stream.read(&mut bytes).await.expect("the server writes");
        assert!(count > 0, "the server closed the connection");
        decoder.push(&bytes[..count]);
        if let Some(reply) = decoder.decode().expect("the server speaks the protocol") {
            return reply;
        }
    }
}

#[test]
fn a_mounted_server_answers_over_streams_and_closes_them_at_a_restart() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let server = RefCell::new(Mounted::new(RedisHost::new(identity(1), SyncPolicy::Always)));
    // Smaller than a command, so that frames come in pieces.
    let (mut one, first) = tokio::io::duplex(16);
    let (mut other, second) = tokio::io::duplex(16);
    let client = async {
        assert_eq!(ask(&mut one, &["SET", "a", "a value that is longer than the pipe"]).await, Reply::ok());
        let value = ask(&mut other, &["GET", "a"]).await;
        assert_eq!(value, Reply::bulk("a value that is longer than the pipe"));
        server.borrow_mut().host().restart(identity(2), Crash::HARD);
        server.borrow_mut().tick(at(1));
        assert_eq!(one.read(&mut [0]).await.expect("the end can be read"), 0);
        assert_eq!(other.read(&mut [0]).await.expect("the end can be read"), 0);
    };
    let both = async { tokio::join!(serve(&server, first, || at(0)), serve(&server, second, || at(0)), client) };
    runtime.block_on(both);
}
