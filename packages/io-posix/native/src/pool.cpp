#include "pool.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <system_error>
#include <thread>

#include "inbox.h"

namespace pagewright {
namespace {

bool is_given_up(const Job& job) { return job.inbox != nullptr && job.inbox->is_closing(); }

}  // namespace

Pool& Pool::instance() {
  static Pool* pool = new Pool;
  return *pool;
}

void Pool::allow(uint32_t threads) {
  Lock lock(mutex_);
  allowed_ = std::max(allowed_, threads);
}

uint32_t Pool::threads() {
  Lock lock(mutex_);
  return threads_;
}

void Pool::hand_over(std::unique_ptr<Job> owned) {
  Lock lock(mutex_);
  enqueue(lock, *owned.release());  // its inbox gets it back
  // Where the system gives no thread at all, the work is done here. It may give one meanwhile: then the rest is that one's, and the job perhaps gone.
  while (threads_ == 0 && !queue_.empty()) run_next(lock);
}

void Pool::run_in_place(Job& job) {
  Lock lock(mutex_);
  // Others are asked for help only if there is something to share.
  if (job.transfers.size() > 1 && job.depth > 1) enqueue(lock, job);
  while (!job.is_over) {
    const bool is_mine = job.has_more() ? job.running < job.depth : job.running == 0;
    if (!is_mine) {
      job.over.wait(lock);
      continue;
    }
    drop(job);
    step(lock, job);
  }
}

void Pool::cancel(const Inbox* inbox) {
  std::vector<Job*> over;
  {
    Lock lock(mutex_);
    for (Job* job : std::vector<Job*>(queue_.begin(), queue_.end())) {
      if (job->inbox.get() != inbox) continue;
      drop(*job);
      job->begun = job->transfers.size();
      job->outcome = {kCancelled, Stage::kRead, 0};
      if (job->running == 0) over.push_back(job);
    }
  }
  for (Job* job : over) tell(*job);
}

void Pool::work() {
  Lock lock(mutex_);
  for (;;) {
    while (queue_.empty()) {
      idle_++;
      work_.wait(lock);
      idle_--;
    }
    run_next(lock);
  }
}

void Pool::run_next(Lock& lock) {
  Job& job = *queue_.front();
  drop(job);
  if (!step(lock, job)) return;
  lock.unlock();
  tell(job);
  lock.lock();
}

void Pool::enqueue(Lock& lock, Job& job) {
  job.is_queued = true;
  queue_.push_back(&job);
  rouse(lock);
}

void Pool::rouse(Lock& lock) {
  if (queue_.empty()) return;
  if (idle_ > 0) {
    work_.notify_one();
    return;
  }
  if (threads_ >= allowed_) return;
  threads_++;
  // A signal that is for the process must not interrupt what is in flight; one for a write beyond a limit is an error of that write.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread(&Pool::work, this).detach();
  } catch (const std::system_error&) {
    threads_--;  // those that there are do it, or the caller
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  (void)lock;
}

bool Pool::step(Lock& lock, Job& job) {
  Outcome outcome;
  if (job.has_more()) {
    const Transfer& next = job.transfers[job.begun++];
    job.running++;
    if (job.has_more() && job.running < job.depth) {
      job.is_queued = true;
      queue_.push_back(&job);
    }
    rouse(lock);  // before this thread is gone for a while
    lock.unlock();
    outcome = transfer(job.file, next.is_write, &job.vectors[next.first_vector], static_cast<int>(next.vectors),
                       next.offset, job.is_durable_write());
    lock.lock();
    job.running--;
    if (outcome.failed() && !job.outcome.failed()) job.outcome = outcome;
    if (is_given_up(job) && !job.outcome.failed()) job.outcome = {kCancelled, Stage::kRead, 0};
    if (job.outcome.failed()) {
      job.begun = job.transfers.size();
      drop(job);
    }
    if (job.has_more()) {
      if (!job.is_queued && job.running < job.depth) {
        job.is_queued = true;
        queue_.push_back(&job);
        if (job.inbox == nullptr) job.over.notify_one();
      }
      return false;
    }
    if (job.running > 0) return false;
  }
  if (job.finish != Finish::kNothing && !job.outcome.failed() && !job.is_durable_write()) {
    job.running++;
    rouse(lock);
    lock.unlock();
    switch (job.finish) {
      case Finish::kSync: outcome = sync(job.file); break;
      case Finish::kTruncate: outcome = truncate(job.file, job.offset); break;
      case Finish::kReserve: outcome = reserve(job.file, job.offset, job.length); break;
      case Finish::kExtend: outcome = extend(job.file, job.offset, job.length); break;
      case Finish::kWriteBack: outcome = write_back(job.file, job.offset, job.length); break;
      case Finish::kNothing: break;
    }
    lock.lock();
    job.running--;
    job.outcome = outcome;
  }
  job.is_over = true;
  if (job.inbox != nullptr) return true;
  // Under the lock: whoever waits may give the job's memory back as soon as it has it, and nobody may look at it again.
  job.over.notify_all();
  return false;
}

void Pool::drop(Job& job) {
  if (!job.is_queued) return;
  job.is_queued = false;
  if (queue_.front() == &job) queue_.pop_front();
  else queue_.erase(std::find(queue_.begin(), queue_.end(), &job));
}

void Pool::tell(Job& job) {
  const std::shared_ptr<Inbox> inbox = job.inbox;
  inbox->deliver(std::unique_ptr<Job>(&job));
}

}  // namespace pagewright
