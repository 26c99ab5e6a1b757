//! The `allo` program.

use std::process::ExitCode;

/// Calls come and go thousands of times a second, and their memory passes from one thread to another:
/// with jemalloc a whole call takes a third less time than with glibc's allocator. (On Windows, where
/// it can't be built, the system's own serves.)
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// jemalloc's settings, which it reads when the program starts: the first letter of a text that
/// ends with NUL. What a burst of calls left free goes back to the system within seconds, by a
/// thread that no call waits for.
// SAFETY: the name is jemalloc's own for its settings; nothing else in the program has it.
#[cfg(not(target_env = "msvc"))]
#[unsafe(export_name = "malloc_conf")]
pub static ALLOCATOR_SETTINGS: &u8 =
    &b"background_thread:true,narenas:4,dirty_decay_ms:5000,muzzy_decay_ms:0\0"[0];

fn main() -> ExitCode {
    allo::cli::main()
}
