//! The process's names and numbers: rlimits, capabilities, scheduling and ids, from the specification's strings.
