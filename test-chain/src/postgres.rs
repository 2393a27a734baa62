//! PostgreSQL: one that is given, or one of our own.

mod programs;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use alloy::transports::http::reqwest::Url;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::process::{Guarded, blocking, random_hex, stop};
use crate::{Error, Progress};
use programs::Programs;

/// The superuser of a server of ours. Row-level security does not bind it: services connect as roles they create.
const SUPERUSER: &str = "monay";

/// How long a server may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which PostgreSQL, and how.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// A server that already runs. Nothing is started then, and databases created through the handle are dropped when
    /// it is stopped.
    pub url: Option<String>,
    /// The folder of PostgreSQL's programs, before all others that are tried.
    pub programs: Option<PathBuf>,
    /// A folder to keep: data that lies there is used again, and stays. Without it the data is temporary.
    pub keep_in: Option<PathBuf>,
    /// A TCP port on 127.0.0.1 with a password, 0 for any that is free. Without it there is only a Unix socket in a
    /// private directory.
    pub port: Option<u16>,
    /// Whether a commit survives a power failure. Tests do without.
    pub durable: bool,
    /// Connections at a time.
    pub max_connections: u16,
    /// More settings, as in `postgresql.conf`.
    pub settings: Vec<(String, String)>,
    /// Who is told what is being done.
    pub progress: Progress,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            url: None,
            programs: None,
            keep_in: None,
            port: None,
            durable: true,
            max_connections: 200,
            settings: Vec::new(),
            progress: Progress::default(),
        }
    }
}

impl PostgresOptions {
    /// A temporary server without durability, as tests want it.
    pub fn for_tests() -> Self {
        Self { durable: false, ..Self::default() }
    }
}

/// A PostgreSQL server. One of ours is stopped, and its temporary data removed, when this is stopped or dropped.
#[derive(Debug)]
pub struct Postgres {
    server: Option<Guarded>,
    url: Url,
    source: String,
    /// Databases to drop from a server that is not ours.
    borrowed: Mutex<Vec<String>>,
}

impl Postgres {
    /// Connects to the server that is given, else starts one.
    pub async fn start(options: PostgresOptions) -> Result<Self, Error> {
        match &options.url {
            Some(url) => Self::given(url).await,
            None => blocking(move || Self::launch(&options)).await,
        }
    }

    /// Which PostgreSQL this is, in words: `system PostgreSQL 15.18`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The URL of the server's maintenance database, or of the one that was given.
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// The URL of another database of this server. It need not exist yet.
    pub fn url_of(&self, database: &str) -> Result<String, Error> {
        check_name(database)?;
        let mut url = self.url.clone();
        url.set_path(database);
        Ok(url.to_string())
    }

    /// The process id of the server, if it is ours.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().and_then(Guarded::pid)
    }

    /// The temporary directory of the server, if it is ours: its socket, its log and, unless they are kept, its data.
    pub fn directory(&self) -> Option<&Path> {
        self.server.as_ref().map(Guarded::directory)
    }

    /// Creates an empty database (UTF-8) and returns its URL.
    pub async fn create_database(&self, name: &str) -> Result<String, Error> {
        let url = self.url_of(name)?;
        execute(&self.url, &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")).await?;
        if self.server.is_none()
            && let Ok(mut borrowed) = self.borrowed.lock()
        {
            borrowed.push(name.to_owned());
        }
        Ok(url)
    }

    /// Creates an empty database with a name that no other has, for a test, and returns its URL.
    pub async fn fresh_database(&self) -> Result<String, Error> {
        self.create_database(&format!("monay_{}", random_hex(8)?)).await
    }

    /// Stops the server, if it is ours, and removes what is temporary; waits until it is gone.
    pub async fn stop(self) {
        stop(self).await;
    }

    async fn given(given: &str) -> Result<Self, Error> {
        let url = Url::parse(given)
            .map_err(|error| Error::Url { url: "the database's address".into(), why: error.to_string() })?;
        let mut connection = connect(&url).await?;
        let version: String = sqlx::query_scalar("SHOW server_version")
            .fetch_one(&mut connection)
            .await
            .map_err(Error::database("ask PostgreSQL for its version"))?;
        let version = version.split(' ').next().unwrap_or_default();
        let source = format!("PostgreSQL {version} that was given");
        Ok(Self { server: None, url, source, borrowed: Mutex::default() })
    }

    fn launch(options: &PostgresOptions) -> Result<Self, Error> {
        let programs = Programs::find(options.programs.as_deref())?;
        let source = programs.to_string();
        options.progress.say(&format!("starting {source}"));

        let temporary = std::env::temp_dir();
        let mut server = Guarded::new(&temporary, "monay-pg")?;
        // PostgreSQL refuses to be root.
        let nobody = if owner(server.directory())? == 0 { Some(Nobody::look_up()) } else { None };
        if let Some(nobody) = nobody
            && !nobody.reaches(&temporary)
        {
            server = Guarded::new(Path::new("/tmp"), "monay-pg")?;
        }
        let run = server.directory().to_owned();
        let programs = match nobody {
            Some(nobody) => {
                nobody.take(&run)?;
                programs.reachable_by(|path| nobody.reaches(path), &run.join("programs"))?
            }
            None => programs,
        };
        let home = match &options.keep_in {
            Some(folder) => home_in(folder, nobody)?,
            None => run.clone(),
        };
        let site = Site { programs, nobody, run, data: home.join("data"), password: home.join("password") };
        site.initialise(&mut server, options)?;
        let password = fs::read_to_string(&site.password).map_err(Error::io("read the database's password"))?;
        let port = site.serve(&mut server, options)?;
        let url = site.url(port.map(|port| (port, password.trim())))?;
        options.progress.say(&format!("{source} is ready"));
        Ok(Self { server: Some(server), url, source, borrowed: Mutex::default() })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let borrowed = self.borrowed.get_mut().map(std::mem::take).unwrap_or_default();
        if borrowed.is_empty() {
            return;
        }
        let url = self.url.clone();
        // A runtime of its own, because this may be dropped inside one.
        let dropping = thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            for name in borrowed {
                let _ = runtime.block_on(execute(&url, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")));
            }
        });
        let _ = dropping.join();
    }
}

