//! A plan in words: what `plan BUNDLE` prints, and the sentences that errors are made of.

mod json;
mod list;
mod step;
mod summary;

#[cfg(test)]
mod tests;
