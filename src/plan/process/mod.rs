//! SPEC(config.md#process): from the specification's strings to the kernel's numbers, for create and exec alike.
//!
//! Each function turns one field into the operation of the same name in `step.rs`. What only the whole configuration
//! shows to be wrong (a uid that no mapping covers, a duplicate) is `validate`'s.

mod capabilities;
mod identity;
mod limits;
mod program;
mod scheduling;

pub(super) use capabilities::names as capability_names;
pub use capabilities::{Grantable, capability, plan_capabilities};
pub use identity::{plan_exec_label, plan_user};
pub use limits::plan_rlimits;
pub(super) use limits::rlimit_name;
pub use program::{DEFAULT_PATH, plan_environment, plan_program};
pub use scheduling::{
    parse_cpu_list, plan_io_priority, plan_memory_policy, plan_personality, plan_scheduler,
    says_something,
};
pub(super) use scheduling::{parse_list, policy_name};

#[cfg(test)]
mod tests;
