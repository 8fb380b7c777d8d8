//! Wakes a poll at a precise time.
//!
//! A poll counts its timeout in whole milliseconds, which is longer than most of what is measured
//! here. On Linux a timer that is polled like a socket wakes to some ten microseconds; elsewhere the
//! timeout has to do.

pub(super) use self::system::Alarm;

#[cfg(target_os = "linux")]
mod system {
    use std::{io, os::fd::AsFd, os::fd::AsRawFd, time::Duration};

    use mio::{Interest, Registry, Token, unix::SourceFd};
    use nix::sys::{
        time::TimeSpec,
        timer::{Expiration, TimerSetTimeFlags},
        timerfd::{ClockId, TimerFd, TimerFlags},
    };

    /// A timer of the system.
    pub(in crate::load) struct Alarm {
        timer: TimerFd,
    }

    impl Alarm {
        pub(in crate::load) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            let descriptor = timer.as_fd().as_raw_fd();
            registry.register(&mut SourceFd(&descriptor), token, Interest::READABLE)?;
            Ok(Self { timer })
        }

        /// Rings once, after `wait`. Setting it again silences the earlier setting; nobody needs to
        /// read it, because setting it also forgets that it rang.
        pub(in crate::load) fn set(&self, wait: Duration) -> io::Result<()> {
            // Zero would switch it off.
            let wait = TimeSpec::from_duration(wait.max(Duration::from_nanos(1)));
            Ok(self.timer.set(Expiration::OneShot(wait), TimerSetTimeFlags::empty())?)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::{io, time::Duration};

    use mio::{Registry, Token};

    /// Nothing: the timeout of the poll wakes.
    pub(in crate::load) struct Alarm;

    impl Alarm {
        pub(in crate::load) fn new(_: &Registry, _: Token) -> io::Result<Self> {
            Ok(Self)
        }

        pub(in crate::load) fn set(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }
    }
}
