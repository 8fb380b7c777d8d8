//! A worker that was started by a gateway must not outlive it.

use std::io::Read;

use api::worker::LIFELINE_ENV;
use tokio::sync::oneshot;

/// Waits until the process that started this one is gone, if that one asked for it
/// ([`LIFELINE_ENV`]); otherwise for ever. Race it against [`Worker::serve`](crate::Worker::serve):
/// with its gateway dead, nobody waits for any of the worker's calls.
///
/// ```no_run
/// # async fn run(worker: worker::Worker, launch: worker::WorkerLaunch) -> Result<(), worker::WorkerError> {
/// let stop = tokio_util::sync::CancellationToken::new();
/// tokio::select! {
///     outcome = worker.serve(launch, stop) => outcome,
///     () = worker::lifeline() => Ok(()),
/// }
/// # }
/// ```
///
/// # Cancel safety
/// Dropping it leaves a thread that reads standard input; call it once.
pub async fn lifeline() {
    if std::env::var_os(LIFELINE_ENV).is_none_or(|value| value != "stdin") {
        return std::future::pending().await;
    }
    let (cut, ended) = oneshot::channel();
    // A thread of its own: a read cannot be called back, and the runtime would wait for it when it
    // ends, but not for this thread.
    let watcher = std::thread::Builder::new().name("lifeline".into()).spawn(move || {
        read_to_end(&mut std::io::stdin().lock());
        // Whoever has stopped waiting is ending anyway.
        let _ = cut.send(());
    });
    match watcher {
        Ok(_) => drop(ended.await),
        Err(error) => {
            tracing::warn!(%error, "cannot watch the lifeline");
            std::future::pending::<()>().await;
        }
    }
}

/// Reads until the other end is closed, or broken.
fn read_to_end(input: &mut impl Read) {
    let mut ignored = [0; 64];
    loop {
        match input.read(&mut ignored) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
