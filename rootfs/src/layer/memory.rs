//! The memory that layers share while they are unpacked: how much each may take, and which of them waits.
//!
//! What grows with a layer is charged here, so the sum is bounded whatever layers come together. Nobody waits in a circle:
//! a layer that needs the whole waits before it holds anything; one that outgrows its share waits for the one that did
//! so earlier, and that one never waits. Knows nothing of layers but three numbers.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use super::error::Fault;

/// What a layer's memory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The window of the decoder.
    Window,
    /// An extension header or a sparse map.
    Header,
    /// The tree in the making, and what leans on lower layers.
    Tree,
}

/// How the memory is divided.
#[derive(Debug, Clone, Copy)]
pub struct Division {
    /// Layers at a time.
    pub layers: usize,
    /// Bytes that each of them may take at any time.
    pub share_bytes: u64,
    /// Bytes that one of them at a time may take besides.
    pub extra_bytes: u64,
}

impl Division {
    fn whole_bytes(self) -> u64 {
        self.layers as u64 * self.share_bytes + self.extra_bytes
    }
}

impl Default for Division {
    /// 46 MiB: with a program of 11 MiB, as debug builds are, and 2 MiB of buffers for each of two layers less than 64.
    fn default() -> Self {
        Self {
            layers: 2,
            share_bytes: 17 << 20,
            extra_bytes: 12 << 20,
        }
    }
}

/// Memory to divide. The default one is the process's: all its layers share it.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Divided>);

#[derive(Debug)]
struct Divided {
    division: Division,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    layers: usize,
    /// One layer has it all.
    whole: bool,
    /// Layers that wait for all of it; nobody begins before they did.
    waiting_for_whole: usize,
    extra: bool,
}

static PROCESS: OnceLock<Memory> = OnceLock::new();
static GIVE_BACK: OnceLock<fn()> = OnceLock::new();

/// What to call when a large layer is done, so that the allocator keeps nothing of it for itself.
pub fn give_back_with(give_back: fn()) {
    // Whoever was first is as good.
    let _ = GIVE_BACK.set(give_back);
}

impl Default for Memory {
    fn default() -> Self {
        PROCESS
            .get_or_init(|| Self::new(Division::default()))
            .clone()
    }
}

impl Memory {
    /// Memory of its own.
    pub fn new(division: Division) -> Self {
        Self(Arc::new(Divided {
            division,
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// The most that a layer may take which doesn't need the whole from the start.
    pub fn most_bytes(&self) -> u64 {
        self.0.division.share_bytes + self.0.division.extra_bytes
    }

    /// Begins a layer, when there is room for it. One that needs more than [`Memory::most_bytes`] asks for the `whole`.
    pub(crate) fn begin(&self, whole: bool) -> Share {
        let mut state = self.lock();
        if whole {
            state.waiting_for_whole += 1;
            state = self.wait(state, |state| state.layers > 0);
            state.waiting_for_whole -= 1;
        } else {
            let layers = self.0.division.layers;
            state = self.wait(state, |state| {
                state.whole || state.waiting_for_whole > 0 || state.layers >= layers
            });
        }
        state.layers += 1;
        state.whole = whole;
        drop(state);
        Share {
            memory: self.clone(),
            whole,
            taken: RefCell::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(
        &self,
        state: MutexGuard<'s, State>,
        busy: impl Fn(&State) -> bool,
    ) -> MutexGuard<'s, State> {
        let waited = self.0.changed.wait_while(state, |state| busy(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

/// One layer's part of the memory, from its first byte until all that it made is let go.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Memory,
    whole: bool,
    taken: RefCell<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    bytes: [u64; 3],
    most: u64,
    extra: bool,
}

impl Share {
    /// Says how many bytes the layer has for a purpose now. May wait for another layer.
    pub(crate) fn set(&self, purpose: Purpose, bytes: u64) -> Result<(), Fault> {
        let division = self.memory.0.division;
        let mut taken = self.taken.borrow_mut();
        taken.bytes[purpose as usize] = bytes;
        let actual = taken.bytes.iter().sum();
        taken.most = taken.most.max(actual);
        let limit = match self.whole {
            true => division.whole_bytes(),
            false => self.memory.most_bytes(),
        };
        if actual > limit {
            return Err(Fault::Memory {
                window: taken.bytes[Purpose::Window as usize],
                tree: taken.bytes[Purpose::Tree as usize],
                actual,
                limit,
            });
        }
        if actual > division.share_bytes && !self.whole && !taken.extra {
            let state = self.memory.lock();
            self.memory.wait(state, |state| state.extra).extra = true;
            taken.extra = true;
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let taken = self.taken.get_mut();
        if let Some(give_back) = GIVE_BACK.get()
            && taken.most > 1 << 20
        {
            give_back();
        }
        let mut state = self.memory.lock();
        state.layers -= 1;
        state.whole = false;
        state.extra &= !taken.extra;
        drop(state);
        self.memory.0.changed.notify_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
