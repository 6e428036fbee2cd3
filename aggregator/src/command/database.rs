//! The database by hand: its schema, and what it is.

use aggregator::config::Config;
use aggregator::store::{Description, PgOptions, Store};
use anyhow::Context as _;
use clap::Args;
use everypath_config::Sources;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Which server. Prefer the configuration or the environment: other users of the host can see a command line.
#[derive(Debug, Args)]
pub(crate) struct Server {
    /// postgres://user:password@host/database. Without it, what the configuration says.
    #[arg(long)]
    database: Option<String>,
    /// Configuration file (TOML).
    #[arg(long)]
    config: Option<PathBuf>,
}

/// Which database, and how to print.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    server: Server,
    /// The data directory of an aggregator on SQLite.
    #[arg(long, conflicts_with = "database")]
    data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Server {
    /// Nothing if it is SQLite, in the data directory of the configuration.
    fn url(&self) -> anyhow::Result<Result<String, PathBuf>> {
        if let Some(url) = &self.database {
            return Ok(Ok(url.clone()));
        }
        let config = Config::load(&Sources::of_process(self.config.as_deref()))?;
        Ok(config.database.map(|database| database.url).ok_or(config.data_dir))
    }

    fn server_url(&self) -> anyhow::Result<String> {
        let missing = "no database server is named; use --database, or set `database.url` in the configuration. \
                       On SQLite there is nothing to do: `aggregator serve` brings its file up to date";
        self.url()?.map_err(|_| anyhow::anyhow!(missing))
    }
}

/// Brings the schema up to date and makes use of what the server can do. Changes nothing if that is done.
pub(crate) async fn migrate(server: &Server) -> anyhow::Result<String> {
    Store::migrate_postgres(&server.server_url()?).await.context("while migrating")?;
    Ok("The schema is up to date.\n".into())
}

/// Makes use of what the server can do, when that has changed: another edition of TimescaleDB, or its first installation.
pub(crate) async fn reconcile(server: &Server) -> anyhow::Result<String> {
    let url = server.server_url()?;
    Store::reconcile_postgres(&url).await.context("while making use of TimescaleDB")?;
    Ok(text(&describe(&url).await?))
}

/// Says what the database is.
pub(crate) async fn status(arguments: &Status) -> anyhow::Result<String> {
    let place = match &arguments.data_dir {
        Some(folder) => Err(folder.clone()),
        None => arguments.server.url()?,
    };
    let description = match place {
        Ok(url) => describe(&url).await?,
        Err(folder) => {
            let store = Store::open_existing(&folder).await?;
            let description = store.describe().await;
            store.close().await;
            description?
        }
    };
    Ok(if arguments.json { json(&description) } else { text(&description) })
}

async fn describe(url: &str) -> anyhow::Result<Description> {
    let options = PgOptions { connections: 3, migrate: false, committers: 1, ..PgOptions::default() };
    let store = Store::open_postgres(url, options).await.context("while opening the database")?;
    let description = store.describe().await;
    store.close().await;
    Ok(description?)
}

fn json(description: &Description) -> String {
    let features = description.features.iter().map(|(name, state)| ((*name).to_owned(), state.as_str().into()));
    let table = |(name, rows, bytes): &(String, Option<u64>, u64)| serde_json::json!({ "name": name, "rows": rows, "bytes": bytes });
    let value = serde_json::json!({
        "rung": description.rung,
        "version": description.version,
        "schema": description.schema,
        "behind_samples": description.behind,
        "features": features.collect::<serde_json::Map<_, _>>(),
        "tables": description.tables.iter().map(table).collect::<Vec<_>>(),
    });
    format!("{value}\n")
}

fn text(description: &Description) -> String {
    let mut text = String::new();
    let behind = description.behind.map_or_else(
        || "not known".to_owned(),
        |samples| match samples {
            1 => "1 sample".to_owned(),
            samples => format!("{samples} samples"),
        },
    );
    let own = [
        ("rung", description.rung.to_owned()),
        ("version", description.version.clone()),
        ("schema", description.schema.to_string()),
        ("not summed yet", behind),
    ];
    for (name, value) in own
        .iter()
        .map(|(name, value)| (*name, value))
        .chain(description.features.iter().map(|(name, value)| (*name, value)))
    {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{name:<22}{value}");
    }
    let _ = writeln!(text, "\n{:<22}{:>14}{:>16}", "table", "rows, about", "bytes");
    for (name, rows, bytes) in &description.tables {
        let rows = rows.map_or_else(|| "-".to_owned(), |rows| rows.to_string());
        let _ = writeln!(text, "{name:<22}{rows:>14}{bytes:>16}");
    }
    if description.rung != "sqlite" && description.tables.iter().any(|(_, rows, _)| rows.is_none()) {
        text.push_str(
            "\n- is not counted yet: the server does it within minutes of the first rows, or at `analyze`.\n",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        Description {
            rung: "postgres",
            version: "15.18".into(),
            schema: 1,
            features: vec![("copy", "on".into())],
            tables: vec![("sample".into(), Some(7), 8_192), ("event".into(), None, 8_192)],
            behind: None,
        }
    }

    #[test]
    fn both_forms_say_the_same() {
        let text = text(&description());
        assert!(text.contains("rung                  postgres\n"), "{text}");
        assert!(text.contains("sample                             7            8192\n"), "{text}");
        assert!(text.contains("event                              -            8192\n"), "{text}");
        assert!(text.contains("not counted yet"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&json(&description())).expect("JSON");
        assert_eq!((&json["features"]["copy"], &json["tables"][0]["bytes"]), (&"on".into(), &8_192.into()));
    }

    #[test]
    fn without_a_server_it_says_what_to_name() {
        let server = Server { database: None, config: Some("/nonexistent/a.toml".into()) };
        assert!(server.server_url().is_err());
        let server = Server { database: Some("postgres://h/d".into()), config: None };
        assert_eq!(server.server_url().expect("named"), "postgres://h/d");
    }
}
