use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{Finding, Tree};

/// A link that is no address: it leads to a path, to a heading, or to both.
struct Link {
    /// Counted from 1.
    line: usize,
    /// As written; empty when the link stays in its document.
    path: String,
    heading: Option<String>,
}

/// Every relative link and picture in a document leads to a file or directory of the repository, and to a heading
/// of it that is there.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in documents(tree) {
        for link in relative_links(text) {
            if let Some(message) = objection(tree, path, &link) {
                findings.push(Finding::new(path, link.line, message));
            }
        }
    }
    findings
}

/// Every relative link of every document, as the document and the path that it leads to.
pub fn targets(tree: &Tree) -> impl Iterator<Item = (String, String)> {
    documents(tree).flat_map(|(path, text)| {
        let to = |link: Link| Some((path.to_owned(), target_of(path, &link)?));
        relative_links(text).into_iter().filter_map(to)
    })
}

fn objection(tree: &Tree, document: &str, link: &Link) -> Option<String> {
    let target = target_of(document, link).filter(|target| tree.has_file(target) || tree.has_directory(target));
    let Some(target) = target else {
        return Some(format!("`{}` leads nowhere: mend the link, or add the file", link.path));
    };
    let heading = link.heading.as_ref().filter(|_| target.ends_with(".md"))?;
    if headings(tree.text(&target).unwrap_or_default()).contains(heading) {
        return None;
    }
    Some(format!("{target} has no heading `#{heading}`: mend the link, or add the heading"))
}

fn target_of(document: &str, link: &Link) -> Option<String> {
    if link.path.is_empty() {
        return Some(document.to_owned());
    }
    resolved(directory_of(document), &link.path)
}

/// `path` as seen from `directory`, without `.` and `..`; none when it leads out of the repository.
pub fn resolved(directory: &str, path: &str) -> Option<String> {
    let from_top = path.strip_prefix('/');
    let start = if from_top.is_some() { "" } else { directory };
    let mut parts: Vec<&str> = start.split('/').filter(|part| !part.is_empty()).collect();
    for part in from_top.unwrap_or(path).split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn documents(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.texts().filter(|(path, _)| path.ends_with(".md"))
}

fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn relative_links(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    for (event, place) in Parser::new_ext(text, Options::all()).into_offset_iter() {
        let line = text[..place.start].matches('\n').count() + 1;
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                links.push((line, dest_url.to_string()));
            }
            Event::Html(markup) | Event::InlineHtml(markup) => {
                links.extend(attributes(&markup).into_iter().map(|link| (line, link)));
            }
            _other_event => {}
        }
    }
    let is_address = |link: &str| link.contains("://") || link.starts_with("mailto:") || link.starts_with("//");
    let relative = links.into_iter().filter(|(_, link)| !is_address(link));
    relative.map(|(line, link)| parsed(line, &link)).collect()
}

fn parsed(line: usize, link: &str) -> Link {
    let (path, heading) = match link.split_once('#') {
        Some((path, heading)) => (path, Some(heading.to_owned())),
        None => (link, None),
    };
    Link { line, path: path.replace("%20", " "), heading: heading.filter(|heading| !heading.is_empty()) }
}

/// The headings of a document in the form that forges give them in addresses: lower case, a hyphen for each space,
/// no other punctuation, and a number behind one that repeats.
fn headings(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open: Option<String> = None;
    for event in Parser::new_ext(text, Options::all()) {
        match event {
            Event::Start(Tag::Heading { .. }) => open = Some(String::new()),
            Event::Text(words) | Event::Code(words) => {
                if let Some(heading) = open.as_mut() {
                    let kept = words.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
                    heading.extend(
                        kept.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }),
                    );
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let heading = open.take().unwrap_or_default();
                let before = found.iter().filter(|earlier| **earlier == heading).count();
                if before > 0 {
                    found.push(format!("{heading}-{before}"));
                }
                found.push(heading);
            }
            _other_event => {}
        }
    }
    found
}

/// The values of `src` and `href` in a piece of HTML: a picture with a width is often written so.
fn attributes(markup: &str) -> Vec<String> {
    let mut values = Vec::new();
    for name in ["src=\"", "href=\""] {
        let value = |(at, _): (usize, &str)| markup[at + name.len()..].split('"').next().map(str::to_owned);
        values.extend(markup.match_indices(name).filter_map(value));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings_of(text: &str) -> Vec<String> {
        let tree = Tree::of_texts(&[("docs/a.md", text), ("docs/decisions/0001.md", ""), ("README.md", "# Top\n")]);
        check(&tree).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found_with_its_line() {
        let findings = findings_of("# Title\n\nA [word](missing.md) and\n![a picture](gone.png)\n");
        assert_eq!(findings.len(), 2);
        assert!(findings[0].starts_with("docs/a.md:3: `missing.md`"), "{findings:?}");
        assert!(findings[1].starts_with("docs/a.md:4: `gone.png`"), "{findings:?}");
    }

    #[test]
    fn links_by_reference_by_html_and_out_of_the_repository_are_seen() {
        assert_eq!(findings_of("[a][r]\n\n[r]: gone.md\n").len(), 1);
        assert_eq!(findings_of("<img width=\"9\" src=\"gone.png\">\n").len(), 1);
        assert_eq!(findings_of("[out](../../elsewhere.md)\n").len(), 1);
    }

    #[test]
    fn a_heading_that_is_not_there_is_found() {
        assert_eq!(findings_of("[here](#nothing)\n").len(), 1);
        assert_eq!(findings_of("[there](../README.md#nothing)\n").len(), 1);
        let text = "[a](#how-it-works-in-a-year) [b](#how-it-works-in-a-year-1)\n\n## How it *works*, in `a` year\n\n\
                    ## How it works in a year\n";
        assert_eq!(findings_of(text), Vec::<String>::new());
    }

    #[test]
    fn links_that_lead_somewhere_are_left_alone() {
        let text = "[a](../README.md#top) [b](decisions) [c](decisions/0001.md) [e](https://a.example/b) [f](/README.md)\n\
                    `[code](gone.md)`\n";
        assert_eq!(findings_of(text), Vec::<String>::new());
    }
}
