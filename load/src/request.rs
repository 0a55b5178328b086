//! The bytes of each request that a buyer sends.

use std::io::Write as _;
use std::net::SocketAddr;

use crate::history::Line;
use crate::token::{Role, Signer};

/// Builds requests for one platform; users are numbered and named after the run, so that two runs never share one.
#[derive(Clone)]
pub struct Requests {
    address: SocketAddr,
    signer: Signer,
    run: String,
}

impl Requests {
    /// Requests to `address` by the users of `run`.
    #[must_use]
    pub fn new(address: SocketAddr, signer: Signer, run: &str) -> Self {
        Self { address, signer, run: run.to_owned() }
    }

    /// Where the requests go.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name of a numbered user.
    #[must_use]
    pub fn user(&self, number: u32) -> String {
        format!("u-{}-{number}", self.run)
    }

    /// The same requests sent somewhere else: the base of a comparison gets exactly what the platform gets.
    #[must_use]
    pub fn to(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// Replaces `out` by a request for a reservation.
    pub fn reserve(&self, out: &mut Vec<u8>, sale: &str, user: &str, key: &str, lines: &[Line]) {
        self.begin(out, "POST", format_args!("/v1/sales/{sale}/reservations"), user);
        let mut body = Vec::with_capacity(40 + 40 * lines.len());
        body.extend_from_slice(br#"{"lines":["#);
        for (position, line) in lines.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            append(&mut body, format_args!(r#"{comma}{{"sku":"{}","quantity":{}}}"#, line.sku, line.quantity));
        }
        body.extend_from_slice(b"]}");
        append(
            out,
            format_args!(
                "Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            ),
        );
        out.extend_from_slice(&body);
    }

    /// Replaces `out` by a request that is not for a reservation; `header`, where given, is a name and its value.
    pub fn other(
        &self,
        out: &mut Vec<u8>,
        method: &str,
        path: &str,
        user: &str,
        header: Option<(&str, &str)>,
        body: &str,
    ) {
        self.begin(out, method, format_args!("{path}"), user);
        if let Some((name, value)) = header {
            append(out, format_args!("{name}: {value}\r\n"));
        }
        if body.is_empty() {
            // A POST without a body still states its length; some servers answer 411 otherwise.
            out.extend_from_slice(if method == "POST" { b"Content-Length: 0\r\n\r\n" } else { b"\r\n" });
        } else {
            append(out, format_args!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    }

    fn begin(&self, out: &mut Vec<u8>, method: &str, path: std::fmt::Arguments<'_>, user: &str) {
        out.clear();
        append(out, format_args!("{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer ", self.address));
        self.signer.append(out, user, Role::Buyer);
        out.extend_from_slice(b"\r\n");
    }
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_a_well_formed_request() {
        let requests = Requests::new("127.0.0.1:8080".parse().expect("an address"), Signer::new(b"key", 1), "r");
        let mut bytes = Vec::new();
        let lines = [Line { sku: "s-1".into(), quantity: 1 }, Line { sku: "s-2".into(), quantity: 2 }];
        requests.reserve(&mut bytes, "load-x", &requests.user(7), "k-7", &lines);
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(start) = request.parse(&bytes).expect("HTTP") else { panic!("a whole head") };
        assert_eq!((request.method, request.path), (Some("POST"), Some("/v1/sales/load-x/reservations")));
        let body: serde_json::Value = serde_json::from_slice(&bytes[start..]).expect("JSON");
        assert_eq!(body, serde_json::json!({"lines": [{"sku": "s-1", "quantity": 1}, {"sku": "s-2", "quantity": 2}]}));
        let length = headers.iter().find(|header| header.name == "Content-Length").expect("a length").value;
        assert_eq!(length, (bytes.len() - start).to_string().as_bytes());
    }
}
