//! The rows of an import, from CSV (RFC 4180) or JSON lines of the same names.

use crate::problem::{Problem, Slug};
use doorbuster_core::database::rows::{Currency, ProductRow, SkuRow};
use doorbuster_core::ids::{ProductId, SaleId, SkuId, Version};
use doorbuster_core::limits::{IMPORT_ROWS_MAX, PRICE_MINOR_MAX, STOCK_MAX, TEXT_MAX};
use doorbuster_core::sale::command::NewSku;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The columns of CSV, in this order, and the fields of JSON lines.
pub const COLUMNS: [&str; 9] =
    ["product", "name", "category", "image_url", "sku", "sku_name", "price_minor", "currency", "stock"];

/// A whole import, checked.
#[derive(Debug, Default)]
pub struct Import {
    /// Products, each once.
    pub products: BTreeMap<ProductId, ProductRow>,
    /// SKUs, each once.
    pub skus: BTreeMap<SkuId, NewSku>,
    /// The line of each SKU, for those who must mend it.
    lines: BTreeMap<SkuId, u64>,
}

/// One row as text, at its line.
struct Row {
    line: u64,
    fields: [String; 9],
}

/// Where and why a row is refused; columns are named.
fn bad(line: u64, column: &'static str, what: impl Into<String>) -> Problem {
    Slug::BadRow
        .because(format!("line {line}, column {column}: {}", what.into()))
        .with("line", line)
        .with("column", column)
}

/// Reads CSV with its header.
pub fn from_csv(bytes: &[u8], currency: Currency) -> Result<Import, Problem> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header = reader.byte_headers().map_err(|error| bad(1, "header", error.to_string()))?;
    if !header.iter().eq(COLUMNS.iter().map(|name| name.as_bytes())) {
        return Err(bad(1, "header", format!("expected {}", COLUMNS.join(","))));
    }
    let mut import = Import::default();
    for record in reader.byte_records() {
        let record =
            record.map_err(|error| bad(error.position().map_or(0, csv::Position::line), "row", error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != COLUMNS.len() {
            let column = COLUMNS.get(record.len()).copied().unwrap_or("row");
            return Err(bad(line, column, format!("the row has {} fields, not {}", record.len(), COLUMNS.len())));
        }
        let mut fields: [String; 9] = Default::default();
        for (index, field) in record.iter().enumerate() {
            let text = std::str::from_utf8(field).map_err(|_| bad(line, COLUMNS[index], "not UTF-8"))?;
            fields[index] = text.to_owned();
        }
        import.take(Row { line, fields }, currency)?;
    }
    Ok(import)
}

/// Reads JSON lines; blank lines are passed over.
pub fn from_lines(bytes: &[u8], currency: Currency) -> Result<Import, Problem> {
    let mut import = Import::default();
    for (index, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = index as u64 + 1;
        if text.trim_ascii().is_empty() {
            continue;
        }
        let object: Map<String, Value> = serde_json::from_slice(text).map_err(|error| {
            let at = error.column();
            Slug::BadRow.because(format!("line {line}, column {at}: {error}")).with("line", line).with("column", at)
        })?;
        if let Some(unknown) = object.keys().find(|key| !COLUMNS.contains(&key.as_str())) {
            return Err(bad(line, "row", format!("the field {unknown:?} is not known")));
        }
        let mut fields: [String; 9] = Default::default();
        for (index, column) in COLUMNS.iter().enumerate() {
            fields[index] = match object.get(*column) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                    return Err(bad(line, column, "neither text nor a number"));
                }
                None => return Err(bad(line, column, "missing")),
            };
        }
        import.take(Row { line, fields }, currency)?;
    }
    Ok(import)
}

impl Import {
    /// The first row that speaks against what the sale has already; those rows are the only ones that only the sale
    /// can refuse.
    pub fn contradiction(&self, known: &BTreeMap<(SaleId, SkuId), SkuRow>) -> Option<Problem> {
        let of_row = |((_, sku), known): (&(SaleId, SkuId), &SkuRow)| {
            let (line, new) = (*self.lines.get(sku)?, self.skus.get(sku)?);
            let (column, has) = if new.product != known.product {
                (COLUMNS[0], known.product.to_string())
            } else if new.price_minor != known.price_minor {
                (COLUMNS[6], known.price_minor.to_string())
            } else {
                return None;
            };
            Some((line, bad(line, column, format!("{sku} is in the sale already, with {has}"))))
        };
        known.iter().filter_map(of_row).min_by_key(|(line, _)| *line).map(|(_, problem)| problem)
    }

    fn take(&mut self, row: Row, currency: Currency) -> Result<(), Problem> {
        if self.skus.len() >= IMPORT_ROWS_MAX {
            return Err(Slug::TooManyRows.into());
        }
        let product = row.product()?;
        let sku = row.sku(product.id, currency)?;
        if let Some(earlier) = self.products.get(&product.id)
            && *earlier != product
        {
            return Err(bad(
                row.line,
                "product",
                format!("{} stands above with another name, category or image", product.id),
            ));
        }
        if self.skus.contains_key(&sku.sku) {
            return Err(bad(row.line, "sku", format!("{} stands above already", sku.sku)));
        }
        self.products.insert(product.id, product);
        self.lines.insert(sku.sku, row.line);
        self.skus.insert(sku.sku, sku);
        Ok(())
    }
}

impl Row {
    fn text(&self, column: usize, required: bool) -> Result<&str, Problem> {
        let text = &self.fields[column];
        if (required && text.is_empty()) || text.len() > TEXT_MAX {
            let least = usize::from(required);
            return Err(bad(self.line, COLUMNS[column], format!("expected {least} to {TEXT_MAX} bytes")));
        }
        Ok(text)
    }

    fn number(&self, column: usize, most: u64) -> Result<u64, Problem> {
        let number = self.fields[column].parse().ok().filter(|number| *number <= most);
        number.ok_or_else(|| bad(self.line, COLUMNS[column], format!("expected a whole number from 0 to {most}")))
    }

    fn product(&self) -> Result<ProductRow, Problem> {
        let id = ProductId::parse(&self.fields[0]).map_err(|error| bad(self.line, COLUMNS[0], error.to_string()))?;
        Ok(ProductRow {
            id,
            name: self.text(1, true)?.to_owned(),
            category: self.text(2, false)?.to_owned(),
            image_url: self.text(3, false)?.to_owned(),
            version: Version(0),
        })
    }

    fn sku(&self, product: ProductId, currency: Currency) -> Result<NewSku, Problem> {
        let sku = SkuId::parse(&self.fields[4]).map_err(|error| bad(self.line, COLUMNS[4], error.to_string()))?;
        if Currency::parse(&self.fields[7]) != Some(currency) {
            return Err(bad(self.line, COLUMNS[7], format!("expected {}, the sale's currency", currency.as_str())));
        }
        Ok(NewSku {
            sku,
            product,
            name: self.text(5, true)?.to_owned(),
            price_minor: self.number(6, PRICE_MINOR_MAX)?,
            stock: self.number(8, STOCK_MAX)?,
        })
    }
}
