//! A server as a child process that cannot outlive us, and a directory that cannot either.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use crate::Error;

/// Reads the pid to look after, line by line, until the pipe ends; an empty line means nobody. Then: a polite signal,
/// ten seconds, an impolite one, and the directory is removed. `$1` is the directory.
const WATCHDOG: &str = r#"
trap '' HUP INT QUIT TERM
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
  kill -INT "$pid"
  n=0
  while [ "$n" -lt 500 ] && kill -0 "$pid"; do sleep 0.02; n=$((n + 1)); done
  [ "$n" -lt 500 ] || kill -KILL "$pid"
fi
rm -rf -- "$1"
"#;

/// A temporary directory and at most one server that works in it. Both are gone after [`Guarded::stop`], after a drop,
/// and soon after the end of this process, however it ends.
#[derive(Debug)]
pub(crate) struct Guarded {
    directory: PathBuf,
    watchdog: Child,
    /// Its end is what the watchdog waits for.
    leash: Option<ChildStdin>,
    server: Option<Child>,
}

impl Guarded {
    /// Makes a private directory `<parent>/<prefix>-…` and the watchdog that will remove it.
    pub(crate) fn new(parent: &Path, prefix: &str) -> Result<Self, Error> {
        let directory = private_directory(parent, prefix)?;
        let watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&directory)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match watchdog {
            Ok(mut watchdog) => {
                let leash = watchdog.stdin.take();
                Ok(Self { directory, watchdog, leash, server: None })
            }
            Err(error) => {
                let _ = fs::remove_dir_all(&directory);
                Err(Error::io("start /bin/sh")(error))
            }
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs a program to its end, under the watchdog too, and returns what it printed.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<Output, Error> {
        let name = name_of(command);
        let failed = || Error::io(format!("run {name}"));
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(failed())?;
        self.look_after(Some(child.id())).map_err(failed())?;
        let output = child.wait_with_output();
        self.look_after(None).map_err(failed())?;
        output.map_err(failed())
    }

    /// Starts the server. What it reads and prints is up to the caller.
    pub(crate) fn start(&mut self, command: &mut Command) -> Result<&mut Child, Error> {
        let name = name_of(command);
        let child = command.process_group(0).spawn().map_err(Error::io(format!("start {name}")))?;
        let pid = child.id();
        let child = self.server.insert(child);
        tell(&mut self.leash, Some(pid)).map_err(Error::io(format!("look after {name}")))?;
        Ok(child)
    }

    /// Starts a server and waits until it prints the line in which `ready` finds what the caller has to know. What it
    /// prints then is read on as long as it runs, so that it never waits for somebody to listen.
    pub(crate) fn start_until<T: Send + 'static>(
        &mut self,
        what: &str,
        command: &mut Command,
        patience: Duration,
        ready: impl Fn(&str) -> Option<T> + Send + 'static,
    ) -> Result<T, Error> {
        let child = self.start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let (found, answer) = mpsc::channel();
        let mut found = Some(found);
        let report = move |line: &str| {
            if let Some(answer) = found.is_some().then(|| ready(line)).flatten()
                && let Some(found) = found.take()
            {
                let _ = found.send(answer);
            }
        };
        let readers = [
            child.stdout.take().map(|output| listen(output, Arc::clone(&said), report)),
            child.stderr.take().map(|output| listen(output, Arc::clone(&said), |_| {})),
        ];
        let reason = match answer.recv_timeout(patience) {
            Ok(answer) => return Ok(answer),
            Err(reason) => reason,
        };
        self.stop();
        for reader in readers.into_iter().flatten() {
            let _ = reader.join();
        }
        let words = said.lock().map(|mut words| words.make_contiguous().join("\n")).unwrap_or_default();
        let when = match reason {
            mpsc::RecvTimeoutError::Timeout => format!("not ready after {} s", patience.as_secs()),
            mpsc::RecvTimeoutError::Disconnected => "it ended".into(),
        };
        Err(Error::NotStarted { what: what.into(), why: format!("{when}: {words}") })
    }

