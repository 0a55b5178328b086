use proc_macro2::{Delimiter, TokenTree};

use super::source::{Source, each_level, group_at, identifier_at, is_punctuation, line_of};
use super::{Finding, Tree};

/// A file holds one noun; past this length it holds two.
pub const FILE_LINES_MAX: usize = 500;
/// A function longer than one screen cannot be seen at once.
pub const FUNCTION_LINES_MAX: usize = 70;
/// The length that nine of ten functions keep to.
pub const FUNCTION_LINES_USUAL: usize = 35;

/// A function's body counts from the line of `fn` to the line of its closing brace.
struct Function {
    path: String,
    name: String,
    line: usize,
    lines: usize,
}

/// Files and functions that are too long, and a workspace whose functions are too long on the whole.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut functions = Vec::new();
    for source in tree.sources() {
        if source.lines > FILE_LINES_MAX {
            let message =
                format!("{} lines, at most {FILE_LINES_MAX}: move one noun into a file of its own", source.lines);
            findings.push(Finding::new(&source.path, FILE_LINES_MAX + 1, message));
        }
        functions.extend(functions_of(source));
    }
    for function in functions.iter().filter(|function| function.lines > FUNCTION_LINES_MAX) {
        let message = format!(
            "`{}` has {} lines, at most {FUNCTION_LINES_MAX}: keep the branches here and move the straight lines out",
            function.name, function.lines
        );
        findings.push(Finding::new(&function.path, function.line, message));
    }
    findings.extend(usual_length(functions));
    findings
}

fn usual_length(mut functions: Vec<Function>) -> Option<Finding> {
    functions.sort_by_key(|function| function.lines);
    // The nearest-rank percentile: the smallest length that at least nine of ten functions do not exceed.
    let rank = (functions.len() * 9).div_ceil(10).checked_sub(1)?;
    let at_rank = functions[rank].lines;
    if at_rank <= FUNCTION_LINES_USUAL {
        return None;
    }
    let above = functions.iter().filter(|function| function.lines > FUNCTION_LINES_USUAL).count();
    let longest = functions.last()?;
    let message = format!(
        "the 90th percentile of {} functions is {at_rank} lines, at most {FUNCTION_LINES_USUAL}: {above} are longer, \
         shorten `{}` first",
        functions.len(),
        longest.name
    );
    Some(Finding::new(&longest.path, longest.line, message))
}

fn functions_of(source: &Source) -> Vec<Function> {
    let mut functions = Vec::new();
    each_level(&source.tokens, &mut |level| {
        for (index, token) in level.iter().enumerate() {
            // A function pointer type, `fn(u64)`, has no name.
            let (Some("fn"), Some(name)) = (identifier_at(level, index).as_deref(), identifier_at(level, index + 1))
            else {
                continue;
            };
            let line = line_of(token);
            if let Some(last) = last_line(level, index + 2) {
                functions.push(Function { path: source.path.clone(), name, line, lines: last - line + 1 });
            }
        }
    });
    functions
}

/// The line of the closing brace, or none for a declaration without a body.
fn last_line(level: &[TokenTree], from: usize) -> Option<usize> {
    for index in from..level.len() {
        if is_punctuation(level, index, ';') {
            return None;
        }
        // A brace behind `<` is a constant argument of a type in the signature, not the body.
        if let Some(body) = group_at(level, index, Delimiter::Brace)
            && !is_punctuation(level, index - 1, '<')
        {
            return Some(body.span_close().end().line);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(lines: usize) -> String {
        let body = "    // A brace in a comment } does not count.\n".repeat(lines - 2);
        format!("fn long() {{\n{body}}}\n")
    }

    fn findings_of(text: &str) -> Vec<Finding> {
        check(&Tree::of_texts(&[("core/src/lib.rs", text)]))
    }

    #[test]
    fn a_file_may_have_500_lines_and_no_more() {
        assert!(findings_of(&"// a line\n".repeat(500)).is_empty());
        let findings = findings_of(&"// a line\n".repeat(501));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].to_string().starts_with("core/src/lib.rs:501: 501 lines"));
    }

    #[test]
    fn a_function_may_have_70_lines_and_no_more() {
        let short = "fn short() {}\n".repeat(20);
        assert!(findings_of(&format!("{short}{}", function_of(70))).is_empty());
        let findings = findings_of(&format!("{short}{}", function_of(71)));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, 21);
        assert!(findings[0].message.contains("`long` has 71 lines"));
    }

    #[test]
    fn nine_of_ten_functions_keep_to_35_lines() {
        let nine = "fn short() {}\n".repeat(9);
        assert!(findings_of(&format!("{nine}{}", function_of(36))).is_empty());
        let findings = findings_of(&format!("{nine}{}{}", function_of(36), function_of(37)));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.contains("90th percentile of 11 functions is 36 lines"));
    }

    #[test]
    fn braces_in_strings_characters_and_raw_strings_do_not_close_a_function() {
        let text = format!("fn tricky() {{\n let _ = (\"}}\", '}}', r#\"\"}}\"#);\n{}}}\n", "\n".repeat(70));
        let findings = findings_of(&text);
        assert!(findings.iter().any(|finding| finding.message.contains("`tricky` has 73 lines")));
    }

    #[test]
    fn functions_inside_impls_and_macros_are_seen_and_declarations_are_not() {
        let text = format!("trait T {{ fn declared(&self); }}\nproptest! {{ impl A {{ {} }} }}", function_of(80));
        let findings = findings_of(&text);
        assert_eq!(findings.len(), 2, "one for the function, one for the percentile: {findings:?}");
    }
}
