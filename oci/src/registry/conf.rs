//! `registries.conf` of the container tools, version 2: which registries have mirrors, are elsewhere, or are blocked.
//!
//! Pure: text in, tables out. Of TOML only what such a file has is read: tables of registries with texts and booleans.
//! What is outside of them (search lists, aliases) is skipped; what can't be read inside is an error, since a rule that is
//! overlooked would ask the wrong host. SPEC(containers-registries.conf.5)

use super::Mirror;
use crate::error::{Error, Kind, Result};

/// What the files say, one `[[registry]]` an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistriesConf {
    registries: Vec<Registry>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Registry {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirrors: Vec<Place>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Place {
    location: String,
    insecure: bool,
}

enum Table {
    Registry,
    Mirror,
    Other,
}

enum Value {
    Text(String),
    Flag(bool),
}

impl RegistriesConf {
    /// Adds a file's registries; a later file's entry replaces an earlier one of the same prefix.
    pub fn add(&mut self, text: &str) -> Result<()> {
        let mut table = Table::Other;
        let mut found: Vec<Registry> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            let number = at + 1;
            if line.starts_with('[') {
                table = match line.split('#').next().unwrap_or_default().trim() {
                    "[[registry]]" => {
                        found.push(Registry::default());
                        Table::Registry
                    }
                    "[[registry.mirror]]" => {
                        let registry = found.last_mut();
                        let registry = registry.ok_or_else(|| unreadable(number, line))?;
                        registry.mirrors.push(Place::default());
                        Table::Mirror
                    }
                    _ => Table::Other,
                };
            } else if !line.is_empty() && !line.starts_with('#') {
                assign(&table, &mut found, line).ok_or_else(|| unreadable(number, line))?;
            }
        }
        for mut registry in found {
            if registry.prefix.is_empty() {
                registry.prefix.clone_from(&registry.location);
            }
            self.registries
                .retain(|earlier| earlier.prefix != registry.prefix);
            self.registries.push(registry);
        }
        Ok(())
    }

    /// Where to ask for the images of a repository, `REGISTRY/PATH`: mirrors in their order, and the place that the
    /// registry itself is at.
    pub(super) fn places(&self, repository: &str) -> Result<Vec<Mirror>> {
        let matching = self
            .registries
            .iter()
            .filter(|registry| registry.covers(repository));
        let Some(registry) = matching.max_by_key(|registry| registry.prefix.len()) else {
            return Ok(Vec::new());
        };
        if registry.blocked {
            let what = format!("registries.conf blocks {}", registry.prefix);
            return Err(Error::new(Kind::Denied, what));
        }
        let itself = Place {
            location: registry.location.clone(),
            insecure: registry.insecure,
        };
        let is_elsewhere = !itself.location.is_empty() && itself.location != registry.prefix;
        let itself = (is_elsewhere || itself.insecure).then_some(&itself);
        let places = registry.mirrors.iter().chain(itself);
        Ok(places
            .flat_map(|place| registry.mirrors_at(place))
            .collect())
    }
}

