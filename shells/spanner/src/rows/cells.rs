//! One row's cells, read from left to right.

use crate::value::{micros_of, named, wall_of};
use doorbuster_core::ids::{OrderId, ReservationId, ShardId};
use doorbuster_core::time::Wall;
use google_cloud_spanner::transaction::Timestamp;
use google_cloud_spanner::types::{self, Type};
use google_cloud_spanner::value::{FromValue, Value};
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// A row that this program did not write so: another program's, or a person's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row of {table} cannot be read: its column {column} is {problem}")]
pub struct Misread {
    /// Where.
    pub table: &'static str,
    /// Which column, counted from 1.
    pub column: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// The cells of one row that are not read yet.
pub struct Cells<'a> {
    table: &'static str,
    cells: &'a [Value],
    read: usize,
}

impl<'a> Cells<'a> {
    /// All cells of a row of this table.
    pub fn of(table: &'static str, cells: &'a [Value]) -> Cells<'a> {
        Cells { table, cells, read: 0 }
    }

    /// Whether all of them are read.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.read == self.cells.len()
    }

    /// A text.
    pub fn text(&mut self) -> Result<String, Misread> {
        self.value(types::string())
    }

    /// A text that may be absent.
    pub fn text_or_null(&mut self) -> Result<Option<String>, Misread> {
        self.value(types::string())
    }

    /// A name, an id or a code.
    pub fn parsed<T: FromStr>(&mut self) -> Result<T, Misread> {
        let text = self.text()?;
        text.parse().map_err(|_| self.misread(format!("{text:?}, which is not a name of its kind")))
    }

    /// What serde calls by this name.
    pub fn named<T: DeserializeOwned>(&mut self) -> Result<T, Misread> {
        let text = self.text()?;
        named(text.clone()).ok_or_else(|| self.misread(format!("{text:?}, which nobody knows")))
    }

    /// The same, where it may be absent.
    pub fn named_or_null<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Misread> {
        let Some(text) = self.text_or_null()? else { return Ok(None) };
        named(text.clone()).map(Some).ok_or_else(|| self.misread(format!("{text:?}, which nobody knows")))
    }

    /// A number.
    pub fn number(&mut self) -> Result<u64, Misread> {
        Ok(self.value::<i64>(types::int64())?.cast_unsigned())
    }

    /// A number that may be absent.
    pub fn number_or_null(&mut self) -> Result<Option<u64>, Misread> {
        Ok(self.value::<Option<i64>>(types::int64())?.map(i64::cast_unsigned))
    }

    /// A number of fewer bits.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Misread> {
        let number = self.number()?;
        T::try_from(number).map_err(|_| self.misread(format!("{number}, which is out of bounds")))
    }

    /// Numbers.
    pub fn numbers(&mut self) -> Result<Vec<u64>, Misread> {
        let numbers: Vec<i64> = self.value(types::array(types::int64()))?;
        Ok(numbers.into_iter().map(i64::cast_unsigned).collect())
    }

    /// Yes or no.
    pub fn flag(&mut self) -> Result<bool, Misread> {
        self.value(types::bool())
    }

    /// A time in milliseconds.
    pub fn time(&mut self) -> Result<Wall, Misread> {
        Ok(wall_of(self.value(types::timestamp())?))
    }

    /// A time in milliseconds that may be absent.
    pub fn time_or_null(&mut self) -> Result<Option<Wall>, Misread> {
        Ok(self.value::<Option<Timestamp>>(types::timestamp())?.map(wall_of))
    }

    /// A time in microseconds.
    pub fn micros(&mut self) -> Result<u64, Misread> {
        Ok(micros_of(self.value(types::timestamp())?))
    }

    /// Nested parts.
    pub fn json<T: DeserializeOwned>(&mut self) -> Result<T, Misread> {
        let text: String = self.value(types::json())?;
        serde_json::from_str(&text).map_err(|error| self.misread(format!("JSON of another shape: {error}")))
    }

    /// Nested parts that may be absent.
    pub fn json_or_null<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Misread> {
        let Some(text) = self.value::<Option<String>>(types::json())? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| self.misread(format!("JSON of another shape: {error}")))
    }

    /// A shard's two columns.
    pub fn shard(&mut self) -> Result<ShardId, Misread> {
        Ok(ShardId { sale: self.named()?, k: self.small()? })
    }

    /// An order's three columns.
    pub fn order(&mut self) -> Result<OrderId, Misread> {
        let shard = self.shard()?;
        let bytes: Vec<u8> = self.value(types::bytes())?;
        let reservation = bytes.try_into().map_err(|_| self.misread("not 16 bytes long".to_owned()))?;
        Ok(OrderId { shard, reservation: ReservationId(reservation) })
    }

    /// The column that was read last is not what it should be.
    pub fn misread(&self, problem: String) -> Misread {
        Misread { table: self.table, column: self.read, problem }
    }

    fn value<T: FromValue>(&mut self, of: Type) -> Result<T, Misread> {
        let cell = self.cells.get(self.read);
        self.read += 1;
        let cell = cell.ok_or_else(|| self.misread("missing".to_owned()))?;
        T::from_value(cell, &of).map_err(|error| self.misread(error.to_string()))
    }
}
