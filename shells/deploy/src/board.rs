//! A Grafana board: the part of its model that ours uses; anything else is refused.
//!
//! <https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/>

use serde::Deserialize;
use serde_json::Value;

/// The board.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Board {
    /// Its identity over imports.
    pub uid: String,
    /// Its name.
    pub title: String,
    /// By which it is found.
    pub tags: Vec<String>,
    /// Of the times on it.
    pub timezone: String,
    /// Of this model.
    pub schema_version: u32,
    /// Counts its changes.
    pub version: u32,
    /// Whether people may change it.
    pub editable: bool,
    /// How often it asks.
    pub refresh: String,
    /// What it shows at first.
    pub time: TimeRange,
    /// Variables.
    pub templating: Templating,
    /// Marks over all panels.
    pub annotations: Annotations,
    /// To other places.
    pub links: Vec<Value>,
    /// In the order of their places.
    pub panels: Vec<Panel>,
}

/// From when to when.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRange {
    /// Begin.
    pub from: String,
    /// End.
    pub to: String,
}

/// Variables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Templating {
    /// In the order in which they are shown.
    pub list: Vec<Variable>,
}

/// A variable: which Prometheus.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// As panels name it.
    pub name: String,
    /// As people read it.
    pub label: String,
    /// Kind of variable.
    #[serde(rename = "type")]
    pub kind: String,
    /// Kind of source.
    pub query: String,
    /// What was chosen last.
    pub current: Value,
    /// 0: shown.
    pub hide: u8,
}

/// Marks over all panels.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Annotations {
    /// None.
    pub list: Vec<Value>,
}

/// A graph, or a heading over those behind it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "type")]
pub enum Panel {
    /// A heading.
    #[serde(rename = "row")]
    Row(Row),
    /// A graph over time.
    #[serde(rename = "timeseries")]
    Graph(Box<Graph>),
}

/// A heading.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Row {
    /// Its identity.
    pub id: u32,
    /// As people read it.
    pub title: String,
    /// Its place.
    pub grid_pos: Place,
    /// Whether its panels are hidden.
    pub collapsed: bool,
    /// Hidden ones.
    pub panels: Vec<Value>,
}

/// A graph over time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Graph {
    /// Its identity.
    pub id: u32,
    /// As people read it.
    pub title: String,
    /// Its place.
    pub grid_pos: Place,
    /// What it shows, in words.
    pub description: String,
    /// Whom it asks.
    pub datasource: Datasource,
    /// How values look; Grafana's own business.
    pub field_config: Value,
    /// How the graph looks; Grafana's own business.
    pub options: Value,
    /// What it asks.
    pub targets: Vec<Target>,
}

/// A place on the board, 24 columns wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Column.
    pub x: u32,
    /// Row.
    pub y: u32,
    /// Columns.
    pub w: u32,
    /// Rows.
    pub h: u32,
}

impl Place {
    /// Whether two panels would lie over each other.
    pub fn overlaps(self, other: Place) -> bool {
        let apart = |from: u32, length: u32, begin: u32, end: u32| from + length <= begin || begin + end <= from;
        !apart(self.x, self.w, other.x, other.w) && !apart(self.y, self.h, other.y, other.h)
    }
}

/// Whom a panel asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Datasource {
    /// Kind of source.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which one, by the variable.
    pub uid: String,
}

/// What a panel asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Target {
    /// Its letter.
    pub ref_id: String,
    /// PromQL.
    pub expr: String,
    /// What its lines are called.
    pub legend_format: String,
}
