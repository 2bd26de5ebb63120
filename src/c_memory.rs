//! Memory for musl, from the allocator of this program. Otherwise musl's own allocator would come in
//! next to it, for the few calls that the C library makes itself: 10 kB.
//!
//! musl lets a program replace all of these functions together. C frees memory without its size, so each
//! piece begins with it.

use std::alloc::{GlobalAlloc as _, Layout};
use std::ffi::c_void;
use std::ptr::null_mut;

use nix::errno::Errno;

use super::ALLOCATOR;

/// Alignment of all pieces, and the room for the size in front of each.
const HEAD: usize = 16;

/// Returns the layout of a piece with its head; `None` if there is no such memory.
fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEAD)?, HEAD).ok()
}

/// Returns the pointer that stands for a lack of memory; musl also looks at `errno`.
fn no_memory() -> *mut c_void {
    Errno::ENOMEM.set();
    null_mut()
}

/// malloc(3).
#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    let Some(layout) = layout(size) else { return no_memory() };
    // SAFETY: the layout has a size, because it has a head; the head has room for the size.
    unsafe {
        let piece = ALLOCATOR.alloc(layout);
        if piece.is_null() {
            return no_memory();
        }
        piece.cast::<usize>().write(size);
        piece.add(HEAD).cast()
    }
}

/// calloc(3).
#[unsafe(no_mangle)]
extern "C" fn calloc(number: usize, size: usize) -> *mut c_void {
    let Some(size) = number.checked_mul(size) else { return no_memory() };
    let memory = malloc(size);
    if !memory.is_null() {
        // SAFETY: the piece has this size.
        unsafe { memory.write_bytes(0, size) };
    }
    memory
}

/// realloc(3).
///
/// # Safety
/// The memory must be a piece from these functions, or null.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(memory: *mut c_void, size: usize) -> *mut c_void {
    let larger = malloc(size);
    if !memory.is_null() && !larger.is_null() {
        // SAFETY: both pieces have at least the lesser of the two sizes, and the caller passes a piece.
        unsafe {
            larger.cast::<u8>().copy_from_nonoverlapping(memory.cast(), size.min(size_of_piece(memory)));
            free(memory);
        }
    }
    larger
}

/// free(3).
///
/// # Safety
/// The memory must be a piece from these functions, or null.
#[unsafe(no_mangle)]
unsafe extern "C" fn free(memory: *mut c_void) {
    if memory.is_null() {
        return;
    }
    // SAFETY: the caller passes a piece, which begins with its head.
    unsafe {
        if let Some(layout) = layout(size_of_piece(memory)) {
            ALLOCATOR.dealloc(memory.cast::<u8>().sub(HEAD), layout);
        }
    }
}

/// Name of [`malloc`] inside musl, which `posix_spawn` uses.
#[unsafe(no_mangle)]
extern "C" fn __libc_malloc(size: usize) -> *mut c_void {
    malloc(size)
}

/// Name of [`free`] inside musl, which `posix_spawn` uses.
///
/// # Safety
/// The memory must be a piece from these functions, or null.
#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_free(memory: *mut c_void) {
    // SAFETY: the caller passes a piece, or null.
    unsafe { free(memory) };
}

/// Returns the size of a piece.
///
/// # Safety
/// The memory must be a piece from these functions.
unsafe fn size_of_piece(memory: *mut c_void) -> usize {
    // SAFETY: the head in front of the piece holds its size.
    unsafe { memory.cast::<u8>().sub(HEAD).cast::<usize>().read() }
}

/// aligned_alloc(3). No caller in this program needs more than the alignment of all pieces: memory of Rust
/// does not come from here.
#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    if alignment > HEAD { no_memory() } else { malloc(size) }
}
