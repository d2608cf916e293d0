use std::error::Error;
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};
use knead::App;
use knead::accounts::MailSetUp;
use knead::auth::{ApiClients, Password, Passwords, Sessions, StaffSecondFactor};
use knead::availability::hints;
use knead::availability::travel::Roads;
use knead::bookings::bounds::Bounds;
use knead::calendars::Fetcher;
use knead::care::RuleCache;
use knead::clock::Clock;
use knead::config::{self, AuditKey, Checked, Config, DataKeys, Database, LogFormat, MailConfig, Switch};
use knead::db::Db;
use knead::doors::REACTIONS;
use knead::inspection::Inspector;
use knead::messages::keys::Digests;

use knead::events::Workshop;
use knead::http::RateLimits;
use knead::outbound::Outbound;
use knead::privacy::RetentionYears;
use knead::rosters::command::Asked;
use knead::seals::Resealed;
use knead::search::{SearchCache, Searches};
use knead::values::zones::rules::{self, Wanted};
use knead::values::{Day, EmailAddress, Grant, Grants};
use knead::{accounts, audit, db, dev, doors, messages, openapi, rosters, seals, server, worker};
use secrecy::ExposeSecret;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

type Failure = Box<dyn Error + Send + Sync>;

/// How many bytes are read of a mail that reports a bounce. What it says stands before the mail that came back.
const LARGEST_REPORT: u64 = 1_000_000;

/// Booking massages at home.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Where the rules of time zones are: a folder of TZif files, such as /usr/share/zoneinfo, or `bundled` for the program's own. Unless said, the
    /// machine's where they are newer than those.
    #[arg(long, env = "KNEAD_ZONEINFO", global = true)]
    zoneinfo: Option<Wanted>,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine, with a private PostgreSQL and a demo city (the default).
    Dev(Dev),
    /// Run the service in production.
    Serve {
        #[command(flatten)]
        config: Config,
        /// Leave jobs to `knead worker`.
        #[arg(long)]
        no_worker: bool,
        /// Leave the schema to `knead migrate`.
        #[arg(long)]
        no_migrate: bool,
    },
    /// Carry out jobs alone.
    Worker {
        #[command(flatten)]
        config: Config,
    },
    /// Bring the database's schema up to date.
    Migrate {
        #[command(flatten)]
        database: Database,
    },
    /// Seal with the first of the data keys whatever an older one sealed. May run beside a running service.
    /// Fails where something is left.
    Reseal {
        #[command(flatten)]
        database: Database,
        #[command(flatten)]
        data_keys: DataKeys,
    },
    /// Print the OpenAPI document.
    Openapi,
    /// Look after admins.
    #[command(subcommand)]
    Admin(Admin),
    /// Look after the audit.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Hold credentials against authorities' lists.
    #[command(subcommand)]
    Roster(Roster),
    /// Look after the hints that searches are narrowed down by.
    #[command(subcommand)]
    Hints(Hints),
    /// Look after messages that leave the service.
    #[command(subcommand)]
    Messages(Messages),
    /// Look after mails that came back.
    #[command(subcommand)]
    Mail(Mail),
    /// Look after the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Args)]
struct Dev {
    /// Start without the demo city.
    #[arg(long)]
    no_demo: bool,
    /// Throw the private database away first.
    #[arg(long)]
    reset: bool,
    /// Where to listen; loopback only.
    #[arg(long, env = "KNEAD_ADDR")]
    addr: Option<SocketAddr>,
    /// Limits on the requests of one caller.
    #[arg(long, env = "KNEAD_RATE_LIMIT", value_enum)]
    rate_limit: Option<Switch>,
}

