//! The command line. Each subcommand is one call into the library. Exit codes, as those of `mesh-agent`: 0 done, or yes; 1 the
//! answer is no; 2 it could not be done, or not be understood.
#![forbid(unsafe_code)]

mod command;

use aggregator::addresses::Bound;
use aggregator::audit_log::Event;
use aggregator::clock::Clock;
use aggregator::config::{Config, SCHEMA, SECRET_KEYS, check_url};
use aggregator::place::{self, Place};
use aggregator::tokens::{self, Wish};
use aggregator::{api, audit, clock, seal, serve, telemetry, tls};
use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use command::{api_token, audit_log, database, healthy, update, user};
use everypath_config::{Sources, Value as _, printable};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Keeps what the agents of a mesh measure, and shows it.
#[derive(Debug, Parser)]
#[command(name = "aggregator", version)]
struct Arguments {
    /// What is logged: info, debug, aggregator=debug, … Without it the environment variable RUST_LOG says, else "info".
    #[arg(long, global = true)]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run. Works without any configuration.
    Serve(Serve),
    /// Write a new key that seals what replicas share in PostgreSQL.
    Keygen {
        /// Where to; never over a file.
        file: PathBuf,
    },
    /// Join tokens.
    #[command(subcommand)]
    Token(Token),
    /// Accounts of people.
    #[command(subcommand)]
    User(user::User),
    /// Tokens for programs that use the API.
    #[command(subcommand)]
    ApiToken(api_token::ApiToken),
    /// Compare what agents sent with what is stored, and look at who did what.
    #[command(subcommand)]
    Audit(Audit),
    /// Bring the schema of a database server up to date. `serve` does it too, unless the configuration says otherwise.
    Migrate(database::Server),
    /// Make use of TimescaleDB after it was installed or changed on a database server.
    Reconcile(database::Server),
    /// Say what the database is: server, schema, sizes, what is not summed up yet, and who does the jobs.
    Status(database::Status),
    /// Ask the aggregator that runs on this host whether new work is welcome there. Ends with 0 if it is, 1 if not.
    Healthy(healthy::Healthy),
    /// Replace this program by a newer signed release, if the configuration allows it.
    Update(update::Update),
    /// Print the OpenAPI document.
    Openapi,
    /// The configuration of this program (check, show, template), and that of the mesh (export, diff, apply).
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
struct Serve {
    /// Configuration file (TOML).
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Address of the TLS listener.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Address of the loopback listener.
    #[arg(long)]
    http: Option<String>,
    /// A URL under which agents reach this aggregator; may be given several times.
    #[arg(long)]
    advertise: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Token {
    /// Make a join token and print it alone.
    Create {
        #[command(flatten)]
        place: Place,
        /// How many agents may join with it.
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// For how long.
        #[arg(long, default_value = "1h", value_parser = duration)]
        expires: Duration,
        /// The site of all who join with it.
        #[arg(long)]
        site: Option<String>,
        /// A URL under which agents reach the aggregator; may be given several times.
        #[arg(long)]
        advertise: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Compare the agents' own accounts with the database, number by number. Ends with 0 if nothing is missing or twice, 1 if
    /// something is, 2 if that could not be found out.
    Streams(audit::Arguments),
    /// Print who did what, or check that nobody changed that.
    Log(audit_log::Log),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say everything that is wrong with a configuration of this program.
    Check {
        /// Configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Print what a start with this file and environment would use, and where each value comes from; secrets are hidden.
    Show {
        /// Configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Print a configuration file of this program with every key, its meaning and its default.
    Template,
    /// Print what the mesh measures, as YAML.
    Export(command::config::Export),
    /// Say what a file would change of what the mesh measures. Ends with 0 if nothing, 1 if something.
    Diff(command::config::Diff),
    /// Make a file what the mesh measures. It replaces all of it: what is left out becomes the default.
    Apply(command::config::Apply),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    telemetry::init_logs(arguments.log.as_deref());
    tls::install_provider();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::from(error).context("while starting threads")),
    };
    match runtime.block_on(run(arguments.command)) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    // Nothing is left to try when standard error is closed.
    let _ = writeln!(std::io::stderr(), "error: {}", printable(&format!("{error:#}")));
    ExitCode::from(2)
}

/// Part of it may come from a file or a server.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(printable(text).as_bytes()).context("while writing to standard output")?;
    Ok(ExitCode::SUCCESS)
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(arguments) => {
            let config = Config::load_to_serve(&sources(&arguments))?;
            let password = std::env::var("EVERYPATH_ADMIN_PASSWORD").ok().filter(|password| !password.is_empty());
            Box::pin(serve::serve(config, password, stop_signal()?)).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Keygen { file } => {
            seal::make(&file)?;
            print(&format!(
                "A key was written to {}. Give it to every replica, and keep a copy apart from the database.\n",
                file.display()
            ))
        }
        Command::Token(Token::Create { place, uses, expires, site, advertise }) => {
            create_token(&place, Wish { uses, life: clock::span(expires), site }, advertise).await
        }
        Command::User(command) => print(&user::run(command).await?),
        Command::ApiToken(command) => print(&api_token::run(command).await?),
        Command::Audit(Audit::Log(arguments)) => {
            let (text, code) = audit_log::run(&arguments).await?;
            print(&text).map(|_| code)
        }
        Command::Audit(Audit::Streams(arguments)) => audit::run(&arguments).await,
        Command::Migrate(server) => print(&database::migrate(&server).await?),
        Command::Reconcile(server) => print(&database::reconcile(&server).await?),
        Command::Status(arguments) => print(&database::status(&arguments).await?),
        Command::Healthy(arguments) => {
            let (text, code) = healthy::run(&arguments).await?;
            print(&text).map(|_| code)
        }
        Command::Update(arguments) => print(&update::run(arguments).await?),
        Command::Openapi => print(&api::openapi::text()),
        Command::Config(ConfigCommand::Check { config }) => {
            let config = Config::load_to_serve(&Sources::of_process(config.as_deref()))?;
            let place = match &config.database {
                Some(database) => database.key().map(|_| "in PostgreSQL".to_owned())?,
                None => format!("in {}", config.data_dir.display()),
            };
            print(&format!("the configuration is fine: listens at {}, keeps its data {place}\n", config.listen))
        }
        Command::Config(ConfigCommand::Show { config }) => {
            let sources = Sources::of_process(config.as_deref());
            Config::load(&sources)?;
            print(&SCHEMA.effective(&sources, &SECRET_KEYS))
        }
        Command::Config(ConfigCommand::Template) => print(&SCHEMA.template()),
        Command::Config(ConfigCommand::Export(arguments)) => print(&command::config::export(&arguments).await?),
        Command::Config(ConfigCommand::Diff(arguments)) => {
            let (text, code) = command::config::diff(&arguments).await?;
            print(&text).map(|_| code)
        }
        Command::Config(ConfigCommand::Apply(arguments)) => print(&command::config::apply(&arguments).await?),
    }
}

fn sources(arguments: &Serve) -> Sources {
    let mut sources = Sources::of_process(arguments.config.as_deref());
    sources
        .flag_if("data_dir", arguments.data_dir.as_ref().map(|path| path.display()).as_ref())
        .flag_if("server.listen", arguments.listen.as_ref())
        .flag_if("server.http", arguments.http.as_ref())
        .flags("server.advertise", &arguments.advertise);
    sources
}

async fn create_token(place: &Place, wish: Wish, advertise: Vec<String>) -> anyhow::Result<ExitCode> {
    anyhow::ensure!((1..=tokens::USES_MAX).contains(&wish.uses), "--uses must be from 1 to {}", tokens::USES_MAX);
    for url in &advertise {
        check_url(url).map_err(|why| anyhow::anyhow!("--advertise: `{url}` {why}"))?;
    }
    let config = place.read()?;
    let store = place::open(&config, false).await?;
    let (mesh, pin) = place::mesh(&config, &store).await?;
    // Files of the operator are what is served, wherever the rest lies.
    let pin = if config.tls_files.is_some() { None } else { pin };
    let bound = Bound::read(&config.data_dir)
        .context("addresses.json is missing; start `aggregator serve` once, or name --advertise");
    let aggregators = match bound {
        // The certificate that is served counts, not one that lies in the directory from before.
        Ok(bound) if bound.is_self_signed => bound.advertised(&advertise, pin),
        Ok(bound) => bound.advertised(&advertise, None),
        Err(error) if advertise.is_empty() => return Err(error),
        Err(_) => advertise.into_iter().map(|url| everypath_protocol::token::AggregatorAddress { url, pin }).collect(),
    };
    let event = Event::by_host("join_token.create", "", Clock::system().now());
    let token = tokens::create(&store, &mesh, aggregators, wish, event).await?;
    store.close().await;
    print(&format!("{}\n", token.to_text()))
}

fn duration(text: &str) -> Result<Duration, String> {
    Duration::parse(text).ok_or_else(|| format!("not {}", Duration::EXPECTED))
}

/// Ends when the program is asked to.
fn stop_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("while waiting for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("while waiting for signals")?;
    let asked = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        asked.cancel();
    });
    Ok(stop)
}
