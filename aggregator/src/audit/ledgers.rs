//! Where the agents' accounts come from.

use anyhow::{Context as _, bail, ensure};
use everypath_protocol::codec;
use everypath_protocol::id::AgentId;
use everypath_protocol::ledger::{BUFFER_FILE, ENTRY_BYTES_MAX, IDENTITY_FILE, Ledger, LedgerEntry, TABLE};
use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::path::Path;
use std::time::Duration;

/// Most bytes of an account that is fetched: 16 streams of the largest size.
const LEDGER_BYTES_MAX: u64 = 16 * ENTRY_BYTES_MAX as u64;
/// An agent on this host answers at once or not at all.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the account in the data directory of an agent that does not run. A copy is opened, so that nothing there changes.
///
/// # Errors
/// When files are missing or damaged, or the agent is running.
pub fn from_data_dir(folder: &Path) -> anyhow::Result<Ledger> {
    let identity = folder.join(IDENTITY_FILE);
    let key = std::fs::read_to_string(&identity).with_context(|| {
        format!("{} cannot be read; is {} the data directory of an agent?", identity.display(), folder.display())
    })?;
    let agent = AgentId::parse(key.trim())
        .with_context(|| format!("{} does not hold the public key of an agent", identity.display()))?;
    let buffer = folder.join(BUFFER_FILE);
    refuse_running(&buffer)?;
    let copy = tempfile::NamedTempFile::new().context("while making a temporary file")?;
    std::fs::copy(&buffer, copy.path()).with_context(|| format!("while copying {}", buffer.display()))?;
    let entries = read_entries(copy.path()).with_context(|| {
        format!(
            "while reading {}; if its agent is running, name its loopback page by --agent-url instead",
            buffer.display()
        )
    })?;
    Ok(Ledger { agent, entries })
}

/// Reads accounts that somebody wrote into a file, such as the load tool.
///
/// # Errors
/// When it cannot be read.
pub fn from_file(file: &Path) -> anyhow::Result<Vec<Ledger>> {
    let text = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not a list of accounts in JSON", file.display()))
}

/// An agent that runs holds a lock on its buffer; a copy of it would be of two moments.
fn refuse_running(buffer: &Path) -> anyhow::Result<()> {
    let file = std::fs::File::open(buffer).with_context(|| format!("{} cannot be read", buffer.display()))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(()),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("the agent of {} is running; name its loopback page by --agent-url instead", buffer.display())
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("while looking whether the agent of {} is running", buffer.display()))
        }
    }
}

fn read_entries(path: &Path) -> anyhow::Result<Vec<LedgerEntry>> {
    const LEDGER: TableDefinition<'_, u64, &[u8]> = TableDefinition::new(TABLE);
    let database = redb::Database::open(path)?;
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(LEDGER) {
        Ok(table) => table,
        // An agent that has not measured anything yet.
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut entries = Vec::new();
    for item in table.iter()? {
        let (epoch, bytes) = item?;
        let entry: LedgerEntry =
            codec::decode(bytes.value(), ENTRY_BYTES_MAX).context("an entry of the account is damaged")?;
        ensure!(entry.epoch.0 == epoch.value(), "an entry of the account is filed under another epoch than its own");
        entries.push(entry);
    }
    Ok(entries)
}

/// Fetches the account from the loopback page of an agent that runs.
///
/// # Errors
/// When it cannot be reached or answers something else.
pub async fn from_url(url: &str) -> anyhow::Result<Ledger> {
    let address = format!("{}/ledger", url.trim_end_matches('/'));
    crate::tls::install_provider();
    let client =
        reqwest::Client::builder().timeout(FETCH_TIMEOUT).no_proxy().build().context("while preparing to fetch")?;
    let answer =
        client.get(&address).send().await.with_context(|| format!("while asking {address}; does the agent run?"))?;
    let answer = answer.error_for_status().with_context(|| format!("while asking {address}"))?;
    ensure!(
        answer.content_length().is_none_or(|bytes| bytes <= LEDGER_BYTES_MAX),
        "the answer of {address} is too long"
    );
    answer.json().await.with_context(|| format!("{address} did not answer with an account"))
}
