//! The one macro behind every specification struct: camelCase names, `null` read as absent, absent fields not written,
//! and a walk through all texts.

use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Reads `null` as the type's default: Go writes empty slices and maps so.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What is left out when written: nothing, empty text and empty collections, but never a number or a boolean.
pub(super) trait Absent {
    fn absent(&self) -> bool;
}

impl<T> Absent for Option<T> {
    fn absent(&self) -> bool {
        self.is_none()
    }
}

impl Absent for String {
    fn absent(&self) -> bool {
        self.is_empty()
    }
}

impl<T> Absent for Vec<T> {
    fn absent(&self) -> bool {
        self.is_empty()
    }
}

impl<V> Absent for BTreeMap<String, V> {
    fn absent(&self) -> bool {
        self.is_empty()
    }
}

macro_rules! always_written {
    ($($type:ty),*) => { $(impl Absent for $type { fn absent(&self) -> bool { false } })* };
}
always_written!(bool, i32, u32, i64, u64, super::User);

/// Whatever may hold text.
pub(super) trait Texts {
    /// Whether a text in it holds a NUL.
    fn hold_nul(&self) -> bool;
}

impl Texts for String {
    fn hold_nul(&self) -> bool {
        self.as_bytes().contains(&0)
    }
}

impl Texts for Cow<'_, str> {
    fn hold_nul(&self) -> bool {
        self.as_bytes().contains(&0)
    }
}

impl<T: Texts> Texts for Option<T> {
    fn hold_nul(&self) -> bool {
        self.as_ref().is_some_and(Texts::hold_nul)
    }
}

impl<T: Texts> Texts for Vec<T> {
    fn hold_nul(&self) -> bool {
        self.iter().any(Texts::hold_nul)
    }
}

impl<V: Texts> Texts for BTreeMap<String, V> {
    fn hold_nul(&self) -> bool {
        self.iter()
            .any(|(name, value)| name.hold_nul() || value.hold_nul())
    }
}

macro_rules! no_texts {
    ($($type:ty),*) => { $(impl Texts for $type { fn hold_nul(&self) -> bool { false } })* };
}
no_texts!(bool, u16, i32, u32, i64, u64);

macro_rules! object {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(
                    deserialize_with = "crate::runtime::object::nullable",
                    skip_serializing_if = "crate::runtime::object::Absent::absent"
                )]
                pub $field: $type,
            )*
        }

        impl crate::runtime::object::Texts for $name {
            fn hold_nul(&self) -> bool {
                $(self.$field.hold_nul())||*
            }
        }
    };
}
