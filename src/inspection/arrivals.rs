//! Files on their way in: a few of each account at a time. They lie on the disk until there is a turn to look at them, so that slow
//! callers hold neither memory nor anyone's turn.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;

use crate::error::{Error, Refusal, Result};
use crate::ids::AccountId;

/// Uploads of one account at a time.
const OF_ONE: usize = 4;
/// Uploads of everybody at a time: 2.5 GB on the disk at the most.
const IN_ALL: usize = 256;

/// How many uploads are under way, by account. Accounts without any are not in it.
#[derive(Clone, Default)]
pub(super) struct Arrivals(Arc<Mutex<HashMap<AccountId, usize>>>);

/// One upload under way, until it is dropped.
pub struct Arrival {
    account: AccountId,
    among: Arrivals,
}

impl Arrivals {
    /// Counts another upload of an account.
    ///
    /// # Errors
    /// `too_many_uploads` where it has enough of them under way, and 503 where all accounts together do.
    pub(super) fn begin(&self, account: AccountId) -> Result<Arrival> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = under_way.get(&account).copied().unwrap_or_default();
        if own >= OF_ONE {
            return Err(Refusal::TooManyUploads.into());
        }
        if under_way.values().sum::<usize>() >= IN_ALL {
            return Err(Error::Unavailable("too many documents on their way".to_owned()));
        }
        under_way.insert(account, own + 1);
        Ok(Arrival { account, among: self.clone() })
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut under_way = self.among.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = under_way.get_mut(&self.account) {
            *own -= 1;
            if *own == 0 {
                under_way.remove(&self.account);
            }
        }
    }
}

/// A file that has arrived. It has no name on the disk, so that it is gone when it is dropped, or the process ends.
pub struct Arrived(File);

impl Arrived {
    /// Takes a file to the disk, chunk by chunk.
    pub async fn take(chunks: impl Stream<Item = Result<Bytes>>) -> Result<Self> {
        let file = tokio::task::spawn_blocking(tempfile::tempfile).await.map_err(|e| Error::Internal(e.to_string()))?;
        let mut file = tokio::fs::File::from_std(file.map_err(unwritten)?);
        let mut chunks = std::pin::pin!(chunks);
        while let Some(chunk) = chunks.next().await {
            file.write_all(&chunk?).await.map_err(unwritten)?;
        }
        file.flush().await.map_err(unwritten)?;
        Ok(Self(file.into_std().await))
    }

    /// Reads it back into memory.
    pub async fn read(mut self) -> Result<Bytes> {
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            self.0.rewind().and_then(|()| self.0.read_to_end(&mut bytes)).map(|_| bytes.into())
        });
        read.await.map_err(|error| Error::Internal(error.to_string()))?.map_err(unwritten)
    }
}

fn unwritten(error: std::io::Error) -> Error {
    Error::Unavailable(format!("the folder for temporary files: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_a_few_uploads_under_way() {
        let arrivals = Arrivals::default();
        let account = || AccountId(uuid::Uuid::now_v7());
        let (one, other) = (account(), account());
        let mut held: Vec<Arrival> = (0..OF_ONE).map(|_| arrivals.begin(one).expect("a place")).collect();
        assert!(matches!(arrivals.begin(one), Err(Error::Refused(Refusal::TooManyUploads))));
        drop(arrivals.begin(other).expect("another's place"));
        held.pop();
        held.push(arrivals.begin(one).expect("a place that is free again"));
        held.extend((OF_ONE..IN_ALL).map(|_| arrivals.begin(account()).expect("a place")));
        assert!(matches!(arrivals.begin(other), Err(Error::Unavailable(_))));
        held.clear();
        assert!(arrivals.0.lock().expect("a map").is_empty(), "nothing is left of those who are done");
    }
}
