//! The data directory: foreign ones are left alone, killed creations are completed, losses are named.

mod support;

use doorbuster_embedded::data::{DataDirectory, OpenDataError};
use doorbuster_embedded::rows::OpenRowsError;
use doorbuster_runtime::contract::clock::SteppedEnv;
use doorbuster_runtime::env::SharedEnv;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn env() -> SharedEnv {
    SteppedEnv::shared(7)
}

/// Every file and directory below this one, with its bytes.
fn content(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let bytes = if path.is_dir() { None } else { Some(fs::read(&path).unwrap()) };
            if bytes.is_none() {
                directories.push(path.clone());
            }
            found.insert(path, bytes);
        }
    }
    found
}

fn refusal(path: &Path) -> OpenDataError {
    match DataDirectory::open(path, &env()) {
        Ok(_) => panic!("{} must be refused", path.display()),
        Err(error) => error,
    }
}

/// A directory that was made and closed.
fn made() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    close(support::open(directory.path(), &env()), directory.path());
    directory
}

/// Drops the directory and waits until its threads have let it go.
fn close(data: DataDirectory, path: &Path) {
    drop(data);
    drop(support::open(path, &env()));
    // The second owner wrote nothing; the lock is free when its writer has ended.
    support::released(path);
}

#[test]
fn a_foreign_directory_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("log")).unwrap();
    fs::write(directory.path().join("log/thesis.txt"), "years of work").unwrap();
    let before = content(directory.path());
    let refused = refusal(directory.path());
    assert!(matches!(&refused, OpenDataError::Foreign { path } if path == directory.path()), "{refused}");
    assert_eq!(content(directory.path()), before);
}

#[test]
fn another_format_is_left_as_it_is() {
    for text in [&b"doorbuster data directory, format 2, complete\n"[..], b"", b"\xff\xfe"] {
        let directory = made();
        fs::write(directory.path().join("doorbuster.format"), text).unwrap();
        let before = content(directory.path());
        let refused = refusal(directory.path());
        assert!(
            matches!(&refused, OpenDataError::Format { path, .. } if path.ends_with("doorbuster.format")),
            "{refused}"
        );
        assert_eq!(content(directory.path()), before);
    }
}

#[test]
fn a_missing_part_is_named_and_nothing_is_made_in_its_place() {
    let parts = ["dev.key", "log", "log/format", "rows", "rows.mark", "rows/version", "rows/keyspaces"];
    for part in parts {
        let directory = made();
        let gone = directory.path().join(part);
        if gone.is_dir() {
            fs::remove_dir_all(&gone).unwrap()
        } else {
            fs::remove_file(&gone).unwrap()
        }
        let before = content(directory.path());
        let refused = refusal(directory.path());
        assert!(matches!(&refused, OpenDataError::Missing { path } if *path == gone), "{part}: {refused}");
        assert!(refused.to_string().contains(gone.to_str().unwrap()), "{refused}");
        assert_eq!(content(directory.path()), before, "{part}");
    }
}

#[test]
fn a_key_that_lets_everybody_in_is_refused() {
    let directory = made();
    let key = directory.path().join("dev.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let whole = fs::read(&key).unwrap();
    for damaged in [&b""[..], &whole[..63], &[0; 64]] {
        fs::write(&key, damaged).unwrap();
        let refused = refusal(directory.path());
        assert!(matches!(&refused, OpenDataError::Key { path } if *path == key), "{refused}");
    }
}

/// What a creation leaves when it is killed between two of its steps, or in the middle of one.
#[test]
fn a_killed_creation_is_completed() {
    let whole = made();
    let creating = "doorbuster data directory, format 1, creating\n";
    let states: [(&str, &[&str]); 7] = [
        ("nothing", &[]),
        ("the first file, unfinished", &["doorbuster.format.new"]),
        ("the first file", &["doorbuster.format"]),
        ("the key, unfinished", &["doorbuster.format", "dev.key.new"]),
        ("the key", &["doorbuster.format", "dev.key"]),
        ("the log, and rows without their name", &["doorbuster.format", "dev.key", "log", "rows.new"]),
        (
            "everything but the last word",
            &["doorbuster.format", "dev.key", "log", "rows.mark", "rows", "doorbuster.format.new"],
        ),
    ];
    for (name, parts) in states {
        let directory = tempfile::tempdir().unwrap();
        for part in parts {
            let to = directory.path().join(part);
            match *part {
                "doorbuster.format" => fs::write(to, creating).unwrap(),
                "doorbuster.format.new" | "dev.key.new" => fs::write(to, "").unwrap(),
                "rows.new" => support::copy(&whole.path().join("rows/keyspaces"), &to.join("keyspaces")),
                part => support::copy(&whole.path().join(part), &to),
            }
        }
        let data = DataDirectory::open(directory.path(), &env()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(data.dev_key.len(), 64, "{name}");
        let key = data.dev_key.clone();
        drop(data);
        assert_eq!(support::open(directory.path(), &env()).dev_key, key, "{name}: the key stays what it is");
    }
}

#[test]
fn a_second_owner_is_told_which_directory_is_in_use() {
    let directory = made();
    let first = support::open(directory.path(), &env());
    let before = content(directory.path());
    let refused = refusal(directory.path());
    assert!(matches!(&refused, OpenDataError::InUse { path } if path == directory.path()), "{refused}");
    assert!(refused.to_string().contains(directory.path().to_str().unwrap()), "{refused}");
    assert_eq!(content(directory.path()), before, "the second owner has touched nothing");
    drop(first);
    drop(support::open(directory.path(), &env()));
}

#[test]
fn a_log_that_is_behind_the_rows_is_refused() {
    let directory = made();
    let young_log = tempfile::tempdir().unwrap();
    support::copy(&directory.path().join("log"), young_log.path().join("log").as_path());
    support::sell(directory.path(), 20);
    support::released(directory.path());
    fs::remove_dir_all(directory.path().join("log")).unwrap();
    support::copy(&young_log.path().join("log"), &directory.path().join("log"));
    let refused = refusal(directory.path());
    let expected = matches!(&refused, OpenDataError::LogBehindRows { path, last: 0, decided } if *decided >= 1 && path.ends_with("log"));
    assert!(expected, "{refused}");
}

#[test]
fn rows_of_an_older_copy_are_refused() {
    let directory = made();
    let copied = tempfile::tempdir().unwrap();
    support::sell(directory.path(), 5);
    support::released(directory.path());
    support::copy(&directory.path().join("rows"), &copied.path().join("rows"));
    support::sell(directory.path(), 5);
    support::released(directory.path());
    fs::remove_dir_all(directory.path().join("rows")).unwrap();
    support::copy(&copied.path().join("rows"), &directory.path().join("rows"));
    let refused = refusal(directory.path());
    let named =
        matches!(&refused, OpenDataError::Rows(OpenRowsError::Journal { path }) if path.ends_with("rows/0.jnl"));
    assert!(named, "{refused}");
}
