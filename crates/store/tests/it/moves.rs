//! From one store to another and back, and what a look at a whole store finds.

use std::path::Path;

use redis::AsyncTypedCommands;
use rusqlite::Connection;
use store::{
    DocumentStore, Line, MemoryStore, RedisOptions, RedisStore, Report, Restored, SqliteOptions,
    SqliteStore, StoreError, TaskStore,
    conformance::{at, keyed, moves, new_task, submit},
};

use crate::redis_server::RedisServer;

/// What `modelyard store export` writes of the tasks.
async fn lines(store: &dyn TaskStore) -> Vec<String> {
    let all = moves::whole(store, 3).await;
    all.into_iter().map(|task| Line::Task(Box::new(task)).write().unwrap()).collect()
}

async fn import(store: &dyn TaskStore, lines: &[String]) {
    for line in lines {
        let Line::Task(task) = Line::read(line).unwrap() else { panic!("{line}") };
        assert_eq!(store.restore(vec![*task], at(50)).await.unwrap(), [Restored::Written]);
    }
}

fn options(server: &RedisServer) -> RedisOptions {
    RedisOptions::new(server.url(), "gateway")
}

async fn commands(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn tasks_go_to_redis_and_back_to_a_file_word_for_word() {
    let folder = tempfile::tempdir().unwrap();
    let open =
        |name: &str| SqliteStore::open(&SqliteOptions::new(folder.path().join(name))).unwrap();
    let (first, last) = (open("first.db"), open("last.db"));
    moves::fill(&first).await;
    let exported = lines(&first).await;
    assert_eq!(exported.len(), 7);
    let server = RedisServer::start();
    let redis = RedisStore::visit(&options(&server)).await.unwrap();
    import(&redis, &exported).await;
    assert_eq!(lines(&redis).await, exported);
    import(&last, &lines(&redis).await).await;
    assert_eq!(lines(&last).await, exported);
    // And both are sound.
    let report = redis.examine().await.unwrap();
    assert_eq!((report.problems_found, report.tasks["queued"]), (0, 3), "{report:?}");
    last.close().await;
    let report = SqliteStore::examine(&SqliteOptions::new(folder.path().join("last.db"))).unwrap();
    assert_eq!((report.problems_found, report.tasks["queued"]), (0, 3), "{report:?}");
}

#[tokio::test]
async fn a_visitor_is_no_server_and_leaves_no_trace() {
    let server = RedisServer::start();
    let visitor = RedisStore::visit(&options(&server)).await.unwrap();
    assert_eq!(visitor.examine().await.unwrap().problems_found, 0);
    let keys: Vec<String> = commands(&server).await.keys("*").await.unwrap();
    assert_eq!(keys, Vec::<String>::new());
    // One under the name of a server does not end its life.
    let here = RedisStore::open(&options(&server)).await.unwrap();
    submit(&here, new_task()).await;
    RedisStore::visit(&options(&server)).await.unwrap().close().await;
    assert_eq!(here.servers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn keys_of_a_later_version_are_refused_and_those_without_one_have_the_first() {
    let server = RedisServer::start();
    let store = RedisStore::open(&options(&server)).await.unwrap();
    submit(&store, new_task()).await;
    let mut redis = commands(&server).await;
    let schema = redis.get("ray_service:schema").await.unwrap();
    assert_eq!(schema.as_deref(), Some("1"));
    redis.del("ray_service:schema").await.unwrap();
    assert_eq!(store.examine().await.unwrap().schema, 1);
    redis.set("ray_service:schema", 99).await.unwrap();
    for refused in [
        RedisStore::open(&options(&server)).await.map(drop),
        RedisStore::visit(&options(&server)).await.map(drop),
        store.restore(Vec::new(), at(1)).await.map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 99, known: 1, .. }), "{error}");
        assert!(error.to_string().contains("use the newer program"), "{error}");
    }
}

/// The problems of a task, in words.
fn told(report: &Report) -> Vec<&str> {
    report.problems.iter().map(|it| it.problem.as_str()).collect()
}