/// Where a server of ours lives.
struct Site {
    programs: Programs,
    nobody: Option<Nobody>,
    run: PathBuf,
    data: PathBuf,
    password: PathBuf,
}

impl Site {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.path(program));
        command.current_dir(&self.run).env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        if let Some(nobody) = self.nobody {
            command.uid(nobody.uid).gid(nobody.gid);
        }
        command
    }

    fn initialise(&self, server: &mut Guarded, options: &PostgresOptions) -> Result<(), Error> {
        if let Ok(version) = fs::read_to_string(self.data.join("PG_VERSION")) {
            let version = version.trim();
            if version == self.programs.major().to_string() {
                return Ok(());
            }
            let folder = self.data.display();
            let why = format!("{folder} is from PostgreSQL {version}; use that, or another folder");
            return Err(self.programs.unusable(why));
        }
        options.progress.say("creating an empty database cluster");
        self.write_password()?;
        let mut command = self.command("initdb");
        command.arg("-D").arg(&self.data).args(["-U", SUPERUSER, "-E", "UTF8", "--locale=C"]);
        command.args(["--auth-local=trust", "--auth-host=scram-sha-256", "--no-instructions"]);
        command.arg("--pwfile").arg(&self.password);
        if !options.durable {
            command.arg("--no-sync");
        }
        let output = server.run(&mut command)?;
        if output.status.success() {
            return Ok(());
        }
        let why = last_lines(&String::from_utf8_lossy(&output.stderr));
        Err(Error::NotStarted { what: "initdb".into(), why })
    }

    fn write_password(&self) -> Result<(), Error> {
        let failed = || Error::io(format!("write {}", self.password.display()));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.password)
            .map_err(failed())?;
        writeln!(file, "{}", random_hex(16)?).map_err(failed())?;
        self.nobody.map_or(Ok(()), |nobody| nobody.take(&self.password))
    }

    /// Starts the server, waits until it is ready, and returns its TCP port, if it has one.
    fn serve(&self, server: &mut Guarded, options: &PostgresOptions) -> Result<Option<u16>, Error> {
        let mut tries = 0;
        loop {
            let port = match options.port {
                Some(0) => Some(free_port()?),
                given => given,
            };
            match self.try_to_serve(server, options, port) {
                // Somebody else was given the port after we had asked for it.
                Err(Error::NotStarted { why, .. })
                    if options.port == Some(0) && tries < 5 && why.contains("ddress already in use") =>
                {
                    tries += 1;
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(port),
            }
        }
    }

    fn try_to_serve(&self, server: &mut Guarded, options: &PostgresOptions, port: Option<u16>) -> Result<(), Error> {
        let what = self.programs.to_string();
        let log_path = self.run.join("server.log");
        let log = fs::File::create(&log_path).map_err(Error::io(format!("create {}", log_path.display())))?;
        let error_log = log.try_clone().map_err(Error::io(format!("open {}", log_path.display())))?;

        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.data);
        let durable = if options.durable { "on" } else { "off" };
        let listen = if port.is_some() { "127.0.0.1" } else { "" };
        let mut set = |name: &str, value: &str| {
            command.arg("-c").arg(format!("{name}={value}"));
        };
        set("listen_addresses", listen);
        set("port", &port.unwrap_or(SOCKET_PORT).to_string());
        set("unix_socket_directories", &self.run.to_string_lossy());
        set("max_connections", &options.max_connections.to_string());
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            set(name, durable);
        }
        options.settings.iter().for_each(|(name, value)| set(name, value));
        server.start(command.stdin(Stdio::null()).stdout(log).stderr(error_log))?;

        // The server writes its state into the eighth line of this file, as `pg_ctl` knows.
        let state = self.data.join("postmaster.pid");
        let last_words = || last_lines(&fs::read_to_string(&log_path).unwrap_or_default());
        let pid = server.pid().map(|pid| pid.to_string());
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = server.exited() {
                return Err(Error::NotStarted { what, why: format!("{status}: {}", last_words()) });
            }
            let state = fs::read_to_string(&state).unwrap_or_default();
            let mut lines = state.lines().map(str::trim);
            if lines.next() == pid.as_deref() && lines.nth(6) == Some("ready") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(Error::NotStarted { what, why: format!("not ready after {} s: {}", PATIENCE.as_secs(), last_words()) })
    }

    fn url(&self, tcp: Option<(u16, &str)>) -> Result<Url, Error> {
        let text = match tcp {
            Some((port, password)) => format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres"),
            None => format!("postgres://{SUPERUSER}@localhost:{SOCKET_PORT}/postgres"),
        };
        let mut url = Url::parse(&text).map_err(|error| Error::Url { url: text.clone(), why: error.to_string() })?;
        if tcp.is_none() {
            url.query_pairs_mut().append_pair("host", &self.run.to_string_lossy());
        }
        Ok(url)
    }
}