#[derive(Subcommand)]
enum Admin {
    /// Make an admin's account. There is no way to register as one.
    Create {
        #[command(flatten)]
        database: Database,
        /// The address that signs in.
        #[arg(long)]
        email: EmailAddress,
        /// Read the password from standard input.
        #[arg(long, required = true)]
        password_stdin: bool,
        /// What the admin may do, separated by commas.
        #[arg(long, value_enum, value_delimiter = ',', default_value = "owner")]
        grants: Vec<Grant>,
    },
    /// Take a second factor away from whoever has lost it, an admin or not: the next log-in asks for the password alone.
    ResetSecondFactor {
        #[command(flatten)]
        database: Database,
        /// The address that signs in.
        #[arg(long)]
        email: EmailAddress,
    },
    /// Say what an admin may do from now on.
    Grant {
        #[command(flatten)]
        database: Database,
        /// The address that signs in.
        #[arg(long)]
        email: EmailAddress,
        /// All that the admin may do, separated by commas.
        #[arg(long, value_enum, value_delimiter = ',', required = true)]
        grants: Vec<Grant>,
    },
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Recompute the chain and hold it against its signed heads; fails, and names the first broken place, where the audit is not
    /// what was written.
    Verify {
        #[command(flatten)]
        database: Database,
        #[command(flatten)]
        keys: AuditKey,
        /// A line that `knead audit head` printed, or a file of such lines: the audit must still contain what they say.
        #[arg(long)]
        head: Option<String>,
    },
    /// Print the newest signed head as one line (time, size, hash, id of the key, signature), to be kept elsewhere.
    Head {
        #[command(flatten)]
        database: Database,
        #[command(flatten)]
        keys: AuditKey,
    },
}

#[derive(Subcommand)]
enum Roster {
    /// Read a list and show what it says of our credentials. Fails where a rule stops it.
    Import {
        #[command(flatten)]
        database: Database,
        /// The list, as the authority gives it out.
        file: PathBuf,
        /// Whose list it is; see `knead roster sources`.
        #[arg(long)]
        source: String,
        /// The date that the list bears; today unless said.
        #[arg(long)]
        source_date: Option<Day>,
        /// Let it take effect.
        #[arg(long)]
        apply: bool,
    },
    /// Print the lists that can be read.
    Sources,
}

#[derive(Subcommand)]
enum Hints {
    /// Make every hint anew. Searches stay right meanwhile, and slower.
    Rebuild {
        #[command(flatten)]
        database: Database,
    },
}

#[derive(Subcommand)]
enum Messages {
    /// Withdraw what was to be told of what happened before an instant. Run it on a database that was restored, before the service begins: people would be
    /// told once more.
    Hold {
        #[command(flatten)]
        database: Database,
        /// The instant (RFC 3339).
        #[arg(long)]
        before: DateTime<Utc>,
    },
}