impl Registry {
    /// A prefix is a repository, a part of one up to a slash, or `*.HOST`.
    fn covers(&self, repository: &str) -> bool {
        if let Some(domain) = self.prefix.strip_prefix("*.") {
            let host = repository.split('/').next().unwrap_or_default();
            let name = host.split(':').next().unwrap_or_default();
            return name
                .strip_suffix(domain)
                .is_some_and(|rest| rest.ends_with('.'));
        }
        let rest = repository.strip_prefix(&self.prefix);
        !self.prefix.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// An insecure place is asked over HTTP when HTTPS fails.
    fn mirrors_at(&self, place: &Place) -> Vec<Mirror> {
        let location = match place.location.is_empty() {
            true => &self.prefix,
            false => &place.location,
        };
        let mirror = |plain_http| Mirror {
            of: self.prefix.clone(),
            location: location.trim_end_matches('/').to_owned(),
            plain_http,
        };
        match place.insecure {
            true => vec![mirror(false), mirror(true)],
            false => vec![mirror(false)],
        }
    }
}

/// Sets one field; nothing when the line can't be read.
fn assign(table: &Table, found: &mut [Registry], line: &str) -> Option<()> {
    let registry = match table {
        Table::Other => return Some(()),
        _ => found.last_mut()?,
    };
    let (key, value) = line.split_once('=')?;
    let value = value_of(value.trim())?;
    match (table, key.trim(), value) {
        (Table::Registry, "prefix", Value::Text(text)) => registry.prefix = text,
        (Table::Registry, "location", Value::Text(text)) => registry.location = text,
        (Table::Registry, "insecure", Value::Flag(flag)) => registry.insecure = flag,
        (Table::Registry, "blocked", Value::Flag(flag)) => registry.blocked = flag,
        (Table::Mirror, "location", Value::Text(text)) => {
            registry.mirrors.last_mut()?.location = text;
        }
        (Table::Mirror, "insecure", Value::Flag(flag)) => {
            registry.mirrors.last_mut()?.insecure = flag;
        }
        (_, "prefix" | "location" | "insecure" | "blocked", _) => return None,
        _ => {}
    }
    Some(())
}

fn value_of(text: &str) -> Option<Value> {
    let bare = |rest: &str| rest.trim().is_empty() || rest.trim().starts_with('#');
    for quote in ['"', '\''] {
        if let Some(rest) = text.strip_prefix(quote) {
            let (value, rest) = rest.split_once(quote)?;
            // No host has a backslash in its name.
            return (bare(rest) && !value.contains('\\')).then(|| Value::Text(value.to_owned()));
        }
    }
    let (word, rest) = text.split_once([' ', '\t', '#']).unwrap_or((text, ""));
    match word {
        "true" | "false" if bare(rest) || text.contains('#') => Some(Value::Flag(word == "true")),
        _ => None,
    }
}

fn unreadable(number: usize, line: &str) -> Error {
    Error::new(
        Kind::Invalid,
        format!("line {number}: {line:?}: can't be read"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &str) -> RegistriesConf {
        let mut conf = RegistriesConf::default();
        conf.add(text).expect("is read");
        conf
    }

    fn places(conf: &RegistriesConf, repository: &str) -> Vec<String> {
        let places = conf.places(repository).expect("is not blocked");
        let shown = |mirror: &Mirror| {
            format!(
                "{}{}",
                mirror.location,
                if mirror.plain_http { " http" } else { "" }
            )
        };
        places.iter().map(shown).collect()
    }

    #[test]
    fn mirrors_places_and_blocks() {
        let conf = conf(
            r#"
            unqualified-search-registries = ["docker.io",
              "quay.io"]
            [aliases]
            "a" = "b"
            [[registry]] # Docker's
            location = "docker.io"
            [[registry.mirror]]
            location = 'mirror.example:5000/hub'
            [[registry.mirror]]
            location = "plain.example"   # inside
            insecure = true
            [[registry]]
            prefix = "docker.io/private"
            location = "internal.example/p"
            [[registry]]
            prefix = "*.evil.example"
            blocked = true
            "#,
        );
        assert_eq!(
            places(&conf, "docker.io/library/busybox"),
            [
                "mirror.example:5000/hub",
                "plain.example",
                "plain.example http"
            ]
        );
        assert_eq!(
            places(&conf, "docker.io/private/app"),
            ["internal.example/p"]
        );
        assert_eq!(places(&conf, "docker.io/privateer/app").len(), 3);
        assert_eq!(places(&conf, "quay.io/a/b"), Vec::<String>::new());
        assert!(conf.places("very.evil.example:5000/a").is_err());
        assert!(conf.places("evil.example/a").is_ok());
    }

    #[test]
    fn later_files_replace_and_nonsense_is_refused() {
        let mut both = conf("[[registry]]\nprefix = \"a.example\"\nblocked = true\n");
        both.add("[[registry]]\nprefix = \"a.example\"\n")
            .expect("is read");
        assert!(both.places("a.example/x").is_ok());
        for text in [
            "[[registry.mirror]]\nlocation = \"x\"",
            "[[registry]]\nlocation = x",
            "[[registry]]\nblocked = \"yes\"",
            "[[registry]]\nlocation = \"x\" y",
            "[[registry]]\nlocation",
        ] {
            let error = RegistriesConf::default().add(text).expect_err(text);
            assert!(error.to_string().contains("line "), "{error}");
        }
    }
}
