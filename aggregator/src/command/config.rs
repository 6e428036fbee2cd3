//! The configuration of the mesh as YAML: out, compared, in. Over the API of a running aggregator, or directly at its database.

use aggregator::audit_log::Event;
use aggregator::clock::Clock;
use aggregator::mesh::Mesh;
use aggregator::mesh_config::change::{self, Reason, WHY_BYTES_MAX};
use aggregator::mesh_config::diff::{Change, changes};
use aggregator::mesh_config::text::ConfigText;
use aggregator::mesh_config::{Current, yaml};
use aggregator::place::{self, Place};
use aggregator::store::Store;
use anyhow::Context as _;
use clap::Args;
use everypath_protocol::mesh_config::{Fault, MeshConfig};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::remote::Remote;

/// Longest file that is read, in bytes; a document of 64 KiB is not longer in YAML.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Which aggregator.
#[derive(Debug, Args)]
pub(crate) struct Target {
    #[command(flatten)]
    place: Place,
    /// Ask a running aggregator at this URL, with the API token in EVERYPATH_API_TOKEN or in --token-file, instead of its database.
    #[arg(long)]
    url: Option<String>,
    /// File with the API token.
    #[arg(long, requires = "url")]
    token_file: Option<PathBuf>,
    /// File with the certificate (PEM) that the aggregator shows, if no public authority issued it.
    #[arg(long, requires = "url")]
    ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    target: Target,
    /// This version instead of the one in force.
    #[arg(long)]
    version: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    target: Target,
    /// File with a configuration of the mesh; - reads standard input.
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    target: Target,
    /// File with a configuration of the mesh; - reads standard input.
    file: PathBuf,
    /// Say what would change and what it would cost, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// What is said of the version, for whoever looks at it later.
    #[arg(long, default_value = "")]
    why: String,
    /// Only if this version is in force; without it the one that is in force now.
    #[arg(long)]
    if_version: Option<u64>,
}

/// Where the configuration is.
enum Opened {
    Remote(Remote),
    Here { store: Store, mesh: Box<Mesh> },
}

impl Target {
    async fn open(&self) -> anyhow::Result<Opened> {
        if let Some(url) = &self.url {
            return Remote::new(url, self.token_file.as_deref(), self.ca.as_deref()).map(Opened::Remote);
        }
        let config = self.place.read()?;
        let store = place::open(&config, false).await?;
        let (mesh, _) = place::mesh(&config, &store).await?;
        Ok(Opened::Here { store, mesh: Box::new(mesh) })
    }
}

impl Opened {
    /// The version in force, or another one, and its contents.
    async fn config(&self, version: Option<u64>) -> anyhow::Result<(u64, ConfigText)> {
        match self {
            Self::Remote(remote) => remote.config(version).await,
            Self::Here { store, mesh } => {
                let current = Current::read(store, mesh).await?;
                let Some(version) = version.filter(|version| *version != current.version()) else {
                    return Ok((current.version(), ConfigText::new(&current.document)));
                };
                let row = store.config(Some(version)).await?;
                let row = row.with_context(|| format!("version {version} is not kept"))?;
                let document = everypath_protocol::codec::decode::<MeshConfig>(&row.signed.body, row.signed.body.len());
                let document = document.map_err(|_| anyhow::anyhow!("version {version} is damaged"))?;
                Ok((version, ConfigText::new(&document)))
            }
        }
    }

    async fn close(self) {
        if let Self::Here { store, .. } = self {
            store.close().await;
        }
    }
}

pub(crate) async fn export(arguments: &Export) -> anyhow::Result<String> {
    let opened = arguments.target.open().await?;
    let (version, config) = opened.config(arguments.version).await?;
    opened.close().await;
    Ok(format!("# Configuration of the mesh, version {version}.\n{}", yaml::write(&config)?))
}

/// Ends with 0 if nothing is different and 1 if something is, as diff does.
pub(crate) async fn diff(arguments: &Diff) -> anyhow::Result<(String, ExitCode)> {
    let wanted = read(&arguments.file)?;
    let opened = arguments.target.open().await?;
    let (_, config) = opened.config(None).await?;
    opened.close().await;
    let config = config.read().map_err(|faults| invalid("the configuration in force", &faults))?;
    let different = changes(&config, &wanted);
    let code = if different.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) };
    Ok((lines(&different), code))
}

