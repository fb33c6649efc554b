use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::super::file::FileSink;
use super::{Sink, delivered, is_endpoint, until, words};
use crate::hook::settings::FileTarget;

fn sink(path: &Path) -> FileSink {
    FileSink::new(target(path))
}

fn target(path: &Path) -> FileTarget {
    FileTarget { path: path.to_owned(), max_bytes: 1 << 20, keep: 2, fsync: false }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn each_message_is_one_line_of_a_file_for_the_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("facts.jsonl");
    let mut sink = FileSink::new(FileTarget { fsync: true, ..target(&path) });
    delivered(&mut sink, &words("1", "{\"a\":\r\n \"x\\ny\"}\n", "application/json")).await;
    delivered(&mut sink, &words("2", "as it is", "text/plain")).await;
    assert_eq!(read(&path), "{\"a\":   \"x\\ny\"}\nas it is\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_that_would_grow_too_long_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("facts");
    let mut sink = FileSink::new(FileTarget { max_bytes: 8, ..target(&path) });
    for body in ["one", "two", "three", "four", "longer than allowed", "six"] {
        delivered(&mut sink, &words(body, body, "text/plain")).await;
    }
    assert_eq!(read(&path), "six\n");
    assert_eq!(read(&folder.path().join("facts.1")), "longer than allowed\n");
    assert_eq!(read(&folder.path().join("facts.2")), "four\n");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "\"one two\" and \"three\" are deleted");
}

#[tokio::test]
async fn a_file_that_is_moved_away_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("facts");
    let mut sink = sink(&path);
    delivered(&mut sink, &words("1", "before", "text/plain")).await;
    std::fs::rename(&path, folder.path().join("moved")).unwrap();
    delivered(&mut sink, &words("2", "after", "text/plain")).await;
    assert_eq!(read(&path), "after\n");
}

#[tokio::test]
async fn a_line_that_was_cut_stays_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("facts");
    std::fs::write(&path, "{\"cut\":").unwrap();
    delivered(&mut sink(&path), &words("1", "whole", "text/plain")).await;
    assert_eq!(read(&path), "{\"cut\":\nwhole\n");
}

#[tokio::test]
async fn links_and_pipes_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, link, pipe) =
        (folder.path().join("secret"), folder.path().join("link"), folder.path().join("pipe"));
    std::fs::write(&secret, "untouched").unwrap();
    symlink(&secret, &link).unwrap();
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (path, why) in [
        (&link, "it is a link"),
        (&pipe, "it is no file"),
        (&folder.path().join("no/folder"), "No such file"),
    ] {
        let tried = sink(path).deliver(&words("1", "x", "text/plain")).await;
        assert!(is_endpoint(&tried) && tried.why.contains(why), "{tried:?}");
    }
    assert_eq!(read(&secret), "untouched");
}

/// The disk may be slower than the patience of the caller.
#[tokio::test]
async fn a_try_that_was_given_up_is_not_written_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("facts");
    let mut sink = sink(&path);
    let message = words("1", "once", "text/plain");
    {
        // Polled once: the write has begun, and nobody waits for it.
        let mut first = sink.deliver(&message);
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        let _ = first.as_mut().poll(&mut context);
    }
    until("the file is written", async || std::fs::metadata(&path).is_ok_and(|file| file.size() > 0)).await;
    delivered(&mut sink, &message).await;
    delivered(&mut sink, &words("2", "then", "text/plain")).await;
    assert_eq!(read(&path), "once\nthen\n");
}
