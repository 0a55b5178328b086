//! What the environment says over the file: `DOORBUSTER_REDIS__PASSWORD` is `password` in `[redis]`.

use toml::{Table, Value};

/// What the names of such variables begin with.
const PREFIX: &str = "DOORBUSTER_";
/// What stands between a section and its field; a single underscore is part of a name.
const BETWEEN: &str = "__";

/// Puts the variables into the sections that they name; a text that is no value of TOML is taken as it is.
pub fn apply(file: &mut Table, variables: impl Iterator<Item = (String, String)>) -> Result<(), Vec<String>> {
    let mut errors = Vec::new();
    for (name, text) in variables {
        let Some((section, field)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once(BETWEEN)) else {
            continue;
        };
        let (section, field) = (section.to_ascii_lowercase(), field.to_ascii_lowercase());
        let entry = file.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
        match entry {
            Value::Table(fields) => drop(fields.insert(field, value(&text))),
            _ => errors.push(format!("{name}: {section} is a value in the file, not a section")),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(file: &str, variables: &[(&str, &str)]) -> Result<Table, Vec<String>> {
        let mut file: Table = file.parse().unwrap();
        let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        apply(&mut file, variables).map(|()| file)
    }

    #[test]
    fn a_variable_overrides_a_field_and_makes_a_section() {
        let file = applied(
            "[redis]\npassword = 'old'\nanswer_ms = 5",
            &[
                ("DOORBUSTER_REDIS__PASSWORD", "new word"),
                ("DOORBUSTER_REDIS__ANSWER_MS", "7"),
                ("DOORBUSTER_KAFKA__BOOTSTRAP", "['a:1', 'b:2']"),
                ("DOORBUSTER_KAFKA", "of somebody else"),
                ("PATH", "/bin"),
            ],
        );
        let expected = "[redis]\npassword = 'new word'\nanswer_ms = 7\n[kafka]\nbootstrap = ['a:1', 'b:2']";
        assert_eq!(file, Ok(expected.parse().unwrap()));
    }

    #[test]
    fn a_password_of_digits_in_quotes_stays_a_text() {
        let file = applied("", &[("DOORBUSTER_REDIS__PASSWORD", "'123'")]).unwrap();
        assert_eq!(file["redis"]["password"], Value::String("123".to_owned()));
    }

    #[test]
    fn a_variable_for_what_is_no_section_is_refused() {
        assert_eq!(applied("redis = 1", &[("DOORBUSTER_REDIS__PASSWORD", "x")]).unwrap_err().len(), 1);
    }
}
