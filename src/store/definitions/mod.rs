//! How the definitions in a database differ from those that the migrations make. A trigger, a rule or a
//! changed table that came with a tampered backup would act in every query.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};

use crate::core::error::Fault;
use crate::store::engine::{postgres, sqlite};
use crate::store::{BackupError, Pool, Store, broken};

/// The table in which sqlx notes migrations, and makes it itself: its columns are sqlx's business.
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DefinitionReport {
    /// What Cloakroom's own tables have, lack or have otherwise.
    pub differences: Vec<Difference>,
    /// Views that read Cloakroom's tables. No query of Cloakroom's reads a view.
    pub views: Vec<String>,
    /// Triggers on tables that are not Cloakroom's, each with its table.
    pub foreign_triggers: Vec<String>,
}

/// A definition that is not the one of the migrations.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    change: Change,
    kind: String,
    name: String,
    table: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Added,
    Missing,
    Other,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { change, kind, name, table } = self;
        if name == table {
            write!(f, "the {kind} {name} ")?;
        } else {
            write!(f, "the {kind} {name} on {table} ")?;
        }
        f.write_str(match change {
            Change::Added => "is not Cloakroom's",
            Change::Missing => "is missing",
            Change::Other => "is not as Cloakroom makes it",
        })
    }
}

/// The table that a definition belongs to, its kind and its name; and what it says.
type Definitions = BTreeMap<(String, String, String), String>;

fn compare(found: &Definitions, reference: &Definitions) -> Vec<Difference> {
    let keys: BTreeSet<_> = found.keys().chain(reference.keys()).collect();
    let difference = |key: &(String, String, String)| {
        let change = match (found.get(key), reference.get(key)) {
            (Some(found), Some(made)) if found == made => return None,
            (Some(_), Some(_)) => Change::Other,
            (Some(_), None) => Change::Added,
            (None, _) => Change::Missing,
        };
        let (table, kind, name) = key.clone();
        Some(Difference { change, kind, name, table })
    };
    keys.into_iter().filter_map(difference).collect()
}

fn tables(reference: &Definitions) -> BTreeSet<String> {
    let tables = reference.keys().map(|(table, ..)| table.clone());
    tables.chain([MIGRATIONS_TABLE.to_owned()]).collect()
}

impl Store {
    /// Compares the definitions in an SQLite file that nobody writes with those of the migrations.
    pub async fn check_file_definitions(
        file: &Path,
        schema: i64,
    ) -> Result<DefinitionReport, BackupError> {
        let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
        let damaged = |error: sqlx::Error| BackupError::Damaged(error.to_string());
        let mut copy = SqliteConnection::connect_with(&options).await.map_err(damaged)?;
        let report = check_sqlite(&mut copy, schema).await.map_err(damaged)?;
        copy.close().await.map_err(damaged)?;
        Ok(report)
    }

    /// Compares the definitions in this database with those of the migrations.
    pub async fn check_definitions(&self) -> Result<Option<DefinitionReport>, Fault> {
        check(&self.reader(), Self::newest_schema())
            .await
            .map_err(broken("comparing the tables with the migrations"))
    }
}

/// Compares what is there with what the migrations up to this one make. `None` where a PostgreSQL lets
/// its user make no temporary tables to compare with.
pub(in crate::store) async fn check(
    pool: &Pool<'_>,
    schema: i64,
) -> sqlx::Result<Option<DefinitionReport>> {
    match pool {
        Pool::Sqlite(pool, _) => check_sqlite(&mut *pool.acquire().await?, schema).await.map(Some),
        Pool::Postgres(pool) => match check_postgres(&mut *pool.acquire().await?, schema).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => {
                Ok(None)
            }
            checked => checked.map(Some),
        },
    }
}

