//! Paths, as text: nothing here looks at the disk.

use std::path::{Path, PathBuf};

/// Returns the folder of a file; `.` for a bare name.
pub fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_file_name_lies_in_the_current_folder() {
        assert_eq!(folder_of(Path::new("network.toml")), Path::new("."));
        assert_eq!(folder_of(Path::new("/etc/portals/network.toml")), Path::new("/etc/portals"));
    }
}
