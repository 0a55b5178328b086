//! What the index, its generations and its aliases are called.

use std::fmt;

/// Which build of the index: it is built anew by filling a higher one. A number is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// The first.
    pub const FIRST: Generation = Generation(1);

    /// The one after it.
    pub fn next(self) -> Generation {
        Generation(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The names that follow from the alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    reads: String,
    writes: String,
}

/// Characters of an alias: with a generation's number behind it, far below the 255 bytes of an index name.
pub const ALIAS_MAX: usize = 64;

impl Names {
    /// The names under this alias: small letters, digits and underscores after a letter. It has no hyphen, so the indices
    /// of one alias are never those of another.
    pub fn of(alias: &str) -> Option<Names> {
        let letter = alias.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
        let plain = alias.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let valid = letter && plain && alias.len() <= ALIAS_MAX;
        valid.then(|| Names { reads: alias.to_owned(), writes: format!("{alias}-write") })
    }

    /// What is searched.
    pub fn reads(&self) -> &str {
        &self.reads
    }

    /// What is written.
    pub fn writes(&self) -> &str {
        &self.writes
    }

    /// The index of a generation.
    pub fn index(&self, generation: Generation) -> String {
        format!("{}-{generation}", self.reads)
    }

    /// What all generations match.
    pub fn pattern(&self) -> String {
        format!("{}-*", self.reads)
    }

    /// Of which generation an index is; `None` where it is no generation of this alias.
    pub fn generation(&self, index: &str) -> Option<Generation> {
        let number = index.strip_prefix(&self.reads)?.strip_prefix('-')?.parse().ok()?;
        (self.index(Generation(number)) == index).then_some(Generation(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_read_from_its_index_and_from_no_other() {
        let names = Names::of("products").unwrap();
        assert_eq!(names.generation(&names.index(Generation(12))), Some(Generation(12)));
        for other in ["products", "products-", "products-write", "products-012", "products-+1", "goods-1"] {
            assert_eq!(names.generation(other), None, "{other}");
        }
    }

    #[test]
    fn an_alias_cannot_be_taken_for_an_index_of_another() {
        for refused in ["", "1st", "Products", "products-write", "a*", "a,b", "_all", &"a".repeat(65)] {
            assert_eq!(Names::of(refused), None, "{refused}");
        }
    }
}
