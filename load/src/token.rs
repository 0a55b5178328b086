//! Tokens of the development key: HS256 JSON Web Tokens (RFC 7519, RFC 7515).

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::error::LoadError;

/// What the bearer of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Buys.
    Buyer,
    /// Creates and runs sales.
    Admin,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Buyer => "buyer",
            Self::Admin => "admin",
        }
    }
}

/// Signs tokens; cheap enough to be asked anew for each request (well below a microsecond).
#[derive(Clone)]
pub struct Signer {
    keyed: Hmac<Sha256>,
    header: String,
    expires_at_s: u64,
}

impl Signer {
    /// Reads `DIR/dev.key`; the tokens are valid for `lifetime` from now.
    ///
    /// # Errors
    /// `SigningKey` when the file cannot be read or is empty.
    pub fn open(data: &Path, lifetime: Duration) -> Result<Self, LoadError> {
        let path = data.join("dev.key");
        let key = std::fs::read(&path).and_then(|key| {
            if key.is_empty() {
                Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is empty"))
            } else {
                Ok(key)
            }
        });
        let key = key.map_err(|source| LoadError::SigningKey { path, source })?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self::new(&key, (now + lifetime).as_secs()))
    }

    /// A signer over the raw bytes of a key; `expires_at_s` is in seconds since 1970.
    #[must_use]
    pub fn new(key: &[u8], expires_at_s: u64) -> Self {
        let keyed = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        Self { keyed, header: BASE64URL_NOPAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#), expires_at_s }
    }

    /// Appends a token of `user` to `out`.
    pub fn append(&self, out: &mut Vec<u8>, user: &str, role: Role) {
        let mut claims = Vec::with_capacity(96);
        write!(claims, r#"{{"sub":"{user}","role":"{}","exp":{}}}"#, role.name(), self.expires_at_s)
            .expect("a Vec takes every write");
        let start = out.len();
        out.extend_from_slice(self.header.as_bytes());
        out.push(b'.');
        append_base64(out, &claims);
        let mut keyed = self.keyed.clone();
        keyed.update(&out[start..]);
        out.push(b'.');
        append_base64(out, &keyed.finalize().into_bytes());
    }

    /// A token of `user` as text.
    #[must_use]
    pub fn token(&self, user: &str, role: Role) -> String {
        let mut out = Vec::new();
        self.append(&mut out, user, role);
        String::from_utf8(out).expect("a token is ASCII")
    }
}

fn append_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + BASE64URL_NOPAD.encode_len(bytes.len()), 0);
    BASE64URL_NOPAD.encode_mut(bytes, &mut out[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_verifies_under_its_key_and_names_its_bearer() {
        let token = Signer::new(b"a key", 4_102_444_800).token("u-1", Role::Admin);
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let mut mac = Hmac::<Sha256>::new_from_slice(b"a key").expect("any length");
        mac.update(signed.as_bytes());
        mac.verify_slice(&BASE64URL_NOPAD.decode(signature.as_bytes()).expect("base64url"))
            .expect("the signature holds");
        let claims =
            BASE64URL_NOPAD.decode(signed.split_once('.').expect("two parts").1.as_bytes()).expect("base64url");
        let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
        assert_eq!(claims, serde_json::json!({"sub": "u-1", "role": "admin", "exp": 4_102_444_800_u64}));
    }
}
