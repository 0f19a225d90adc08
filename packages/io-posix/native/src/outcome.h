// How a call on a file ended.
#pragma once

#include <cstdint>

namespace pagewright {

// Beside the numbers of errno, which are all positive.
constexpr int kEndOfFile = -1;
constexpr int kNoProgress = -2;
constexpr int kCancelled = -3;
constexpr int kNoSuchCall = -4;

// What was being done. A failure of a sync, of a write-back, or of a write that was to be durable when it returned, means that what was written may be lost.
enum class Stage : uint8_t {
  kRead = 0,
  kWrite = 1,
  kSync = 2,
  kTruncate = 3,
  kReserve = 4,
  kDurableWrite = 5,
  kWriteBack = 6
};

struct Outcome {
  int error = 0;
  Stage stage = Stage::kRead;
  // In bytes from the beginning of the file: where it ended.
  int64_t offset = 0;

  bool failed() const { return error != 0; }
};

}  // namespace pagewright
