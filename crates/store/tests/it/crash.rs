//! A server that is killed in the middle of its work: what it has answered is there.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use api::task::TaskState;
use futures_util::{StreamExt, stream};
use store::{
    SqliteOptions, SqliteStore, TaskStore,
    conformance::{answered, at, begin, claim, new_task, submit},
};
use types::TaskId;

/// Where the child finds its database.
const DATABASE: &str = "STORE_TEST_DATABASE";

#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_when_the_server_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("tasks.db");
    for _ in 0..3 {
        let acknowledged = run_until_killed(&database, 400);
        let store = SqliteStore::open(&SqliteOptions::new(&database)).unwrap();
        let mut finished = 0;
        for line in &acknowledged {
            let (word, id) = line.split_once(' ').unwrap();
            let found = store.get(id.parse().unwrap()).await.unwrap().expect(line);
            if word == "finished" {
                assert_eq!(found.state(), TaskState::Completed, "{line}");
                finished += 1;
            }
        }
        assert!(finished > 0, "the child must have finished some");
        check_that_the_rest_can_go_on(&store, &acknowledged).await;
        store.close().await;
    }
}

/// What ran is queued again, and no finished task runs a second time.
async fn check_that_the_rest_can_go_on(store: &SqliteStore, acknowledged: &[String]) {
    let finished: BTreeSet<TaskId> = acknowledged
        .iter()
        .filter_map(|line| line.strip_prefix("finished "))
        .map(|id| id.parse().unwrap())
        .collect();
    store.recover(at(10)).await.unwrap();
    while let Some(record) = claim(store, at(10)).await {
        assert!(!finished.contains(&record.id), "{} ran twice", record.id);
        store.finish(record.fence().unwrap(), answered("1"), at(11)).await.unwrap();
    }
    let counts = &store.stats().await.unwrap()[0];
    assert_eq!((counts.count(TaskState::Queued), counts.count(TaskState::Running)), (0, 0));
}

/// Starts this test binary as a server, reads `lines` of what it acknowledges, and kills it.
fn run_until_killed(database: &Path, lines: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child::submits_and_finishes_without_end", "--nocapture"])
        .args(["--ignored"])
        .env(DATABASE, database)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let is_ours = |line: &String| line.starts_with("submitted ") || line.starts_with("finished ");
    let acknowledged = output.lines().map_while(Result::ok).filter(is_ours).take(lines).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged
}

mod child {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "runs without end; the test above starts and kills it"]
    async fn submits_and_finishes_without_end() {
        let Ok(database) = std::env::var(DATABASE) else { return };
        let store = &SqliteStore::open(&SqliteOptions::new(database)).unwrap();
        store.recover(at(0)).await.unwrap();
        stream::repeat(())
            .for_each_concurrent(16, |()| async move {
                let id = submit(store, new_task()).await;
                say("submitted", id);
                let fence = begin(store, at(1)).await;
                store.finish(fence, answered("1"), at(2)).await.unwrap();
                say("finished", fence.id);
            })
            .await;
    }

    fn say(word: &str, id: TaskId) {
        // One write per line, so that a kill cuts no line in two.
        std::io::stdout().write_all(format!("{word} {id}\n").as_bytes()).unwrap();
    }
}
