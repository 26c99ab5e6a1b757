//! Who is not to be called, the register of what customers agreed to and forbade, and robots that an
//! admin stopped.
//!
//! A running server polls [`Store::outbound_revision`], which reads one row, and reads list and
//! stopped robots again when it is another one. What the server itself forbade may still wait in its
//! writer then: it flushes the writer before it reads the list.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{QueryBuilder, Row};

use super::Store;
use super::promises::{ADD_CONSENTS, ADD_FORBIDDEN, consent_row, forbade, phone};
use super::statements::{Cell, Statement, execute};
use super::visits::{not_too_many, one_too_many};
use crate::database::{DatabaseError, on_pool};
use crate::domain::{DoNotCall, PhoneNumber, Timestamp};

/// Makes a running server look.
const BUMP: &str = "insert into meta (name, value) values ('outbound-revision', '1') \
    on conflict (name) do update set value = cast(cast(meta.value as bigint) + 1 as text)";

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub forbidden: DoNotCall,
    /// Who said so: `key 9 in 0199…`, `command line`.
    pub source: String,
    pub at: Timestamp,
}

/// One line of the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    pub phone: PhoneNumber,
    pub at: Timestamp,
    /// What was said, and by which key or whom.
    pub said: String,
}

impl Store {
    /// Another number after every change of the list, or of stopped robots, from outside the
    /// server. Read it first, so that no change in between is missed.
    pub async fn outbound_revision(&self) -> Result<u64, DatabaseError> {
        let sql = "select value from meta where name = 'outbound-revision'";
        let value: Option<String> =
            on_pool!(&self.pool, |pool| sqlx::query_scalar(sql).fetch_optional(pool).await?);
        Ok(value.and_then(|value| value.parse().ok()).unwrap_or(0))
    }

    /// The list as a server needs it.
    pub async fn do_not_call(&self) -> Result<BTreeSet<DoNotCall>, DatabaseError> {
        Ok(self.refusals(None).await?.into_iter().map(|refusal| refusal.forbidden).collect())
    }

    /// The list with its sources, perhaps of one number, the newest last.
    pub async fn refusals(&self, of: Option<&PhoneNumber>) -> Result<Vec<Refusal>, DatabaseError> {
        let refusals = on_pool!(&self.pool, |pool| {
            let mut query = QueryBuilder::new("select * from do_not_call");
            if let Some(of) = of {
                query.push(" where phone = ").push_bind(of.as_str());
            }
            query.push(" order by at_ms, phone, robot limit ").push_bind(one_too_many());
            let rows = query.build().fetch_all(pool).await?;
            rows.iter()
                .map(|row| {
                    let robot: String = row.try_get("robot")?;
                    let robot = Some(robot).filter(|robot| !robot.is_empty());
                    let phone = phone(row.try_get("phone")?)?;
                    Ok(Refusal {
                        forbidden: DoNotCall { phone, robot },
                        source: row.try_get("source")?,
                        at: Timestamp(row.try_get("at_ms")?),
                    })
                })
                .collect::<Result<Vec<_>, sqlx::Error>>()?
        });
        not_too_many(refusals)
    }

    /// For everybody but the server: adds to the list and to the register, each with who said so;
    /// all or none. Returns how many are new; of others the first source stays.
    pub async fn forbid(
        &self,
        forbidden: &[(DoNotCall, String)],
        now: Timestamp,
    ) -> Result<u64, DatabaseError> {
        let robot = |entry: &DoNotCall| entry.robot.clone().unwrap_or_default();
        let rows = forbidden.iter().map(|(entry, source)| -> Vec<Cell> {
            let phone = entry.phone.as_str().into();
            vec![phone, robot(entry).into(), source.as_str().into(), now.into()]
        });
        let said = |(entry, source): &(DoNotCall, String)| {
            consent_row(&entry.phone, &forbade(&robot(entry), source), now)
        };
        let (rows, said) =
            (rows.collect::<Vec<_>>(), forbidden.iter().map(said).collect::<Vec<_>>());
        let list = Statement::inserts(ADD_FORBIDDEN, &rows, " on conflict do nothing");
        let register = Statement::inserts(ADD_CONSENTS, &said, " on conflict do nothing");
        let (list, register): (Vec<_>, Vec<_>) = (list.collect(), register.collect());
        Ok(on_pool!(&self.pool, |pool, begin| {
            let mut transaction = pool.begin_with(begin).await?;
            sqlx::query(BUMP).execute(&mut *transaction).await?;
            let mut new = 0;
            for statement in &list {
                new += execute!(&mut *transaction, statement);
            }
            for statement in &register {
                execute!(&mut *transaction, statement);
            }
            transaction.commit().await?;
            new
        }))
    }

