//! What JavaScript hands over: views on buffers, as addresses, and references that keep objects.

use std::ffi::c_void;
use std::ptr;

use napi::bindgen_prelude::FromNapiValue;
use napi::{check_status, sys, Error, Result, Status};

use super::memory::Span;

/// The memory of a `Uint8Array` (R1). Node-API gives the address of views on a `SharedArrayBuffer`, too.
pub struct View(pub Span);

impl FromNapiValue for View {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let (data, length) = bytes_of(env, value, sys::TypedarrayType::uint8_array)?;
        // SAFETY: JavaScript keeps R1 for all that it hands over.
        Ok(View(Span::new(data.cast(), length)))
    }
}

/// Views that are used by the commands of one call.
pub struct Views(pub Vec<Span>);

impl FromNapiValue for Views {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut length = 0;
        check_status!(sys::napi_get_array_length(env, value, &mut length))?;
        let mut spans = Vec::with_capacity(length as usize);
        for at in 0..length {
            let mut element = ptr::null_mut();
            check_status!(sys::napi_get_element(env, value, at, &mut element))?;
            spans.push(View::from_napi_value(env, element)?.0);
        }
        Ok(Views(spans))
    }
}

/// An array of numbers on shared memory, which neither moves nor goes while the reference is there (R6).
pub struct Numbers {
    data: *mut f64,
    length: usize,
    _kept: Kept,
}

impl FromNapiValue for Numbers {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let (data, length) = bytes_of(env, value, sys::TypedarrayType::float64_array)?;
        Ok(Numbers { data: data.cast(), length, _kept: Kept::from_napi_value(env, value)? })
    }
}

impl Numbers {
    /// The first of them, as many as there are up to `count`.
    pub fn first(&self, count: usize) -> &[f64] {
        // SAFETY: R6; JavaScript does not run as long as this is borrowed.
        unsafe { std::slice::from_raw_parts(self.data, count.min(self.length)) }
    }

    pub fn all_mut(&mut self) -> &mut [f64] {
        // SAFETY: as above, and nobody else has borrowed it.
        unsafe { std::slice::from_raw_parts_mut(self.data, self.length) }
    }
}

/// A strong reference. Let go when it is dropped, which happens in its thread, before its environment ends.
pub struct Kept {
    env: sys::napi_env,
    reference: sys::napi_ref,
}

impl FromNapiValue for Kept {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut reference = ptr::null_mut();
        check_status!(sys::napi_create_reference(env, value, 1, &mut reference))?;
        Ok(Kept { env, reference })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: it was made in `from_napi_value`, and is deleted once.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}

impl Kept {
    /// Calls it as a function, from the event loop: microtasks run afterwards. What it throws is an uncaught exception.
    pub fn call(&self, argument: u32) {
        // SAFETY: the environment lives as long as the reference; values are used within the scope alone.
        unsafe {
            let env = self.env;
            let mut scope = ptr::null_mut();
            if sys::napi_open_handle_scope(env, &mut scope) != sys::Status::napi_ok {
                return;
            }
            let (mut function, mut receiver, mut number, mut result) =
                (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            sys::napi_get_reference_value(env, self.reference, &mut function);
            sys::napi_get_global(env, &mut receiver);
            sys::napi_create_uint32(env, argument, &mut number);
            let status = sys::napi_make_callback(env, ptr::null_mut(), receiver, function, 1, &number, &mut result);
            if status == sys::Status::napi_pending_exception {
                let mut exception = ptr::null_mut();
                if sys::napi_get_and_clear_last_exception(env, &mut exception) == sys::Status::napi_ok {
                    sys::napi_fatal_exception(env, exception);
                }
            }
            sys::napi_close_handle_scope(env, scope);
        }
    }
}

unsafe fn bytes_of(
    env: sys::napi_env,
    value: sys::napi_value,
    wanted: sys::napi_typedarray_type,
) -> Result<(*mut c_void, usize)> {
    let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
    check_status!(sys::napi_get_typedarray_info(
        env,
        value,
        &mut kind,
        &mut length,
        &mut data,
        ptr::null_mut(),
        ptr::null_mut()
    ))?;
    if kind != wanted {
        return Err(Error::new(Status::InvalidArg, "the view is of another kind"));
    }
    Ok((data, length))
}
