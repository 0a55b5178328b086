use super::Version;
use super::number::c_float;
use crate::hosts::redis::Bytes;
use crate::hosts::redis::reply::Reply;

/// A command as a client sends it.
pub fn encode_request<W: AsRef<[u8]>>(words: &[W]) -> Bytes {
    let mut out = Vec::new();
    header(&mut out, b'*', words.len());
    for word in words {
        bulk(&mut out, b'$', word.as_ref());
    }
    out
}

/// Appends a reply as the server sends it.
pub fn encode_reply(out: &mut Bytes, reply: &Reply, version: Version) {
    let three = version == Version::Three;
    match reply {
        Reply::Status(text) => line(out, b'+', text.as_bytes()),
        Reply::Error(text) => line(out, b'-', text.as_bytes()),
        Reply::Integer(number) => line(out, b':', number.to_string().as_bytes()),
        Reply::Bulk(bytes) => bulk(out, b'$', bytes),
        Reply::Nil | Reply::NilArray if three => out.extend_from_slice(b"_\r\n"),
        Reply::Nil => out.extend_from_slice(b"$-1\r\n"),
        Reply::NilArray => out.extend_from_slice(b"*-1\r\n"),
        Reply::Array(items) => list(out, b'*', items, version),
        Reply::Push(items) => list(out, if three { b'>' } else { b'*' }, items, version),
        Reply::Map(pairs) if three => {
            header(out, b'%', pairs.len());
            each(out, pairs, version);
        }
        Reply::Map(pairs) => {
            header(out, b'*', pairs.len() * 2);
            each(out, pairs, version);
        }
        Reply::Pairs(pairs) if three => {
            header(out, b'%', pairs.len());
            each(out, pairs, version);
        }
        Reply::Pairs(pairs) => {
            header(out, b'*', pairs.len());
            for pair in pairs {
                header(out, b'*', 2);
                each(out, std::slice::from_ref(pair), version);
            }
        }
        Reply::Double(number) if three => line(out, b',', c_float(*number).as_bytes()),
        Reply::Double(number) => bulk(out, b'$', c_float(*number).as_bytes()),
        Reply::Text(text) if three => bulk(out, b'=', format!("txt:{text}").as_bytes()),
        Reply::Text(text) => bulk(out, b'$', text.as_bytes()),
    }
}

fn each(out: &mut Bytes, pairs: &[(Reply, Reply)], version: Version) {
    for (name, value) in pairs {
        encode_reply(out, name, version);
        encode_reply(out, value, version);
    }
}

fn list(out: &mut Bytes, kind: u8, items: &[Reply], version: Version) {
    header(out, kind, items.len());
    for item in items {
        encode_reply(out, item, version);
    }
}

fn header(out: &mut Bytes, kind: u8, length: usize) {
    line(out, kind, length.to_string().as_bytes());
}

fn bulk(out: &mut Bytes, kind: u8, bytes: &[u8]) {
    header(out, kind, bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// A line ends at the first line break, so one inside of it becomes a space, as on the server.
fn line(out: &mut Bytes, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend(text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
    out.extend_from_slice(b"\r\n");
}
