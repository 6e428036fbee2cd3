//! What can be asked on the command line.

use clap::{Args, Parser, Subcommand};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Watches every path between this host and the other agents of its mesh.
#[derive(Debug, Parser)]
#[command(name = "mesh-agent", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Found a mesh that needs no aggregator, and print a token for the others
    Init(Init),
    /// Become a member of the mesh that a token is for
    Join(Join),
    /// Run the agent
    Run(Run),
    /// Show how the running agent fares
    Status(Show),
    /// Show the whole matrix as the running agent knows it
    Matrix(Show),
    /// Print the account of everything that was stored, as JSON
    Ledger(Directory),
    /// Look into the buffer of results that wait for an aggregator
    #[command(subcommand)]
    Buffer(BufferCommand),
    /// Replace this program by a newer signed release, if the configuration allows it and no results wait
    Update(Update),
    /// Check the configuration, or print a template
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where the agent keeps its keys and results
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Name of this agent
    #[arg(long)]
    pub(crate) name: String,
    /// Where it is
    #[arg(long)]
    pub(crate) site: String,
    /// How many agents the token admits
    #[arg(long, default_value_t = 10)]
    pub(crate) uses: u32,
    /// How long the token is good for, like 24h
    #[arg(long, default_value = "24h")]
    pub(crate) expires: String,
    /// Address and port of the mesh
    #[arg(long, value_parser = socket_address)]
    pub(crate) listen: Option<SocketAddr>,
    /// An address to tell others in place of the interfaces' (can be given several times)
    #[arg(long, value_parser = ip_address)]
    pub(crate) advertise: Vec<IpAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct Join {
    /// The token, one word that begins with "ep1."
    pub(crate) token: String,
    /// Where the agent keeps its keys and results
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Name of this agent; the host's name if left out. A member keeps the name that it joined with
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Where it is; "default" if left out
    #[arg(long)]
    pub(crate) site: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Where the agent keeps its keys and results
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Configuration file; agent.toml in the data directory if left out
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Address and port of the mesh, for QUIC and TCP alike
    #[arg(long, value_parser = socket_address)]
    pub(crate) listen: Option<SocketAddr>,
    /// Loopback address and port of the status page
    #[arg(long, value_parser = socket_address)]
    pub(crate) status: Option<SocketAddr>,
    /// An address to tell others in place of the interfaces' (can be given several times)
    #[arg(long, value_parser = ip_address)]
    pub(crate) advertise: Vec<IpAddr>,
    /// What is logged, like info or info,mesh_agent=debug
    #[arg(long)]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Data directory of the running agent
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Directory {
    /// Data directory of the agent
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BufferCommand {
    /// Show what waits, what was given up, and how the disk fares; of a running or a stopped agent
    Status(Show),
    /// Check every block of a stopped agent's buffer; exits with 1 if something is wrong
    Verify(Show),
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Only say whether there is a newer release
    #[arg(long)]
    pub(crate) check: bool,
    /// This version, and not the newest; never an older one
    #[arg(long)]
    pub(crate) version: Option<everypath_update::Version>,
    /// Configuration file; agent.toml in the data directory if left out
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Data directory of the agent on this host
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read everything and say all that is wrong
    Check(Check),
    /// Print what a start with this file and environment would use, and where each value comes from
    Show(Check),
    /// Print a file with every key, its meaning and its default
    Template,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Configuration file; agent.toml in the data directory if left out
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Data directory of the agent
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
}

// The standard library's errors do not say what would be right.

fn socket_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "it must be an IP address and a port, like 127.0.0.1:7117 or [::1]:7117")
}

fn ip_address(text: &str) -> Result<IpAddr, &'static str> {
    text.parse().map_err(|_| "it must be an IP address, like 192.0.2.7 or 2001:db8::7, without a port")
}
