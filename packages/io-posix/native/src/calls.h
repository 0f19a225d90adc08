// The functions that JavaScript calls to move bytes. `file` stands for four arguments: descriptor, direct descriptor, alignment of memory and of offsets.
#pragma once

#include <node_api.h>

namespace pagewright {

// transferSync(file, isWrite, bytes, offset): whether it went well; else the outcome is in the status.
napi_value transfer_sync(napi_env env, napi_callback_info info);

// transfer(id, file, isWrite, bytes, offset)
napi_value transfer_later(napi_env env, napi_callback_info info);

// readCached(descriptor, bytes, offset): how many bytes the system had.
napi_value read_cached(napi_env env, napi_callback_info info);

// submitSync(file, finish, depth, places, buffers): places has an offset and whether it is a write for each buffer.
napi_value submit_sync(napi_env env, napi_callback_info info);

// submit(id, file, finish, depth, places, buffers)
napi_value submit_later(napi_env env, napi_callback_info info);

// finishSync(file, finish, offset, length)
napi_value finish_sync(napi_env env, napi_callback_info info);

// finish(id, file, finish, offset, length)
napi_value finish_later(napi_env env, napi_callback_info info);

}  // namespace pagewright
