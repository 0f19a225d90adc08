#include <algorithm>
#include <numeric>

#include "job.h"

namespace pagewright {
namespace {

// A vectored call takes at most as many vectors as IOV_MAX, which is 1,024 where it is not unlimited.
constexpr uint32_t kMostVectors = 1024;

// Joined calls stay below this, so that a large batch still has several of them in flight.
constexpr size_t kMostJoinedBytes = size_t{1} << 20;

bool writes_only(const std::vector<uint8_t>& writes) {
  return std::all_of(writes.begin(), writes.end(), [](uint8_t is_write) { return is_write != 0; });
}

}  // namespace

void plan(Job& job, const std::vector<iovec>& vectors, const std::vector<int64_t>& offsets,
          const std::vector<uint8_t>& writes) {
  std::vector<uint32_t> order(vectors.size());
  std::iota(order.begin(), order.end(), 0);
  // Stable: of two writes to one place the later one wins, as long as they are in one call or run one after another.
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return writes[a] != writes[b] ? writes[a] < writes[b] : offsets[a] < offsets[b];
  });
  job.vectors.reserve(vectors.size());
  int64_t end = -1;
  size_t bytes = 0;
  bool was_direct = false;
  for (const uint32_t at : order) {
    const iovec& vector = vectors[at];
    if (vector.iov_len == 0) continue;
    const bool is_direct = job.file.goes_direct(writes[at] != 0, vector.iov_base, vector.iov_len, offsets[at]);
    const bool joins = !job.transfers.empty() && job.transfers.back().is_write == (writes[at] != 0) &&
                       end == offsets[at] && job.transfers.back().vectors < kMostVectors &&
                       bytes + vector.iov_len <= kMostJoinedBytes && is_direct == was_direct;
    if (joins) {
      job.transfers.back().vectors++;
      bytes += vector.iov_len;
    } else {
      job.transfers.push_back({writes[at] != 0, offsets[at], static_cast<uint32_t>(job.vectors.size()), 1});
      bytes = vector.iov_len;
    }
    job.vectors.push_back(vector);
    end = offsets[at] + static_cast<int64_t>(vector.iov_len);
    was_direct = is_direct;
  }
  // Writes into the page cache go one after another, as a file system lets one at a time into a file: others would only wait for it.
  if (job.file.direct_fd < 0 && writes_only(writes)) job.depth = 1;
}

}  // namespace pagewright
