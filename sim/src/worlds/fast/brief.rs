//! What a reader of lines wants of a value: its debug form without the names that only wrap, and only its beginning.

use std::fmt::{self, Debug, Write};

/// Longest text of a line: a reader wants the beginning, and what differs shows there.
const BYTES_MAX: usize = 160;

/// Names that only wrap one value: the value says enough.
const WRAPPERS: [&str; 18] = [
    "CommitTime",
    "Delivered",
    "Epoch",
    "Event",
    "Hour",
    "Mono",
    "Nonce",
    "Offset",
    "Ok",
    "Partition",
    "Producer",
    "Seq",
    "ServerId",
    "Some",
    "StreamToken",
    "Ticket",
    "Version",
    "Wall",
];

/// The short form of a value.
pub fn brief(value: &impl Debug) -> String {
    let mut brief = Brief { text: String::with_capacity(BYTES_MAX + 8), word: String::new(), wraps: Vec::new() };
    if write!(brief, "{value:?}").is_err() {
        brief.text.push('…');
    } else {
        brief.end_word();
    }
    brief.text
}

/// Takes a debug form in, piece by piece, and refuses more than a line holds: the rest is never made.
struct Brief {
    text: String,
    word: String,
    /// Of every open parenthesis, whether it was left out.
    wraps: Vec<bool>,
}

impl Write for Brief {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        for letter in piece.chars() {
            self.take(letter);
        }
        if self.text.len() < BYTES_MAX { Ok(()) } else { Err(fmt::Error) }
    }
}

impl Brief {
    fn take(&mut self, letter: char) {
        if letter.is_alphanumeric() || letter == '_' {
            return self.word.push(letter);
        }
        if letter == '(' {
            let wraps = WRAPPERS.contains(&self.word.as_str());
            if wraps {
                self.word.clear()
            } else {
                self.end_word()
            }
            self.wraps.push(wraps);
            if wraps {
                return;
            }
        }
        self.end_word();
        match letter {
            ')' if self.wraps.pop() == Some(true) => {}
            // A space that follows a mark only takes room.
            ' ' if self.text.ends_with([' ', ',', ':', '{', '(', '[']) => {}
            letter => self.text.push(letter),
        }
    }

    fn end_word(&mut self) {
        match self.word.as_str() {
            "None" => self.text.push('-'),
            word => self.text.push_str(word),
        }
        self.word.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbuster_core::inbox::{Offset, Partition};
    use doorbuster_core::machine::Ticket;

    #[test]
    fn wrappers_and_room_are_left_out() {
        let value = (Some(Ticket(84)), Offset(9), None::<Partition>, "two words");
        assert_eq!(brief(&value), "(84,9,-,\"two words\")");
    }

    #[test]
    fn the_rest_of_a_long_value_is_never_made() {
        let text = brief(&vec![Ticket(7); 10_000]);
        assert!(text.ends_with('…') && text.len() < BYTES_MAX + 40, "{text}");
    }
}
