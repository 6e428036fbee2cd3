//! The command line: reads what is asked, does it, and says how it went. Exit codes, as those of `aggregator`: 0 done, or yes; 1 the
//! answer is no; 2 it could not be done, or not be understood.
#![forbid(unsafe_code)]
#![expect(clippy::print_stderr, reason = "this file is the program's voice")]

mod args;

use anyhow::Context;
use args::{BufferCommand, Cli, Command, ConfigCommand};
use clap::Parser;
use everypath_config::{Sources, Value, printable};
use everypath_protocol::token::JoinToken;
use mesh_agent::config::{self, Config};
use mesh_agent::founding::{self, Founding};
use mesh_agent::show::{self, ShowError};
use mesh_agent::store::Store;
use mesh_agent::{join, run, text, tls, update};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tls::use_one_provider();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => {
            eprintln!("error: the operating system refuses what the agent needs: {why}");
            return ExitCode::from(2);
        }
    };
    match runtime.block_on(perform(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::No(why)) => {
            eprintln!("error: {}", printable(&why));
            ExitCode::from(1)
        }
        Err(Failure::Failed(why)) => {
            eprintln!("error: {}", printable(&text::chain(why.as_ref())));
            ExitCode::from(2)
        }
    }
}

/// Writes to standard output. A reader that has seen enough, such as `head`, is no error.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// How a command fails.
enum Failure {
    /// The answer to what was asked is no.
    No(String),
    /// It could not be done, or not be understood.
    Failed(anyhow::Error),
}

