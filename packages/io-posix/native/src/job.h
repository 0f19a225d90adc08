// What is handed over to the pool at once: transfers, in any order among themselves, and what follows when all went well.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "file.h"

namespace pagewright {

class Inbox;

// One system call, if it is not short: vectors that follow one another in the file.
struct Transfer {
  bool is_write;
  int64_t offset;
  uint32_t first_vector;
  uint32_t vectors;
};

enum class Finish : uint8_t { kNothing = 0, kSync = 1, kTruncate = 2, kReserve = 3, kExtend = 4, kWriteBack = 5 };

struct Job {
  File file;
  std::vector<Transfer> transfers;
  std::vector<iovec> vectors;
  Finish finish = Finish::kNothing;
  // The range of kTruncate, kReserve, kExtend and kWriteBack.
  int64_t offset = 0;
  int64_t length = 0;
  // Transfers that may run at a time.
  uint32_t depth = 1;
  // By which the thread that has handed it over knows it.
  uint32_t id = 0;
  // Who is told when it is over; none if its thread waits in place.
  std::shared_ptr<Inbox> inbox;

  // The rest is guarded by the pool's mutex.
  size_t begun = 0;
  uint32_t running = 0;
  bool is_queued = false;
  bool is_over = false;
  Outcome outcome;
  std::condition_variable over;

  bool has_more() const { return begun < transfers.size(); }
  // One write alone becomes durable in its own call.
  bool is_durable_write() const {
    return finish == Finish::kSync && transfers.size() == 1 && transfers.front().is_write;
  }
};

// Joins what follows one another in the file into one transfer. `vectors[i]` is at `offsets[i]`; empty ones are left out.
void plan(Job& job, const std::vector<iovec>& vectors, const std::vector<int64_t>& offsets,
          const std::vector<uint8_t>& writes);

}  // namespace pagewright
