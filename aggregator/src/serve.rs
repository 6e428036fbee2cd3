//! The running program: both listeners, the jobs, and an orderly end.

use crate::addresses::{Bound, reachable};
use crate::app::{App, Shared};
use crate::audit_log::Event;
use crate::auth::{self, Invited, Listener};
use crate::clock::{Clock, rfc3339};
use crate::config::{Config, Database};
use crate::lock::DataLock;
use crate::mesh::Mesh;
use crate::place;
use crate::seal::SealKey;
use crate::store::Store;
use crate::tls::Tls;
use crate::tokens::{self, Wish};
use crate::{files, jobs, router};
use anyhow::Context as _;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use everypath_protocol::time::{Span, UnixTime};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long requests may take to end once the program is asked to.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);
/// The same for requests whose client is gone, and for messages that are being sent.
const FINISH_MAX: Duration = Duration::from_secs(5);
/// How long a replica says that it is not ready before it stops listening: load balancers look every second or two.
const DRAIN: Duration = Duration::from_secs(2);
/// A connection that asks for nothing by then is closed, so that idle ones cannot use up all there are.
const FIRST_REQUEST_MAX: Duration = Duration::from_secs(10);
/// The token that is printed at the first start.
const FIRST_TOKEN: (u32, Span) = (10, Span::seconds(24 * 3_600));

/// Runs until `stop`.
///
/// # Errors
/// When something that is needed from the start cannot be had: a folder, a port, a key, the database.
pub async fn serve(config: Config, preset_password: Option<String>, stop: CancellationToken) -> anyhow::Result<()> {
    let data_dir = config.data_dir.clone();
    files::make_private_folder(&data_dir)
        .with_context(|| format!("while making the data directory {}", data_dir.display()))?;
    // Before anything is written there.
    let _lock = DataLock::take(&data_dir)?;
    // Before the schema of a database is changed that this process cannot use.
    let key = config.database.as_ref().map(Database::key).transpose()?;
    // Both can be in use; neither is worth a schema that was changed for nothing.
    let https = listen(config.listen, "server.listen")?;
    let http = listen(config.http, "server.http")?;
    let store = place::open(&config, true).await?;
    store.check_rights().await?;
    let (mesh, tls) = keys(&config, &store, key.as_ref()).await?;
    let bound = Bound {
        https: https.local_addr().context("while reading the address of a listener")?,
        http: http.local_addr().context("while reading the address of a listener")?,
        advertise: config.advertise.clone(),
        is_self_signed: tls.pin.is_some(),
    };
    let app = App::start(config, Clock::system(), store, mesh).await.context("while reading the matrix")?;
    app.alerts.look_at_secrets(&app.store).await?;
    app.addresses.get_or_init(|| bound.advertised(&[], tls.pin));
    let handles = [Handle::new(), Handle::new()];
    let (tls_service, http_service) =
        [Listener::Tls, Listener::Loopback].map(|listener| service(&app, listener)).into();
    let tls_server = axum_server::from_tcp_rustls(https, RustlsConfig::from_config(tls.server))?
        .handle(handles[0].clone())
        .first_request_timeout(FIRST_REQUEST_MAX);
    let http_server = axum_server::from_tcp(http)?.handle(handles[1].clone()).first_request_timeout(FIRST_REQUEST_MAX);
    let servers = async { tokio::try_join!(tls_server.serve(tls_service), http_server.serve(http_service)) };
    let background = async {
        let ending = async {
            stop.cancelled().await;
            tracing::info!("asked to end: draining, what is under way is finished");
            // Load balancers and live pages go elsewhere; what is under way is finished.
            app.draining.cancel();
            // Where others can take over, they are given the time to: requests are still answered, with the word to go elsewhere.
            if app.store.is_shared() {
                tokio::time::sleep(DRAIN).await;
            }
            handles.iter().for_each(|handle| handle.graceful_shutdown(Some(SHUTDOWN_MAX)));
        };
        ending.await;
        // The listeners are what is waited for; they end when the last request does.
        std::future::pending::<()>().await;
    };
    // Before anybody is answered: whoever reads the addresses may log in at once.
    let admin = auth::ensure_admin(&app, preset_password).await.context("while making the first account")?;
    let welcome = async {
        bound.write(&data_dir)?;
        welcome(&app, &bound, admin).await
    };
    let mut jobs = jobs::start(&app, &stop);
    let serving = async {
        tokio::select! {
            served = servers => served.map(drop).context("while serving"),
            () = background => Ok(()),
            // Whatever starts this program starts it again; without these three it only looks as if it ran.
            error = jobs::panicked(&mut jobs) => Err(anyhow::anyhow!("a background job has ended: {error}; this is a bug")),
            () = app.store.ended() => Err(anyhow::anyhow!("the task that writes the database has ended; this is a bug")),
            () = app.hub.ended() => Err(anyhow::anyhow!("the task that owns the matrix has ended; this is a bug")),
        }
    };
    let result = tokio::try_join!(serving, welcome).map(drop);
    finish(&app).await;
    app.store.close().await;
    tracing::info!("done");
    result
}

