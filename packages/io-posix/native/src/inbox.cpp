#include "inbox.h"

#include "pool.h"

namespace pagewright {

void Inbox::deliver(std::unique_ptr<Job> job) {
  std::lock_guard<std::mutex> lock(mutex_);
  arrived_jobs_.push_back(std::move(job));
  in_flight_--;
  // Under the lock: close() waits for the last job before it gives the function back.
  if (!is_woken_ && !is_closing()) {
    is_woken_ = true;
    napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
  }
  arrived_.notify_all();
}

void Inbox::open(napi_env env, napi_threadsafe_function wake) {
  wake_ = wake;
  napi_unref_threadsafe_function(env, wake_);
}

void Inbox::expect(napi_env env) {
  if (unreported_++ == 0) napi_ref_threadsafe_function(env, wake_);
  std::lock_guard<std::mutex> lock(mutex_);
  in_flight_++;
}

std::vector<std::unique_ptr<Job>> Inbox::take() {
  std::vector<std::unique_ptr<Job>> jobs;
  std::lock_guard<std::mutex> lock(mutex_);
  is_woken_ = false;
  jobs.swap(arrived_jobs_);
  return jobs;
}

void Inbox::settle(napi_env env, size_t taken) {
  unreported_ -= taken;
  if (unreported_ == 0) napi_unref_threadsafe_function(env, wake_);
}

void Inbox::close() {
  closing_.store(true, std::memory_order_release);
  Pool::instance().cancel(this);
  std::unique_lock<std::mutex> lock(mutex_);
  arrived_.wait(lock, [&] { return in_flight_ == 0; });
  arrived_jobs_.clear();
  napi_release_threadsafe_function(wake_, napi_tsfn_release);
  wake_ = nullptr;
}

}  // namespace pagewright
