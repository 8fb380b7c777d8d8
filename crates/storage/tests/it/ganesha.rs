//! NFS 4.1 by nfs-ganesha, where it is installed: `apt-get install nfs-ganesha nfs-ganesha-vfs`.
//! It needs root and runs in the foreground, without a kernel module and without a port mapper.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::world::{Server, World, connect, nfs};

/// One at a time: they share what the program keeps outside of its folders.
static TURN: Mutex<()> = Mutex::const_new(());

/// A running server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Ganesha {
    pub(crate) port: u16,
    process: Child,
    state: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// Whether the program is here and may run. Says on standard error why it is not.
fn is_there() -> bool {
    let found = Command::new("ganesha.nfsd").arg("-v").output().is_ok();
    if !found || !Uid::effective().is_root() {
        eprintln!("skipped: NFS 4.1 needs root and `apt-get install nfs-ganesha nfs-ganesha-vfs`");
    }
    found && Uid::effective().is_root()
}

impl Ganesha {
    /// Exports `folder` as `/export`; `None` where the program is absent.
    pub(crate) async fn start(folder: &Path) -> Option<Self> {
        if !is_there() {
            return None;
        }
        let turn = TURN.lock().await;
        let state = TempDir::new().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.expect("a free port").port();
        let process = launch(state.path(), folder, port);
        let server = Self { port, process, state, _turn: turn };
        server.wait().await;
        Some(server)
    }

    /// Kills it, and starts it again on the same port and folder.
    pub(crate) async fn restart(&mut self, folder: &Path) {
        self.stop();
        self.process = launch(self.state.path(), folder, self.port);
        self.wait().await;
    }

    pub(crate) fn stop(&mut self) {
        let number = i32::try_from(self.process.id()).expect("a process number");
        let _ = kill(Pid::from_raw(number), Signal::SIGKILL);
        let _ = self.process.wait();
    }

    async fn wait(&self) {
        for _ in 0..400 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let log = fs::read_to_string(self.state.path().join("log")).unwrap_or_default();
        panic!("nfs-ganesha does not listen on port {}: {log}", self.port);
    }
}

impl Drop for Ganesha {
    fn drop(&mut self) {
        self.stop();
    }
}

fn launch(state: &Path, folder: &Path, port: u16) -> Child {
    let (state_path, folder) = (state.display(), folder.display());
    let config = format!(
        "NFS_CORE_PARAM {{ NFS_Port = {port}; Bind_addr = 127.0.0.1; Protocols = 4; \
         Enable_NLM = false; Enable_RQUOTA = false; }}\n\
         NFSV4 {{ Graceless = true; RecoveryRoot = {state_path}/recovery; \
         Only_Numeric_Owners = true; }}\n\
         EXPORT {{ Export_Id = 77; Path = {folder}; Pseudo = /export; Access_Type = RW; \
         Squash = No_Root_Squash; SecType = sys; Transports = TCP; FSAL {{ Name = VFS; }} }}\n"
    );
    fs::create_dir_all(state.join("recovery")).expect("a folder");
    fs::write(state.join("conf"), config).expect("a configuration");
    Command::new("ganesha.nfsd")
        .arg("-F")
        .args([Path::new("-f"), &state.join("conf")])
        .args([Path::new("-L"), &state.join("log")])
        .args([Path::new("-p"), &state.join("pid")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nfs-ganesha started")
}

/// A user on such a server.
pub(crate) async fn world() -> Option<(Ganesha, World)> {
    let folder = TempDir::new().expect("a folder");
    let server = Ganesha::start(folder.path()).await?;
    let target = nfs(server.port, "/export", Duration::from_secs(20));
    let files = connect(target, 0).await.expect("connected");
    assert_eq!(files.protocol().await, "NFS 4.1");
    Some((server, World { files, folder, server: Server::None }))
}
