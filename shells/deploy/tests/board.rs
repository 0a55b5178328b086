//! The board: on series that there are, none of them forgotten, in a layout without holes in the logic.

mod support;

use doorbuster_deploy::board::{Board, Graph, Panel, Place};
use doorbuster_deploy::{files, promql};
use std::collections::BTreeSet;
use support::metrics;

fn board() -> Board {
    serde_json::from_str(&files::text("board.json")).unwrap_or_else(|error| panic!("board.json: {error}"))
}

fn graphs(board: &Board) -> impl Iterator<Item = &Graph> {
    board.panels.iter().filter_map(|panel| match panel {
        Panel::Graph(graph) => Some(graph.as_ref()),
        Panel::Row(_) => None,
    })
}

#[test]
fn the_board_shows_what_production_counts_and_forgets_nothing() {
    let (board, counted) = (board(), metrics::counted());
    let mut shown = BTreeSet::new();
    for graph in graphs(&board) {
        for target in &graph.targets {
            let named = promql::series(&target.expr);
            assert!(promql::mentioned(&target.expr).is_subset(&named), "{}: a series has no labels", graph.title);
            assert!(!named.is_empty(), "{}: {}", graph.title, target.expr);
            shown.extend(named);
        }
    }
    shown.remove(promql::UP);
    assert_eq!(shown, counted, "shown and counted");
}

#[test]
fn panels_have_a_place_an_identity_and_words() {
    let board = board();
    let of = |panel: &Panel| -> (u32, Place) {
        match panel {
            Panel::Row(row) => (row.id, row.grid_pos),
            Panel::Graph(graph) => (graph.id, graph.grid_pos),
        }
    };
    let placed: Vec<(u32, Place)> = board.panels.iter().map(of).collect();
    for (index, (id, place)) in placed.iter().enumerate() {
        assert!(place.x + place.w <= 24, "panel {id}");
        for (other, other_place) in &placed[..index] {
            assert!(id != other && !place.overlaps(*other_place), "panels {id} and {other}");
        }
    }
    for graph in graphs(&board) {
        assert!(graph.description.ends_with('.'), "{}", graph.title);
        assert_eq!(graph.datasource.uid, format!("${{{}}}", board.templating.list[0].name), "{}", graph.title);
        let letters: BTreeSet<&str> = graph.targets.iter().map(|target| target.ref_id.as_str()).collect();
        assert_eq!(letters.len(), graph.targets.len(), "{}", graph.title);
    }
}
