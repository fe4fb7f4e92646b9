//! Which files this process has mapped, as Linux tells in `/proc/self/maps`; elsewhere nothing is known.
//!
//! Source: `proc_pid_maps(5)`.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

/// The maps of files of this process.
pub(crate) struct Maps(String);

impl Maps {
    /// None where the system does not tell.
    pub(crate) fn of_this_process() -> Option<Self> {
        fs::read_to_string("/proc/self/maps").ok().map(Self)
    }

    /// The file that is mapped at an address.
    pub(crate) fn file_at(&self, address: u64) -> Option<PathBuf> {
        let mut files = self.files();
        files.find_map(|(range, path)| range.contains(&address).then(|| PathBuf::from(path)))
    }

    /// The first file whose name begins so.
    pub(crate) fn file_named(&self, prefix: &str) -> Option<PathBuf> {
        let mut paths = self.files().map(|(_, path)| path);
        let named = |path: &&str| path.rsplit('/').next().is_some_and(|name| name.starts_with(prefix));
        paths.find(named).map(PathBuf::from)
    }

    /// Ranges of addresses with the files mapped there.
    fn files(&self) -> impl Iterator<Item = (Range<u64>, &str)> {
        self.0.lines().filter_map(|line| {
            let (start, rest) = line.split_once('-')?;
            let (end, _) = rest.split_once(' ')?;
            let number = |text| u64::from_str_radix(text, 16).ok();
            // what stands before is numbers and flags
            let path = &line[line.find('/')?..];
            Some((number(start)?..number(end)?, path))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_address_and_by_name() {
        let maps = Maps(
            "1000-2000 r-xp 00000000 fe:00 17                         /opt/a program/run\n\
             2000-3000 rw-p 00000000 00:00 0                          [heap]\n\
             no map\n\
             7f0000000000-7f0000002000 r--p 00000000 fe:00 18         /usr/lib/libonnxruntime.so.1.32.0\n"
                .to_owned(),
        );
        assert_eq!(maps.file_at(0x1fff), Some("/opt/a program/run".into()));
        assert_eq!((maps.file_at(0x2000), maps.file_at(0)), (None, None));
        assert_eq!(maps.file_at(0x7f00_0000_1000), maps.file_named("libonnxruntime.so"));
        assert_eq!(
            maps.file_named("libonnxruntime.so"),
            Some("/usr/lib/libonnxruntime.so.1.32.0".into())
        );
        assert_eq!(maps.file_named("onnxruntime"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_programs_code_is_in_its_file() {
        let own = files_are_found_by_address_and_by_name as fn() as *const () as u64;
        let maps = Maps::of_this_process().unwrap();
        assert_eq!(maps.file_at(own), Some(std::env::current_exe().unwrap()));
    }
}