    /// The process id of the server, while there is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// How the server ended, if it did by itself.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        let status = self.server.as_mut()?.try_wait().ok()??;
        // Its pid may be given to somebody else from now on.
        self.server = None;
        let _ = self.look_after(None);
        Some(status)
    }

    /// Ends the server as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
            let _ = self.look_after(None);
        }
    }

    /// Stops the server, removes the directory and waits until both are gone.
    pub(crate) fn stop(&mut self) {
        if self.leash.take().is_none() {
            return;
        }
        loop {
            // Reaping the server at once is what tells the watchdog that it is gone.
            let stopped = self.server.as_mut().is_none_or(|server| !matches!(server.try_wait(), Ok(None)));
            let watched = matches!(self.watchdog.try_wait(), Ok(None));
            match (stopped, watched) {
                (true, false) => break,
                // Somebody killed the watchdog.
                (false, false) => self.server.iter_mut().for_each(|server| drop(server.kill())),
                (_, true) => {}
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.server = None;
        let _ = fs::remove_dir_all(&self.directory);
    }

    fn look_after(&mut self, pid: Option<u32>) -> io::Result<()> {
        tell(&mut self.leash, pid)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Any program, looked after like the servers of this crate: it gets SIGINT, and SIGKILL ten seconds later if it must,
/// when this is stopped or dropped and when this process ends, however it ends.
#[derive(Debug)]
pub struct Process(Guarded);

impl Process {
    /// Starts a program. What it reads and prints, and where, is as the command says.
    pub fn start(mut command: Command) -> Result<Self, Error> {
        let mut guarded = Guarded::new(&std::env::temp_dir(), "monay-run")?;
        guarded.start(&mut command)?;
        Ok(Self(guarded))
    }

    /// A directory of its own, gone when it is.
    pub fn directory(&self) -> &Path {
        self.0.directory()
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.0.pid()
    }

    /// How it ended, if it did by itself since this was asked last.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.0.exited()
    }

    /// Ends it with SIGKILL, as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Stops it and waits until it is gone.
    pub async fn stop(self) {
        stop(self).await;
    }
}

/// Drops what blocks while it stops, beside the runtime.
pub(crate) async fn stop<T: Send + 'static>(running: T) {
    let _ = blocking(move || {
        drop(running);
        Ok(())
    })
    .await;
}

/// Reads lines until the end and keeps the last ones, for whoever asks why.
fn listen(
    output: impl Read + Send + 'static,
    said: Arc<Mutex<VecDeque<String>>>,
    mut report: impl FnMut(&str) + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            report(&line);
            if let Ok(mut said) = said.lock() {
                if said.len() == 6 {
                    said.pop_front();
                }
                said.push_back(line);
            }
        }
    })
}

fn tell(leash: &mut Option<ChildStdin>, pid: Option<u32>) -> io::Result<()> {
    let line = pid.map_or_else(|| "\n".to_owned(), |pid| format!("{pid}\n"));
    leash.as_mut().map_or(Ok(()), |leash| leash.write_all(line.as_bytes()))
}

fn name_of(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn private_directory(parent: &Path, prefix: &str) -> Result<PathBuf, Error> {
    let mut tries = 0;
    loop {
        let mut name = OsString::from(prefix);
        name.push(format!("-{}", random_hex(6)?));
        let path = parent.join(name);
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 100 => tries += 1,
            Err(error) => return Err(Error::io(format!("create {}", path.display()))(error)),
        }
    }
}

/// `bytes` random bytes, from the operating system, in hexadecimal.
pub(crate) fn random_hex(bytes: usize) -> Result<String, Error> {
    let mut random = vec![0_u8; bytes];
    getrandom::fill(&mut random).map_err(|error| Error::io("get random bytes")(io::Error::other(error.to_string())))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Runs what blocks beside the runtime. If nobody waits for it any more, its result is dropped, and so stopped.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::io("wait for a thread")(io::Error::other(error))),
    }
}
