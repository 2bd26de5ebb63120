//! Files of the documentation that tests make.

use std::fs;
use std::path::Path;

/// Compares a file of this repository with the content that the test `test` makes for it; with
/// `UPDATE_GOLDEN` in the environment, writes the content first.
pub(crate) fn compare(file: &str, content: &str, test: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, content).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == content,
        "{file} is out of date: UPDATE_GOLDEN=1 cargo test --test {test} rewrites it"
    );
}