impl Failure {
    fn say(why: impl ToString) -> Self {
        Self::Failed(anyhow::Error::msg(why.to_string()))
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

async fn perform(command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(args) => init(args).await,
        Command::Join(args) => join_mesh(args).await,
        Command::Run(args) => run_agent(args).await,
        Command::Status(args) => {
            let data_dir = data_dir(args.data_dir)?;
            if args.json {
                say(&format!("{}\n", show::fetch(&data_dir, "/state").await?.1));
            } else {
                say(&show::state::draw(&show::fetch_state(&data_dir).await?));
            }
            Ok(())
        }
        Command::Matrix(args) => {
            let state = show::fetch_state(&data_dir(args.data_dir)?).await?;
            if args.json {
                say(&format!("{}\n", serde_json::to_string(&state.members)?));
            } else {
                say(&show::matrix::draw(&state, show::wants_colour(&std::io::stdout())));
            }
            Ok(())
        }
        Command::Ledger(args) => ledger(&data_dir(args.data_dir)?).await,
        Command::Buffer(BufferCommand::Status(args)) => buffer_status(&data_dir(args.data_dir)?, args.json).await,
        Command::Buffer(BufferCommand::Verify(args)) => buffer_verify(&data_dir(args.data_dir)?, args.json),
        Command::Update(args) => update_program(args).await,
        Command::Config(ConfigCommand::Template) => {
            say(&config::SCHEMA.template());
            Ok(())
        }
        Command::Config(ConfigCommand::Show(args)) => {
            let sources = config::sources(args.config.as_deref(), args.data_dir.as_deref());
            load(&sources)?;
            // None of the agent's keys is a secret.
            say(&config::SCHEMA.effective(&sources, &[]));
            Ok(())
        }
        Command::Config(ConfigCommand::Check(args)) => {
            let config = load(&config::sources(args.config.as_deref(), args.data_dir.as_deref()))?;
            let (listen, data_dir) = (config.listen, config.data_dir.display());
            say(&format!("the configuration is fine: listens at {listen}, keeps its data in {data_dir}\n"));
            Ok(())
        }
    }
}

fn load(sources: &Sources) -> Result<Config, Failure> {
    Ok(Config::load(sources)?)
}

/// The data directory that was named, or the configured one.
fn data_dir(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    match named {
        Some(named) => Ok(named),
        None => Ok(load(&config::sources(None, None))?.data_dir),
    }
}

async fn init(args: args::Init) -> Result<(), Failure> {
    let mut sources = config::sources(None, args.data_dir.as_deref());
    sources.flag_if("listen", args.listen.as_ref());
    sources.flags("advertise", &args.advertise);
    let config = load(&sources)?;
    let expires = std::time::Duration::parse(&args.expires).ok_or_else(|| {
        Failure::say(format!("--expires: `{}` is not {}", args.expires, std::time::Duration::EXPECTED))
    })?;
    let founding = Founding {
        data_dir: config.data_dir.clone(),
        name: args.name,
        site: args.site,
        uses: args.uses,
        expires,
        listen: config.listen,
        advertise: config.advertise,
    };
    let token = founding::found(&founding).await?;
    let dir = config.data_dir.display();
    eprintln!("A mesh was founded; this host is its first agent, {} in site {}.", founding.name, founding.site);
    eprintln!("Start it:              mesh-agent run --data-dir {dir}");
    eprintln!("Then, on each other host (the token admits {} agents within {}):", founding.uses, args.expires);
    eprintln!("                       mesh-agent join TOKEN --name NAME --site SITE");
    eprintln!("The mesh's root key is {dir}/root.key: move it to a safe place, it is not needed to run.");
    say(&format!("{}\n", token.to_text()));
    Ok(())
}

async fn join_mesh(args: args::Join) -> Result<(), Failure> {
    let token = JoinToken::from_text(&args.token).map_err(Failure::say)?;
    let data_dir = data_dir(args.data_dir)?;
    let (known_name, known_site) =
        join::known_as(&token, &data_dir)?.map_or((None, None), |known| (Some(known.name), Some(known.site)));
    let is_known = known_name.is_some();
    let name = args.name.or(known_name).map_or_else(host_name, Ok).map_err(Failure::say)?;
    let site = args.site.or(known_site).unwrap_or_else(|| "default".to_owned());
    let joined = join::join(&token, data_dir.clone(), &name, &site).await?;
    let (as_name, as_site, mesh, dir) = (&joined.name, &joined.site, joined.mesh.short(), data_dir.display());
    if is_known {
        say(&format!(
            "{as_name} in site {as_site} was a member of mesh {mesh} already; what it knows of it was refreshed.\n"
        ));
        say(&format!("A running agent reads it at its next start: mesh-agent run --data-dir {dir}\n"));
        return Ok(());
    }
    say(&format!("{as_name} in site {as_site} is now a member of mesh {mesh}.\n"));
    if (as_name, as_site) != (&name, &site) {
        let asked = format!("{name} in site {site}");
        say(&format!(
            "The issuer knows the key of {dir} by this name from an earlier join, so it is not called {asked}.\n"
        ));
    }
    say(&format!("Start it: mesh-agent run --data-dir {dir}\n"));
    Ok(())
}

fn host_name() -> Result<String, String> {
    let unnamed = || "this host has no name; give the agent one with --name".to_owned();
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").map_err(|_| unnamed())?;
    let name = text.trim().split('.').next().unwrap_or_default();
    if name.is_empty() { Err(unnamed()) } else { Ok(name.to_owned()) }
}

async fn run_agent(args: args::Run) -> Result<(), Failure> {
    let mut sources = config::sources(args.config.as_deref(), args.data_dir.as_deref());
    sources.flag_if("listen", args.listen.as_ref());
    sources.flag_if("status", args.status.as_ref());
    sources.flags("advertise", &args.advertise);
    sources.flag_if("log", args.log.as_ref());
    let config = load(&sources)?;
    let filter = EnvFilter::try_new(config::log_filter(&config.log)).context("while reading the log filter")?;
    let is_coloured = show::wants_colour(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(is_coloured).init();
    let mut signals = Signals::new().context("while asking for signals")?;
    let mut running = run::start(&config).await?;
    tracing::info!(
        agent.id = %running.about.agent.short(), agent.name = running.about.name, agent.site = running.about.site,
        status = %running.addresses.status, version = env!("CARGO_PKG_VERSION"), "the agent runs"
    );
    tokio::select! {
        () = signals.wait() => {}
        () = running.broken() => return Err(Failure::say("the agent's loop ended; see the log above")),
    }
    tracing::info!("ending: what was measured goes to the disk");
    running.stop().await;
    Ok(())
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn buffer_status(data_dir: &Path, json: bool) -> Result<(), Failure> {
    let buffer = show::fetch_buffer(data_dir).await?;
    let text = if json { serde_json::to_string(&buffer)? + "\n" } else { show::buffer::draw(&buffer) };
    say(&text);
    Ok(())
}

fn buffer_verify(data_dir: &Path, json: bool) -> Result<(), Failure> {
    let found = Store::verify(data_dir)?;
    let text = if json { serde_json::to_string(&found)? + "\n" } else { show::buffer::draw_verification(&found) };
    say(&text);
    match found.problems.len() {
        0 => Ok(()),
        count => Err(Failure::No(format!("the buffer has {count} problems; they are named above"))),
    }
}

async fn update_program(args: args::Update) -> Result<(), Failure> {
    let config = load(&config::sources(args.config.as_deref(), args.data_dir.as_deref()))?;
    let request = everypath_update::Request { check: args.check, version: args.version };
    say(&update::run(&config, request).await?);
    Ok(())
}

async fn ledger(data_dir: &Path) -> Result<(), Failure> {
    let text = match show::fetch(data_dir, "/ledger").await {
        Ok((_, text)) => text,
        // A stopped agent's ledger can be read from its file.
        Err(ShowError::NotRunning { .. }) => serde_json::to_string(&Store::ledger_of(data_dir)?)?,
        Err(other) => return Err(other.into()),
    };
    say(&format!("{text}\n"));
    Ok(())
}
