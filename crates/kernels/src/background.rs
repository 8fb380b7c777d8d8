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
