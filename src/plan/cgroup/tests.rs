//! Golden plans for hosts that we don't have.
