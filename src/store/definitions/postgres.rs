//! The definitions in a PostgreSQL database.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::report::{DefinitionReport, Definitions, MIGRATIONS_TABLE, compare};
use crate::store::engine::migrations;

/// The reference consists of temporary tables, which are created in a transaction that is rolled
/// back.
pub async fn check(connection: &mut PgConnection, schema: i64) -> sqlx::Result<DefinitionReport> {
    const OURS: &str =
        "(select relnamespace from pg_class where oid = to_regclass('_sqlx_migrations'))";
    let mut all = connection.begin().await?;
    let mut reference = all.begin().await?;
    sqlx::query("set local search_path = pg_temp").execute(&mut *reference).await?;
    for migration in migrations::POSTGRES.iter().filter(|migration| migration.version <= schema) {
        sqlx::raw_sql(migration.sql.clone()).execute(&mut *reference).await?;
    }
    let names = "select relname::text from pg_class
         where relnamespace = pg_my_temp_schema() and relkind = 'r'";
    let mut names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut *reference).await?;
    let mut made = read(&mut reference, "pg_my_temp_schema()", &names).await?;
    reference.rollback().await?;
    let noted = (MIGRATIONS_TABLE.to_owned(), "table".to_owned(), MIGRATIONS_TABLE.to_owned());
    made.insert(noted, "r".to_owned());
    names.push(MIGRATIONS_TABLE.to_owned());
    let mut found = read(&mut all, OURS, &names).await?;
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

/// Reads every definition that belongs to these tables of a namespace. Internal triggers enforce
/// foreign keys; they count only if they are disabled.
async fn read(
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
