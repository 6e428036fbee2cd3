//! The API of a running aggregator, as the commands about the configuration of the mesh ask it.

use super::config::Changed;
use super::unanswered;
use aggregator::mesh_config::diff::Change;
use aggregator::mesh_config::text::ConfigText;
use anyhow::Context as _;
use everypath_config::printable_line;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// For a whole request.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The environment variable with the API token.
const TOKEN: &str = "EVERYPATH_API_TOKEN";

pub(super) struct Remote {
    url: String,
    token: String,
    client: Client,
    /// Whether a certificate was named by --ca.
    has_ca: bool,
}

#[derive(Deserialize)]
struct Shown {
    version: u64,
    config: ConfigText,
}

#[derive(Deserialize)]
struct Answered {
    version: u64,
    changes: Vec<Told>,
    cost_before: Cost,
    cost_after: Cost,
    /// Of an aggregator that says them.
    #[serde(default)]
    warnings: Vec<Fault>,
}

#[derive(Deserialize)]
struct Told {
    path: String,
    from: Option<String>,
    to: Option<String>,
}

#[derive(Deserialize)]
struct Cost {
    packets_per_s: f64,
    rows_per_s: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
    faults: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    path: String,
    message: String,
}

impl Fault {
    /// The server's words, without what would move the cursor.
    fn line(&self) -> String {
        printable_line(&format!("{}: {}", self.path, self.message)).into_owned()
    }
}

impl Remote {
    pub(super) fn new(url: &str, token_file: Option<&Path>, ca: Option<&Path>) -> anyhow::Result<Self> {
        let way = way(url)?;
        let token = match token_file {
            Some(file) => std::fs::read_to_string(file).with_context(|| format!("while reading {}", file.display()))?,
            None => std::env::var(TOKEN)
                .ok()
                .filter(|token| !token.is_empty())
                .with_context(|| format!("no API token: set {TOKEN}, or name --token-file"))?,
        };
        let mut client = Client::builder().timeout(ANSWER_MAX).redirect(reqwest::redirect::Policy::none());
        if way == Way::Here {
            // A proxy of the environment would be sent the token in clear.
            client = client.no_proxy();
        }
        if let Some(file) = ca {
            let pem = std::fs::read(file).with_context(|| format!("while reading {}", file.display()))?;
            let certificate = Certificate::from_pem(&pem).with_context(|| format!("in {}", file.display()))?;
            client = client.add_root_certificate(certificate);
        }
        let client = client.build().context("while preparing HTTPS")?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            token: token.trim().to_owned(),
            client,
            has_ca: ca.is_some(),
        })
    }

    pub(super) async fn config(&self, version: Option<u64>) -> anyhow::Result<(u64, ConfigText)> {
        let path = version.map_or_else(String::new, |version| format!("/versions/{version}"));
        let shown: Shown = self.ask(self.client.get(format!("{}/api/v1/config{path}", self.url))).await?.json().await?;
        Ok((shown.version, shown.config))
    }

    pub(super) async fn put(
        &self,
        config: &ConfigText,
        why: &str,
        expected: u64,
        dry_run: bool,
    ) -> anyhow::Result<String> {
        let request = self.client.put(format!("{}/api/v1/config?dry_run={dry_run}", self.url));
        let request =
            request.header("if-match", format!("\"{expected}\"")).json(&json!({"config": config, "why": why}));
        let answer = self.send(request).await?;
        anyhow::ensure!(
            answer.status() != StatusCode::PRECONDITION_FAILED,
            "another version than {expected} is in force by now; export it, and make the change anew"
        );
        let Answered { version, changes, cost_before, cost_after, warnings } = self.taken(answer).await?.json().await?;
        let changes = changes.into_iter().map(|Told { path, from, to }| Change { path, from, to }).collect();
        let changed = Changed {
            changes,
            packets_per_s: (milli(cost_before.packets_per_s), milli(cost_after.packets_per_s)),
            rows_per_s: (milli(cost_before.rows_per_s), milli(cost_after.rows_per_s)),
            warnings: warnings.iter().map(Fault::line).collect(),
        };
        Ok(changed.text(version, dry_run))
    }

    async fn ask(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let answer = self.send(request).await?;
        self.taken(answer).await
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let answer = request.bearer_auth(&self.token).send().await;
        answer
            .map_err(|error| anyhow::anyhow!("while asking {}: {}", self.url, unanswered::reason(&error, self.has_ca)))
    }

    /// The answer, if it is a good one.
    async fn taken(&self, answer: Response) -> anyhow::Result<Response> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let problem: Problem = answer.json().await.unwrap_or_default();
        let faults: String = problem.faults.iter().map(|fault| format!("\n  {}", fault.line())).collect();
        let code = printable_line(&problem.code);
        if faults.is_empty() {
            anyhow::bail!("{} answered {status} {code}: {}", self.url, printable_line(&problem.detail));
        }
        anyhow::bail!("{} answered {status} {code}:{faults}", self.url)
    }
}

/// How a request gets there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Tls,
    /// In clear, and never off this host.
    Here,
}

/// The token may do what its role may, so nobody between here and there may read it.
fn way(url: &str) -> anyhow::Result<Way> {
    let read =
        Url::parse(url).with_context(|| format!("--url: `{url}` is no URL; it looks like https://aggregator:8443"))?;
    let host = read.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match read.scheme() {
        "https" => return Ok(Way::Tls),
        "http" if is_here => return Ok(Way::Here),
        _ => {}
    }
    anyhow::bail!(
        "--url: `{url}` would send the API token where others can read it, so it was not sent. Begin the URL with https://, and \
         name the certificate of the aggregator by --ca if no public authority issued it; http:// is only for this host itself, \
         as in http://127.0.0.1:8080"
    )
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate, shown to a tenth")]
fn milli(rate: f64) -> u64 {
    (rate * 1_000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_sent_by_tls_or_stays_on_this_host() {
        assert_eq!(way("https://a.example:8443").ok(), Some(Way::Tls));
        for url in ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost:8080/"] {
            assert_eq!(way(url).ok(), Some(Way::Here), "{url}");
        }
        for url in ["http://a.example", "http://10.0.0.1:8080", "http://localhost.example", "ftp://127.0.0.1", "host:1"]
        {
            let said = way(url).unwrap_err().to_string();
            assert!(said.contains("https://"), "{said}");
        }
    }
}
