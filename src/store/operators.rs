//! The people who take calls: who they are, what their phones prove, whether they want calls now.
//!
//! Whoever changes them from outside the server (the command line, later the console) bumps a
//! revision in the same transaction. A running server polls [`Store::operators_revision`], which
//! reads one row, and reads everything again when it is another one.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{QueryBuilder, Row};

use super::Store;
use super::calls::word;
use crate::database::{DatabaseError, on_pool};
use crate::domain::{Account, Attendance, Extension, Ha1, Login, Operator, Timestamp};

/// The most operators that a house has; further ones are refused.
pub const OPERATORS_MAX: usize = 5_000;

/// Makes a running server look.
const BUMP: &str = "insert into meta (name, value) values ('operators-revision', '1') \
    on conflict (name) do update set value = cast(cast(meta.value as bigint) + 1 as text)";

/// One operator with all that is stored of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOperator {
    pub operator: Operator,
    pub account: Account,
    pub attendance: Attendance,
    /// When the attendance changed last; `None`: never logged in. A server that keeps attendance of
    /// its own takes over only what is newer than its own.
    pub attendance_since: Option<Timestamp>,
}

/// Why an operator was not stored.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("there is an operator {0} already; allo operator set changes one")]
    LoginTaken(Login),
    #[error("extension {extension} belongs to {by}")]
    ExtensionTaken { extension: Extension, by: String },
    #[error("there is no operator {0}; allo operator list shows all")]
    Unknown(Login),
    #[error("a house has at most {OPERATORS_MAX} operators")]
    TooMany,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for OperatorError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Store {
    /// Another number after every change from outside the server. Read it before
    /// [`Store::operators`], so that no change in between is missed.
    pub async fn operators_revision(&self) -> Result<u64, DatabaseError> {
        let sql = "select value from meta where name = 'operators-revision'";
        let value: Option<String> =
            on_pool!(&self.pool, |pool| sqlx::query_scalar(sql).fetch_optional(pool).await?);
        Ok(value.and_then(|value| value.parse().ok()).unwrap_or(0))
    }

    /// All operators, by login.
    pub async fn operators(&self) -> Result<Vec<StoredOperator>, DatabaseError> {
        let sql = "select o.*, a.in_groups as logged_in, a.paused, a.since_ms from operators o \
            left join attendance a on a.login = o.login order by o.login";
        Ok(on_pool!(&self.pool, |pool| {
            let rows = sqlx::query(sql).fetch_all(pool).await?;
            rows.iter()
                .map(|row| {
                    let login: Login = parsed(row.try_get("login")?)?;
                    let operator = Operator {
                        login: login.clone(),
                        name: row.try_get("name")?,
                        extension: optional(row.try_get("extension")?)?,
                        groups: from_json(row.try_get("in_groups")?)?,
                        skills: from_json(row.try_get("skills")?)?,
                        role: parsed(row.try_get("role")?)?,
                        auto_answer: row.try_get("auto_answer")?,
                        whisper: row.try_get("whisper")?,
                    };
                    let account = Account {
                        login,
                        realm: row.try_get("realm")?,
                        md5: Ha1(row.try_get("ha1_md5")?),
                        sha256: Ha1(row.try_get("ha1_sha256")?),
                        digest: optional(row.try_get("digest")?)?,
                    };
                    let logged_in: Option<&str> = row.try_get("logged_in")?;
                    let attendance = Attendance {
                        groups: logged_in.map(from_json).transpose()?.unwrap_or_default(),
                        paused: row.try_get("paused")?,
                    };
                    let since: Option<i64> = row.try_get("since_ms")?;
                    let attendance_since = since.map(Timestamp);
                    Ok(StoredOperator { operator, account, attendance, attendance_since })
                })
                .collect::<Result<Vec<_>, sqlx::Error>>()?
        }))
    }

    /// Adds one who is not there yet.
    pub async fn add_operator(
        &self,
        operator: &Operator,
        account: &Account,
    ) -> Result<(), OperatorError> {
        self.write_operators(&[(operator.clone(), account.clone())], true).await
    }

    /// Adds or replaces; all or none. Whoever is logged in to a group that they are no member of any
    /// more is logged out of it.
    pub async fn save_operators(
        &self,
        operators: &[(Operator, Account)],
    ) -> Result<(), OperatorError> {
        self.write_operators(operators, false).await
    }

    async fn write_operators(
        &self,
        operators: &[(Operator, Account)],
        must_be_new: bool,
    ) -> Result<(), OperatorError> {
        on_pool!(&self.pool, |pool, begin| {
            let mut transaction = pool.begin_with(begin).await?;
            // First, for it makes others who change operators wait.
            sqlx::query(BUMP).execute(&mut *transaction).await?;
            let known = sqlx::query("select login, extension from operators")
                .fetch_all(&mut *transaction)
                .await?
                .iter()
                .map(|row| Ok((row.try_get("login")?, row.try_get("extension")?)))
                .collect::<Result<Vec<(String, Option<String>)>, sqlx::Error>>()?;
            check_against(&known, operators, must_be_new)?;
            // Two may exchange their extensions.
            for (operator, _) in operators {
                let sql = "update operators set extension = null where login = $1";
                let free = sqlx::query(sql).bind(operator.login.as_str());
                free.execute(&mut *transaction).await?;
            }
            for (operator, account) in operators {
                let mut query = QueryBuilder::new(
                    "insert into operators (login, name, extension, in_groups, skills, role, \
                     auto_answer, whisper, digest, realm, ha1_md5, ha1_sha256) ",
                );
                query.push_values([()], |mut row, ()| {
                    row.push_bind(operator.login.as_str())
                        .push_bind(&operator.name)
                        .push_bind(operator.extension.as_ref().map(Extension::as_str))
                        .push_bind(to_json(&operator.groups))
                        .push_bind(to_json(&operator.skills))
                        .push_bind(word(&operator.role))
                        .push_bind(operator.auto_answer)
                        .push_bind(operator.whisper)
                        .push_bind(account.digest.map(|choice| word(&choice)))
                        .push_bind(&account.realm)
                        .push_bind(&account.md5.0)
                        .push_bind(&account.sha256.0);
                });
                query.push(
                    " on conflict (login) do update set name = excluded.name, \
                     extension = excluded.extension, in_groups = excluded.in_groups, \
                     skills = excluded.skills, role = excluded.role, \
                     auto_answer = excluded.auto_answer, whisper = excluded.whisper, \
                     digest = excluded.digest, realm = excluded.realm, \
                     ha1_md5 = excluded.ha1_md5, ha1_sha256 = excluded.ha1_sha256",
                );
                query.build().execute(&mut *transaction).await?;
                let sql = "select in_groups from attendance where login = $1";
                let logged_in: Option<String> = sqlx::query_scalar(sql)
                    .bind(operator.login.as_str())
                    .fetch_optional(&mut *transaction)
                    .await?;
                let Some(logged_in) = logged_in else { continue };
                let mut groups: Vec<String> = from_json(&logged_in)?;
                groups.retain(|group| operator.groups.contains(group));
                let sql = "update attendance set in_groups = $1 where login = $2";
                let keep = sqlx::query(sql).bind(to_json(&groups)).bind(operator.login.as_str());
                keep.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// Removes the operator; past calls keep the name. Returns whether there was one.
    pub async fn remove_operator(&self, login: &Login) -> Result<bool, DatabaseError> {
        Ok(on_pool!(&self.pool, |pool, begin| {
            let mut transaction = pool.begin_with(begin).await?;
            sqlx::query(BUMP).execute(&mut *transaction).await?;
            let mut removed = 0;
            for sql in [
                "delete from attendance where login = $1",
                "delete from operators where login = $1",
            ] {
                let remove = sqlx::query(sql).bind(login.as_str());
                removed = remove.execute(&mut *transaction).await?.rows_affected();
            }
            transaction.commit().await?;
            removed > 0
        }))
    }

    /// For the server: keeps what an operator wants since `now`. The revision stays, for the server
    /// knows. Nothing happens if the operator was removed meanwhile.
    pub async fn remember_attendance(
        &self,
        login: &Login,
        attendance: &Attendance,
        now: Timestamp,
    ) -> Result<(), DatabaseError> {
        on_pool!(&self.pool, |pool| {
            sqlx::query(KEEP_ATTENDANCE)
                .bind(to_json(&attendance.groups))
                .bind(attendance.paused.as_deref())
                .bind(now.0)
                .bind(login.as_str())
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// For everybody else: the same, and a running server takes it over.
    pub async fn set_attendance(
        &self,
        login: &Login,
        attendance: &Attendance,
        now: Timestamp,
    ) -> Result<(), OperatorError> {
        let changed = on_pool!(&self.pool, |pool, begin| {
            let mut transaction = pool.begin_with(begin).await?;
            sqlx::query(BUMP).execute(&mut *transaction).await?;
            let changed = sqlx::query(KEEP_ATTENDANCE)
                .bind(to_json(&attendance.groups))
                .bind(attendance.paused.as_deref())
                .bind(now.0)
                .bind(login.as_str())
                .execute(&mut *transaction)
                .await?
                .rows_affected();
            transaction.commit().await?;
            changed
        });
        if changed == 0 { Err(OperatorError::Unknown(login.clone())) } else { Ok(()) }
    }
}

/// Groups, reason, moment and login; nothing if there is no such operator.
const KEEP_ATTENDANCE: &str = "insert into attendance (login, in_groups, paused, since_ms) \
    select login, $1, $2, $3 from operators where login = $4 \
    on conflict (login) do update set in_groups = excluded.in_groups, \
    paused = excluded.paused, since_ms = excluded.since_ms";

/// What the tables refuse, in words.
fn check_against(
    known: &[(String, Option<String>)],
    operators: &[(Operator, Account)],
    must_be_new: bool,
) -> Result<(), OperatorError> {
    let written: BTreeSet<&str> = operators.iter().map(|(o, _)| o.login.as_str()).collect();
    let stay = || known.iter().filter(|(login, _)| !written.contains(login.as_str()));
    if must_be_new
        && let Some((operator, _)) = operators.first()
        && stay().count() < known.len()
    {
        return Err(OperatorError::LoginTaken(operator.login.clone()));
    }
    if stay().count() + written.len() > OPERATORS_MAX {
        return Err(OperatorError::TooMany);
    }
    for (operator, _) in operators {
        let Some(extension) = &operator.extension else { continue };
        let same = |other: Option<&str>| other == Some(extension.as_str());
        let elsewhere = stay().find(|(_, other)| same(other.as_deref())).map(|(login, _)| login);
        let here = operators.iter().map(|(other, _)| other).find(|other| {
            other.login != operator.login && other.extension.as_ref() == Some(extension)
        });
        if let Some(by) = elsewhere.cloned().or(here.map(|other| other.login.to_string())) {
            return Err(OperatorError::ExtensionTaken { extension: extension.clone(), by });
        }
    }
    Ok(())
}

fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(json).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn parsed<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T, sqlx::Error> {
    text.parse().map_err(|why: String| sqlx::Error::Decode(why.into()))
}

fn optional<T: std::str::FromStr<Err = String>>(
    text: Option<&str>,
) -> Result<Option<T>, sqlx::Error> {
    text.map(parsed).transpose()
}
