//! The devices of Linux's hardware monitoring.
//!
//! Source: Linux, `Documentation/hwmon/sysfs-interface.rst`.

use std::iter;

use crate::machine::Root;

/// A device, and the names of its files.
pub(super) struct Device {
    /// Its directory.
    pub(super) folder: String,
    /// Its driver's name for it, such as `coretemp`; that of its directory where it has none.
    pub(super) name: String,
    files: Vec<String>,
}

impl Device {
    /// All devices, in the order of their numbers.
    pub(super) fn find_all(root: &Root) -> Vec<Self> {
        const FOLDER: &str = "sys/class/hwmon";
        let found = root.names(FOLDER).into_iter().map(|directory| {
            let folder = format!("{FOLDER}/{directory}");
            Self {
                name: root.line(&format!("{folder}/name")).unwrap_or(directory),
                files: root.names(&folder),
                folder,
            }
        });
        found.collect()
    }

    /// The heads of the files `HEAD` + `end`, where each begins with `kind` and a number follows: `temp1` of `temp1_input`.
    pub(super) fn channels(&self, kind: &str, end: &str) -> Vec<&str> {
        let heads = self.files.iter().filter_map(|file| file.strip_suffix(end));
        let numbered = heads.filter(|head| {
            let number = head.strip_prefix(kind).unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        numbered.collect()
    }

    /// Where its file of this name lies.
    pub(super) fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.folder)
    }

    /// What a channel is called for people: device, and the channel's label or else its name.
    pub(super) fn title(&self, root: &Root, channel: &str) -> String {
        let label = root.line(&self.path(&format!("{channel}_label")));
        format!("{} {}", self.name, label.as_deref().unwrap_or(channel))
    }
}

/// `name`, with the first number from 2 on behind it that makes it one of its own, where it is taken.
pub(super) fn unique(name: String, taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|number| format!("{name} {number}"));
    let unique = iter::once(name.clone()).chain(numbered).find(|name| !taken(name));
    unique.unwrap_or(name)
}
