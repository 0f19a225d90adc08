#include "environment.h"

#include <algorithm>

#include "arguments.h"

namespace pagewright {
namespace {

// Runs on the thread of the environment, once for all that has come since it ran last.
void reap_all(napi_env env, napi_value, void* context, void*) {
  Environment& self = *static_cast<Environment*>(context);
  if (env == nullptr || self.inbox->is_closing()) return;
  std::vector<std::unique_ptr<Job>> jobs = self.inbox->take();
  // Before JavaScript is called: it may hand over more, and must not find the event loop let go.
  self.inbox->settle(env, jobs.size());
  napi_value reap, receiver;
  napi_get_reference_value(env, self.reap, &reap);
  napi_get_undefined(env, &receiver);
  for (size_t done = 0; done < jobs.size();) {
    const size_t count = std::min(jobs.size() - done, self.results_capacity);
    for (size_t at = 0; at < count; at++) {
      const Job& job = *jobs[done + at];
      write_outcome(self.results + at * kResultLength, job.id, job.outcome);
    }
    done += count;
    napi_value argument;
    napi_create_uint32(env, static_cast<uint32_t>(count), &argument);
    if (napi_call_function(env, receiver, reap, 1, &argument, nullptr) == napi_pending_exception) {
      napi_value error;
      napi_get_and_clear_last_exception(env, &error);
      napi_fatal_exception(env, error);
    }
  }
}

}  // namespace

Environment& Environment::of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return *static_cast<Environment*>(data);
}

void write_outcome(double* at, uint32_t id, const Outcome& outcome) {
  at[0] = id;
  at[1] = outcome.error;
  at[2] = static_cast<double>(outcome.stage);
  at[3] = static_cast<double>(outcome.offset);
}

napi_value start(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  Environment& self = Environment::of(env);
  if (self.reap != nullptr) {
    napi_throw_error(env, "EALREADY", "the addon was started in this thread before");
    return nullptr;
  }
  size_t length = 0;
  void* data = nullptr;
  napi_get_typedarray_info(env, arguments[1], nullptr, &length, &data, nullptr, nullptr);
  self.results = static_cast<double*>(data);
  self.results_capacity = length / kResultLength - 1;
  self.status = self.results + self.results_capacity * kResultLength;
  napi_value name;
  napi_create_string_utf8(env, "pagewright io", NAPI_AUTO_LENGTH, &name);
  napi_threadsafe_function wake = nullptr;
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, &self, reap_all, &wake) !=
      napi_ok) {
    napi_throw_error(env, "ENOMEM", "no way to wake the thread");
    return nullptr;
  }
  napi_create_reference(env, arguments[0], 1, &self.reap);
  napi_create_reference(env, arguments[1], 1, &self.results_reference);
  self.inbox->open(env, wake);
  // Hooks run in the reverse order: this one while the function above is there, and before any memory of the environment is given back.
  napi_add_env_cleanup_hook(
      env, [](void* data) { static_cast<Environment*>(data)->inbox->close(); }, &self);
  return nullptr;
}

}  // namespace pagewright
