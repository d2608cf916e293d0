//! Codes that follow from a secret and the time (TOTP, RFC 6238), as authenticator apps make them: SHA-1, half minutes, six digits. They are a few lines over
//! the cryptography that is here anyway; a crate for them would bring another one.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use chrono::{DateTime, Utc};

/// Seconds for which a code is shown.
const STEP: i64 = 30;

/// Bytes of a secret, as many as its hash has (RFC 4226, 4).
pub(super) const SECRET: usize = 20;

/// The code of a step (RFC 4226, 5.3).
fn code(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let mac = hmac::sign(&key, &step.to_be_bytes());
    let bytes = mac.as_ref();
    let offset = bytes.last().map_or(0, |last| usize::from(last & 0xf));
    let four = bytes.iter().skip(offset).take(4).fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
    format!("{:06}", (four & 0x7fff_ffff) % 1_000_000)
}

/// The step whose code was typed: this one, or the one before or after it, because clocks differ and typing takes a while.
pub(super) fn step_of(secret: &[u8], typed: &str, now: DateTime<Utc>) -> Option<i64> {
    let current = now.timestamp().div_euclid(STEP);
    let fits = |step: &i64| verify_slices_are_equal(code(secret, *step).as_bytes(), typed.as_bytes()).is_ok();
    [current, current - 1, current + 1].into_iter().find(fits)
}

/// The bytes as apps want them typed (RFC 4648, 6), without what would fill the last group up.
pub(super) fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let letters = bytes.chunks(5).flat_map(|chunk| {
        let bits = chunk.iter().fold(0, |bits: u64, byte| bits << 8 | u64::from(*byte)) << (8 * (5 - chunk.len()));
        (0..(chunk.len() * 8).div_ceil(5)).map(move |n| char::from(LETTERS[(bits >> (35 - 5 * n) & 31) as usize]))
    });
    letters.collect()
}

/// The bytes of what [`base32`] wrote.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'2'..=b'7' => letter - b'2' + 26,
        _ => 0,
    };
    let whole = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0, |bits: u64, letter| bits << 5 | u64::from(value(*letter)));
        let bits = bits << (5 * (8 - chunk.len()));
        bits.to_be_bytes().into_iter().skip(3).take(chunk.len() * 5 / 8).collect::<Vec<u8>>()
    };
    text.as_bytes().chunks(8).flat_map(whole).collect()
}

/// The code that an app with this secret shows.
#[cfg(test)]
pub(super) fn shown(secret: &[u8], now: DateTime<Utc>) -> String {
    code(secret, now.timestamp().div_euclid(STEP))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    /// RFC 6238, appendix B, with six digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            assert_eq!(shown(SECRET, now), expected, "{seconds}");
            assert_eq!(step_of(SECRET, expected, now), Some(seconds / 30));
        }
    }

    #[test]
    fn a_code_is_good_a_step_early_and_a_step_late() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let code = shown(SECRET, at(3000));
        for (seconds, good) in [(2969, false), (2970, true), (3029, true), (3059, true), (3060, false)] {
            assert_eq!(step_of(SECRET, &code, at(seconds)).is_some(), good, "{seconds}");
        }
        assert_eq!(step_of(SECRET, "", at(3000)), None);
    }

    /// RFC 4648, 10.
    #[test]
    fn secrets_are_written_in_base32() {
        for (bytes, text) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB")]
        {
            assert_eq!((base32(bytes.as_bytes()).as_str(), super::bytes(text).as_slice()), (text, bytes.as_bytes()));
        }
        assert_eq!((base32(b"foobar").as_str(), bytes("MZXW6YTBOI").as_slice()), ("MZXW6YTBOI", &b"foobar"[..]));
    }
}
