#include "calls.h"

#include <memory>
#include <vector>

#include "arguments.h"
#include "environment.h"
#include "pool.h"

namespace pagewright {
namespace {

napi_value answer(napi_env env, const Outcome& outcome) {
  if (outcome.failed()) write_outcome(Environment::of(env).status, 0, outcome);
  napi_value value;
  napi_get_boolean(env, !outcome.failed(), &value);
  return value;
}

napi_value hand_over(napi_env env, std::unique_ptr<Job> job, uint32_t id) {
  Environment& self = Environment::of(env);
  if (self.inbox->is_closing()) return nullptr;
  job->id = id;
  job->inbox = self.inbox;
  self.inbox->expect(env);
  Pool::instance().hand_over(std::move(job));
  return nullptr;
}

// The transfers of arguments `at` (places) and `at + 1` (buffers).
template <size_t Count>
void read_batch(napi_env env, const Arguments<Count>& arguments, size_t at, Job& job) {
  uint32_t count = 0;
  napi_get_array_length(env, arguments[at + 1], &count);
  size_t length = 0;
  void* data = nullptr;
  napi_get_typedarray_info(env, arguments[at], nullptr, &length, &data, nullptr, nullptr);
  if (length < size_t{2} * count) return;
  const double* places = static_cast<const double*>(data);
  std::vector<iovec> vectors(count);
  std::vector<int64_t> offsets(count);
  std::vector<uint8_t> writes(count);
  constexpr uint32_t kScope = 256;
  for (uint32_t first = 0; first < count; first += kScope) {
    napi_handle_scope scope;
    napi_open_handle_scope(env, &scope);
    for (uint32_t i = first; i < count && i < first + kScope; i++) {
      napi_value buffer;
      napi_get_element(env, arguments[at + 1], i, &buffer);
      vectors[i] = Arguments<Count>::bytes_of(env, buffer);
      offsets[i] = static_cast<int64_t>(places[2 * i]);
      writes[i] = places[2 * i + 1] != 0;
    }
    napi_close_handle_scope(env, scope);
  }
  plan(job, vectors, offsets, writes);
}

template <size_t Count>
void read_range(const Arguments<Count>& arguments, size_t at, Job& job) {
  job.finish = static_cast<Finish>(arguments.small(at));
  job.offset = arguments.integer(at + 1);
  job.length = arguments.integer(at + 2);
}

}  // namespace

napi_value transfer_sync(napi_env env, napi_callback_info info) {
  Arguments<8> arguments(env, info);
  iovec bytes = arguments.bytes(6);
  return answer(env, transfer(arguments.file(0), arguments.flag(5), &bytes, 1, arguments.integer(7), false));
}

napi_value transfer_later(napi_env env, napi_callback_info info) {
  Arguments<9> arguments(env, info);
  auto job = std::make_unique<Job>();
  job->file = arguments.file(1);
  job->vectors.push_back(arguments.bytes(7));
  job->transfers.push_back({arguments.flag(6), arguments.integer(8), 0, 1});
  return hand_over(env, std::move(job), static_cast<uint32_t>(arguments.small(0)));
}

napi_value read_cached(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  const iovec bytes = arguments.bytes(1);
  const int64_t moved = read_cached(arguments.small(0), bytes.iov_base, bytes.iov_len, arguments.integer(2));
  napi_value value;
  napi_create_int64(env, moved, &value);
  return value;
}

napi_value submit_sync(napi_env env, napi_callback_info info) {
  Arguments<9> arguments(env, info);
  Job job;
  job.file = arguments.file(0);
  job.finish = static_cast<Finish>(arguments.small(5));
  job.depth = static_cast<uint32_t>(arguments.small(6));
  read_batch(env, arguments, 7, job);
  Pool::instance().run_in_place(job);
  return answer(env, job.outcome);
}

napi_value submit_later(napi_env env, napi_callback_info info) {
  Arguments<10> arguments(env, info);
  auto job = std::make_unique<Job>();
  job->file = arguments.file(1);
  job->finish = static_cast<Finish>(arguments.small(6));
  job->depth = static_cast<uint32_t>(arguments.small(7));
  read_batch(env, arguments, 8, *job);
  return hand_over(env, std::move(job), static_cast<uint32_t>(arguments.small(0)));
}

napi_value finish_sync(napi_env env, napi_callback_info info) {
  Arguments<8> arguments(env, info);
  Job job;
  job.file = arguments.file(0);
  read_range(arguments, 5, job);
  Pool::instance().run_in_place(job);
  return answer(env, job.outcome);
}

napi_value finish_later(napi_env env, napi_callback_info info) {
  Arguments<9> arguments(env, info);
  auto job = std::make_unique<Job>();
  job->file = arguments.file(1);
  read_range(arguments, 6, *job);
  return hand_over(env, std::move(job), static_cast<uint32_t>(arguments.small(0)));
}

}  // namespace pagewright
