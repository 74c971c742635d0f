//! Names to ids by the image's own `/etc/passwd` and `/etc/group`, never the host's.
//!
//! Pure: whoever knows the root file system hands the two files' bytes over. Broken lines are skipped, as libc does.

use crate::error::{Error, Kind, Result};
use crate::runtime;

/// Ids above this are not ids (they would be negative numbers to some).
const MAX_ID: u32 = i32::MAX as u32;

/// What an image's files say. Absent files are empty.
#[derive(Debug, Clone, Default)]
pub struct UserFiles {
    /// `/etc/passwd`.
    pub passwd: Vec<u8>,
    /// `/etc/group`.
    pub group: Vec<u8>,
}

/// Reads the image's user files, inside its root and nowhere else. Implemented where the root file system is known.
pub trait Users {
    /// The two files; absent ones are empty.
    fn files(&self) -> Result<UserFiles>;
}

impl Users for UserFiles {
    fn files(&self) -> Result<UserFiles> {
        Ok(self.clone())
    }
}

/// Who the process is.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedUser {
    /// For the specification.
    pub user: runtime::User,
    /// Home directory; `/` where the files don't say.
    pub home: String,
}

struct Account<'f> {
    name: &'f str,
    uid: u32,
    gid: u32,
    home: &'f str,
}

/// Resolves `USER[:GROUP]`, names or numbers, as Docker does. Empty is root.
pub fn resolve(wanted: &str, extra_groups: &[String], files: &UserFiles) -> Result<ResolvedUser> {
    let (user, group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (wanted, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let account = accounts(&files.passwd)
        .find(|account| account.name == user)
        .or_else(|| accounts(&files.passwd).find(|account| id(user) == Some(account.uid)));
    let (uid, default_gid) = match (&account, id(user)) {
        (Some(account), _) => (account.uid, account.gid),
        (None, Some(uid)) => (uid, 0),
        (None, None) => return Err(unknown("user", user, "/etc/passwd")),
    };
    let gid = match group {
        Some(group) => group_id(group, files)?,
        None => default_gid,
    };
    let mut additional: Vec<u32> = Vec::new();
    // COMPAT(docker): whoever names a group gets that one only.
    if let (None, Some(account)) = (group, &account) {
        let member = groups(&files.group)
            .filter(|(_, _, members)| members.split(',').any(|m| m == account.name));
        additional.extend(member.map(|(_, gid, _)| gid));
    }
    for extra in extra_groups {
        additional.push(group_id(extra, files)?);
    }
    additional.sort_unstable();
    additional.dedup();
    let home = account.map_or("", |account| account.home);
    Ok(ResolvedUser {
        user: runtime::User {
            uid,
            gid,
            additional_gids: additional,
            ..runtime::User::default()
        },
        home: if home.is_empty() {
            "/".into()
        } else {
            home.to_owned()
        },
    })
}

fn group_id(wanted: &str, files: &UserFiles) -> Result<u32> {
    let named = groups(&files.group).find(|(name, _, _)| *name == wanted);
    let found = named.map(|(_, gid, _)| gid).or_else(|| id(wanted));
    found.ok_or_else(|| unknown("group", wanted, "/etc/group"))
}

fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id <= MAX_ID)
}

fn unknown(what: &str, name: &str, file: &str) -> Error {
    Error::new(
        Kind::NotFound,
        format!("{what} {name:?}: not in the image's {file}"),
    )
    .hint("a number needs no entry there")
}

fn lines(file: &[u8]) -> impl Iterator<Item = &str> {
    file.split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
}

fn accounts(passwd: &[u8]) -> impl Iterator<Item = Account<'_>> {
    lines(passwd).filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (uid, gid) = (id(fields.nth(1)?)?, id(fields.next()?)?);
        let home = fields
            .nth(1)
            .filter(|home| home.starts_with('/'))
            .unwrap_or_default();
        Some(Account {
            name,
            uid,
            gid,
            home,
        })
    })
}

fn groups(file: &[u8]) -> impl Iterator<Item = (&str, u32, &str)> {
    lines(file).filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = id(fields.nth(1)?)?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> UserFiles {
        UserFiles {
            passwd: b"root:x:0:0:root:/root:/bin/sh\nbroken\npg:x:70:71::/var/lib/pg:/bin/sh\n123:x:9:9::/n:\nbig:x:4294967295:0::/:\n".to_vec(),
            group: b"root:x:0:\npg:x:71:\nssl:x:90:a,pg\nwheel:x:91:pg,root\n".to_vec(),
        }
    }

    fn resolved(wanted: &str) -> (u32, u32, Vec<u32>, String) {
        let found = resolve(wanted, &[], &files()).expect(wanted);
        (
            found.user.uid,
            found.user.gid,
            found.user.additional_gids,
            found.home,
        )
    }

    #[test]
    fn names_and_numbers() {
        assert_eq!(resolved(""), (0, 0, vec![91], "/root".into()));
        assert_eq!(resolved("pg"), (70, 71, vec![90, 91], "/var/lib/pg".into()));
        assert_eq!(resolved("70"), (70, 71, vec![90, 91], "/var/lib/pg".into()));
        assert_eq!(resolved("pg:ssl"), (70, 90, vec![], "/var/lib/pg".into()));
        assert_eq!(resolved("1000"), (1000, 0, vec![], "/".into()));
        assert_eq!(resolved("1000:1001"), (1000, 1001, vec![], "/".into()));
        // A name of digits is a name first.
        assert_eq!(resolved("123"), (9, 9, vec![], "/n".into()));
    }

    #[test]
    fn what_is_nobody_is_refused() {
        for bad in [
            "nobody",
            "pg:none",
            "big",
            "4294967295",
            "-1",
            "0:4294967295",
        ] {
            assert!(resolve(bad, &[], &files()).is_err(), "{bad}");
        }
        assert!(resolve("pg", &["nogroup".into()], &files()).is_err());
        assert_eq!(
            resolve("pg", &["7".into()], &files())
                .expect("resolves")
                .user
                .additional_gids,
            [7, 90, 91]
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_skipped() {
        let files = UserFiles {
            passwd: b"\xff\xfe:x:1:1::/:\nok:x:5:6::/h:\n".to_vec(),
            group: vec![0; 100],
        };
        assert_eq!(resolve("ok", &[], &files).expect("resolves").user.uid, 5);
    }
}
