//! Any sequence of reads and writes on a server gives what it gives on a local file.

use bytes::Bytes;
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::runtime::Runtime;

use crate::world::{World, open};

#[derive(Debug, Clone)]
enum Step {
    Write { offset: u64, length: usize, byte: u8 },
    Append { length: usize, byte: u8 },
    Read { offset: u64, length: usize },
    Cut { size: u64 },
    Flush,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    // Around the chunks of 4096 bytes, so that many steps straddle their borders.
    let (offset, length) = (0_u64..20_000, 0_usize..12_000);
    prop_oneof![
        4 => (offset.clone(), length.clone(), any::<u8>())
            .prop_map(|(offset, length, byte)| Step::Write { offset, length, byte }),
        1 => (length.clone(), any::<u8>()).prop_map(|(length, byte)| Step::Append { length, byte }),
        5 => (offset.clone(), length).prop_map(|(offset, length)| Step::Read { offset, length }),
        1 => offset.prop_map(|size| Step::Cut { size }),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

fn write_into(model: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    model.resize(model.len().max(offset + data.len()), 0);
    model[offset..offset + data.len()].copy_from_slice(data);
}

async fn run(world: &World, name: &str, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model: Vec<u8> = Vec::new();
    let mut file = open(&world.files, name, "w+").await.expect("opened");
    for step in steps {
        match *step {
            Step::Write { offset, length, byte } => {
                let data = vec![byte; length];
                write_into(&mut model, usize::try_from(offset).expect("small"), &data);
                file.write_at(offset, Bytes::from(data)).await.expect("written");
            }
            Step::Append { length, byte } => {
                let end = model.len();
                write_into(&mut model, end, &vec![byte; length]);
                let after = file.append(Bytes::from(vec![byte; length])).await.expect("written");
                prop_assert_eq!(after, model.len() as u64);
            }
            Step::Read { offset, length } => {
                let start = usize::try_from(offset).expect("small").min(model.len());
                let expected = &model[start..model.len().min(start + length)];
                let read = file.read_at(offset, length).await.expect("read").concat();
                prop_assert!(read == expected, "{length} bytes at {offset}");
            }
            Step::Cut { size } => {
                model.resize(usize::try_from(size).expect("small"), 0);
                file.set_size(size).await.expect("cut");
            }
            Step::Flush => file.flush().await.expect("flushed"),
            Step::Reopen => {
                file.close().await.expect("closed");
                file = open(&world.files, name, "r+").await.expect("opened");
            }
        }
    }
    file.close().await.expect("closed");
    prop_assert!(world.read(name).await == model, "the whole file");
    Ok(())
}

fn like_a_local_file(runtime: &Runtime, world: &World, cases: u32) {
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let steps = prop::collection::vec(step(), 1..25);
    let outcome = runner.run(&steps, |steps| runtime.block_on(run(world, "model", &steps)));
    outcome.expect("as on a local file");
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

#[test]
fn any_sequence_of_steps_is_like_a_local_file_on_nfs_3() {
    let runtime = runtime();
    let world = runtime.block_on(World::v3());
    like_a_local_file(&runtime, &world, 60);
}

#[test]
fn any_sequence_of_steps_is_like_a_local_file_with_a_cache() {
    let runtime = runtime();
    let world = runtime.block_on(World::v3_with_cache(64 * 1024));
    like_a_local_file(&runtime, &world, 40);
}

#[test]
fn any_sequence_of_steps_is_like_a_local_file_on_nfs_4_1() {
    let runtime = runtime();
    let Some((_server, world)) = runtime.block_on(crate::ganesha::world()) else { return };
    like_a_local_file(&runtime, &world, 20);
}

#[test]
fn any_sequence_of_steps_is_like_a_local_file_on_webdav() {
    let runtime = runtime();
    let world = runtime.block_on(World::dav());
    like_a_local_file(&runtime, &world, 15);
}
