// Where an environment (a thread of JavaScript) gets back what it has handed over. It is woken once for all that has come since it looked last.
#pragma once

#include <node_api.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "job.h"

namespace pagewright {

class Inbox {
 public:
  // Called from any thread, with a job that is over.
  void deliver(std::unique_ptr<Job> job);

  // The rest is for the thread of the environment alone.

  void open(napi_env env, napi_threadsafe_function wake);
  // Before a job is handed over: counts it, and keeps the event loop alive until all are back.
  void expect(napi_env env);
  // All that has come.
  std::vector<std::unique_ptr<Job>> take();
  // After what was taken has been reported.
  void settle(napi_env env, size_t taken);
  // The environment ends: nothing more is begun for it, and what runs is waited for. Afterwards no memory of its is in use.
  void close();

  bool is_closing() const { return closing_.load(std::memory_order_acquire); }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  // Guarded by the mutex.
  std::vector<std::unique_ptr<Job>> arrived_jobs_;
  size_t in_flight_ = 0;
  bool is_woken_ = false;
  napi_threadsafe_function wake_ = nullptr;
  // Of the environment's thread alone: jobs whose end has not been reported to it.
  size_t unreported_ = 0;
  std::atomic<bool> closing_{false};
};

}  // namespace pagewright
