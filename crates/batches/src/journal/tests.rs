//! What was written is found again, whatever became of its writer.

use std::{fs::OpenOptions, io::Write};

use api::openai::RequestCounts;
use store::Folder;

use super::{Journal, remove};
use crate::outcome::Outcome;

fn outcome(is_answered: bool, text: &str) -> Outcome {
    Outcome { is_answered, text: format!("{{\"{text}\"}}") }
}

fn texts(read: Vec<Option<Outcome>>) -> Vec<String> {
    read.into_iter().map(|found| found.map_or_else(String::new, |it| it.text)).collect()
}

#[tokio::test]
async fn the_next_holder_goes_on_where_the_last_one_died() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path(), 1 << 20).unwrap();
    let mut first = Journal::open(&folder, "batch_a", 1, 4).await.unwrap();
    first.add(2, &outcome(true, "two")).await.unwrap();
    first.add(0, &outcome(false, "zero")).await.unwrap();
    first.sync().await.unwrap();
    drop(first);
    let mut torn = OpenOptions::new().append(true).open(folder.path("batch_a.1")).unwrap();
    torn.write_all(b"1\t1\t{\"half").unwrap();

    let mut second = Journal::open(&folder, "batch_a", 2, 4).await.unwrap();
    let has = |journal: &Journal| (0..4).map(|line| journal.has(line)).collect::<Vec<_>>();
    assert_eq!(has(&second), [true, false, true, false]);
    second.add(1, &outcome(true, "one")).await.unwrap();
    second.add(2, &outcome(true, "again")).await.unwrap();
    second.sync().await.unwrap();
    assert_eq!(second.counts(), RequestCounts { total: 4, completed: 2, failed: 1 });
    let expected = ["{\"zero\"}", "{\"one\"}", "{\"two\"}", ""];
    assert_eq!(texts(second.read(0, 1 << 20).await.unwrap()), expected);

    // One that does not know yet that it lost its lease writes on, and changes nothing.
    torn.write_all(b"\"}\n2\t0\t{\"late\"}\n").unwrap();
    let third = Journal::open(&folder, "batch_a", 3, 4).await.unwrap();
    assert_eq!(texts(third.read(1, 10).await.unwrap()), ["{\"half\"}"]);
    assert_eq!(texts(third.read(2, 0).await.unwrap()), ["{\"two\"}"], "a large one comes alone");
    assert_eq!(third.read(4, 10).await.unwrap(), []);
    remove(&folder, "batch_a", 3).await.unwrap();
    let anew = Journal::open(&folder, "batch_a", 4, 4).await.unwrap();
    assert_eq!(anew.counts(), RequestCounts { total: 4, completed: 0, failed: 0 });
}

#[tokio::test]
async fn lines_that_make_no_sense_do_not_count() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path(), 1 << 20).unwrap();
    let junk = b"\0\0\0\0\n9\t1\t{\"beyond\"}\nx\t1\t{}\n1\t1\n1\t1\t{\"good\"}\n\xff\n";
    std::fs::write(folder.path("batch_a.1"), junk).unwrap();
    let journal = Journal::open(&folder, "batch_a", 2, 3).await.unwrap();
    assert_eq!(texts(journal.read(0, 1 << 20).await.unwrap()), ["", "{\"good\"}", ""]);
}
