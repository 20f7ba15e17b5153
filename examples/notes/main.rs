//! An example of a whole service that embeds Cloakroom: accounts, sessions, a table, a page and an
//! OpenAPI document.
//!
//! `cargo run --example notes`, then open <http://127.0.0.1:8000/>.

use cloakroom::{Caller, Cloakroom, Database, Problem, Session, Settings, SignedIn};
use poem::http::StatusCode;
use poem::{IntoResponse, Request, Response, error::InternalServerError, handler, web::Html};
use poem_openapi::{ApiResponse, ContactObject, LicenseObject, Object, OpenApi, Tags};
use poem_openapi::{param::Path, payload::Json};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{SqlStr, SqlitePool};

/// A note.
#[derive(Object)]
struct Note {
    /// The random id of the note.
    id: String,
    /// The text of the note.
    #[oai(validator(max_length = 1000))]
    text: String,
}

/// Notes, the newest first.
#[derive(Object)]
struct NoteList {
    /// The notes.
    #[oai(validator(max_items = 100))]
    notes: Vec<Note>,
}

/// The text of a note that is not saved yet.
#[derive(Object, Default)]
struct Draft {
    /// The text.
    #[oai(validator(max_length = 1000))]
    text: String,
}

#[derive(Tags)]
enum Tag {
    /// The notes of the signed-in user.
    Notes,
}

#[derive(ApiResponse)]
enum RemoveAnswer {
    /// The note was removed.
    #[oai(status = 204)]
    Removed,
    /// `no_such_note`: you have no note with this id.
    #[oai(status = 404, content_type = "application/problem+json")]
    NoSuchNote(Json<Problem>),
}

struct Notes {
    pool: SqlitePool,
}

cloakroom::role!(Moderator = "moderator");

/// How much there is.
#[derive(Object)]
struct Statistics {
    /// The number of notes of all users.
    notes: i64,
}

#[OpenApi(tag = "Tag::Notes")]
impl Notes {
    /// List my notes
    ///
    /// Returns the newest hundred notes. A program can also read them, with an API token.
    #[oai(path = "/notes", method = "get", operation_id = "listNotes")]
    async fn list(&self, who: Caller) -> poem::Result<Json<NoteList>> {
        let sql = "select id, text from notes where account_id = $1 order by rowid desc limit 100";
        let notes = sqlx::query_as(sql).bind(who.account_id()).fetch_all(&self.pool).await;
        let notes = notes.map_err(InternalServerError)?;
        let notes = notes.into_iter().map(|(id, text)| Note { id, text }).collect();
        Ok(Json(NoteList { notes }))
    }

    /// Write a note
    ///
    /// Saves the note and empties the draft.
    #[oai(path = "/notes", method = "post", operation_id = "writeNote")]
    async fn write(&self, draft: Session<Draft>, note: Json<Draft>) -> poem::Result<Json<Note>> {
        let sql = "insert into notes (account_id, text) values ($1, $2) returning id, text";
        let note = sqlx::query_as(sql).bind(draft.who().account_id()).bind(&note.text);
        let (id, text) = note.fetch_one(&self.pool).await.map_err(InternalServerError)?;
        draft.write(&Draft::default()).await?;
        Ok(Json(Note { id, text }))
    }

    /// Remove a note
    ///
    /// This cannot be undone.
    #[oai(path = "/notes/:id", method = "delete", operation_id = "removeNote")]
    async fn remove(
        &self,
        who: SignedIn,
        /// The note's id.
        id: Path<String>,
    ) -> poem::Result<RemoveAnswer> {
        let sql = "delete from notes where account_id = $1 and id = $2";
        let removed = sqlx::query(sql).bind(who.account_id()).bind(&id.0).execute(&self.pool).await;
        if removed.map_err(InternalServerError)?.rows_affected() == 1 {
            return Ok(RemoveAnswer::Removed);
        }
        let detail = "You have no note of this id.";
        let problem = Problem::new(StatusCode::NOT_FOUND, "no_such_note", detail);
        Ok(RemoveAnswer::NoSuchNote(Json(problem)))
    }

    /// Count the notes of all users
    ///
    /// For moderators, and for programs whose API token has this role. The operator makes a moderator
    /// with `cloakroom role give NAME moderator`.
    #[oai(path = "/statistics", method = "get", operation_id = "readStatistics")]
    async fn statistics(&self, _who: Caller<Moderator>) -> poem::Result<Json<Statistics>> {
        let count = sqlx::query_scalar("select count(*) from notes").fetch_one(&self.pool).await;
        Ok(Json(Statistics { notes: count.map_err(InternalServerError)? }))
    }

    /// Read my draft
    ///
    /// Returns the draft of this session. It is deleted with the session.
    #[oai(path = "/draft", method = "get", operation_id = "readDraft")]
    async fn read(&self, draft: Session<Draft>) -> poem::Result<Json<Draft>> {
        Ok(Json(draft.read().await?))
    }

    /// Keep my draft
    ///
    /// Stores the draft until this session ends.
    #[oai(path = "/draft", method = "put", operation_id = "keepDraft")]
    async fn keep(&self, kept: Session<Draft>, draft: Json<Draft>) -> poem::Result<Json<Draft>> {
        kept.write(&draft).await?;
        Ok(draft)
    }
}

#[handler]
async fn home(request: &Request) -> poem::Result<Response> {
    let page = match SignedIn::of(request).await {
        Ok(_) => include_str!("notes.html"),
        Err(_) => include_str!("welcome.html"),
    };
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
        form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    Ok(Html(page).with_header("Content-Security-Policy", policy).into_response())
}

#[handler]
fn script() -> Response {
    Response::builder().content_type("text/javascript").body(include_str!("notes.js"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let cloakroom = Cloakroom::open(Settings::load()?).await?;
    let Database::Sqlite(pool) = cloakroom.database() else { return Err("wants SQLite".into()) };
    let sql = SqlStr::from_static(include_str!("migrations/0001_notes.sql"));
    let first = Migration::new(1, "notes".into(), MigrationType::Simple, sql, false);
    let mut migrations = Migrator::with_migrations(vec![first]);
    // Cloakroom records its own in sqlx's default table
    migrations.dangerous_set_table_name("_notes_migrations");
    migrations.run(&pool).await?;
    let notes = cloakroom.mount(Notes { pool }, "Notes", "1.0.0").description("Personal notes.");
    let notes = notes.license(LicenseObject::new("MIT").url("https://spdx.org/licenses/MIT"));
    let notes = notes.contact(ContactObject::new().email("notes@example.org"));
    Ok(notes.page("/", home).page("/notes.js", script).serve().await?)
}
