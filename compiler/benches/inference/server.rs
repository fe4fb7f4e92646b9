//! A child process that answers requests, stopped in between. The protocol is described in `peers/inference/peer.py`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Failure;
use crate::files::read;

/// One engine with one model and one number of threads.
pub(crate) struct Server {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    log: PathBuf,
    /// What it says of itself at the start: the engine and its version.
    pub(crate) engine: String,
}

impl Server {
    /// Starts `command` and waits until it has loaded its model. What it says on stderr goes to the file `log`.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Result<Self, Failure> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?);
        let mut child = command.spawn()?;
        let requests = child.stdin.take().ok_or("a contender without standard input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("a contender without standard output")?);
        let mut server = Self {
            child,
            requests,
            answers,
            log,
            engine: String::new(),
        };
        server.engine = server.answer()?;
        server.signal(Signal::SIGSTOP)?;
        Ok(server)
    }

    /// Nanoseconds of `count` runs of the one image.
    pub(crate) fn run(&mut self, count: usize) -> Result<Vec<u64>, Failure> {
        let answer = self.ask(&format!("run {count}"))?;
        Ok(answer.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
    }

    /// Logits of all images of a file.
    pub(crate) fn logits(&mut self, images: &Path) -> Result<Vec<f32>, Failure> {
        let out = images.with_extension("logits");
        match self
            .ask(&format!("logits {} {}", images.display(), out.display()))?
            .as_str()
        {
            "done" => read(&out),
            other => Err(format!("expected logits, got '{other}'").into()),
        }
    }

    fn ask(&mut self, request: &str) -> Result<String, Failure> {
        self.signal(Signal::SIGCONT)?;
        writeln!(self.requests, "{request}")?;
        let answer = self.answer()?;
        self.signal(Signal::SIGSTOP)?;
        Ok(answer)
    }

    fn answer(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(last_line(&self.log).into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        Ok(kill(Pid::from_raw(self.child.id().try_into()?), signal)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nothing is to be done about a process that is gone already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `command` to its end.
pub(crate) fn finish(mut command: Command, log: &Path) -> Result<(), Failure> {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(log)?)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(last_line(log).into())
    }
}

/// The last thing that a failed process said.
fn last_line(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.unwrap_or("it ended without a word").trim().to_owned()
}
