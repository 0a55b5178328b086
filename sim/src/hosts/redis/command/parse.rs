use crate::hosts::redis::Bytes;
use crate::hosts::redis::reply::{Reply, texts};
use crate::hosts::redis::store::{ScoreBound, StreamId};

/// A whole number as the server reads it: no plus, no leading zeros, no spaces.
///
/// # Errors
/// It is none.
pub fn integer(word: &[u8]) -> Result<i64, Reply> {
    let wrong = || Reply::error(texts::NOT_AN_INTEGER);
    let text = std::str::from_utf8(word).map_err(|_| wrong())?;
    let number: i64 = text.parse().map_err(|_| wrong())?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits == "0" && text == "0" || !digits.starts_with('0') && !text.starts_with('+');
    plain.then_some(number).ok_or_else(wrong)
}

/// A floating-point number other than NaN.
///
/// # Errors
/// It is none.
pub fn float(word: &[u8], otherwise: &str) -> Result<f64, Reply> {
    let text = std::str::from_utf8(word).unwrap_or_default();
    text.parse().ok().filter(|number: &f64| !number.is_nan()).ok_or_else(|| Reply::error(otherwise))
}

/// One end of a range of scores: `(` in front leaves the end itself out.
///
/// # Errors
/// It is no number.
pub fn score_bound(word: &[u8]) -> Result<ScoreBound, Reply> {
    let (exclusive, number) = match word.strip_prefix(b"(") {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    Ok(ScoreBound { score: float(number, "ERR min or max is not a float")?, exclusive })
}

/// A stream's id; `sequence` stands in where only the first part is given.
///
/// # Errors
/// It is none.
pub fn stream_id(word: &[u8], sequence: u64) -> Result<StreamId, Reply> {
    let wrong = || Reply::error(texts::BAD_STREAM_ID);
    let text = std::str::from_utf8(word).map_err(|_| wrong())?;
    let (ms, rest) = match text.split_once('-') {
        Some((ms, rest)) => (ms, Some(rest)),
        None => (text, None),
    };
    let sequence = rest.map_or(Some(sequence), digits).ok_or_else(wrong)?;
    Ok(StreamId { ms: digits(ms).ok_or_else(wrong)?, sequence })
}

/// A number without sign.
pub fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// The lower end of a range of ids: `-`, `(id` or `id`.
///
/// # Errors
/// It is none, or nothing lies above it.
pub fn range_start(word: &[u8]) -> Result<StreamId, Reply> {
    match word {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => match word.strip_prefix(b"(") {
            Some(rest) => {
                stream_id(rest, 0)?.next().ok_or_else(|| Reply::error("ERR invalid start ID for the interval"))
            }
            None => stream_id(word, 0),
        },
    }
}

/// The upper end of a range of ids: `+`, `(id` or `id`.
///
/// # Errors
/// It is none, or nothing lies below it.
pub fn range_end(word: &[u8]) -> Result<StreamId, Reply> {
    match word {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => match word.strip_prefix(b"(") {
            Some(rest) => {
                let id = stream_id(rest, u64::MAX)?;
                id.previous().ok_or_else(|| Reply::error("ERR invalid end ID for the interval"))
            }
            None => stream_id(word, u64::MAX),
        },
    }
}

/// Whether `word` is `name`, in whatever case.
pub fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

/// The words of an option that the host does not know: a panic, as for an unknown command.
pub fn unknown_option(words: &[Bytes], option: &[u8]) -> ! {
    let command = String::from_utf8_lossy(&words[0]);
    panic!("the simulated Redis knows no option {} of {command}", String::from_utf8_lossy(option));
}
