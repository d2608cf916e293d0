//! Where files are kept: a folder, or a bucket that speaks S3. Names are made here, and never of what came in.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::future::ready;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use aws_lc_rs::digest::{Context, SHA256};
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{ClientConfigKey, ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart};
use uuid::Uuid;

use crate::error::{Error, Result};

/// Parts of a large file that are on their way at a time; each has 5 MB, the least that S3 takes.
const PARTS_UNDER_WAY: usize = 2;

/// The name of an object: the room that it lies in, and the id of what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// What kind of file it is: `documents`.
    pub room: &'static str,
    /// Whose file it is, in its feature's own table.
    pub id: Uuid,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.room, self.id)
    }
}

impl Key {
    fn path(self) -> ObjectPath {
        ObjectPath::from(self.to_string())
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Bytes.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// The place where files are kept.
pub struct Storage {
    store: Arc<dyn ObjectStore>,
}

impl Storage {
    /// Opens `s3://bucket/prefix`, with credentials and endpoint from the usual `AWS_*` variables, or else a folder, which is
    /// made where it is missing.
    ///
    /// # Errors
    /// One sentence that says what to mend.
    pub fn open(location: &str) -> Result<Self, String> {
        match location.strip_prefix("s3://") {
            Some(bucket) => {
                let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
                Self::bucket(AmazonS3Builder::from_env().with_bucket_name(bucket), prefix)
            }
            None => Self::folder(Path::new(location)),
        }
    }

    /// Opens a bucket, and in it only what begins with `prefix`.
    ///
    /// # Errors
    /// One sentence that says what to mend.
    pub fn bucket(builder: AmazonS3Builder, prefix: &str) -> Result<Self, String> {
        let setting = |key| builder.get_config_value(&key).unwrap_or_default();
        let is_plain = setting(AmazonS3ConfigKey::Endpoint).starts_with("http://");
        if is_plain && setting(AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp)) != "true" {
            return Err("the endpoint of S3 is plain http; AWS_ALLOW_HTTP=true allows that".to_owned());
        }
        // A caller waits for the answer.
        let retry = RetryConfig { max_retries: 3, retry_timeout: Duration::from_secs(10), ..RetryConfig::default() };
        let store = builder.with_retry(retry).build().map_err(|error| format!("KNEAD_STORAGE: {error}"))?;
        Ok(Self { store: Arc::new(PrefixStore::new(store, prefix)) })
    }

    fn folder(folder: &Path) -> Result<Self, String> {
        let failed = |what: &str, why: &dyn fmt::Display| {
            format!("KNEAD_STORAGE: the folder {} cannot be {what}: {why}", folder.display())
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed("made", &error))?;
        let mode = fs::metadata(folder).map_err(|error| failed("read", &error))?.permissions().mode();
        // What is below is as open as the machine's habits make it.
        if mode & 0o007 != 0 {
            return Err(format!(
                "KNEAD_STORAGE: {0} is open to everyone; close it with chmod o= {0}",
                folder.display()
            ));
        }
        let probe = folder.join(format!(".probe-{}", Uuid::now_v7()));
        fs::write(&probe, "").and_then(|()| fs::remove_file(&probe)).map_err(|error| failed("written", &error))?;
        // An answer says that the file is kept, also when the power fails.
        let store =
            LocalFileSystem::new_with_prefix(folder).map_err(|error| failed("opened", &error))?.with_fsync(true);
        Ok(Self { store: Arc::new(store) })
    }

    /// Writes a small file.
    pub async fn put(&self, key: Key, bytes: Bytes) -> Result<()> {
        self.store.put(&key.path(), bytes.into()).await.map_err(failed)?;
        Ok(())
    }

    /// Writes a file of any size as it arrives, in bounded memory; 413 past `max_bytes`. Nothing is left of a file that does not
    /// arrive whole; where the write itself is cut off, by a kill or a dropped future, a bucket keeps its parts until a lifecycle
    /// rule of its own clears them away.
    pub async fn put_stream(
        &self,
        key: Key,
        chunks: impl Stream<Item = Result<Bytes>>,
        max_bytes: u64,
    ) -> Result<Stored> {
        let mut writer = WriteMultipart::new(self.store.put_multipart(&key.path()).await.map_err(failed)?);
        match fill(&mut writer, chunks, max_bytes).await {
            Ok(stored) => writer.finish().await.map(|_| stored).map_err(failed),
            Err(error) => {
                if let Err(error) = writer.abort().await {
                    tracing::warn!(%error, %key, "parts of a file were left behind");
                }
                Err(error)
            }
        }
    }

    /// Reads a file, piece by piece.
    pub async fn read(&self, key: Key) -> Result<BoxStream<'static, Result<Bytes>>> {
        let found = self.store.get(&key.path()).await.map_err(failed)?;
        Ok(found.into_stream().map_err(failed).boxed())
    }

    /// Deletes a file; one that is not there is no error.
    pub async fn delete(&self, key: Key) -> Result<()> {
        match self.store.delete(&key.path()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Every file in a room; what is not named as we name files is not ours.
    pub fn list(&self, room: &'static str) -> BoxStream<'static, Result<Key>> {
        let found = self.store.list(Some(&ObjectPath::from(room))).map_err(failed);
        let key = move |name: Option<&str>| name?.parse().ok().map(|id| Key { room, id });
        found.try_filter_map(move |object| ready(Ok(key(object.location.filename())))).boxed()
    }

    /// The files in a room that were begun before an instant, some hundreds at a time: those whose uploads ended half-way, and what
    /// has served its purpose, are among them.
    pub fn begun_before(&self, room: &'static str, instant: DateTime<Utc>) -> BoxStream<'static, Result<Vec<Uuid>>> {
        let is_old = move |id: Uuid| {
            let made = id.get_timestamp().and_then(|made| i64::try_from(made.to_unix().0).ok());
            made.is_some_and(|made| made < instant.timestamp())
        };
        let old = self.list(room).map_ok(|key| key.id).try_filter(move |id| ready(is_old(*id)));
        old.try_chunks(500).map_err(|error| error.1).boxed()
    }
}

async fn fill(
    writer: &mut WriteMultipart,
    chunks: impl Stream<Item = Result<Bytes>>,
    max_bytes: u64,
) -> Result<Stored> {
    let mut chunks = std::pin::pin!(chunks);
    let (mut size, mut digest) = (0, Context::new(&SHA256));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        size += chunk.len() as u64;
        if size > max_bytes {
            return Err(Error::TooLarge);
        }
        digest.update(&chunk);
        writer.wait_for_capacity(PARTS_UNDER_WAY).await.map_err(failed)?;
        writer.write(&chunk);
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest.finish().as_ref());
    Ok(Stored { size, sha256 })
}

/// What a caller is told whose file cannot be written or read. Our own rows name the objects, so that one which is missing is a
/// fault of ours.
fn failed(error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::Internal(error.to_string()),
        _ => Error::Unavailable(error.to_string()),
    }
}
