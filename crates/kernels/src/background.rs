//! Work that nobody waits for.

/// Has the calling thread run only while no other thread wants its processor. The threads of a pool wait
/// for one another hundreds of times per token, and a thread that takes a few milliseconds from one of them
/// takes them from all. Best effort: a system that refuses it loses some speed.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    // SAFETY: all zero is a value of the parameters, and the call only reads them. 0 is the calling thread.
    unsafe {
        let parameters: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{fs, thread};

    /// How the system treats the calling thread: the 41st word of its line.
    fn policy() -> Option<i32> {
        let line = fs::read_to_string("/proc/thread-self/stat").ok()?;
        // The name, which may have spaces in it, ends with the only closing bracket.
        let (_, words) = line.rsplit_once(") ")?;
        words.split(' ').nth(38)?.parse().ok()
    }

    #[test]
    fn only_the_thread_that_asks_gives_way() {
        let usual = policy();
        let asked = thread::spawn(|| {
            super::give_way();
            policy()
        });
        assert_eq!(asked.join().unwrap(), Some(libc::SCHED_IDLE));
        assert_eq!(policy(), usual);
        assert!(usual.is_some_and(|usual| usual != libc::SCHED_IDLE));
    }
}
