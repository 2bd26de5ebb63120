//! Tests of reads from pipes, links, devices, large files, and files of other users.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;
use crate::engine::journal::{Claims, Journal};
use crate::engine::network_file;
use crate::system::key_files;

/// Folder that is removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portals-reading-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn file(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, "text").unwrap();
        set_mode(&path, mode);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn refusal(path: &Path, source: FileOrigin) -> String {
    unreadable(path, read(path, source).unwrap_err()).to_string()
}

#[test]
fn a_pipe_is_not_waited_for_and_said_to_be_one() {
    let folder = Folder::new("pipe");
    let pipe = |name: &str| {
        mkfifo(&folder.path(name), Mode::S_IRWXU).unwrap();
        folder.path(name)
    };
    let said = "is not read: it is a pipe: put a file there";
    assert!(key_files::load(&pipe("private.key")).unwrap_err().to_string().ends_with(said));
    assert!(network_file::load(&pipe("network.toml")).unwrap_err().to_string().ends_with(said));
    pipe("journal");
    let journal = Journal::in_folder(&folder.0).unwrap();
    assert_eq!(journal.claims().unwrap(), Claims::default(), "it is set aside");
    pipe("lock");
    assert!(journal.lock(&mut || ()).is_err());
    assert!(refusal(&pipe("named"), FileOrigin::Named).ends_with(said));
    assert!(refusal(Path::new("/dev/null"), FileOrigin::Host).contains("it is a device"));
    assert!(refusal(&folder.0, FileOrigin::Ours).contains("it is a folder"));
    let _socket = UnixListener::bind(folder.path("socket")).unwrap();
    assert!(refusal(&folder.path("socket"), FileOrigin::Ours).contains("a socket or a device"));
}

#[test]
fn a_pipe_from_the_shell_is_read() {
    let (read_end, mut write_end) = io::pipe().unwrap();
    write_end.write_all(b"text").unwrap();
    drop(write_end);
    let path = format!("/dev/fd/{}", read_end.as_raw_fd());
    assert_eq!(read(path.as_ref(), FileOrigin::Named).unwrap(), b"text");
}

#[test]
fn files_that_others_can_write_are_refused_with_the_way_out() {
    let folder = Folder::new("writable");
    let file = folder.file("network.toml", 0o646);
    let said = |path: &Path| format!("{0} is writable by all users", path.display());
    assert!(refusal(&file, FileOrigin::Ours).contains(&said(&file)));
    assert!(refusal(&file, FileOrigin::Ours).ends_with(&format!("run: chmod o-w {}", file.display())));
    assert_eq!(read(&file, FileOrigin::Named).unwrap(), b"text", "the person who names it knows it");
    assert_eq!(read(&file, FileOrigin::Host).unwrap(), b"text", "its folder belongs to the host");
    set_mode(&file, 0o644);
    assert_eq!(read(&file, FileOrigin::Ours).unwrap(), b"text");

    set_mode(&folder.0, 0o777);
    assert!(refusal(&file, FileOrigin::Ours).contains(&said(&folder.0)));
    set_mode(&folder.0, 0o755);
    let other = Folder::new("links");
    set_mode(&other.0, 0o777);
    let link = folder.path("link");
    symlink(other.file("target", 0o644), &link).unwrap();
    assert!(refusal(&link, FileOrigin::Ours).contains(&said(&other.0)), "the target of the link counts");
}

/// The folder has the mode of /tmp.
#[test]
fn in_a_folder_where_all_users_can_create_files_only_ours_are_read_and_no_links() {
    let folder = Folder::new("sticky");
    set_mode(&folder.0, 0o1777);
    let file = folder.file("ours", 0o644);
    symlink(&file, folder.path("link")).unwrap();
    for source in [FileOrigin::Host, FileOrigin::Ours] {
        assert_eq!(read(&file, source).unwrap(), b"text");
        let said = "it is a symbolic link in a folder where all users";
        assert!(refusal(&folder.path("link"), source).contains(said));
    }
    if chown(&file, Some(1), None).is_ok() {
        let said = "belongs to user 1, who could take over";
        assert!(refusal(&file, FileOrigin::Host).contains(said));
        // A link from elsewhere makes the file no safer; OpenWrt's /etc/resolv.conf is such a link.
        let elsewhere = Folder::new("elsewhere");
        symlink(&file, elsewhere.path("link")).unwrap();
        assert!(refusal(&elsewhere.path("link"), FileOrigin::Host).contains(said));
    }
}

#[test]
fn files_and_folders_of_other_users_are_refused() {
    let folder = Folder::new("owner");
    let file = folder.file("network.toml", 0o644);
    if chown(&file, Some(1), None).is_err() {
        // Only root can give files away.
        return;
    }
    let way_out = format!("run: chown {} {}", geteuid(), file.display());
    assert!(refusal(&file, FileOrigin::Ours).ends_with(&way_out), "{}", refusal(&file, FileOrigin::Ours));
    assert_eq!(read(&file, FileOrigin::Host).unwrap(), b"text", "the file of another program");
    chown(&file, Some(0), None).unwrap();
    chown(&folder.0, Some(1), None).unwrap();
    assert!(refusal(&file, FileOrigin::Ours).contains("-owner-"));
}

#[test]
fn large_files_are_not_read_to_their_end() {
    let folder = Folder::new("large");
    let file = folder.file("network.toml", 0o644);
    File::options().write(true).open(&file).unwrap().set_len(800 << 20).unwrap();
    assert!(refusal(&file, FileOrigin::Ours).contains("it has more than 4194304 bytes"));
    assert!(read_up_to(Path::new("/proc/self/status"), FileOrigin::Kernel, 10).is_err());
}

#[test]
fn a_file_that_a_group_can_write_is_reported_and_not_run() {
    let folder = Folder::new("group");
    let file = folder.file("hook", 0o775);
    assert!(
        check_program(&file).unwrap_err().to_string().ends_with(&format!("chmod g-w {}", file.display()))
    );
    set_mode(&file, 0o755);
    check_program(&file).unwrap();
    assert_eq!(group_may_write(&file), None);
    if chown(&file, None, Some(1)).is_ok() {
        set_mode(&file, 0o664);
        assert!(group_may_write(&file).unwrap().contains("hook is writable by the users of its group"));
    }
}

#[test]
fn one_user_is_alone() {
    for (map, alone) in [
        ("         0          0 4294967295\n", false),
        ("         0       1000          1\n", true),
        ("         0       1000          1\n         1     100000      65536\n", false),
        ("", false),
        ("0 0", false),
    ] {
        assert_eq!(maps_one_user(map), alone, "{map}");
    }
}
