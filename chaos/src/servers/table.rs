use std::fmt;

/// Rows under headings, each column as wide as its widest word.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings and no rows.
    pub fn of(headings: &[&str]) -> Table {
        Table { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// Appends a row.
    pub fn add(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        // The last column is as long as what it has to say.
        let width_of = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(String::len).max();
        let widths: Vec<usize> = (0..columns.saturating_sub(1)).filter_map(width_of).chain([0]).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(formatter, "{}", cells.collect::<Vec<String>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::of(&["server", "pid", "ready in"]);
        table.add(vec!["elasticsearch".to_owned(), "12".to_owned(), "7.1 s".to_owned()]);
        table.add(vec!["spanner".to_owned(), "-".to_owned(), "-".to_owned()]);
        assert_eq!(
            table.to_string(),
            "server         pid  ready in\nelasticsearch  12   7.1 s\nspanner        -    -\n"
        );
    }
}
