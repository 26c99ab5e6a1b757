//! What happened in the shop: an inbox that keeps each event until somebody has seen to it.
//!
//! The API, CSV files and polls of the CRM put events in; the server takes them out, and says so
//! (`PromiseWriter::event_taken`) after the promise that came of one was stored. So an event is
//! never lost; a repeat has the same key and changes nothing.

use sqlx::Row;

use super::Store;
use super::promises::phone;
use super::statements::{Cell, Statement, execute};
use crate::database::{DatabaseError, on_pool};
use crate::domain::{ShopEvent, Timestamp};

impl Store {
    /// Puts events in; all or none. Returns how many are new, and how many were there already.
    pub async fn add_shop_events(
        &self,
        events: &[ShopEvent],
        source: &str,
        now: Timestamp,
    ) -> Result<(u64, u64), DatabaseError> {
        let row = |event: &ShopEvent| -> Vec<Cell> {
            vec![
                event.key.as_str().into(),
                event.name.as_str().into(),
                event.phone.as_str().into(),
                serde_json::to_string(&event.values).unwrap_or_default().into(),
                source.into(),
                now.into(),
            ]
        };
        let rows: Vec<Vec<Cell>> = events.iter().map(row).collect();
        let into = "insert into shop_events (key, name, phone, fields, source, arrived_ms) ";
        let on_conflict = " on conflict (key) do nothing";
        let statements: Vec<_> = Statement::inserts(into, &rows, on_conflict).collect();
        let new = on_pool!(&self.pool, |pool, begin| {
            let mut transaction = pool.begin_with(begin).await?;
            let mut new = 0;
            for statement in &statements {
                new += execute!(&mut *transaction, statement);
            }
            transaction.commit().await?;
            new
        });
        let all = u64::try_from(events.len()).unwrap_or(u64::MAX);
        Ok((new, all.saturating_sub(new)))
    }

    /// Events that nobody has seen to, in the order in which they came; at most `limit`.
    pub async fn pending_shop_events(&self, limit: u32) -> Result<Vec<ShopEvent>, DatabaseError> {
        let sql = "select key, name, phone, fields from shop_events where taken_ms is null \
            order by number limit $1";
        Ok(on_pool!(&self.pool, |pool| {
            let rows = sqlx::query(sql).bind(i64::from(limit)).fetch_all(pool).await?;
            rows.iter()
                .map(|row| {
                    let fields: &str = row.try_get("fields")?;
                    let values = serde_json::from_str(fields);
                    Ok(ShopEvent {
                        key: row.try_get("key")?,
                        name: row.try_get("name")?,
                        phone: phone(row.try_get("phone")?)?,
                        values: values.map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
                    })
                })
                .collect::<Result<Vec<_>, sqlx::Error>>()?
        }))
    }
}
