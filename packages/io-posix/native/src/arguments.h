// Arguments of a call from JavaScript. The callers are the modules of this package, which have checked them: what is not of the type that is asked for
// reads as zero, or as no bytes.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>

#include "file.h"

namespace pagewright {

template <size_t Count>
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = Count;
    napi_get_cb_info(env, info, &count, values_, nullptr, nullptr);
  }

  napi_value operator[](size_t at) const { return values_[at]; }

  int64_t integer(size_t at) const {
    double value = 0;
    napi_get_value_double(env_, values_[at], &value);
    return static_cast<int64_t>(value);
  }

  int32_t small(size_t at) const {
    int32_t value = 0;
    napi_get_value_int32(env_, values_[at], &value);
    return value;
  }

  bool flag(size_t at) const {
    bool value = false;
    napi_get_value_bool(env_, values_[at], &value);
    return value;
  }

  iovec bytes(size_t at) const { return bytes_of(env_, values_[at]); }

  // Five in a row: descriptor, direct descriptor, alignment of memory, alignment of offsets, whether reads are direct.
  File file(size_t at) const {
    return {small(at), small(at + 1), static_cast<uint32_t>(small(at + 2)), static_cast<uint32_t>(small(at + 3)),
            flag(at + 4)};
  }

  // Where the bytes of a Uint8Array are, on private or on shared memory.
  static iovec bytes_of(napi_env env, napi_value value) {
    void* data = nullptr;
    size_t length = 0;
    napi_typedarray_type type = napi_uint8_array;
    if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok) return {nullptr, 0};
    return {data, type == napi_uint8_array ? length : 0};
  }

 private:
  napi_env env_;
  napi_value values_[Count] = {};
};

}  // namespace pagewright
