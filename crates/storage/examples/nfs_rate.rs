//! What the NFS client library reaches alone, as a measure for what stands above it:
//! `nfs_rate URL MIB` writes and reads that much in one call each, and says both rates in MiB/s.
//! What was read is compared with what was written.
#![allow(clippy::print_stdout, reason = "its output is the figures")]

use std::{env, error::Error, time::Instant};

use bytes::Bytes;
use nfs_rs::{BufferedFile, OPEN_READ, parse_url_and_mount};
use std::sync::Arc;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().ok_or("usage: nfs_rate URL MIB")?;
    let mib: u32 = arguments.next().ok_or("usage: nfs_rate URL MIB")?.parse()?;
    let mount: Arc<dyn nfs_rs::Mount> = Arc::from(parse_url_and_mount(&url).await?);
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let data = Bytes::from(noise.take(mib as usize * 131_072).flatten().collect::<Vec<_>>());

    let made = mount.create_path("/nfs_rate", Some(0o644)).await?;
    let begun = Instant::now();
    nfs_rs::write_all(&*mount, made.fh.clone(), 0, data.clone()).await?;
    mount.close(made.fh).await?;
    let written = f64::from(mib) / begun.elapsed().as_secs_f64();

    let opened = mount.open_path("/nfs_rate", OPEN_READ).await?;
    let begun = Instant::now();
    let file = BufferedFile::new(Arc::clone(&mount), opened.fh);
    let whole = file.read_at(0, mib * 1_048_576).await?;
    file.close().await?;
    let read = f64::from(mib) / begun.elapsed().as_secs_f64();
    if whole != data {
        return Err("another content was read than was written".into());
    }
    mount.remove_path("/nfs_rate").await?;
    mount.umount().await?;
    println!("{written:.0} {read:.0}");
    Ok(())
}