/// The number in the name of the socket; it is a port only by name.
const SOCKET_PORT: u16 = 5432;

fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::io("find a free port"))?;
    Ok(listener.local_addr().map_err(Error::io("find a free port"))?.port())
}

/// The user without rights.
#[derive(Clone, Copy, Debug)]
struct Nobody {
    uid: u32,
    gid: u32,
}

impl Nobody {
    fn look_up() -> Self {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let ids = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some("nobody")).then_some(())?;
            Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
        });
        let (uid, gid) = ids.unwrap_or((65534, 65534));
        Self { uid, gid }
    }

    fn take(self, path: &Path) -> Result<(), Error> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(Error::io(format!("give {} to nobody", path.display())))
    }

    /// Whether every folder down to `path` lets this user in, and `path` itself can be read.
    fn reaches(self, path: &Path) -> bool {
        let Ok(path) = path.canonicalize() else { return false };
        let allows = |path: &Path, wanted: u32| {
            path.metadata().is_ok_and(|metadata| {
                let shift = match (metadata.uid() == self.uid, metadata.gid() == self.gid) {
                    (true, _) => 6,
                    (false, true) => 3,
                    (false, false) => 0,
                };
                (metadata.permissions().mode() >> shift) & wanted == wanted
            })
        };
        allows(&path, 0o5) && path.ancestors().skip(1).all(|folder| allows(folder, 0o1))
    }
}

fn owner(path: &Path) -> Result<u32, Error> {
    Ok(path.metadata().map_err(Error::io(format!("look at {}", path.display())))?.uid())
}

/// Makes the folder that keeps the data, and gives it to the server's user.
fn home_in(folder: &Path, nobody: Option<Nobody>) -> Result<PathBuf, Error> {
    let failed = || Error::io(format!("create {}", folder.display()));
    let new = !folder.exists();
    fs::create_dir_all(folder).map_err(failed())?;
    let folder = folder.canonicalize().map_err(failed())?;
    if let Some(nobody) = nobody {
        let empty = new || fs::read_dir(&folder).map_err(failed())?.next().is_none();
        if empty {
            nobody.take(&folder)?;
        }
        if !nobody.reaches(&folder) {
            return Err(Error::Unreachable(folder));
        }
    }
    Ok(folder)
}

fn last_lines(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).rev().take(6).collect();
    lines.reverse();
    if lines.is_empty() { "it said nothing".into() } else { lines.join("\n") }
}

fn check_name(name: &str) -> Result<(), Error> {
    let good = name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if good { Ok(()) } else { Err(Error::DatabaseName(name.into())) }
}

async fn connect(url: &Url) -> Result<PgConnection, Error> {
    PgConnection::connect(url.as_str()).await.map_err(Error::database("connect to PostgreSQL"))
}

async fn execute(url: &Url, statement: &str) -> Result<(), Error> {
    let mut connection = connect(url).await?;
    let result = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await;
    result.map_err(Error::database(statement))?;
    connection.close().await.map_err(Error::database("close a connection"))
}
