// The threads that wait for the system, so that neither JavaScript's threads nor the few of libuv do. One pool for the process, whatever number
// of environments have loaded the addon. Threads are started when there is work for them, and stay.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "job.h"

namespace pagewright {

class Pool {
 public:
  // Never destroyed: its threads run until the process ends.
  static Pool& instance();

  // Threads that there may be, of the largest number that anybody has asked for.
  void allow(uint32_t threads);

  // Runs the job; its inbox gets it when it is over. The caller keeps descriptors and memory until then.
  void hand_over(std::unique_ptr<Job> job);

  // Runs the job with the caller's help, and returns when it is over.
  void run_in_place(Job& job);

  // Begins nothing more of what belongs to the inbox. What runs, goes on to its end.
  void cancel(const Inbox* inbox);

  uint32_t threads();

 private:
  using Lock = std::unique_lock<std::mutex>;

  Pool() = default;
  void work();
  void enqueue(Lock& lock, Job& job);
  // Wakes or starts a thread if there is work for one.
  void rouse(Lock& lock);
  // Runs one step of what stands first in the queue.
  void run_next(Lock& lock);
  // Runs one transfer of the job, which is in no queue, or what follows after the last one. Gives the job on if it has more. True if it is over and its
  // inbox is to be told; a job without one may be gone when this returns.
  bool step(Lock& lock, Job& job);
  void drop(Job& job);
  static void tell(Job& job);

  std::mutex mutex_;
  std::condition_variable work_;
  // Each job at most once. Its turn comes round after one transfer, so that a large batch does not hold up a commit.
  std::deque<Job*> queue_;
  uint32_t threads_ = 0;
  uint32_t idle_ = 0;
  uint32_t allowed_ = 1;
};

}  // namespace pagewright
