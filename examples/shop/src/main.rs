//! A shop's payment backend: orders, M-PESA payments, supplier payouts and refunds. `README.md` says how to run it.

use std::{error::Error, net::SocketAddr, process::ExitCode, time::Duration};

use axum::{Router, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{net::TcpListener, time::timeout};

mod access_token;
mod app;
mod auth;
mod callbacks;
mod config;
mod db;
mod demo;
mod idempotency;
mod limits;
mod metrics;
mod openapi;
mod orders;
mod pages;
mod payments;
mod payouts;
mod refunds;
mod reply;
mod suppliers;
mod sweep;

#[path = "../../shared/patience.rs"]
mod patience;
#[path = "../../shared/stop.rs"]
mod stop;

use access_token::SharedToken;
use app::App;
use auth::Role;
use config::{Config, Start};
use db::Db;

#[tokio::main]
async fn main() -> ExitCode {
    let start = match config::from_process() {
        Ok(start) => start,
        Err(refusal) => {
            eprintln!("{refusal}");
            return ExitCode::from(2);
        }
    };
    match run(start).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the shop ends: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(start: Start) -> Result<(), Box<dyn Error>> {
    let stopped = stop::stop_signal()?;
    let (Start::Demo(config, _) | Start::Real(config, _)) = &start;
    log(config);
    let metrics = metrics::install()?;
    let listener = listen("SHOP_ADDRESS", config.address).await?;
    let address = listener.local_addr()?;
    let folder;
    let (app, _served) = match start {
        Start::Demo(config, password) => {
            folder = tempfile::tempdir()?;
            let url = format!("sqlite://{}", folder.path().join("shop.db").display());
            let (simulator, served, daraja) = demo::simulate(address).await?;
            let demo = demo::Demo::new(simulator, password.as_ref());
            let app = App::new(Db::open(&url).await?, &config, daraja, Some(demo.clone()));
            demo::fill(&app).await.map_err(|failure| failure.message.into_owned())?;
            serve_metrics(&config, demo::guarded(metrics_routes(metrics))).await?;
            invite(address, &demo);
            (app, Some(served))
        }
        Start::Real(config, daraja) => {
            let db = Db::open(&config.database_url).await?;
            let daraja = daraja.connect(SharedToken::new(db.clone()))?;
            let app = App::new(db, &config, daraja, None);
            add_first_admin(&app, &config).await?;
            if config.database_url.starts_with("sqlite") {
                sweep::after_start(&app).await?;
            }
            serve_metrics(&config, metrics_routes(metrics)).await?;
            println!("listening on http://{address}");
            (app, None)
        }
    };
    let sweep = tokio::spawn(sweep::run(app.clone()));
    let service = app.router().into_make_service_with_connect_info::<SocketAddr>();
    let server = |stopped| axum::serve(listener, service).with_graceful_shutdown(stopped);
    patience::serve(stopped, server).await.transpose()?;
    sweep.abort();
    // A push or a payout that is under way is waited for: its answer is not to be had twice.
    timeout(Duration::from_secs(90), app.finish()).await.unwrap_or_default();
    Ok(())
}

fn log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SHOP_LOG_FILTER")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sqlx=warn"));
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    if config.json_logs { log.json().init() } else { log.init() }
}

async fn add_first_admin(app: &App, config: &Config) -> Result<(), Box<dyn Error>> {
    if let Some((email, password)) = &config.first_admin {
        let added = auth::add_user(&app.db, &db::new_id(), email, &password.0, Role::Admin).await;
        added.map_err(|failure| failure.message.into_owned())?;
    }
    Ok(())
}

fn metrics_routes(metrics: PrometheusHandle) -> Router {
    Router::new().route("/metrics", get(move || async move { metrics.render() }))
}

/// On an address of their own, which is not for everybody.
async fn serve_metrics(config: &Config, routes: Router) -> Result<(), Box<dyn Error>> {
    let listener = listen("SHOP_METRICS_ADDRESS", config.metrics_address).await?;
    println!("metrics on http://{}/metrics", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(())
}

async fn listen(variable: &str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("{variable}: nobody can listen on {address}: {error}"))
}

fn invite(address: SocketAddr, demo: &demo::Demo) {
    println!("listening on http://{address}");
    println!("\nThis is the demo: a simulator stands in for M-PESA, and no real money can move.");
    println!("Open http://{address} and log in as (the passwords are new at each start):");
    for (email, password, role) in demo.log_ins() {
        println!("  {email} / {password} ({})", role.as_str());
    }
    println!("\nTry this:");
    println!("  1. As the customer, order something and pay with 0708 374 149.");
    println!("  2. Open http://{address}/phone?key={} in another tab:", demo.phone_key());
    println!("     enter the PIN, or cancel, or do nothing.");
    println!(
        "  3. Pay another order with 0700 000 003, where M-PESA is slow: after two minutes the page says \"not known yet, do"
    );
    println!("     not pay again\", and waits until you answer on that phone.");
    println!("  4. As an admin, pay a supplier; change its number, and see that a second admin is needed.");
    println!("  The API is described at http://{address}/docs\n");
}
