use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::source::{Source, each_level, group_at, identifier_at, is_punctuation, line_of};
use super::{Finding, Tree};

/// Macros that mark code as unfinished.
const MACROS: &[(&str, &str)] = &[
    ("todo", "finish it, or return an error that says what is missing"),
    ("unimplemented", "finish it, or return an error that says what is missing"),
    ("dbg", "remove it, or trace it with a message"),
];

/// Words that no text may hold as a whole word. They are written in pieces here because this file is held to the rule.
const WORDS: &[(&str, &str)] = &[
    (concat!("FIX", "ME"), "mend it now, or describe it under the limits in the docs"),
    (concat!("XX", "X"), "say in a sentence what is doubtful, or mend it"),
];

/// Beginnings of paths that exist on one machine only.
const PLACES: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// The word before a number that cites a document which no reader of the repository has.
const CITED: &str = concat!("des", "ign");

/// Unfinished code, tests that are switched off, banned words, and text that speaks of one workplace.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = tree.sources().iter().flat_map(in_code).collect();
    for (path, text) in tree.texts().filter(|(path, _)| *path != "Cargo.lock") {
        for (index, line) in text.lines().enumerate() {
            let found = |message| Finding::new(path, index + 1, message);
            findings.extend(in_line(line).into_iter().map(found));
        }
    }
    findings
}

fn in_code(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    each_level(&source.tokens, &mut |level| {
        for (index, token) in level.iter().enumerate() {
            if let Some(message) = unfinished(level, index).or_else(|| switched_off(level, index)) {
                findings.push(Finding::new(&source.path, line_of(token), message));
            }
        }
    });
    findings
}

fn unfinished(level: &[TokenTree], index: usize) -> Option<String> {
    let name = identifier_at(level, index)?;
    let (_, advice) = MACROS.iter().find(|(banned, _)| *banned == name)?;
    // `todo != 1` is a comparison; a macro call has its arguments right behind the sign.
    let called = is_punctuation(level, index + 1, '!') && matches!(level.get(index + 2), Some(TokenTree::Group(_)));
    called.then(|| format!("`{name}!` is banned: {advice}"))
}

fn switched_off(level: &[TokenTree], index: usize) -> Option<String> {
    let attribute = group_at(level, index + 1, Delimiter::Bracket).filter(|_| is_punctuation(level, index, '#'))?;
    let words: Vec<TokenTree> = attribute.stream().into_iter().collect();
    let first = identifier_at(&words, 0)?;
    let conditional = group_at(&words, 1, Delimiter::Parenthesis).filter(|_| first == "cfg_attr");
    if first == "ignore" || conditional.is_some_and(|inner| mentions_ignore(inner.stream())) {
        return Some("a test that is switched off proves nothing: let it run, or remove it".to_owned());
    }
    None
}

fn mentions_ignore(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| matches!(&token, TokenTree::Ident(identifier) if identifier == "ignore"))
}

fn in_line(line: &str) -> Vec<String> {
    let mut messages = Vec::new();
    for (word, advice) in WORDS {
        if whole_words(line, word).next().is_some() {
            messages.push(format!("the word {word} is banned: {advice}"));
        }
    }
    for place in PLACES {
        if begins_path(line, place) {
            messages.push(format!("{place} is a path of one machine: make it relative, or a setting"));
        }
    }
    let cites =
        |rest: &str| rest.strip_prefix(' ').is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
    if whole_words(line, CITED).any(cites) {
        messages.push(format!("`{CITED} <number>` cites a document that is not here: state the reason itself"));
    }
    messages
}

/// What follows each occurrence of `word` that is not part of a longer word.
fn whole_words<'line>(line: &'line str, word: &'line str) -> impl Iterator<Item = &'line str> {
    line.match_indices(word).filter_map(move |(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        (!before.ends_with(is_of_word) && !after.starts_with(is_of_word)).then_some(after)
    })
}

fn begins_path(line: &str, place: &str) -> bool {
    // `shells/work/` or `./home/` go on from something else and are no absolute paths.
    let goes_on = |before: &str| before.ends_with(|last: char| is_of_word(last) || ".-})".contains(last));
    line.match_indices(place).any(|(at, _)| !goes_on(&line[..at]))
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings_of(path: &str, text: &str) -> Vec<Finding> {
        check(&Tree::of_texts(&[(path, text)]))
    }

    #[test]
    fn unfinished_code_is_found() {
        for call in ["todo!()", "unimplemented!(\"later\")", "dbg!(x)", "dbg![x]"] {
            let findings = findings_of("sim/src/lib.rs", &format!("fn f() {{\n    {call}\n}}"));
            assert_eq!(findings.len(), 1, "{call}");
            assert_eq!(findings[0].line, 2);
        }
    }

    #[test]
    fn tests_that_are_switched_off_are_found() {
        for attribute in ["#[ignore]", "#[ignore = \"slow\"]", "#[cfg_attr(miri, ignore)]"] {
            let findings = findings_of("sim/src/lib.rs", &format!("#[test]\n{attribute}\nfn f() {{}}"));
            assert_eq!(findings.len(), 1, "{attribute}");
            assert_eq!(findings[0].line, 2);
        }
    }

    #[test]
    fn code_that_only_looks_like_it_is_left_alone() {
        let text = "// todo!() in words\n#[derive(Debug)] fn f() { let _ = todo != (1) && ignore(\"dbg!(x)\"); }";
        assert!(findings_of("sim/src/lib.rs", text).is_empty());
    }

    #[test]
    fn banned_words_are_found_in_every_text() {
        for (path, mark) in [("lua/a.lua", "--"), ("docs/a.md", ">"), ("core/src/a.rs", "//")] {
            for (word, _) in WORDS {
                assert_eq!(findings_of(path, &format!("{mark} {word}: later\n")).len(), 1, "{word} in {path}");
                assert!(findings_of(path, &format!("{mark} A{word}B\n")).is_empty());
            }
        }
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for place in PLACES {
            assert_eq!(findings_of("docs/a.md", &format!("see `{place}shop`\n")).len(), 1, "{place}");
            assert!(findings_of("docs/a.md", &format!("see shells{place}shop\n")).is_empty());
        }
    }

    #[test]
    fn a_document_that_nobody_has_is_not_cited() {
        assert_eq!(findings_of("core/src/a.rs", &format!("// see {CITED} 4")).len(), 1);
        assert!(findings_of("core/src/a.rs", &format!("// by {CITED}, 4 of them")).is_empty());
    }
}
