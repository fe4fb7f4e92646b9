//! Which node runs where, from a profiled run.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;

use crate::error::Error;
use crate::model::Model;
use crate::options::SessionOptions;

/// One node of the graph as ONNX Runtime runs it, after its own rewriting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodePlacement {
    /// The node's name; fused nodes have names of ONNX Runtime's making.
    pub node: String,
    /// Its operator, such as `Conv`.
    pub operator: String,
    /// ONNX Runtime's name of the provider that ran it, such as `CPUExecutionProvider`.
    pub provider: String,
}

impl Model {
    /// Runs one golden image on a session of its own, and tells which provider ran each node, in order of execution.
    ///
    /// Writes ONNX Runtime's profile into the system's directory for temporary files, and removes it.
    ///
    /// # Errors
    /// Those of [`session`](Self::session) and [`Session::run`](crate::Session::run); [`Error::Write`] or
    /// [`Error::Read`] if the profile cannot be written or read, [`Error::ProfileFormat`] if it is not understood.
    pub fn placement(&self, options: &SessionOptions) -> Result<Vec<NodePlacement>, Error> {
        let folder = Folder::new()?;
        let mut session = self.profiled_session(options, &folder.path.join("profile"))?;
        let golden = self.golden();
        let image = golden
            .input()
            .chunks_exact(golden.input().len() / golden.shape()[0])
            .next();
        session.run_golden(image.unwrap_or_default(), &mut vec![0.0; golden.classes()])?;
        let path = PathBuf::from(session.end_profile()?);
        let profile = fs::read(&path).map_err(|source| Error::Read { path, source })?;
        read(&profile)
    }
}

/// The nodes in a profile of ONNX Runtime: a JSON array of events, of which those of kernels name their provider.
fn read(profile: &[u8]) -> Result<Vec<NodePlacement>, Error> {
    #[derive(Deserialize)]
    struct Event {
        #[serde(default)]
        name: String,
        #[serde(default)]
        args: Arguments,
    }
    #[derive(Deserialize, Default)]
    struct Arguments {
        op_name: Option<String>,
        provider: Option<String>,
    }
    let events: Vec<Event> = serde_json::from_slice(profile).map_err(|source| Error::ProfileFormat {
        source: Box::new(source),
    })?;
    let placed = events.into_iter().filter_map(|Event { name, args }| {
        let node = name.strip_suffix("_kernel_time")?.to_owned();
        Some(NodePlacement {
            node,
            operator: args.op_name?,
            provider: args.provider?,
        })
    });
    Ok(placed.collect())
}

/// A directory for this call alone, removed at its end.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> Result<Self, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("askd-placement-{}-{number}", process::id()));
        // Not one that is there already, which may be another user's.
        create(&path).map_err(|source| Error::Write {
            path: path.clone(),
            source,
        })?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is rubbish in a directory for such, and no reason to fail.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(unix)]
fn create(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> std::io::Result<()> {
    fs::create_dir(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_are_no_kernels_are_passed_over() {
        let profile = br#"[
            {"cat":"Session","name":"model_loading_array","ts":1},
            {"cat":"Node","name":"conv_fence_before","args":{"op_name":"Conv"}},
            {"cat":"Node","name":"conv_kernel_time","args":{"op_name":"Conv","provider":"CPUExecutionProvider","x":1}}
        ]"#;
        let nodes = read(profile).unwrap();
        assert_eq!(nodes.len(), 1);
        assert_eq!((nodes[0].node.as_str(), nodes[0].operator.as_str()), ("conv", "Conv"));
        assert!(matches!(read(b"[{"), Err(Error::ProfileFormat { .. })));
    }
}
