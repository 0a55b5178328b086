//! What the oracle reads and writes, and that it never calls green what it could not see.

use crate::common::{self, basket, key, user};
use crate::sound::sound;
use doorbuster_core::ids::{ProductId, Version};
use doorbuster_core::oracle::audit::{Audit, AuditLine, lines};
use doorbuster_core::oracle::cache_watch::{CacheWatch, Instance, Seen};
use doorbuster_core::oracle::judge::{Inputs, Watched, judge, judge_watched};
use doorbuster_core::oracle::probe::Probe;
use doorbuster_core::oracle::verdict::{Check, Judgement};
use doorbuster_core::time::Mono;

/// What no final state shows: a watch must have gone along.
const WATCHED: [Check; 5] = [Check::S16, Check::S17, Check::S18, Check::L8, Check::L9];

#[test]
fn a_sound_run_is_green_in_everything() {
    let verdict = sound().verdict();
    assert_eq!(verdict.judgements.len(), Check::ALL.len());
    for (check, judgement) in &verdict.judgements {
        assert_eq!(judgement.is_green(), !WATCHED.contains(check), "{verdict}");
    }
    assert!(verdict.holds());
}

#[test]
fn without_its_inputs_a_check_is_not_green() {
    let run = sound();
    let mut audit = run.audit.clone();
    (audit.memories, audit.logs, audit.delay, audit.meta.outbox_unsent) = (None, None, None, None);
    let bare = Default::default();
    let verdict = judge(Inputs { history: None, audit: &audit, replayed: None, probes: None, options: &bare });
    let green: Vec<Check> = Check::ALL.iter().copied().filter(|check| verdict.of(*check).is_green()).collect();
    assert_eq!(green, [Check::I1, Check::I2, Check::I3, Check::S1, Check::S3, Check::S20]);
    assert!(verdict.holds() && verdict.unchecked().count() == Check::ALL.len() - green.len());
}

#[test]
fn an_audit_survives_its_json_lines_and_an_error_names_the_line() {
    let run = sound();
    let mut world = common::World::open(1, 4, &[3]);
    world.buy(&user(0), &key(0), &basket(&[(0, 1)]));
    let all = lines(run.audit.meta.clone(), &world.rows);
    let text: Vec<String> = all.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    assert!(text.iter().any(|line| line.contains("\"status\":\"PENDING_PAYMENT\"")), "{text:#?}");
    let parse = |line: &str| serde_json::from_str::<AuditLine>(line);
    assert_eq!(Audit::read(text.iter().map(String::as_str), parse).unwrap(), Audit::collect(all).unwrap());
    for (memory, log) in run.audit.memories.unwrap().into_values().zip(run.audit.logs.unwrap().into_values()) {
        for line in [AuditLine::Memory(memory), AuditLine::Log(log)] {
            assert_eq!(parse(&serde_json::to_string(&line).unwrap()).unwrap(), line);
        }
    }
    let mut broken: Vec<&str> = text.iter().map(String::as_str).collect();
    broken.insert(2, "{\"row\":\"order\"}");
    assert_eq!(Audit::read(broken.iter().copied(), parse).unwrap_err().line, 3);
    let last = text.last().unwrap().as_str();
    let twice = text.iter().map(String::as_str).chain([last]);
    assert_eq!(Audit::read(twice, parse).unwrap_err().line, text.len() + 1);
    assert!(Audit::read([], parse).is_err());
}

#[test]
fn a_history_and_a_verdict_survive_json() {
    let run = sound();
    let text = serde_json::to_string(&run.history).unwrap();
    assert_eq!(serde_json::from_str::<doorbuster_core::oracle::history::History>(&text).unwrap(), run.history);
    let verdict = run.verdict();
    let text = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<doorbuster_core::oracle::verdict::Verdict>(&text).unwrap(), verdict);
    let text = serde_json::to_string(&run.probes).unwrap();
    assert_eq!(serde_json::from_str::<Option<Vec<Probe>>>(&text).unwrap(), run.probes);
}

#[test]
fn liveness_is_not_judged_before_rest() {
    let mut run = sound();
    run.options.at_rest = false;
    for check in [Check::I5, Check::L1, Check::L2, Check::L3, Check::L4, Check::L5, Check::L6, Check::L7] {
        assert!(matches!(run.judgement(check), Judgement::NotChecked { .. }), "{check}");
    }
}

#[test]
fn what_a_watch_found_is_in_the_verdict() {
    let run = sound();
    let (instance, key) = (Instance(1), ProductId::parse("lamp").unwrap());
    let mut caches = CacheWatch::default();
    for version in [Version(2), Version(1)] {
        caches.see(Mono(version.0), Seen::Served { instance, key, version, asked_at: Mono(5) });
    }
    let bare = Default::default();
    let inputs = Inputs { history: None, audit: &run.audit, replayed: None, probes: None, options: &bare };
    let verdict = judge_watched(inputs, Watched { caches: Some(&caches), ..Watched::default() });
    assert!(verdict.of(Check::S16).is_red(), "{verdict}");
    assert!(!verdict.of(Check::S18).is_green(), "nobody watched the windows");
}
