//! The owner of the service's files, and the rights of their group.
//!
//! If the superuser runs a command in another user's folder, the command would create files that
//! the service cannot read, so it gives them to the owner of the folder. A Kubernetes volume with
//! `fsGroup` gives a group read and write access to all files of the volume each time it is
//! mounted, so these rights are removed again.
//!
//! The owner of the folder may replace folders and links while the superuser works there. So no
//! right is changed by path: the file is open, and is known to be in the folder whose owner counts.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, statat};
use rustix::process::geteuid;

/// All rights of a group on a file, and the setgid bit, by which files in a folder get its group.
const GROUP_ACCESS: u32 = 0o2070;
/// The right of a group to change a folder, and the setgid bit. The group may still enter the
/// folder.
const GROUP_CHANGES: u32 = 0o2020;
/// The rights of all users, and the sticky bit of folders such as `/tmp`. Cloakroom creates no file
/// with these.
const SHARED: u32 = 0o1007;

/// Gives a file that was just created at this path to the owner of its folder, if the superuser
/// created it.
pub fn give_to_folder_owner(made: &File, path: &Path) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(()); // only the superuser can give files away
    }
    let meta = made.metadata()?;
    let folder = folder_of(path)?;
    let owner = folder.metadata()?;
    if owner.uid() == 0 || meta.uid() != 0 {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default();
    let is_new = if meta.is_dir() { is_empty(made)? } else { meta.is_file() && meta.nlink() == 1 };
    if !is_new || !is_named(&folder, name, &meta) {
        return Err(io::Error::other("it was replaced while it was created"));
    }
    match std::os::unix::fs::fchown(made, Some(owner.uid()), Some(owner.gid())) {
        // A container may deny its superuser this right. The file then stays root's.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        given => given,
    }
}

/// Gives a folder that was just created, and is empty, to the owner of its parent folder.
pub fn give_folder(path: &Path) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let made = openat(CWD, path, READ | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
    give_to_folder_owner(&File::from(made), path)
}

/// Opens a file for appending. If it does not exist, it is created with mode 0600, for the owner of
/// its folder.
pub fn open_private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.append(true).mode(0o600);
    match options.clone().create_new(true).open(path) {
        Ok(file) => give_to_folder_owner(&file, path).map(|()| file),
        // The path may be a link in a read-only secret volume, where no file can be created.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

/// Removes the group's access to a file in a folder, or the group's right to change a folder in it.
/// Returns whether there was anything to remove. A link, an entry that all users can access, and an
/// entry of another user stay as they are.
pub fn remove_group_access(folder: &File, name: &OsStr) -> bool {
    let opened = locate(folder, name);
    opened.is_ok_and(|opened| remove_from(&opened, folder).unwrap_or(false))
}

/// Opens the entry of this name in a folder, but not for reading: closing a file that is open for
/// reading would release the locks that SQLite has on a database in this process.
#[cfg(target_os = "linux")]
fn locate(folder: &File, name: &OsStr) -> io::Result<File> {
    let itself = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, name, itself, Mode::empty())?.into())
}

/// Not supported elsewhere: Kubernetes runs pods on Linux.
#[cfg(not(target_os = "linux"))]
fn locate(_folder: &File, _name: &OsStr) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Removes the group's right to change this folder.
pub fn remove_group_changes(folder: &File) -> bool {
    remove_from(folder, folder).unwrap_or(false)
}

fn remove_from(opened: &File, folder: &File) -> io::Result<bool> {
    let meta = opened.metadata()?;
    let unwanted = match (meta.is_dir(), meta.is_file() && meta.nlink() == 1) {
        (true, _) => GROUP_CHANGES,
        (false, true) => GROUP_ACCESS,
        (false, false) => return Ok(false),
    };
    let me = geteuid();
    let is_own = meta.uid() == if me.is_root() { folder.metadata()?.uid() } else { me.as_raw() };
    if !is_own || meta.mode() & unwanted == 0 || meta.mode() & SHARED != 0 {
        return Ok(false);
    }
    let itself = format!("/proc/self/fd/{}", opened.as_raw_fd());
    fs::set_permissions(itself, fs::Permissions::from_mode(meta.mode() & 0o7777 & !unwanted))?;
    Ok(true)
}