async fn check_sqlite(
    connection: &mut SqliteConnection,
    schema: i64,
) -> sqlx::Result<DefinitionReport> {
    let mut reference = SqliteConnection::connect("sqlite::memory:").await?;
    for migration in sqlite::MIGRATIONS.iter().filter(|migration| migration.version <= schema) {
        sqlx::raw_sql(migration.sql.clone()).execute(&mut reference).await?;
    }
    let made = read_sqlite(&mut reference).await?;
    reference.close().await?;
    let own = tables(&made);
    let mut report = DefinitionReport::default();
    let mut found = Definitions::new();
    for (key, sql) in read_sqlite(connection).await? {
        let (table, kind, name) = &key;
        let is_own = own.contains(table);
        if table == MIGRATIONS_TABLE && kind == "table" {
            continue;
        }
        if is_own {
            found.insert(key, sql);
        } else if kind == "trigger" {
            report.foreign_triggers.push(format!("{name} on {table}"));
        } else if kind == "view" && reads_any(connection, name, &sql, &own).await? {
            report.views.push(name.clone());
        }
    }
    report.differences = compare(&found, &made);
    Ok(report)
}

/// Every definition in an SQLite database, but for SQLite's own tables.
async fn read_sqlite(connection: &mut SqliteConnection) -> sqlx::Result<Definitions> {
    // a trigger has the name of its table as it was typed; indexes of SQLite's own follow from tables
    let rows: Vec<(String, String, String, String)> = sqlx::query_as(
        "select lower(tbl_name), type, lower(name), coalesce(sql, '') from sqlite_schema
         where lower(tbl_name) not like 'sqlite\\_%' escape '\\'
             and lower(name) not like 'sqlite\\_%' escape '\\'",
    )
    .fetch_all(connection)
    .await?;
    // a checkout may have other line ends
    let rows = rows.into_iter().map(|(table, kind, name, sql)| {
        let sql = sql.replace('\r', "");
        ((table, kind, name), sql)
    });
    Ok(rows.collect())
}