#[tokio::test]
async fn whatever_is_wrong_in_redis_is_found_with_its_remedy() {
    let server = RedisServer::start();
    let store = RedisStore::open(&options(&server)).await.unwrap();
    let id = submit(&store, keyed(new_task(), "k")).await;
    let other = submit(&store, new_task()).await;
    let mut redis = commands(&server).await;
    let task = format!("ray_service:task:{id}");
    let queue = "ray_service:queue:echo:1";
    assert_eq!(told(&store.examine().await.unwrap()), Vec::<&str>::new());

    // Each is done, found, and undone by the command that the report names.
    redis.zrem(queue, id.to_string()).await.unwrap();
    let report = store.examine().await.unwrap();
    assert_eq!(report.problems[0].task_id, Some(id));
    assert!(told(&report)[0].contains("it stands nowhere"), "{report:?}");
    mend(&mut redis, &report).await;

    redis.zadd("ray_service:queue:echo:5", id.to_string(), 1).await.unwrap();
    let report = store.examine().await.unwrap();
    assert!(told(&report)[0].contains("its record says otherwise"), "{report:?}");
    mend(&mut redis, &report).await;

    redis.zadd("ray_service:due:1", other.to_string(), 7).await.unwrap();
    let report = store.examine().await.unwrap();
    assert_eq!(report.problems.iter().filter(|it| it.task_id == Some(other)).count(), 2);
    mend(&mut redis, &report).await;

    let key = redis.hget(&task, "scope").await.unwrap().unwrap();
    redis.hset(format!("ray_service:idempotency:{key}"), "id", "7").await.unwrap();
    let report = store.examine().await.unwrap();
    assert!(told(&report)[0].contains("idempotency key"), "{report:?}");
    mend(&mut redis, &report).await;
    assert_eq!(told(&store.examine().await.unwrap()), Vec::<&str>::new());

    redis.rpush(format!("ray_service:attempts:{id}"), "{}").await.unwrap();
    redis.hset(&task, "attempt", "many").await.unwrap();
    let report = store.examine().await.unwrap();
    assert!(report.problems.iter().all(|it| it.task_id == Some(id)), "{report:?}");
    assert!(
        told(&report)[0].contains("the field `attempt` of a record reads `many`"),
        "{report:?}"
    );
    assert!(told(&report)[1].contains("earlier attempts"), "{report:?}");
    assert_eq!(report.tasks["queued"], 2);
}

/// Runs the commands that a report names, as an operator would.
async fn mend(redis: &mut redis::aio::MultiplexedConnection, report: &Report) {
    for problem in &report.problems {
        let mut words = problem.remedy.strip_prefix("run ").unwrap().split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        let _: i64 = command.query_async(redis).await.unwrap();
    }
}

#[tokio::test]
async fn documents_are_counted_and_missed_in_their_lists() {
    let server = RedisServer::start();
    let store = RedisStore::open(&options(&server)).await.unwrap();
    let (id, label, body) = ("file-1".to_owned(), "acme".to_owned(), "{}".to_owned());
    let document = store::Document { id, label, revision: 0, body };
    store.put_document("file", document).await.unwrap();
    assert_eq!(store.examine().await.unwrap().documents["file"], 1);
    let mut redis = commands(&server).await;
    redis.zrem("ray_service:documents:file:acme", "file-1").await.unwrap();
    let report = store.examine().await.unwrap();
    assert!(told(&report)[0].contains("`file` file-1 is missing"), "{report:?}");
    mend(&mut redis, &report).await;
    assert_eq!(store.examine().await.unwrap().problems_found, 0);
}

