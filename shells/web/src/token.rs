//! Bearer tokens: JSON Web Tokens (RFC 7519) signed with HS256 (RFC 7518 section 3.2).
//!
//! No library: the known ones bring public-key cryptography that this platform does not use, and read the clock.

use data_encoding::BASE64URL_NOPAD;
use doorbuster_core::ids::UserId;
use doorbuster_core::time::Wall;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Longest token that is looked at: ours have some 200 bytes, and hashing megabytes for a stranger is not free.
const TOKEN_BYTES_MAX: usize = 1024;

/// Verified tokens that are remembered; about 100 bytes each. A rush of more buyers costs them a verification each.
const REMEMBERED_MAX: usize = 1 << 15;

/// Bytes of a tag: HMAC-SHA256 is not cut.
const TAG_BYTES: usize = 32;

/// What the bearer of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Buys.
    Buyer,
    /// Creates and runs sales.
    Admin,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The token's subject.
    pub user: UserId,
    /// The token's role.
    pub role: Role,
}

#[derive(Deserialize)]
struct Header<'a> {
    alg: &'a str,
}

#[derive(Serialize, Deserialize)]
struct Claims<'a> {
    sub: &'a str,
    role: Role,
    exp: u64,
}

#[derive(Clone)]
struct Verified {
    token: Box<[u8]>,
    caller: Caller,
    expires_at_s: u64,
}

/// Issues and checks tokens under one key.
pub struct Tokens {
    key: Hmac<Sha256>,
    /// Direct-mapped by the signature's last characters: only a token that was verified gets in, so nobody without
    /// the key can choose its slots, and the exact bytes are compared at each use.
    remembered: Vec<Mutex<Option<Verified>>>,
    /// Who came last to each slot. Most buyers of a rush come once, so a token is kept at its second coming only, and
    /// a first one looks at this small table alone.
    seen: Vec<AtomicU32>,
}

/// The header that [`Tokens::issue`] writes, in base64: the same in every token of ours.
const OWN_HEADER: &[u8] = b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

impl Tokens {
    /// Under this secret.
    pub fn new(secret: &[u8]) -> Tokens {
        let key = Hmac::new_from_slice(secret).expect("HMAC takes keys of every length");
        Tokens {
            key,
            remembered: (0..REMEMBERED_MAX).map(|_| Mutex::default()).collect(),
            seen: (0..REMEMBERED_MAX).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// A token for this caller, valid until `expires_at`.
    pub fn issue(&self, caller: &Caller, expires_at: Wall) -> String {
        let claims = Claims { sub: caller.user.as_str(), role: caller.role, exp: expires_at.0 / 1000 };
        let claims = serde_json::to_vec(&claims).expect("claims are plain data");
        let header = BASE64URL_NOPAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
        let mut token = format!("{header}.{}", BASE64URL_NOPAD.encode(&claims));
        let tag = self.key.clone().chain_update(token.as_bytes()).finalize().into_bytes();
        token.push('.');
        token.push_str(&BASE64URL_NOPAD.encode(&tag));
        token
    }

    /// Who this token speaks for; `None` when it is forged, expired or malformed, which are not told apart.
    pub fn verify(&self, token: &[u8], now: Wall) -> Option<Caller> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let mixed = mix(token);
        let (index, mark) = ((mixed >> 32) as usize % REMEMBERED_MAX, mixed as u32);
        let (caller, expires_at_s) = if self.seen[index].load(Ordering::Relaxed) == mark {
            let lock = || self.remembered[index].lock().expect("no holder of this lock panics");
            let known = lock().as_ref().and_then(|known| known.of(token));
            match known {
                Some(known) => known,
                None => {
                    let (caller, expires_at_s) = self.check(token)?;
                    *lock() = Some(Verified { token: token.into(), caller: caller.clone(), expires_at_s });
                    (caller, expires_at_s)
                }
            }
        } else {
            let checked = self.check(token)?;
            self.seen[index].store(mark, Ordering::Relaxed);
            checked
        };
        (now.0 / 1000 < expires_at_s).then_some(caller)
    }

    fn check(&self, token: &[u8]) -> Option<(Caller, u64)> {
        let dot = token.iter().rposition(|byte| *byte == b'.')?;
        let (signed, tag) = (&token[..dot], &token[dot + 1..]);
        let mut buffer = [0; TOKEN_BYTES_MAX];
        let tag = decode(tag, &mut buffer)?;
        if tag.len() != TAG_BYTES {
            return None;
        }
        self.key.clone().chain_update(signed).verify_slice(tag).ok()?;
        let dot = signed.iter().position(|byte| *byte == b'.')?;
        if signed[..dot] != *OWN_HEADER && !is_hs256(&signed[..dot]) {
            return None;
        }
        let claims = decode(&signed[dot + 1..], &mut buffer)?;
        let claims: Claims = serde_json::from_slice(claims).ok()?;
        let user = UserId::parse(claims.sub).ok()?;
        Some((Caller { user, role: claims.role }, claims.exp))
    }
}

impl Verified {
    fn of(&self, token: &[u8]) -> Option<(Caller, u64)> {
        (*self.token == *token).then(|| (self.caller.clone(), self.expires_at_s))
    }
}

fn is_hs256(header: &[u8]) -> bool {
    let Ok(header) = BASE64URL_NOPAD.decode(header) else { return false };
    serde_json::from_slice::<Header>(&header).is_ok_and(|header| header.alg == "HS256")
}

/// Base64 without an allocation; the buffer is longer than every token that is looked at.
fn decode<'a>(text: &[u8], buffer: &'a mut [u8; TOKEN_BYTES_MAX]) -> Option<&'a [u8]> {
    let length = BASE64URL_NOPAD.decode_len(text.len()).ok()?;
    let written = BASE64URL_NOPAD.decode_mut(text, buffer.get_mut(..length)?).ok()?;
    Some(&buffer[..written])
}

/// The last characters of a signature are as good as random. The very last one carries 4 bits only.
fn mix(token: &[u8]) -> u64 {
    let tail = &token[token.len().saturating_sub(9)..];
    tail.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Caller {
        Caller { user: UserId::parse("ann").unwrap(), role: Role::Buyer }
    }

    #[test]
    fn a_token_speaks_for_its_bearer_until_it_expires() {
        let tokens = Tokens::new(b"secret");
        let token = tokens.issue(&ann(), Wall(10_000));
        for _ in 0..2 {
            assert_eq!(tokens.verify(token.as_bytes(), Wall(9_999)), Some(ann()));
            assert_eq!(tokens.verify(token.as_bytes(), Wall(10_000)), None, "expired, remembered or not");
        }
    }

    #[test]
    fn nothing_else_is_a_token() {
        let tokens = Tokens::new(b"secret");
        let token = tokens.issue(&ann(), Wall(10_000));
        assert!(Tokens::new(b"other").verify(token.as_bytes(), Wall(0)).is_none());
        let mut forged = token.clone().into_bytes();
        forged[40] ^= 1;
        assert!(tokens.verify(&forged, Wall(0)).is_none());
        for text in ["", ".", "..", "a.b.c", "ä", &"x".repeat(5000)] {
            assert!(tokens.verify(text.as_bytes(), Wall(0)).is_none(), "{text}");
        }
        let none = format!("{}.{}.", BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#), token.split('.').nth(1).unwrap());
        assert!(tokens.verify(none.as_bytes(), Wall(0)).is_none());
    }
}