/// Does a view read one of these tables? The program that SQLite compiles it to says which it opens.
async fn reads_any(
    connection: &mut SqliteConnection,
    view: &str,
    sql: &str,
    tables: &BTreeSet<String>,
) -> sqlx::Result<bool> {
    let pages: Vec<(i64, String)> =
        sqlx::query_as("select rootpage, lower(tbl_name) from sqlite_schema where rootpage > 0")
            .fetch_all(&mut *connection)
            .await?;
    let explain = format!("explain select * from \"{}\"", view.replace('"', "\"\""));
    let Ok(steps) = sqlx::query(AssertSqlSafe(explain)).fetch_all(connection).await else {
        // it does not compile here, where an embedder's functions are missing: its words tell
        let words = sql.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        return Ok(words.map(str::to_ascii_lowercase).any(|word| tables.contains(&word)));
    };
    for step in steps {
        if step.try_get::<String, _>("opcode")? == "OpenRead" {
            let page = step.try_get::<i64, _>("p2")?;
            if pages.iter().any(|(root, table)| *root == page && tables.contains(table)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The reference is made of temporary tables, in a transaction that is rolled back.
async fn check_postgres(
    connection: &mut PgConnection,
    schema: i64,
) -> sqlx::Result<DefinitionReport> {
    const OURS: &str =
        "(select relnamespace from pg_class where oid = to_regclass('_sqlx_migrations'))";
    let mut all = connection.begin().await?;
    let mut reference = all.begin().await?;
    sqlx::query("set local search_path = pg_temp").execute(&mut *reference).await?;
    for migration in postgres::MIGRATIONS.iter().filter(|migration| migration.version <= schema) {
        sqlx::raw_sql(migration.sql.clone()).execute(&mut *reference).await?;
    }
    let names = "select relname::text from pg_class
         where relnamespace = pg_my_temp_schema() and relkind = 'r'";
    let mut names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut *reference).await?;
    let mut made = read_postgres(&mut reference, "pg_my_temp_schema()", &names).await?;
    reference.rollback().await?;
    let noted = (MIGRATIONS_TABLE.to_owned(), "table".to_owned(), MIGRATIONS_TABLE.to_owned());
    made.insert(noted, "r".to_owned());
    names.push(MIGRATIONS_TABLE.to_owned());
    let mut found = read_postgres(&mut all, OURS, &names).await?;
    found.retain(|(table, kind, _), _| {
        table != MIGRATIONS_TABLE || !["column", "constraint", "index"].contains(&kind.as_str())
    });
    let views = format!(
        "select distinct v.relname::text
         from pg_rewrite r
         join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
             and d.refclassid = 'pg_class'::regclass
         join pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm')
         join pg_class own on own.oid = d.refobjid and own.relname = any($1)
             and own.relnamespace = {OURS}
         order by 1"
    );
    let views = sqlx::query_scalar(AssertSqlSafe(views)).bind(&names).fetch_all(&mut *all).await?;
    let triggers = format!(
        "select t.tgname || ' on ' || c.relname from pg_trigger t join pg_class c on c.oid = t.tgrelid
         where not t.tgisinternal and c.relnamespace = {OURS} and not c.relname = any($1)
         order by 1"
    );
    let triggers = sqlx::query_scalar(AssertSqlSafe(triggers)).bind(&names);
    let foreign_triggers = triggers.fetch_all(&mut *all).await?;
    all.rollback().await?;
    Ok(DefinitionReport { differences: compare(&found, &made), views, foreign_triggers })
}

/// Every definition that belongs to these tables of a namespace. Internal triggers keep foreign keys,
/// and are none of a definition unless they are switched off.
async fn read_postgres(
    connection: &mut PgConnection,
    namespace: &str,
    names: &[String],
) -> sqlx::Result<Definitions> {
    let sql = format!(
        "with own as (
             select * from pg_class
             where relnamespace = {namespace} and relname = any($1)
                 and relkind in ('r', 'p', 'v', 'm', 'f')
         )
         select o.relname::text, 'table', o.relname::text, concat_ws(' ', o.relkind::text,
             case when o.relpersistence = 'u' then 'unlogged' end,
             case when o.relrowsecurity or o.relforcerowsecurity then 'row security' end)
         from own o
         union all
         select o.relname::text, 'column', a.attname::text, concat_ws(' ',
             format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end,
             a.attidentity::text, a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid),
             case when a.attcollation <> t.typcollation then a.attcollation::regcollation::text end)
         from own o
         join pg_attribute a on a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped
         join pg_type t on t.oid = a.atttypid
         left join pg_attrdef d on d.adrelid = o.oid and d.adnum = a.attnum
         union all
         select o.relname::text, 'constraint', c.conname::text, pg_get_constraintdef(c.oid)
         from own o join pg_constraint c on c.conrelid = o.oid and c.contype <> 'n'
         union all
         select o.relname::text, 'index', i.relname::text, concat_ws(' ',
             regexp_replace(pg_get_indexdef(i.oid), ' ON (ONLY )?\\S+ USING ', ' USING '),
             case when not x.indisvalid then 'not valid' end)
         from own o join pg_index x on x.indrelid = o.oid join pg_class i on i.oid = x.indexrelid
         union all
         select o.relname::text, 'trigger', t.tgname::text,
             concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled::text)
         from own o join pg_trigger t on t.tgrelid = o.oid
             and (not t.tgisinternal or t.tgenabled <> 'O')
         union all
         select o.relname::text, 'rule', r.rulename::text, pg_get_ruledef(r.oid)
         from own o join pg_rewrite r on r.ev_class = o.oid
         union all
         select o.relname::text, 'policy', p.polname::text,
             concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
         from own o join pg_policy p on p.polrelid = o.oid
         union all
         select o.relname::text, 'inheriting table', h.inhrelid::regclass::text, ''
         from own o join pg_inherits h on h.inhparent = o.oid
         union all
         select o.relname::text, 'inherited table', h.inhparent::regclass::text, ''
         from own o join pg_inherits h on h.inhrelid = o.oid"
    );
    let rows: Vec<(String, String, String, Option<String>)> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(names).fetch_all(connection).await?;
    let rows = rows
        .into_iter()
        .map(|(table, kind, name, text)| ((table, kind, name), text.unwrap_or_default()));
    Ok(rows.collect())
}
