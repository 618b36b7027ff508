//! Bearer tokens: short-lived stand-ins for a token, so that a client need not send the token with each request.
//!
//! ```text
//! assay1.<expires, Unix seconds>.<SHA-256 of the token, hex; `-` for nobody>.<HMAC-SHA-256 over all before, hex>
//! ```
//!
//! The key is made when the server starts and is never stored: after a restart clients ask again. A bearer carries no
//! role; grants are looked up by the token's digest each time, so a revoked token is dead at once.
//! The protocol around it is the Docker registry token flow
//! <https://distribution.github.io/distribution/spec/auth/token/>.

use wire::digest::{Digest, hmac_sha256};
use wire::timestamp::Timestamp;

/// How long a bearer is good: long enough for a push of a large image, whose client asks again when it ends.
pub(crate) const LIFETIME_S: i64 = 900;

const PREFIX: &str = "assay1";

/// Makes and reads bearers.
pub(crate) struct BearerKey([u8; 32]);

/// Who a bearer stands for: a token by its digest, or nobody.
pub(crate) type Holder = Option<Digest>;

impl BearerKey {
    /// Takes 32 random bytes as the key.
    pub(crate) fn new(random: [u8; 32]) -> BearerKey {
        BearerKey(random)
    }

    /// Makes a bearer that ends `lifetime_s` from now.
    pub(crate) fn issue(&self, holder: &Holder, now: Timestamp, lifetime_s: i64) -> String {
        let expires = now.plus_s(lifetime_s).unix_s();
        let holder = holder.map_or_else(|| "-".to_owned(), |digest| digest.hex());
        let body = format!("{PREFIX}.{expires}.{holder}");
        let mac = self.mac(&body);
        format!("{body}.{mac}")
    }

    /// Reads a bearer; `None` unless it is ours, whole, and not yet ended.
    pub(crate) fn read(&self, text: &str, now: Timestamp) -> Option<Holder> {
        let (body, mac) = text.rsplit_once('.')?;
        if !equal(self.mac(body).as_bytes(), mac.as_bytes()) {
            return None;
        }
        let mut parts = body.split('.');
        let (PREFIX, expires, holder) = (parts.next()?, parts.next()?, parts.next()?) else { return None };
        if expires.parse::<i64>().ok()? <= now.unix_s() {
            return None;
        }
        match holder {
            "-" => Some(None),
            hex => Digest::from_parts("sha256", hex).ok().map(Some),
        }
    }

    fn mac(&self, body: &str) -> String {
        hmac_sha256(&self.0, body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Compares without telling by its duration where the first difference is.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_s(seconds).expect("in range")
    }

    #[test]
    fn a_bearer_reads_back_until_it_ends() {
        let key = BearerKey::new([7; 32]);
        for holder in [None, Some(Digest::of(b"token"))] {
            let bearer = key.issue(&holder, at(1000), LIFETIME_S);
            assert_eq!(key.read(&bearer, at(1000)), Some(holder));
            assert_eq!(key.read(&bearer, at(1000 + LIFETIME_S - 1)), Some(holder));
            assert_eq!(key.read(&bearer, at(1000 + LIFETIME_S)), None);
            assert_eq!(BearerKey::new([8; 32]).read(&bearer, at(1000)), None);
        }
    }

    #[test]
    fn any_other_byte_is_refused() {
        let key = BearerKey::new([7; 32]);
        let bearer = key.issue(&Some(Digest::of(b"token")), at(1000), LIFETIME_S);
        for index in 0..bearer.len() {
            let mut other = bearer.clone().into_bytes();
            other[index] ^= 1;
            let other = String::from_utf8_lossy(&other).into_owned();
            assert_eq!(key.read(&other, at(1000)), None, "byte {index}");
            assert_eq!(key.read(&bearer[..index], at(1000)), None, "cut at {index}");
        }
        for text in ["", ".", "...", "assay1", "assay1.9999999999.-."] {
            assert_eq!(key.read(text, at(1000)), None, "{text}");
        }
    }
}