pub(crate) async fn apply(arguments: &Apply) -> anyhow::Result<String> {
    let wanted = read(&arguments.file)?;
    anyhow::ensure!(arguments.why.len() <= WHY_BYTES_MAX, "--why may have {WHY_BYTES_MAX} bytes");
    let opened = arguments.target.open().await?;
    let applied = match &opened {
        Opened::Remote(remote) => {
            let expected = match arguments.if_version {
                Some(version) => version,
                None => remote.config(None).await?.0,
            };
            remote.put(&ConfigText::new(&wanted), &arguments.why, expected, arguments.dry_run).await
        }
        Opened::Here { store, mesh } => apply_here(store, mesh, wanted, arguments).await,
    };
    opened.close().await;
    applied
}

async fn apply_here(store: &Store, mesh: &Mesh, wanted: MeshConfig, arguments: &Apply) -> anyhow::Result<String> {
    let proposal = change::propose(store, mesh, wanted).await?;
    let base = proposal.base;
    if let Some(expected) = arguments.if_version.filter(|expected| *expected != base) {
        anyhow::bail!("version {base} is in force, not {expected}; export it, and make the change anew");
    }
    let changed = Changed {
        changes: proposal.changes.clone(),
        packets_per_s: (proposal.cost_before.packets_per_s_milli, proposal.cost_after.packets_per_s_milli),
        rows_per_s: (proposal.cost_before.rows_per_s_milli, proposal.cost_after.rows_per_s_milli),
        warnings: proposal.nobody.iter().map(ToString::to_string).collect(),
    };
    if arguments.dry_run || changed.changes.is_empty() {
        return Ok(changed.text(base, arguments.dry_run));
    }
    let version = proposal.document.version;
    let event = Event::by_host("config.change", &format!("version {version}"), Clock::system().now());
    let reason = Reason { why: arguments.why.clone(), copy_of: None };
    change::make(store, mesh, proposal, reason, event).await?;
    Ok(changed.text(version, false))
}

/// What a change does, in words.
pub(super) struct Changed {
    pub(super) changes: Vec<Change>,
    /// Before and after, in thousandths.
    pub(super) packets_per_s: (u64, u64),
    pub(super) rows_per_s: (u64, u64),
    /// What was not meant, perhaps; one line each.
    pub(super) warnings: Vec<String>,
}

impl Changed {
    pub(super) fn text(&self, version: u64, dry_run: bool) -> String {
        if self.changes.is_empty() {
            return format!("Nothing is different; version {version} stays in force.\n");
        }
        let whole = |milli: u64| format!("{}.{}", milli / 1_000, milli % 1_000 / 100);
        let shown = |(before, after): (u64, u64)| format!("{} -> {}", whole(before), whole(after));
        let (packets, rows) = (shown(self.packets_per_s), shown(self.rows_per_s));
        let costs = format!("The whole mesh: {packets} packets a second, {rows} rows a second.\n");
        let end = if dry_run {
            "Nothing was changed: a dry run.\n".to_owned()
        } else {
            format!("Version {version} is in force. Agents run it within about ten seconds.\n")
        };
        let warnings: String = self.warnings.iter().map(|warning| format!("Look again: {warning}\n")).collect();
        format!("{}{costs}{warnings}{end}", lines(&self.changes))
    }
}

fn lines(changes: &[Change]) -> String {
    changes.iter().map(|change| format!("{change}\n")).collect()
}

fn read(file: &Path) -> anyhow::Result<MeshConfig> {
    let is_input = file == Path::new("-");
    let name = if is_input { "standard input".to_owned() } else { file.display().to_string() };
    let mut text = String::new();
    let taken = if is_input {
        std::io::stdin().lock().take(FILE_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
    };
    taken.with_context(|| format!("while reading {name}"))?;
    let config =
        yaml::read(&text).map_err(|why| anyhow::anyhow!("{name} is not a configuration of the mesh: {why}"))?;
    config.read().map_err(|faults| invalid(&name, &faults))
}

fn invalid(name: &str, faults: &[Fault]) -> anyhow::Error {
    let faults: String = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    anyhow::anyhow!("{name} cannot be used:{faults}")
}