#[derive(Subcommand)]
enum Mail {
    /// Read the report of a bounce from standard input (RFC 3464), and send nothing more to the addresses that failed for good. Fails where it is none.
    Bounce {
        #[command(flatten)]
        database: Database,
        #[command(flatten)]
        data_keys: DataKeys,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print a configuration for `serve` with fresh secrets.
    Init,
    /// Say whether the configuration is good for `serve`.
    Check {
        #[command(flatten)]
        config: Box<Config>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command, zoneinfo } = Cli::parse_from(with_command(std::env::args_os().collect()));
    if let Err(why) = rules::choose(zoneinfo.as_ref()) {
        eprintln!("knead: {why}");
        return ExitCode::FAILURE;
    }
    let outcome = match command {
        Command::Dev(options) => develop(options).await,
        Command::Serve { config, no_worker, no_migrate } => serve(config, !no_worker, !no_migrate).await,
        Command::Worker { config } => work(config).await,
        Command::Migrate { database } => knead::migrate(database.database_url.expose_secret()).await,
        Command::Reseal { database, data_keys } => reseal(database, data_keys).await,
        Command::Openapi => {
            println!("{:#}", openapi::document(doors::routes));
            Ok(())
        }
        Command::Admin(Admin::Create { database, email, password_stdin: _, grants }) => {
            create_admin(database, email, grants.into()).await
        }
        Command::Admin(Admin::ResetSecondFactor { database, email }) => reset_second_factor(database, email).await,
        Command::Admin(Admin::Grant { database, email, grants }) => grant(database, email, grants.into()).await,
        Command::Audit(command) => look_at_audit(command).await,
        Command::Roster(Roster::Import { database, file, source, source_date, apply }) => {
            import_roster(database, Asked { file: &file, source: &source, source_date, apply }).await
        }
        Command::Roster(Roster::Sources) => {
            print!("{}", rosters::command::sources());
            Ok(())
        }
        Command::Hints(Hints::Rebuild { database }) => rebuild_hints(database).await,
        Command::Messages(Messages::Hold { database, before }) => hold(database, before).await,
        Command::Mail(Mail::Bounce { database, data_keys }) => bounce(database, data_keys).await,
        Command::Config(ConfigCommand::Init) => config::init().map(|lines| print!("{lines}")).map_err(Failure::from),
        Command::Config(ConfigCommand::Check { config }) => {
            config.check().map(|_| println!("The configuration is good.")).map_err(Failure::from)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("knead: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `dev` is meant where no command is given, with options or without.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let first = arguments.get(1).map(|argument| argument.to_string_lossy());
    let of_dev = |first: &str| first.starts_with("--") && !matches!(first, "--help" | "--version");
    if first.is_none_or(|first| of_dev(&first)) {
        arguments.insert(arguments.len().min(1), "dev".into());
    }
    arguments
}

fn log(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}

/// Says in the log by which rules of time zones the process goes, and whether something is wrong with them.
fn tell_zone_rules() {
    let rules = rules::current();
    tracing::info!(version = rules.version(), from = rules.origin(), "rules of time zones");
    for warning in rules.warnings(Clock::System.now()) {
        tracing::warn!("{warning}");
    }
}

/// How many threads serve.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// What serves and works alike need, from a configuration that was checked.
fn app(config: &Config) -> Result<Arc<App>, Failure> {
    let Checked { tokens, cipher, audit_keys, storage, post, mail_events } = config.check()?;
    let db = Db::shared_out(config.database.database_url.expose_secret(), config.pool_size, threads())?;
    let roads = Roads::new(&db, config.osrm_url.as_ref())?;
    let outbound = if config.reaches_loopback { Outbound::with_loopback() } else { Outbound::new() };
    let app = App::new(Workshop { db, clock: Clock::System, reactions: REACTIONS }, cipher, storage)
        .with(tokens)
        .with(Passwords::new()?)
        .with(RateLimits::new(config.rate_limit == Switch::On, config.trusted_proxies.clone()))
        .with(audit_keys)
        .with(roads)
        .with(Searches::new())
        .with(SearchCache::default())
        .with(Sessions::default())
        .with(ApiClients::default())
        .with(RuleCache::default())
        .with(Fetcher::new(outbound.clone()))
        .with(outbound)
        .with(Inspector::new())
        .with(MailSetUp(post.is_on()))
        .with(post)
        .with(Digests::default())
        .with(mail_events)
        .with(config.staff_second_factor)
        .with(RetentionYears(config.retention_years))
        .with(config.bounds);
    Ok(Arc::new(app))
}

async fn develop(options: Dev) -> Result<(), Failure> {
    log(LogFormat::Text, "warn,actix_http=off");
    let addr = options.addr.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
    if !addr.ip().is_loopback() {
        return Err("`dev` serves on loopback only; `serve` is for the world".into());
    }
    let home = dev::home(options.reset, !options.no_demo).await?;
    let config = Config {
        database: Database { database_url: home.database_url.clone().into() },
        signing_key: home.signing_key.clone().into(),
        data_keys: DataKeys { data_keys: home.data_key.clone().into() },
        audit_key: AuditKey { audit_key: home.audit_key.clone().into() },
        addr,
        public_url: format!("http://{addr}"),
        metrics_addr: None,
        pool_size: 16,
        trusted_proxies: Vec::new(),
        rate_limit: options.rate_limit.unwrap_or(Switch::On),
        osrm_url: None,
        staff_second_factor: StaffSecondFactor::Optional,
        retention_years: RetentionYears::default().0,
        log_format: LogFormat::Text,
        storage: home.files.clone(),
        mail: MailConfig::MAILBOX,
        bounds: Bounds::default(),
        reaches_loopback: true,
    };
    let note = format!("http://{addr}, process {}", std::process::id());
    let outcome = run(&config, true, || {
        home.postgres.leave_note(&note)?;
        // In one piece; a terminal that has gone away is no reason not to serve.
        match std::io::stdout().write_all(dev::banner(addr, !options.no_demo).as_bytes()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    })
    .await;
    tokio::task::spawn_blocking(move || home.postgres.stop()).await??;
    outcome
}

async fn serve(config: Config, with_worker: bool, migrate: bool) -> Result<(), Failure> {
    config.check()?;
    log(config.log_format, "info,actix_http=off");
    if migrate {
        knead::migrate(config.database.database_url.expose_secret()).await?;
    }
    run(&config, with_worker, || Ok(())).await
}

/// Serves until a signal ends it, then lets requests and jobs in hand finish. Calls `ready` once the port is open.
async fn run(config: &Config, with_worker: bool, ready: impl FnOnce() -> std::io::Result<()>) -> Result<(), Failure> {
    tell_zone_rules();
    let app = app(config)?;
    let listener = TcpListener::bind(config.addr)
        .map_err(|error| format!("cannot listen on {}: {error}; KNEAD_ADDR names another address", config.addr))?;
    let recorder = server::record_metrics()?;
    let rules = rules::current();
    metrics::gauge!("time_zones_info", "version" => rules.version(), "from" => rules.origin()).set(1.0);
    if let Some(addr) = config.metrics_addr {
        tokio::spawn(server::metrics_server(recorder, addr)?);
    }
    let server = server::server(app.clone(), listener, threads())?;
    let (stop, stopped) = watch::channel(());
    let mut told_to_stop = StopSignals::new()?;
    let handle = server.handle();
    let mut serving = tokio::spawn(server);
    tokio::spawn(forget_idle_callers(app.clone()));
    let worker = with_worker.then(|| tokio::spawn(keep_working(app.clone(), stopped)));
    ready()?;
    tracing::info!(addr = %config.addr, "serving");
    tokio::select! {
        () = told_to_stop.wait() => {
            handle.stop(true).await;
            serving.await??;
        }
        ended = &mut serving => ended??,
    }
    stop.send_replace(());
    if let Some(worker) = worker {
        worker.await?;
    }
    app.db.close().await;
    Ok(())
}

/// SIGTERM and SIGINT, heeded from the moment this is made.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn forget_idle_callers(app: Arc<App>) {
    while let Ok(limits) = app.part::<RateLimits>() {
        tokio::time::sleep(Duration::from_secs(60)).await;
        limits.forget_idle_callers();
    }
}

/// Ends when the process is to stop.
async fn told(mut stopped: watch::Receiver<()>) {
    // An error says that nobody is left to stop us: then it is time as well.
    drop(stopped.changed().await);
}

/// Works, chains the audit and sends messages until `stopped`, beginning again after the database was away.
async fn keep_working(app: Arc<App>, stopped: watch::Receiver<()>) {
    tokio::join!(
        keep_doing_jobs(app.clone(), stopped.clone()),
        audit::sequencer::run(app.clone(), told(stopped.clone())),
        messages::dispatcher::run(app.clone(), told(stopped.clone())),
        messages::sender::run(app, told(stopped)),
    );
}

async fn keep_doing_jobs(app: Arc<App>, stopped: watch::Receiver<()>) {
    loop {
        let outcome = async {
            worker::begin(&app).await?;
            worker::workers(&app, told(stopped.clone())).await?.run().await
        };
        match outcome.await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "the worker begins again"),
        }
        if stopped.has_changed().unwrap_or(true) {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn work(config: Config) -> Result<(), Failure> {
    log(config.log_format, "info,actix_http=off");
    tell_zone_rules();
    let (stop, stopped) = watch::channel(());
    let worker = tokio::spawn(keep_working(app(&config)?, stopped));
    StopSignals::new()?.wait().await;
    stop.send_replace(());
    worker.await?;
    Ok(())
}

async fn create_admin(database: Database, email: EmailAddress, grants: Grants) -> Result<(), Failure> {
    let mut password = String::new();
    std::io::stdin().read_to_string(&mut password)?;
    let password =
        Password::new(password.trim_end_matches(['\r', '\n'])).map_err(|why| format!("the password {why}"))?;
    let about = vec![email.as_str().to_owned()];
    let hash = Passwords::new()?.hash_new(password, about).await?;
    let pool = db::pool(database.database_url.expose_secret(), 1)?;
    let shop = Workshop { db: pool.into(), clock: Clock::System, reactions: REACTIONS };
    let id = accounts::create_admin(&shop, email.as_str(), &hash, grants).await?;
    println!("{id}");
    Ok(())
}

async fn grant(database: Database, email: EmailAddress, grants: Grants) -> Result<(), Failure> {
    let pool = db::pool(database.database_url.expose_secret(), 1)?;
    let shop = Workshop { db: pool.into(), clock: Clock::System, reactions: REACTIONS };
    match accounts::grant(&shop, email.as_str(), grants).await {
        Ok(id) => {
            println!("{id}");
            Ok(())
        }
        Err(knead::error::Error::NotFound) => Err(format!("no admin signs in as {}", email.as_str()).into()),
        Err(other) => Err(other.into()),
    }
}

async fn reset_second_factor(database: Database, email: EmailAddress) -> Result<(), Failure> {
    let pool = db::pool(database.database_url.expose_secret(), 1)?;
    let shop = Workshop { db: pool.into(), clock: Clock::System, reactions: REACTIONS };
    match accounts::factors::reset(&shop, email.as_str()).await {
        Ok(id) => {
            println!("{id}");
            Ok(())
        }
        Err(knead::error::Error::NotFound) => Err(format!("nobody signs in as {}", email.as_str()).into()),
        Err(other) => Err(other.into()),
    }
}

async fn import_roster(database: Database, asked: Asked<'_>) -> Result<(), Failure> {
    let pool = db::pool(database.database_url.expose_secret(), 2)?;
    rosters::command::import(&Workshop { db: pool.into(), clock: Clock::System, reactions: REACTIONS }, asked).await
}

async fn rebuild_hints(database: Database) -> Result<(), Failure> {
    let pool = db::pool(database.database_url.expose_secret(), 1)?;
    let made = hints::rebuild(&pool, Clock::System.now()).await?;
    println!("The hints of {made} therapists are made.");
    Ok(())
}

async fn hold(database: Database, before: DateTime<Utc>) -> Result<(), Failure> {
    let pool = db::pool(database.database_url.expose_secret(), 1)?;
    let held = messages::hold(&pool, before, Clock::System.now()).await?;
    println!("{held} messages are withdrawn.");
    Ok(())
}

async fn bounce(database: Database, keys: DataKeys) -> Result<(), Failure> {
    let mut mail = Vec::new();
    std::io::stdin().take(LARGEST_REPORT).read_to_end(&mut mail)?;
    let pool = db::pool(database.database_url.expose_secret(), 1)?;
    let shop = Workshop { db: pool.into(), clock: Clock::System, reactions: REACTIONS };
    let done = messages::bounce(&shop, &keys.cipher()?, &mail).await?;
    println!("{}", done.ok_or("this is no delivery status notification (RFC 3464)")?);
    Ok(())
}

async fn reseal(database: Database, keys: DataKeys) -> Result<(), Failure> {
    let pool = db::patient_pool(database.database_url.expose_secret())?;
    let tables = seals::reseal(&pool, &keys.cipher()?, &doors::sealed()).await?;
    for Resealed { table, sealed, left } in &tables {
        println!("{table}: {sealed} sealed anew, {left} left");
    }
    match tables.iter().map(|table| table.left).sum() {
        0 => Ok(()),
        left => Err(format!(
            "{left} rows are not under the first key yet: keep the others, give every process the same first key, and run it again"
        )
        .into()),
    }
}

async fn look_at_audit(command: AuditCommand) -> Result<(), Failure> {
    let (AuditCommand::Verify { database, keys, .. } | AuditCommand::Head { database, keys }) = &command;
    let (pool, keys) = (db::pool(database.database_url.expose_secret(), 1)?, keys.verifying()?);
    match &command {
        AuditCommand::Verify { head, .. } => {
            audit::command::verify(&pool, &keys, head.as_deref(), Clock::System.now()).await
        }
        AuditCommand::Head { .. } => audit::command::head(&pool, &keys).await,
    }
}