    /// Takes a line off the list and says so in the register. Returns whether it was there.
    pub async fn allow(
        &self,
        allowed: &DoNotCall,
        source: &str,
        now: Timestamp,
    ) -> Result<bool, DatabaseError> {
        let robot = allowed.robot.as_deref().unwrap_or_default();
        let said = match robot {
            "" => format!("calls by robots again: {source}"),
            robot => format!("calls by {robot} again: {source}"),
        };
        let row = vec![consent_row(&allowed.phone, &said, now)];
        let register = Statement::inserts(ADD_CONSENTS, &row, " on conflict do nothing");
        let register: Vec<_> = register.collect();
        let sql = "delete from do_not_call where phone = $1 and robot = $2";
        Ok(on_pool!(&self.pool, |pool, begin| {
            let mut transaction = pool.begin_with(begin).await?;
            sqlx::query(BUMP).execute(&mut *transaction).await?;
            let remove = sqlx::query(sql).bind(allowed.phone.as_str()).bind(robot);
            let removed = remove.execute(&mut *transaction).await?.rows_affected() > 0;
            if removed {
                for statement in &register {
                    execute!(&mut *transaction, statement);
                }
            }
            transaction.commit().await?;
            removed
        }))
    }

    /// The register, perhaps of one number, the oldest first.
    pub async fn consents(&self, of: Option<&PhoneNumber>) -> Result<Vec<Consent>, DatabaseError> {
        let rows: Vec<(String, i64, String)> = on_pool!(&self.pool, |pool| {
            let mut query = QueryBuilder::new("select phone, at_ms, said from consents");
            if let Some(of) = of {
                query.push(" where phone = ").push_bind(of.as_str());
            }
            query.push(" order by at_ms, phone, said limit ").push_bind(one_too_many());
            query.build_query_as().fetch_all(pool).await?
        });
        let consent = |(number, at_ms, said): (String, i64, String)| {
            Ok(Consent { phone: phone(&number)?, at: Timestamp(at_ms), said })
        };
        not_too_many(rows.into_iter().map(consent).collect::<Result<_, sqlx::Error>>()?)
    }

    /// The robots that an admin stopped, and since when.
    pub async fn stopped_robots(&self) -> Result<BTreeMap<String, Timestamp>, DatabaseError> {
        let sql = "select name, since_ms from stopped_robots";
        let rows: Vec<(String, i64)> =
            on_pool!(&self.pool, |pool| sqlx::query_as(sql).fetch_all(pool).await?);
        Ok(rows.into_iter().map(|(name, since)| (name, Timestamp(since))).collect())
    }

    /// Stops a robot, or lets it go on; lasts over restarts, and a running server takes it over.
    /// Returns whether that changed anything.
    pub async fn set_robot_stopped(
        &self,
        name: &str,
        is_stopped: bool,
        now: Timestamp,
    ) -> Result<bool, DatabaseError> {
        let stop = "insert into stopped_robots (name, since_ms) values ($1, $2) \
            on conflict (name) do nothing";
        let start = "delete from stopped_robots where name = $1";
        Ok(on_pool!(&self.pool, |pool, begin| {
            let mut transaction = pool.begin_with(begin).await?;
            sqlx::query(BUMP).execute(&mut *transaction).await?;
            let change = match is_stopped {
                true => sqlx::query(stop).bind(name).bind(now.0),
                false => sqlx::query(start).bind(name),
            };
            let changed = change.execute(&mut *transaction).await?.rows_affected() > 0;
            transaction.commit().await?;
            changed
        }))
    }
}