#[tokio::test]
async fn servers_that_work_meanwhile_are_no_problem() {
    let server = RedisServer::start();
    let store = RedisStore::open(&options(&server)).await.unwrap();
    for _ in 0..300 {
        submit(&store, new_task()).await;
    }
    let working = store.clone();
    let work = tokio::spawn(async move {
        for now in 1..=300 {
            let fence = store::conformance::begin(&working, at(now)).await;
            let outcome = store::conformance::answered("1");
            working.finish(fence, outcome, at(now)).await.unwrap();
        }
    });
    let visitor = RedisStore::visit(&options(&server)).await.unwrap();
    while !work.is_finished() {
        let report = visitor.examine().await.unwrap();
        assert_eq!(told(&report), Vec::<&str>::new());
        assert_eq!(report.tasks.values().sum::<u64>(), 300);
    }
    work.await.unwrap();
}

/// A file with a few tasks, and a way to damage it.
async fn file(folder: &Path) -> (SqliteOptions, Connection) {
    let options = SqliteOptions::new(folder.join("tasks.db"));
    let store = SqliteStore::open(&options).unwrap();
    moves::fill(&store).await;
    store.close().await;
    drop(store);
    let connection = Connection::open(&options.path).unwrap();
    (options, connection)
}

#[tokio::test]
async fn whatever_is_wrong_in_a_file_is_found_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let (options, damage) = file(folder.path()).await;
    assert_eq!(SqliteStore::examine(&options).unwrap().problems_found, 0);
    damage
        .execute_batch(
            "DELETE FROM request WHERE seq = 1;
             UPDATE task SET place = 77 WHERE seq = 2;
             UPDATE attempt SET seq = seq + 700;
             DELETE FROM answer;",
        )
        .unwrap();
    let report = SqliteStore::examine(&options).unwrap();
    let told = told(&report).join("\n");
    assert!(told.contains("its request is missing"), "{told}");
    assert!(told.contains("its record cannot be read"), "{told}");
    assert!(told.contains("belongs to task number 70"), "{told}");
    let ids = report.problems.iter().filter(|it| it.task_id.is_some()).count();
    assert!(ids >= 2, "{report:?}");
    // What the report says is done, and then all is well.
    for problem in &report.problems {
        let (_, statement) = problem.remedy.split_once("DELETE").unwrap();
        damage.execute_batch(&format!("DELETE{statement}")).unwrap();
    }
    for _ in 0..2 {
        for problem in SqliteStore::examine(&options).unwrap().problems {
            let (_, statement) = problem.remedy.split_once("DELETE").unwrap();
            damage.execute_batch(&format!("DELETE{statement}")).unwrap();
        }
    }
    assert_eq!(SqliteStore::examine(&options).unwrap().problems, []);
}

#[tokio::test]
async fn a_file_that_a_server_has_or_that_is_not_there_is_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("data/tasks.db"));
    let error = SqliteStore::examine(&options).unwrap_err();
    assert!(error.to_string().contains("there is no such file"), "{error}");
    assert!(!options.path.parent().unwrap().exists());
    let store = SqliteStore::open(&options).unwrap();
    let error = SqliteStore::examine(&options).unwrap_err();
    assert!(matches!(error, StoreError::Owned { .. }), "{error}");
    store.close().await;
    assert!(SqliteStore::examine(&options).unwrap().is_sound());
}

#[tokio::test]
async fn a_page_of_a_file_that_was_overwritten_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (options, connection) = file(folder.path()).await;
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'task_by_place'";
    let page: u64 = connection.query_row(root, [], |row| row.get::<_, i64>(0)).unwrap() as u64;
    drop(connection);
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(&options.path).unwrap();
    file.write_all_at(&[0x5a; 4096], (page - 1) * 4096).unwrap();
    let report = SqliteStore::examine(&options).unwrap();
    assert!(!report.is_sound(), "{report:?}");
    assert!(report.problems[0].remedy.contains("restore a copy"), "{report:?}");
}

#[tokio::test]
async fn what_a_memory_holds_reads_back_from_its_lines() {
    let store = MemoryStore::new();
    moves::fill(&store).await;
    let copy = MemoryStore::new();
    import(&copy, &lines(&store).await).await;
    assert_eq!(moves::whole(&copy, 2).await, moves::whole(&store, 5).await);
}