/// What is done once nobody is answered any more: all of it with a limit.
async fn finish(app: &Shared) {
    app.begun.close();
    let begun = async {
        if tokio::time::timeout(FINISH_MAX, app.begun.wait()).await.is_err() {
            tracing::warn!(
                "a request was under way at the end of the program; what it did may not be in the audit log"
            );
        }
    };
    // At the same time, so that both together take no longer than one: whoever started this program kills it in the end.
    tokio::join!(begun, app.alerts.finish(FINISH_MAX));
    if let Err(error) = jobs::keep_latest(app).await {
        tracing::warn!(%error, "the matrix was not kept; the next start reads the samples instead");
    }
    if let Err(error) = app.replica.step_down(app).await {
        tracing::warn!(%error, "the lease was not given back; another replica waits until it ends by itself");
    }
}

/// The mesh and the certificate: files of this data directory, or what all replicas on the database share.
async fn keys(config: &Config, store: &Store, key: Option<&SealKey>) -> anyhow::Result<(Mesh, Tls)> {
    let (files, names) = (config.tls_files.as_ref(), certificate_names(config));
    match key {
        Some(key) => {
            let mesh = Mesh::shared(store, key, &config.data_dir).await?;
            Ok((mesh, Tls::shared(files, &config.data_dir, &names, store, key).await?))
        }
        None => Ok((Mesh::alone(store, &config.data_dir).await?, Tls::load(files, &config.data_dir, &names)?)),
    }
}

type Service = axum::extract::connect_info::IntoMakeServiceWithConnectInfo<axum::Router, SocketAddr>;

fn service(app: &Shared, listener: Listener) -> Service {
    router::build(app.clone(), listener).into_make_service_with_connect_info()
}

fn listen(address: SocketAddr, key: &'static str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address);
    let listener = listener.with_context(|| {
        format!("cannot listen on {address} ({key}); is another aggregator running? Port 0 takes any free one")
    })?;
    listener.set_nonblocking(true).context("while preparing a listener")?;
    Ok(listener)
}

/// Names for a self-signed certificate. Agents check its hash, so these matter to browsers only.
fn certificate_names(config: &Config) -> Vec<String> {
    let hosts = config.advertise.iter().filter_map(|url| {
        let host = url
            .strip_prefix("https://")?
            .rsplit_once(':')
            .map_or_else(|| url.strip_prefix("https://"), |(host, _)| Some(host))?;
        Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
    });
    let own = [reachable(config.listen.ip()).to_string(), "localhost".into(), "127.0.0.1".into(), "::1".into()];
    let mut names: Vec<String> = hosts.chain(own).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Says where everything is, and until somebody has logged in as an administrator, how to.
async fn welcome(app: &App, bound: &Bound, admin: Option<(&'static str, Option<Invited>)>) -> anyhow::Result<()> {
    let mut text =
        format!("Everypath aggregator, mesh {}\n\n  Dashboard   http://{}", app.mesh.id().short(), bound.http);
    for address in app.addresses() {
        text.push_str(&format!("\n  Agents      {}", address.url));
    }
    if let Some((name, invited)) = admin {
        let shown = match invited {
            Some(invited) => {
                let until = rfc3339(whole_seconds(invited.expires_at));
                let elsewhere = app.addresses().into_iter().next();
                let elsewhere = elsewhere.map_or_else(String::new, |address| {
                    format!("          or  {}{}\n", address.url.trim_end_matches('/'), invited.path())
                });
                format!(
                    "First login http://{}{}\n{elsewhere}              (choose a password there, until {until})",
                    bound.http,
                    invited.path()
                )
            }
            None => "Password    as given in EVERYPATH_ADMIN_PASSWORD".to_owned(),
        };
        let (uses, life) = FIRST_TOKEN;
        let wish = Wish { uses, life, site: None };
        let event = Event::by_program("join_token.create", "", app.now());
        let token = tokens::create(&app.store, &app.mesh, app.addresses(), wish, event).await;
        let token = token.context("while making the first join token")?;
        text.push_str(&format!(
            "\n\n  Log in as   {name}\n  {shown}\n\n  This token is not shown again. On each host (up to {uses}, until {}):\n\n  \
             mesh-agent join {} --data-dir DIR --name NAME --site SITE\n  \
             mesh-agent run --data-dir DIR",
            rfc3339(whole_seconds(token.expires)),
            token.to_text()
        ));
    }
    text.push_str("\n\n");
    let mut out = std::io::stdout().lock();
    // A closed standard output is no reason not to serve.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(())
}

/// Microseconds are of no use to a person.
const fn whole_seconds(time: UnixTime) -> UnixTime {
    UnixTime(time.0 - time.0.rem_euclid(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_orderly_end_is_over_before_the_unit_kills() {
        let unit = include_str!("../../deploy/systemd/everypath-aggregator.service");
        let limit = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")?.strip_suffix('s'));
        let limit = Duration::from_secs(limit.expect("in seconds").parse().expect("a number"));
        let sum = DRAIN + SHUTDOWN_MAX + FINISH_MAX;
        // What is left is for keeping the matrix, giving the lease back and closing the database.
        assert!(sum + Duration::from_secs(3) <= limit, "{sum:?} of {limit:?}");
        assert!(unit.contains(&format!("{} s", sum.as_secs())), "the unit says how long it takes");
    }
}