/// Opens the parent folder of a path.
pub fn folder_of(path: &Path) -> io::Result<File> {
    Ok(openat(CWD, folder_name(path), READ | OFlags::DIRECTORY, Mode::empty())?.into())
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);

/// Whether this name in the folder is the opened file itself, and not a link to it.
fn is_named(folder: &File, name: &OsStr, opened: &fs::Metadata) -> bool {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|named| (named.st_dev, named.st_ino) == (opened.dev(), opened.ino()))
}

fn is_empty(folder: &File) -> io::Result<bool> {
    for entry in Dir::read_from(folder)? {
        if ![b".".as_slice(), b"..".as_slice()].contains(&entry?.file_name().to_bytes()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The error of a file that belongs to the wrong user. Its message says what to do.
#[derive(Debug, thiserror::Error)]
pub struct WrongOwner {
    path: PathBuf,
    owner: u32,
    folder: PathBuf,
    folder_owner: u32,
    me: u32,
}

impl WrongOwner {
    pub fn of(path: &Path, meta: &fs::Metadata) -> Self {
        let folder = folder_name(path);
        Self {
            path: path.to_owned(),
            owner: meta.uid(),
            folder_owner: fs::metadata(folder).map_or(0, |folder| folder.uid()),
            folder: folder.to_owned(),
            me: geteuid().as_raw(),
        }
    }
}

impl fmt::Display for WrongOwner {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, folder_owner, me, .. } = self;
        let (path, folder) = (self.path.display(), self.folder.display());
        if owner == folder_owner && *me != 0 {
            return write!(
                to,
                "{path} and its folder belong to the user {owner}, but you are the user {me}; run the \
                 command and the service as the user {owner}"
            );
        }
        write!(
            to,
            "{path} belongs to the user {owner}, but its folder belongs to the user {folder_owner}; "
        )?;
        if *me == 0 || me == folder_owner {
            write!(to, "run as root: chown --reference={folder} {path}")
        } else {
            write!(to, "run as root: chown {me} {path}")
        }
    }
}

/// Whether the file at this path belongs to the owner of its folder.
pub fn is_folder_owners(path: &Path, meta: &fs::Metadata) -> bool {
    fs::metadata(folder_name(path)).is_ok_and(|folder| folder.uid() == meta.uid())
}

/// What to do about an I/O error, as a suffix of its message. Empty if the error is not about
/// permissions.
pub fn remedy(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!("; {}", describe_denial(path)),
        _ => String::new(),
    }
}

/// Explains why this user may not read, write or create the file at this path, and what to do.
pub fn describe_denial(path: &Path) -> String {
    let me = geteuid().as_raw();
    let seen = path.ancestors().find_map(|path| Some((path, fs::metadata(path).ok()?)));
    let Some((seen, meta)) = seen else {
        return "run the command as the user that runs the service".to_owned();
    };
    let shown = seen.display();
    match (meta.uid(), meta.is_dir()) {
        (owner, true) if owner == me => format!("run: chmod u+rwx {shown}"),
        (owner, false) if owner == me => format!("run: chmod u+rw {shown}"),
        (0, true) => format!(
            "{shown} belongs to root, but you are the user {me}; use a folder that belongs to this user: \
             as root, create it, and change its owner with chown"
        ),
        (owner, true) => format!(
            "{shown} belongs to the user {owner}, but you are the user {me}; run the command and the service as \
             the user {owner}"
        ),
        (_, false) => WrongOwner::of(seen, &meta).to_string(),
    }
}

