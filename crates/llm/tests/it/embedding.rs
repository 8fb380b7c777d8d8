//! The thread that owns an encoder.

use std::sync::{Arc, Mutex};

use engine::TokenId;
use llm::encoder::{EmbedRefused, TextEncoder, start};

use crate::toy::{Gate, eventually};

/// Gives each text a vector with its first token; refuses the token 13. Remembers the size of each
/// batch, and begins none before the gate lets it.
struct Letters {
    gate: Gate,
    batches: Arc<Mutex<Vec<usize>>>,
}

impl TextEncoder for Letters {
    fn embed(&mut self, texts: &[Vec<TokenId>]) -> Result<Vec<Vec<f32>>, String> {
        self.gate.pass();
        self.batches.lock().unwrap().push(texts.len());
        assert!(!texts.contains(&vec![99]), "no such letter");
        if texts.contains(&vec![13]) {
            return Err("13 brings bad luck".into());
        }
        Ok(texts.iter().map(|text| vec![text[0] as f32]).collect())
    }
}

fn letters() -> (Letters, Gate, Arc<Mutex<Vec<usize>>>) {
    let (gate, batches) = (Gate::closed(), Arc::default());
    (Letters { gate: gate.clone(), batches: Arc::clone(&batches) }, gate, batches)
}

#[tokio::test]
async fn what_waits_together_is_embedded_together_and_each_gets_its_own() {
    let (letters, gate, batches) = letters();
    let (handle, _ending) = start(letters, 4).unwrap();
    let ask = |first: TokenId| {
        let handle = handle.clone();
        tokio::spawn(async move { handle.embed(vec![vec![first], vec![first + 1]], None).await })
    };
    let first = ask(10);
    gate.is_waited_for().await;
    let waiting = [ask(20), ask(30), ask(40)];
    tokio::task::yield_now().await;
    gate.open();
    assert_eq!(first.await.unwrap().unwrap(), [[10.0], [11.0]]);
    for (asked, first) in waiting.into_iter().zip([20.0, 30.0, 40.0]) {
        assert_eq!(asked.await.unwrap().unwrap(), [[first], [first + 1.0]]);
    }
    // Four tokens fit into a batch: two requests of two texts.
    assert_eq!(*batches.lock().unwrap(), [2, 4, 2]);
    assert_eq!(handle.stats().prompt_tokens, 8);
}

#[tokio::test]
async fn only_the_one_at_fault_hears_of_it() {
    let (letters, gate, _) = letters();
    let (handle, _ending) = start(letters, 64).unwrap();
    let ask = |token: TokenId| {
        let handle = handle.clone();
        tokio::spawn(async move { handle.embed(vec![vec![token]], None).await })
    };
    let first = ask(1);
    gate.is_waited_for().await;
    let (bad, good) = (ask(13), ask(14));
    tokio::task::yield_now().await;
    gate.open();
    first.await.unwrap().unwrap();
    let refused = EmbedRefused::Failed("13 brings bad luck".into());
    assert_eq!(bad.await.unwrap(), Err(refused));
    assert_eq!(good.await.unwrap(), Ok(vec![vec![14.0]]));
}

#[tokio::test]
async fn who_leaves_while_waiting_is_not_embedded() {
    let (letters, gate, batches) = letters();
    let (handle, _ending) = start(letters, 64).unwrap();
    let running = tokio::spawn({
        let handle = handle.clone();
        async move { handle.embed(vec![vec![1]], None).await }
    });
    gate.is_waited_for().await;
    let leaving = tokio::spawn({
        let handle = handle.clone();
        async move { handle.embed(vec![vec![2]], None).await }
    });
    tokio::task::yield_now().await;
    leaving.abort();
    let _ = leaving.await;
    gate.open();
    running.await.unwrap().unwrap();
    handle.embed(vec![vec![3]], None).await.unwrap();
    eventually(|| batches.lock().unwrap().iter().sum::<usize>() == 2).await;
}

#[tokio::test]
async fn a_panic_ends_the_thread_with_its_words() {
    let (letters, gate, _) = letters();
    gate.open();
    let (handle, mut ending) = start(letters, 64).unwrap();
    assert_eq!(handle.embed(vec![vec![99]], None).await, Err(EmbedRefused::Stopped));
    assert_eq!(ending.wait().await, Err("no such letter".into()));
}
