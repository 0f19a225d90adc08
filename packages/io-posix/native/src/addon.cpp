// The addon: its functions, for one environment. Every thread of JavaScript that loads it has its own; the pool is the process's.
#include <dlfcn.h>
#include <napi.h>
#include <sys/stat.h>

#include <cerrno>

#include "arguments.h"
#include "calls.h"
#include "environment.h"
#include "pool.h"
#include "system.h"

namespace pagewright {
namespace {

// Raised whenever a function takes or returns something else: a build of other sources is not used.
constexpr uint32_t kRevision = 4;

// The threads of the pool run code of this library, also when the thread that loaded it has ended.
void keep_loaded() {
  Dl_info found;
  if (dladdr(reinterpret_cast<void*>(&keep_loaded), &found) != 0) dlopen(found.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

Napi::Value allow(const Napi::CallbackInfo& info) {
  Pool::instance().allow(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

Napi::Value threads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Pool::instance().threads());
}

// size(descriptor): bytes, or an errno below zero.
napi_value size(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  struct stat found;
  const bool is_found = fstat(arguments.small(0), &found) == 0;
  napi_value value;
  napi_create_double(env, is_found ? static_cast<double>(found.st_size) : -static_cast<double>(errno), &value);
  return value;
}

// prepareDirect(descriptor, second descriptor): [errno, alignment of memory, alignment of offsets]
Napi::Value direct(const Napi::CallbackInfo& info) {
  DirectAlignment alignment;
  const int error = prepare_direct(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Int32Value(), &alignment);
  Napi::Array answer = Napi::Array::New(info.Env(), 3);
  answer.Set(0u, error);
  answer.Set(1u, alignment.memory);
  answer.Set(2u, alignment.offset);
  return answer;
}

// advise(descriptor, offset, length, advice): 0 or an errno.
Napi::Value advise_range(const Napi::CallbackInfo& info) {
  const auto advice = static_cast<Advice>(info[3].As<Napi::Number>().Uint32Value());
  return Napi::Number::New(info.Env(), advise(info[0].As<Napi::Number>().Int32Value(),
                                              info[1].As<Napi::Number>().Int64Value(),
                                              info[2].As<Napi::Number>().Int64Value(), advice));
}

// useHugePages(bytes): 0 or an errno.
Napi::Value huge_pages(const Napi::CallbackInfo& info) {
  const iovec bytes = Arguments<1>::bytes_of(info.Env(), info[0]);
  return Napi::Number::New(info.Env(), use_huge_pages(bytes.iov_base, bytes.iov_len));
}

// lockShared(descriptor): 0 or an errno.
Napi::Value shared_lock(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), lock_shared(info[0].As<Napi::Number>().Int32Value()));
}

// isLocked(descriptor): true or false, or an errno.
Napi::Value is_locked(const Napi::CallbackInfo& info) {
  bool locked = false;
  const int error = find_lock(info[0].As<Napi::Number>().Int32Value(), &locked);
  if (error != 0) return Napi::Number::New(info.Env(), error);
  return Napi::Boolean::New(info.Env(), locked);
}

void set(Napi::Object exports, const char* name, napi_callback call) {
  napi_value value;
  napi_create_function(exports.Env(), name, NAPI_AUTO_LENGTH, call, nullptr, &value);
  exports.Set(name, Napi::Value(exports.Env(), value));
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  keep_loaded();
  napi_set_instance_data(
      env, new Environment, [](napi_env, void* data, void*) { delete static_cast<Environment*>(data); }, nullptr);
  exports.Set("revision", kRevision);
  set(exports, "start", start);
  set(exports, "transferSync", transfer_sync);
  set(exports, "transfer", transfer_later);
  set(exports, "readCached", read_cached);
  set(exports, "submitSync", submit_sync);
  set(exports, "submit", submit_later);
  set(exports, "finishSync", finish_sync);
  set(exports, "finish", finish_later);
  set(exports, "size", size);
  exports.Set("allow", Napi::Function::New(env, allow));
  exports.Set("threads", Napi::Function::New(env, threads));
  exports.Set("prepareDirect", Napi::Function::New(env, direct));
  exports.Set("advise", Napi::Function::New(env, advise_range));
  exports.Set("useHugePages", Napi::Function::New(env, huge_pages));
  exports.Set("lockShared", Napi::Function::New(env, shared_lock));
  exports.Set("isLocked", Napi::Function::New(env, is_locked));
  return exports;
}

}  // namespace
}  // namespace pagewright

using pagewright::init;

NODE_API_MODULE(pagewright_io_posix, init)
