//! What the specification requires of a `config.json`, judged before anything is planned.
