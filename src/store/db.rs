//! The two engines behind one set of queries.
//!
//! SQLite and PostgreSQL both read `$1`, so every statement is written once; the macros here only
//! say it to whichever engine is there. What differs is how they are opened.
//!
//! Deliberately absent: sqlx's `Any` driver, which would hide the engines from each other's types
//! and from their own connect options.

use std::{path::Path, time::Duration};

#[cfg(feature = "postgres")]
use sqlx::{PgPool, Postgres, postgres::PgPoolOptions};
use sqlx::{
    SqlSafeStr, Sqlite, SqlitePool, Transaction,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// Connections to PostgreSQL.
#[cfg(feature = "postgres")]
const SHARED_CONNECTIONS: u32 = 8;
/// Readers of the SQLite file; there is one writer.
const READERS: u32 = 3;
/// How long one statement waits for another's lock.
const BUSY: Duration = Duration::from_secs(2);

/// Pools to one engine. Clones are the same.
#[derive(Debug, Clone)]
pub(super) enum Db {
    Sqlite {
        read: SqlitePool,
        write: SqlitePool,
    },
    #[cfg(feature = "postgres")]
    Postgres(PgPool),
}

/// Several statements that happen together or not at all.
#[derive(Debug)]
pub(super) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(Transaction<'static, Postgres>),
}

/// Runs one statement inside a transaction and tells how many rows it changed.
macro_rules! execute {
    ($tx:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        match $tx {
            $crate::store::db::Tx::Sqlite(tx) => {
                sqlx::query($sql)$(.bind($value))*.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            #[cfg(feature = "postgres")]
            $crate::store::db::Tx::Postgres(tx) => {
                sqlx::query($sql)$(.bind($value))*.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
        }
    };
}

/// The rows of one query inside a transaction, as tuples of type `$row`.
macro_rules! fetch_in {
    ($tx:expr, $row:ty, $sql:expr $(, $value:expr)* $(,)?) => {
        match $tx {
            $crate::store::db::Tx::Sqlite(tx) => {
                sqlx::query_as::<_, $row>($sql)$(.bind($value))*.fetch_all(&mut **tx).await
            }
            #[cfg(feature = "postgres")]
            $crate::store::db::Tx::Postgres(tx) => {
                sqlx::query_as::<_, $row>($sql)$(.bind($value))*.fetch_all(&mut **tx).await
            }
        }
    };
}

/// The rows of one query, as tuples of type `$row`.
macro_rules! fetch {
    ($db:expr, $row:ty, $sql:expr $(, $value:expr)* $(,)?) => {
        match $db {
            $crate::store::db::Db::Sqlite { read, .. } => {
                sqlx::query_as::<_, $row>($sql)$(.bind($value))*.fetch_all(read).await
            }
            #[cfg(feature = "postgres")]
            $crate::store::db::Db::Postgres(pool) => {
                sqlx::query_as::<_, $row>($sql)$(.bind($value))*.fetch_all(pool).await
            }
        }
    };
}

pub(super) use {execute, fetch, fetch_in};

// === impl Db ===

impl Db {
    /// Opens a file, made if it is missing, and brings its tables up to date.
    pub(super) async fn file(path: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What a client was told is on the disk, should the machine itself go down.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections).idle_timeout(None);
        let write = pool(1).connect_with(options.clone()).await?;
        migrator().run(&write).await?;
        let read = pool(READERS).min_connections(0).connect_lazy_with(options);
        Ok(Self::Sqlite { read, write })
    }

    /// Opens a database that lives as long as the process.
    pub(super) async fn memory() -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new().in_memory(true);
        // A second connection would be a second database.
        let only = SqlitePoolOptions::new().max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None);
        let only = only.connect_with(options).await?;
        migrator().run(&only).await?;
        Ok(Self::Sqlite { read: only.clone(), write: only })
    }

    /// Connects to PostgreSQL and brings its tables up to date; several gateways may do so at once.
    #[cfg(feature = "postgres")]
    pub(super) async fn postgres(url: &str) -> Result<Self, sqlx::Error> {
        let pool = PgPoolOptions::new()
            .max_connections(SHARED_CONNECTIONS)
            .min_connections(2)
            .acquire_timeout(BUSY)
            .connect(url)
            .await?;
        migrator().run(&pool).await?;
        Ok(Self::Postgres(pool))
    }

    pub(super) async fn begin(&self) -> Result<Tx, sqlx::Error> {
        match self {
            // The lock at once, so that no statement finds the database changed under it.
            Self::Sqlite { write, .. } => write.begin_with("BEGIN IMMEDIATE").await.map(Tx::Sqlite),
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.begin().await.map(Tx::Postgres),
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { read, write } => {
                read.close().await;
                // The last one to close writes the log back into the file.
                write.close().await;
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

// === impl Tx ===

impl Tx {
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => tx.commit().await,
        }
    }
}

fn migrator() -> Migrator {
    let first = include_str!("schema_1.sql").into_sql_str();
    let mut migrator =
        Migrator::with_migrations(vec![Migration::new(1, "first".into(), MigrationType::Simple, first, false)]);
    // An older gateway may go on with a newer one's tables while a fleet is replaced.
    migrator.set_ignore_missing(true);
    migrator
}
