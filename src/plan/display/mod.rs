//! A plan in words: what `plan BUNDLE` prints, and the sentences that errors are made of.

mod list;
mod step;

#[cfg(test)]
mod tests;
