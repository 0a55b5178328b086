//! Alert rules: on series that there are, tried, each with words that lead a person on.

mod support;

use doorbuster_deploy::alerts::{AlertRule, RuleFile, RuleTests};
use doorbuster_deploy::prometheus::PrometheusConfig;
use doorbuster_deploy::{files, headings, promql, tool};
use std::collections::BTreeSet;
use std::process::Command;
use support::metrics;

const RULES: &str = "alerts.yaml";
const TESTS: &str = "alerts.tests.yaml";

fn rules() -> Vec<AlertRule> {
    let file: RuleFile = files::yaml(RULES);
    file.groups.into_iter().flat_map(|group| group.rules).collect()
}

#[test]
fn alerts_stand_on_series_that_production_counts() {
    let counted = metrics::counted();
    for rule in rules() {
        let named = promql::series(&rule.expr);
        assert!(promql::mentioned(&rule.expr).is_subset(&named), "{}: a series has no labels", rule.alert);
        let unknown: Vec<_> = named.iter().filter(|name| **name != promql::UP && !counted.contains(*name)).collect();
        assert!(!named.is_empty() && unknown.is_empty(), "{}: nobody counts {unknown:?}", rule.alert);
    }
}

#[test]
fn a_person_is_told_what_is_the_matter_and_where_to_read_on() {
    for rule in rules() {
        let annotations = &rule.annotations;
        assert!(annotations.summary.len() > 20, "{}", rule.alert);
        let (document, heading) = annotations.runbook.split_once('#').expect("a heading of a document");
        let headings = headings::anchors(&files::text(&format!("../../{document}")));
        assert!(headings.contains(heading), "{}: {document} has no heading #{heading}", rule.alert);
    }
}

#[test]
fn every_alert_is_tried_calling_and_silent() {
    let tests: RuleTests = files::yaml(TESTS);
    assert_eq!(tests.rule_files, [RULES]);
    let tried = |is_calling: bool| -> BTreeSet<String> {
        let all = tests.tests.iter().flat_map(|test| &test.alert_rule_test);
        let these = all.filter(|expected| expected.exp_alerts.is_empty() != is_calling);
        these.map(|expected| expected.alertname.clone()).collect()
    };
    let named: BTreeSet<String> = rules().into_iter().map(|rule| rule.alert).collect();
    assert_eq!(named.len(), rules().len(), "a name stands twice");
    assert_eq!((tried(true), tried(false)), (named.clone(), named));
}

#[test]
fn every_group_of_roles_is_missed() {
    let rule = rules().into_iter().find(|rule| rule.alert == "DoorbusterRolesMissing").expect("it is there");
    let absent = rule.expr.split("absent(").skip(1);
    let missed: BTreeSet<&str> =
        absent.filter_map(|rest| rest.split("component=\"").nth(1)?.split('"').next()).collect();
    let groups = files::kubernetes();
    let groups = groups.iter().filter_map(|path| path.strip_prefix("kubernetes/")?.strip_suffix(".yaml"));
    let groups: BTreeSet<&str> = groups.filter(|name| !["common", "migrate"].contains(name)).collect();
    assert_eq!(missed, groups);
}

#[test]
fn processes_are_found_under_the_labels_that_rules_name() {
    let config: PrometheusConfig = files::yaml("prometheus.yaml");
    assert_eq!(config.rule_files, [RULES]);
    let [processes] = config.scrape_configs.as_slice() else { panic!("one kind of process") };
    assert_eq!(processes.job_name, "doorbuster");
    let set: Vec<&str> = processes.relabel_configs.iter().filter_map(|step| step.target_label.as_deref()).collect();
    assert_eq!(set, ["component", "instance"]);
    for rule in rules() {
        let series = rule.expr.matches('{').count();
        assert_eq!(rule.expr.matches("{job=\"doorbuster\"").count(), series, "{}", rule.alert);
    }
}

#[test]
fn promtool_understands_the_rules_and_finds_them_right() {
    const TEST: &str = "promtool_understands_the_rules_and_finds_them_right";
    let Some(promtool) = tool::find("promtool") else { return tool::skip(TEST, "there is no promtool") };
    for arguments in [["check", "rules", RULES], ["test", "rules", TESTS]] {
        let output = tool::run(Command::new(&promtool).args(arguments).current_dir(files::here()));
        assert!(output.status.success(), "promtool {arguments:?}: {}", tool::words(&output));
    }
}
