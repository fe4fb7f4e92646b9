//! Which node runs where and for how long, from profiled runs.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;

use crate::error::Error;
use crate::model::Model;
use crate::onnx::OnnxVersions;
use crate::options::SessionOptions;
use crate::session::Session;

/// One node of the graph as ONNX Runtime runs it, after its own rewriting.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NodePlacement {
    /// The node's name; fused nodes have names of ONNX Runtime's making.
    pub node: String,
    /// Its operator, such as `Conv`.
    pub operator: String,
    /// ONNX Runtime's name of the provider that ran it, such as `CPUExecutionProvider`.
    pub provider: String,
}

/// The times of profiled runs. ONNX Runtime takes them in whole microseconds, and takes time for it: runs are slower than
/// without.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Profile {
    /// Time of each run, in microseconds.
    pub run_microseconds: Vec<u64>,
    /// The nodes, in order of execution.
    pub nodes: Vec<NodeProfile>,
}

/// One node's part of a [`Profile`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NodeProfile {
    /// What it is and where it ran.
    pub placement: NodePlacement,
    /// Its time in each run, in microseconds.
    pub microseconds: Vec<u64>,
    /// The shapes of its outputs, in the last run; none where ONNX Runtime does not tell.
    pub output_shapes: Vec<Vec<i64>>,
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
        let profile = self.profile(options, |session| {
            let golden = self.golden();
            let image = golden
                .input()
                .chunks_exact(golden.input().len() / golden.shape()[0])
                .next();
            session.run_golden(image.unwrap_or_default(), &mut vec![0.0; golden.classes()])
        })?;
        Ok(profile.nodes.into_iter().map(|node| node.placement).collect())
    }

    /// The times of each node in what `run` runs on a session of its own.
    ///
    /// Writes ONNX Runtime's profile into the system's directory for temporary files, and removes it: some 700 bytes for
    /// each node and run.
    ///
    /// # Errors
    /// Those of [`session`](Self::session) and of `run`; [`Error::Write`] or [`Error::Read`] if the profile cannot be
    /// written or read, [`Error::ProfileFormat`] if it is not understood.
    pub fn profile(
        &self,
        options: &SessionOptions,
        run: impl FnOnce(&mut Session) -> Result<(), Error>,
    ) -> Result<Profile, Error> {
        profile(|path| Session::from_model(self, options, Some(path)), run)
    }
}

impl Session {
    /// As [`Model::profile`], for plain ONNX bytes, under the conditions of [`from_onnx`](Self::from_onnx).
    ///
    /// # Errors
    /// Those of [`from_onnx`](Self::from_onnx) and [`Model::profile`].
    pub fn profile_onnx(
        bytes: &[u8],
        options: &SessionOptions,
        run: impl FnOnce(&mut Session) -> Result<(), Error>,
    ) -> Result<Profile, Error> {
        OnnxVersions::read(bytes)?;
        profile(|path| Session::new(bytes, options, Some(path)), run)
    }
}

fn profile(
    make: impl FnOnce(&Path) -> Result<Session, Error>,
    run: impl FnOnce(&mut Session) -> Result<(), Error>,
) -> Result<Profile, Error> {
    let folder = Folder::new()?;
    let mut session = make(&folder.path.join("profile"))?;
    run(&mut session)?;
    let path = PathBuf::from(session.end_profile()?);
    let profile = fs::read(&path).map_err(|source| Error::Read { path, source })?;
    read(&profile)
}

/// An event of ONNX Runtime's profile.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "dur")]
    microseconds: u64,
    #[serde(default)]
    args: Arguments,
}

#[derive(Deserialize, Default)]
struct Arguments {
    op_name: Option<String>,
    provider: Option<String>,
    node_index: Option<String>,
    /// Of each output, its shape by the name of its element type.
    #[serde(default)]
    output_type_shape: Vec<HashMap<String, Vec<i64>>>,
}

/// The nodes in a profile of ONNX Runtime: a JSON array of events, of which those of kernels name their provider.
fn read(profile: &[u8]) -> Result<Profile, Error> {
    let events: Vec<Event> = serde_json::from_slice(profile).map_err(|source| Error::ProfileFormat {
        source: Box::new(source),
    })?;
    let mut runs = Vec::new();
    let mut nodes: Vec<NodeProfile> = Vec::new();
    let mut known = HashMap::new();
    for Event {
        name,
        microseconds,
        args,
    } in events
    {
        if name == "model_run" {
            runs.push(microseconds);
        }
        let Some(node) = name.strip_suffix("_kernel_time") else {
            continue;
        };
        let (Some(operator), Some(provider)) = (args.op_name, args.provider) else {
            continue;
        };
        let place = *known.entry((node.to_owned(), args.node_index)).or_insert_with(|| {
            nodes.push(NodeProfile {
                placement: NodePlacement {
                    node: node.to_owned(),
                    operator,
                    provider,
                },
                microseconds: Vec::new(),
                output_shapes: Vec::new(),
            });
            nodes.len() - 1
        });
        nodes[place].microseconds.push(microseconds);
        nodes[place].output_shapes = args
            .output_type_shape
            .into_iter()
            .flat_map(HashMap::into_values)
            .collect();
    }
    Ok(Profile {
        run_microseconds: runs,
        nodes,
    })
}

/// A directory for this call alone, removed at its end.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> Result<Self, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("askd-profile-{}-{number}", process::id()));
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
        let nodes = read(profile).unwrap().nodes;
        assert_eq!(nodes.len(), 1);
        let placement = &nodes[0].placement;
        assert_eq!((placement.node.as_str(), placement.operator.as_str()), ("conv", "Conv"));
        assert!(matches!(read(b"[{"), Err(Error::ProfileFormat { .. })));
    }

    #[test]
    fn the_times_of_a_node_are_put_together_and_nodes_of_one_name_kept_apart() {
        let node = |index, time| {
            let shapes = r#"[{"float":[1,2]},{"int8":[]}]"#;
            format!(
                r#"{{"name":"a_kernel_time","dur":{time},"args":{{"op_name":"Conv","provider":"P","node_index":"{index}","output_type_shape":{shapes}}}}}"#
            )
        };
        let run = |time| format!(r#"{{"name":"model_run","dur":{time}}}"#);
        let events = [node(0, 3), node(1, 9), run(14), node(0, 4), node(1, 8), run(15)];
        let profile = read(format!("[{}]", events.join(",")).as_bytes()).unwrap();
        assert_eq!(profile.run_microseconds, [14, 15]);
        let times: Vec<_> = profile.nodes.iter().map(|node| node.microseconds.clone()).collect();
        assert_eq!(times, [[3, 4], [9, 8]]);
        assert_eq!(profile.nodes[0].output_shapes, [vec![1, 2], vec![]]);
    }
}