fn folder_name(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    const OTHER: u32 = 65_534;

    fn owner(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().uid()
    }

    fn make(path: &Path) -> File {
        File::options().write(true).create_new(true).mode(0o600).open(path).unwrap()
    }

    #[test]
    fn the_advice_gives_a_file_to_its_folders_owner_or_names_whom_to_run_it_as() {
        let advice = |owner, folder_owner, me| {
            let (path, folder) = (PathBuf::from("data/file"), PathBuf::from("data"));
            WrongOwner { path, owner, folder, folder_owner, me }.to_string()
        };
        let reference = "run as root: chown --reference=data data/file";
        assert!(advice(0, 7, 0).ends_with(reference));
        assert!(advice(0, 7, 7).ends_with(reference));
        assert!(advice(8, 7, 0).ends_with(reference));
        assert!(advice(8, 0, 7).ends_with("run as root: chown 7 data/file"));
        let other = advice(7, 7, 8);
        assert!(other.ends_with("run the command and the service as the user 7"), "{other}");
    }

    #[test]
    fn a_denial_is_about_the_file_or_about_the_folder_that_is_seen_last() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        make(&file);
        assert_eq!(remedy(&file, &denied), format!("; run: chmod u+rw {}", file.display()));
        let says = format!("; run: chmod u+rwx {}", folder.path().display());
        assert_eq!(remedy(&folder.path().join("none/none"), &denied), says);
        assert_eq!(remedy(&file, &io::Error::from(io::ErrorKind::NotFound)), "");
    }

    #[test]
    fn only_what_was_just_made_in_the_folder_is_given_to_its_owner() {
        if !geteuid().is_root() {
            return; // only the superuser can give a file away
        }
        let folder = tempfile::tempdir().unwrap();
        let (theirs, roots) = (folder.path().join("theirs"), folder.path().join("roots"));
        fs::create_dir(&theirs).unwrap();
        fs::create_dir(&roots).unwrap();
        chown(&theirs, Some(OTHER), Some(OTHER)).unwrap();

        let file = theirs.join("file");
        give_to_folder_owner(&make(&file), &file).unwrap();
        assert_eq!(owner(&file), OTHER);

        // The owner of the folder replaces the file while it is created.
        let outside = make(&roots.join("passwd"));
        symlink(roots.join("passwd"), theirs.join("passwd")).unwrap();
        give_to_folder_owner(&outside, &theirs.join("passwd")).unwrap_err();
        fs::remove_file(theirs.join("passwd")).unwrap();
        fs::hard_link(roots.join("passwd"), theirs.join("passwd")).unwrap();
        give_to_folder_owner(&outside, &theirs.join("passwd")).unwrap_err();
        assert_eq!(owner(&roots.join("passwd")), 0, "it is not in that folder");
        symlink(&roots, theirs.join("link")).unwrap();
        give_folder(&theirs.join("link")).unwrap_err();
        fs::create_dir(theirs.join("full")).unwrap();
        make(&theirs.join("full/file"));
        give_folder(&theirs.join("full")).unwrap_err();
        for path in [roots.clone(), theirs.join("full"), theirs.join("full/file")] {
            assert_eq!(owner(&path), 0, "{}", path.display());
        }
        fs::create_dir(theirs.join("new")).unwrap();
        give_folder(&theirs.join("new")).unwrap();
        assert_eq!(owner(&theirs.join("new")), OTHER);
    }

    #[test]
    fn a_group_keeps_what_it_may_do_with_links_shared_folders_and_files_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mode = |name: &str| fs::metadata(at(name)).unwrap().mode() & 0o7777;
        let opened = File::open(folder.path()).unwrap();
        let remove = |name: &str| remove_group_access(&opened, OsStr::new(name));
        for (name, before) in [("own", 0o660), ("linked", 0o660), ("twice", 0o660), ("all", 0o664)]
        {
            make(&at(name)).set_permissions(fs::Permissions::from_mode(before)).unwrap();
        }
        symlink(at("linked"), at("link")).unwrap();
        fs::hard_link(at("twice"), at("again")).unwrap();
        for (name, before) in [("folder", 0o2770), ("tmp", 0o1777)] {
            fs::create_dir(at(name)).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(before)).unwrap();
        }
        assert!(remove("own") && mode("own") == 0o600 && !remove("own"));
        assert!(remove("folder") && mode("folder") == 0o750 && !remove("folder"));
        assert!(!remove("link") && mode("linked") == 0o660);
        assert!(!remove("twice") && mode("twice") == 0o660);
        assert!(!remove("all") && mode("all") == 0o664);
        assert!(!remove("tmp") && mode("tmp") == 0o1777);
        assert!(!remove("none"));
        if chown(at("linked"), Some(OTHER), None).is_ok() {
            assert!(!remove("linked") && mode("linked") == 0o660, "it is of another user");
        }
    }
}
