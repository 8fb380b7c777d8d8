//! A batch in the hands of this server: the lease, and every change under it.

use std::{future::Future, time::Duration};

use tokio::{pin, time::sleep};

use crate::{
    Error, clock,
    record::{BatchRecord, Lease},
    shelf::{Shelf, Stored},
};

/// Why a batch was let go before its end.
#[derive(Debug)]
pub(crate) enum Left {
    /// Another server has it, or it is gone.
    Lost,
    /// The server stops; another may have it at once.
    Stopped,
    /// Something beneath failed; it is tried again when the lease has ended.
    Trouble(Error),
}

impl<E: Into<Error>> From<E> for Left {
    fn from(error: E) -> Self {
        Self::Trouble(error.into())
    }
}

/// A batch that this server runs.
pub(crate) struct Held {
    shelf: Shelf,
    server: u64,
    time: Duration,
    stored: Stored<BatchRecord>,
}

impl Held {
    /// Takes a batch; `None` if another server was quicker.
    pub(crate) async fn take(
        shelf: &Shelf,
        server: u64,
        time: Duration,
        mut stored: Stored<BatchRecord>,
    ) -> Result<Option<Self>, Error> {
        stored.record.lease = Some(Lease { server, until: clock::now().after(time) });
        stored.record.generation += 1;
        let taken = shelf.put(&mut stored).await?;
        Ok(taken.then(|| Self { shelf: shelf.clone(), server, time, stored }))
    }

    pub(crate) fn id(&self) -> &str {
        &self.stored.id
    }

    pub(crate) const fn record(&self) -> &BatchRecord {
        &self.stored.record
    }

    /// Changes the batch and renews the lease. What a client changed meanwhile stays: `change` is
    /// applied to the newest record, perhaps several times.
    pub(crate) async fn update(
        &mut self,
        change: impl Fn(&mut BatchRecord) + Send,
    ) -> Result<(), Left> {
        loop {
            let mut next = self.stored.clone();
            let until = clock::now().after(self.time);
            next.record.lease = Some(Lease { server: self.server, until });
            change(&mut next.record);
            if self.shelf.put(&mut next).await? {
                self.stored = next;
                return Ok(());
            }
            let newest = self.shelf.get::<BatchRecord>(&self.stored.id).await?;
            let generation = self.stored.record.generation;
            match newest.filter(|it| it.record.is_held_by(self.server, generation)) {
                Some(newest) => self.stored = newest,
                None => return Err(Left::Lost),
            }
        }
    }

    /// Renews the lease as long as some work takes.
    pub(crate) async fn keep_while<T>(
        &mut self,
        work: impl Future<Output = T> + Send,
    ) -> Result<T, Left> {
        pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                () = sleep(self.time / 4) => self.update(|_| {}).await?,
            }
        }
    }

    /// Lets another server have it at once.
    pub(crate) async fn release(mut self) -> Result<(), Left> {
        self.update(|record| record.lease = None).await
    }
}
